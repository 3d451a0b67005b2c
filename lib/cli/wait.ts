/** `miredo wait`: until the daemon gives service. For boot scripts and tests. */

import { merge, object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { withDefault } from "@optique/core/modifiers";
import { command, constant, option } from "@optique/core/primitives";
import type { DaemonState, Status } from "../control/status.ts";
import { duration } from "../control/words.ts";
import { NotRunning } from "../host/control/control_client.ts";
import { askStatus, connectAll, type DaemonArguments, daemonOptions } from "./daemons.ts";
import { durationValue } from "./duration.ts";
import { ExitCode } from "./exit_code.ts";
import { say } from "./output.ts";

const DEFAULT_TIMEOUT = 30_000;
/** How often the daemons are asked, milliseconds. */
const ASK_EVERY = 200;

/** States in which a daemon gives the service it is for. */
const READY: readonly DaemonState[] = ["qualified", "relaying", "serving"];

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
      return await Promise.all(clients.map((client) => askStatus(client)));
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
