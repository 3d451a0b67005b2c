/** `miredo ping ADDRESS`: whether a peer answers through the running daemon, and how the way to it was found. */

import { merge, object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { argument, command, constant, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { recordOf } from "../control/protocol.ts";
import { milliseconds } from "../control/words.ts";
import { NotRunning } from "../host/control/control_client.ts";
import type { Ipv6 } from "../wire/ipv6.ts";
import { formatIpv6 } from "../wire/ipv6_address.ts";
import { ipv6Argument } from "./address.ts";
import { connectOne, type DaemonArguments, daemonOptions } from "./daemons.ts";
import { durationValue } from "./duration.ts";
import { ExitCode } from "./exit_code.ts";
import { answer, say } from "./output.ts";

const DEFAULT_COUNT = 4;
const DEFAULT_INTERVAL = 1_000;
const DEFAULT_TIMEOUT = 10_000;

/** Width of the times before steps, characters. */
const TIME_WIDTH = 10;

/** Words for ICMPv6 errors (RFC 4443 3). */
const ERRORS: Readonly<Record<number, string>> = {
  1: "destination unreachable",
  2: "packet too big",
  3: "time exceeded",
  4: "parameter problem",
};

export const pingCommand = command(
  "ping",
  merge(
    object("Options", {
      command: constant("ping"),
      address: argument(ipv6Argument(), {
        description: message`A Teredo or native IPv6 address.`,
        errors: { endOfInput: message`An address is missing, allowed: miredo ping ADDRESS` },
      }),
      count: withDefault(
        option("-n", "--count", integer({ metavar: "COUNT", min: 1, max: 10_000 }), {
          description: message`How many echo requests to send: 4 unless told otherwise.`,
        }),
        DEFAULT_COUNT,
      ),
      interval: withDefault(
        option("--interval", durationValue(), { description: message`Pause between them: 1s unless told otherwise.` }),
        DEFAULT_INTERVAL,
      ),
      timeout: withDefault(
        option("--timeout", durationValue(), {
          description: message`How long to wait for each answer: 10s unless told otherwise.`,
        }),
        DEFAULT_TIMEOUT,
      ),
      json: optional(option("--json", { description: message`Answer as JSON, one line a step.` })),
    }),
    daemonOptions,
  ),
  {
    brief: message`Find out step by step whether a peer can be reached.`,
    description:
      message`Sends echo requests through the running daemon and tells what it does for them. Needs no privilege but the daemon's socket. Exits with 1 when nothing answers, with 3 when no daemon runs.`,
  },
);

interface PingArguments extends DaemonArguments {
  readonly address: Ipv6;
  readonly count: number;
  readonly interval: number;
  readonly timeout: number;
  readonly json: boolean | undefined;
}

/** @returns the exit code */
export async function runPing(args: PingArguments): Promise<number> {
  try {
    using client = connectOne(args);
    const request = {
      address: formatIpv6(args.address),
      count: args.count,
      interval_ms: args.interval,
      timeout_ms: args.timeout,
    };
    let received = 0;
    for await (const { kind, value } of client.ask("ping", request)) {
      const fields = recordOf(value) ?? {};
      if (kind === "result") received = Number(fields.received ?? 0);
      if (args.json === true) answer(`${JSON.stringify({ schema: 1, ...fields })}\n`);
      else answer(kind === "result" ? `${summary(fields)}\n` : `${stepText(fields)}\n`);
    }
    return received > 0 ? ExitCode.ok : ExitCode.failure;
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    say(`miredo: ${error.message}`);
    return ExitCode.notRunning;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "?";
}

function time(value: unknown): string {
  return typeof value === "number" ? milliseconds(value) : "?";
}

/** One step, on one line. */
export function stepText(step: Fields): string {
  const at = step.elapsed_ms === undefined ? "" : `${time(step.elapsed_ms).padStart(TIME_WIDTH)}  `;
  const to = text(step.endpoint);
  switch (step.step) {
    case "start":
      return `Pinging ${text(step.to)} from ${text(step.from)}`;
    case "queued":
      return `${at}queued: no path to the peer yet`;
    case "direct-bubble":
      return `${at}direct bubble to ${to}`;
    case "indirect-bubble":
      return `${at}indirect bubble by way of server ${to}`;
    case "test":
      return `${at}connectivity test by way of server ${to}`;
    case "open":
      return `${at}${step.path === "relay" ? "relay found" : "hole open"}: ${way(step)}`;
    case "sent":
      return `${at}echo request sent ${way(step)}`;
    case "reply":
      return `${at}reply ${text(step.sequence)} in ${time(step.round_trip_ms)}, hop limit ${text(step.hop_limit)}`;
    case "dropped":
      return `${at}dropped here: ${text(step.reason)}`;
    case "error":
      return `${at}${ERRORS[Number(step.type)] ?? `ICMPv6 error ${text(step.type)}`}, code ${text(step.code)}`;
    case "unreachable":
      return `${at}unreachable: nothing answered`;
    case "timeout":
      return `${at}no answer`;
    default:
      return `${at}${text(step.step)}`;
  }
}

/** How packets go: `direct to E`, `through relay E`. */
function way({ path, endpoint }: Fields): string {
  switch (path) {
    case "relay":
      return `through relay ${text(endpoint)}`;
    case "local":
      return `on this link to ${text(endpoint)}`;
    default:
      return `direct to ${text(endpoint)}`;
  }
}

/** The last line. */
export function summary(result: Fields): string {
  const counts = `${text(result.sent)} sent, ${text(result.received)} answered`;
  if (result.min_ms === undefined) return counts;
  const times = [result.min_ms, result.average_ms, result.max_ms].map(time).join(" / ");
  return `${counts}, ${times} (least / average / most), ${way(result)}`;
}
