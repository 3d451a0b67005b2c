/** `miredo client [SERVER...]`: IPv6 for this host from behind NATs. */

import { merge, object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple } from "@optique/core/modifiers";
import { argument, command, constant } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { configOptions, interfaceOptions, oldOptions, OPTIONS, roleOptions } from "./options.ts";

export const clientCommand = command(
  "client",
  merge(
    object({
      command: constant("client"),
      servers: multiple(argument(string({ metavar: "SERVER" }), {
        description: message`Teredo servers, host names or IPv4 addresses, tried in order (client.servers).`,
      })),
    }),
    interfaceOptions,
    roleOptions,
    configOptions,
    oldOptions,
  ),
  {
    brief: message`Give this host IPv6 from behind NATs.`,
    usageLine: [OPTIONS, { type: "multiple", terms: [{ type: "argument", metavar: "SERVER" }], min: 0 }],
    description:
      message`Qualifies with a Teredo server and gives this host an IPv6 address on a tunnel interface. Runs in the foreground.`,
  },
);
