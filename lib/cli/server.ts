/** `miredo server [ADDRESS [ADDRESS2]]`: tells clients their address and lets them reach each other. */

import { merge, object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument, command, constant } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import type { Override } from "../../config/mod.ts";
import { type CommonArguments, configOptions, loadOptions, oldOptions, OPTIONS, roleOptions } from "./options.ts";
import { runRole } from "./role.ts";

export const serverCommand = command(
  "server",
  merge(
    object({
      command: constant("server"),
      address: optional(argument(string({ metavar: "ADDRESS" }), {
        description: message`IPv4 address that clients are told (server.address).`,
      })),
      secondary: optional(argument(string({ metavar: "ADDRESS2" }), {
        description: message`Second address, auto or none (server.secondary_address).`,
      })),
    }),
    roleOptions,
    configOptions,
    oldOptions,
  ),
  {
    brief: message`Let Teredo clients qualify and reach each other.`,
    usageLine: [
      OPTIONS,
      {
        type: "optional",
        terms: [
          { type: "argument", metavar: "ADDRESS" },
          { type: "optional", terms: [{ type: "argument", metavar: "ADDRESS2" }] },
        ],
      },
    ],
    description: message`Answers Teredo clients on UDP port 3544 of one or two IPv4 addresses. Runs in the foreground.`,
  },
);

interface ServerArguments extends CommonArguments {
  readonly address: string | undefined;
  readonly secondary: string | undefined;
}

/** @returns the exit code */
export function runServer(args: ServerArguments): Promise<number> {
  const overrides: Override[] = [];
  if (args.address !== undefined) overrides.push({ key: "server.address", value: args.address, from: "ADDRESS" });
  if (args.secondary !== undefined) {
    overrides.push({ key: "server.secondary_address", value: args.secondary, from: "ADDRESS2" });
  }
  return runRole("server", loadOptions(args, overrides));
}
