/** `miredo status`: what a running daemon does, once, or again and again in the terminal. */

import { merge, object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { command, constant, option } from "@optique/core/primitives";
import type { Status } from "../control/status.ts";
import { painter, statusText } from "../control/status_text.ts";
import { type ControlClient, NotRunning } from "../host/control/control_client.ts";
import { askStatus, connectAll, type DaemonArguments, daemonOptions } from "./daemons.ts";
import { ExitCode } from "./exit_code.ts";
import { answer, answerColumns, say } from "./output.ts";
import { watchStatus } from "./watch.ts";

export const statusCommand = command(
  "status",
  merge(
    object("Options", {
      command: constant("status"),
      json: optional(option("--json", {
        description: message`Answer as JSON, with "schema": 1; one line a daemon.`,
      })),
      peers: optional(option("--peers", { description: message`List the peers too.` })),
      watch: optional(option("-w", "--watch", {
        description: message`Go on until interrupted: in a terminal with rates and plots, else one line a second.`,
      })),
    }),
    daemonOptions,
  ),
  {
    brief: message`Show what the running daemon does.`,
    description:
      message`Shows state, addresses, NAT, counters and what is wrong. Exits with 3 when no daemon runs, with 1 when one gives no service.`,
  },
);

export interface StatusArguments extends DaemonArguments {
  readonly json: boolean | undefined;
  readonly peers: boolean | undefined;
  readonly watch: boolean | undefined;
}

/** @returns the exit code */
export async function runStatus(args: StatusArguments): Promise<number> {
  try {
    const clients = connectAll(args);
    try {
      if (args.watch === true) return await watchStatus(clients, args.json === true, args.peers === true);
      return await showStatus(clients, args);
    } finally {
      for (const client of clients) client[Symbol.dispose]();
    }
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    say(`miredo: ${error.message}`);
    return ExitCode.notRunning;
  }
}

async function showStatus(clients: readonly ControlClient[], args: StatusArguments): Promise<number> {
  const paint = painter(!Deno.noColor && Deno.stdout.isTerminal());
  const statuses: Status[] = [];
  for (const client of clients) statuses.push(await askStatus(client, args.peers === true));
  if (args.json === true) { for (const status of statuses) answer(`${JSON.stringify(status)}\n`); }
  else answer(statuses.map((status) => statusText(status, paint, Date.now(), answerColumns())).join("\n"));
  const failing = statuses.some(({ health }) => health.some(({ severity }) => severity === "error"));
  return failing ? ExitCode.failure : ExitCode.ok;
}
