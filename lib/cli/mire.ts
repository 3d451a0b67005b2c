/** `miredo mire`: a peer that answers whoever can reach it, for trying clients and relays. Needs no privilege. */

import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { command, constant, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { mireAddress } from "../core/mire.ts";
import { formatIpv4, parseIpv4 } from "../wire/ipv4.ts";
import { formatIpv6 } from "../wire/ipv6_address.ts";
import { ExitCode } from "./exit_code.ts";
import { answer, say } from "./output.ts";

export const mireCommand = command(
  "mire",
  object({
    command: constant("mire"),
    bind: optional(option("-b", "--bind", string({ metavar: "ADDRESS" }), {
      description: message`Local IPv4 address to answer on: any, unless told otherwise.`,
    })),
  }),
  {
    brief: message`Answer test packets: bubbles and echo requests.`,
    description:
      message`Plays a Teredo peer that answers bubbles on UDP port 3544, and ICMPv6 echo requests on UDP port 3545, without state, tunnel or privilege. Prints the addresses to ping. Runs until interrupted.`,
  },
);

/** @returns the exit code */
export async function runMireCommand(args: { readonly bind: string | undefined }): Promise<number> {
  const address = args.bind === undefined ? 0 : parseIpv4(args.bind);
  if (address === undefined) {
    say(`miredo: Cannot use --bind ${JSON.stringify(args.bind)}, allowed: an IPv4 address of this host`);
    return ExitCode.usage;
  }
  const { runMire } = await import("../host/tools/mire.ts");
  const answered = await runMire(address, ({ global }) => {
    for (const own of global) answer(`${formatIpv6(mireAddress(own))}\n`);
    const where = global.length === 0
      ? "no global IPv4 address here: forward UDP ports 3544 and 3545 to this host"
      : `on ${global.map(formatIpv4).join(", ")}`;
    say(`Answering on UDP ports 3544 and 3545 (${where})`);
  });
  say(`Answered ${answered} ${answered === 1 ? "packet" : "packets"}`);
  return ExitCode.ok;
}
