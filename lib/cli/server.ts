/** `miredo server [ADDRESS [ADDRESS2]]`: tells clients their address and lets them reach each other. */

import { merge, object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument, command, constant } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { configOptions, oldOptions, OPTIONS, roleOptions } from "./options.ts";

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
