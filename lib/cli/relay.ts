/** `miredo relay`: connects IPv6 hosts with Teredo clients. */

import { merge, object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { command, constant } from "@optique/core/primitives";
import { configOptions, interfaceOptions, oldOptions, OPTIONS, roleOptions } from "./options.ts";

export const relayCommand = command(
  "relay",
  merge(object({ command: constant("relay") }), interfaceOptions, roleOptions, configOptions, oldOptions),
  {
    brief: message`Connect IPv6 hosts with Teredo clients.`,
    usageLine: [OPTIONS],
    description:
      message`Routes the Teredo prefix into a tunnel interface, for this host or for all that it forwards for. Runs in the foreground.`,
  },
);
