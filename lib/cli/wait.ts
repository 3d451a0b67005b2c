/** `miredo wait`: until the daemon gives service. For boot scripts and tests. */

import { merge, object } from "@optique/core/constructs";
import { type Message, message, value } from "@optique/core/message";
import { withDefault } from "@optique/core/modifiers";
import { command, constant, option } from "@optique/core/primitives";
import type { ValueParser } from "@optique/core/valueparser";
import type { DaemonState, Status } from "../control/status.ts";
import { duration } from "../control/words.ts";
import { NotRunning } from "../host/control_client.ts";
import { askStatus, connectAll, type DaemonArguments, daemonOptions } from "./daemons.ts";
import { ExitCode } from "./exit_code.ts";
import { say } from "./output.ts";

const DEFAULT_TIMEOUT = 30_000;
/** How often the daemons are asked, milliseconds. */
const ASK_EVERY = 200;

/** States in which a daemon gives the service it is for. */
const READY: readonly DaemonState[] = ["qualified", "relaying", "serving"];

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** Reads `30s`, `500ms`, `2m` or `30` (seconds). @returns milliseconds, or undefined */
export function parseDuration(text: string): number | undefined {
  const parts = /^(\d+(?:\.\d+)?)(ms|s|m|min|h)?$/.exec(text);
  return parts === null ? undefined : Number(parts[1]) * UNITS[parts[2] ?? "s"];
}

/** An option that takes a duration, milliseconds. */
export function durationValue(): ValueParser<"sync", number> {
  const wrong = (input: string): Message => message`${value(input)} is no duration, allowed: 500ms, 30s, 2m, 1h`;
  return {
    mode: "sync",
    metavar: "DURATION",
    placeholder: 0,
    parse(input) {
      const milliseconds = parseDuration(input);
      return milliseconds === undefined
        ? { success: false, error: wrong(input) }
        : { success: true, value: milliseconds };
    },
    format: (milliseconds) => `${milliseconds / 1000}s`,
  };
}

export const waitCommand = command(
  "wait",
  merge(
    object("Options", {
      command: constant("wait"),
      timeout: withDefault(
        option("--timeout", durationValue(), {
          description: message`How long to wait at most: 30s unless told otherwise.`,
        }),
        DEFAULT_TIMEOUT,
      ),
    }),
    daemonOptions,
  ),
  {
    brief: message`Wait until the daemon gives service.`,
    description:
      message`Waits until a client is qualified, a relay relays and a server serves; also for a daemon that does not run yet. Exits with 3 when that takes too long.`,
  },
);

interface WaitArguments extends DaemonArguments {
  readonly timeout: number;
}

/** @returns the exit code */
export async function runWait(args: WaitArguments): Promise<number> {
  const start = performance.now();
  const live = Deno.stderr.isTerminal();
  let seen = "no miredo runs here";
  let shown = "";
  const show = (text: string): void => {
    if (!live || text === shown) return;
    Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
    shown = text;
  };
  for (;;) {
    const statuses = await look(args);
    if (statuses.length > 0 && statuses.every(({ state }) => READY.includes(state))) {
      show("");
      return ExitCode.ok;
    }
    if (statuses.length > 0) seen = statuses.map(describe).join("; ");
    else if (!seen.startsWith("no")) seen = "the daemon has ended";
    const elapsed = performance.now() - start;
    if (elapsed >= args.timeout) {
      show("");
      say(`miredo: Cannot wait any longer than ${args.timeout / 1000} s: ${seen} (miredo status tells more)`);
      return ExitCode.notRunning;
    }
    show(`waiting, ${duration(elapsed / 1000)}: ${seen}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(ASK_EVERY, args.timeout - elapsed)));
  }
}

/** The statuses of those that run. */
async function look(args: DaemonArguments): Promise<readonly Status[]> {
  try {
    const clients = connectAll(args);
    try {
      return await Promise.all(clients.map(askStatus));
    } finally {
      for (const client of clients) client[Symbol.dispose]();
    }
  } catch (error) {
    if (error instanceof NotRunning) return [];
    throw error;
  }
}

function describe({ role, state, reason, health }: Status): string {
  const codes = health.filter(({ severity }) => severity === "error").map(({ code }) => code);
  const why = codes.length > 0 ? ` (${codes.join(", ")})` : reason === null ? "" : ` (${reason})`;
  return `the ${role} is ${state}${why}`;
}
