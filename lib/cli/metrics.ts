/** `miredo metrics`: what the running daemon counts, as Prometheus text. */

import { merge, object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { command, constant } from "@optique/core/primitives";
import { NotRunning } from "../host/control/control_client.ts";
import { connectOne, type DaemonArguments, daemonOptions } from "./daemons.ts";
import { ExitCode } from "./exit_code.ts";
import { answer, say } from "./output.ts";

export const metricsCommand = command(
  "metrics",
  merge(object({ command: constant("metrics") }), daemonOptions),
  {
    brief: message`Print the counters of the running daemon for Prometheus.`,
    description: message`Prints what metrics.listen would serve, once. Exits with 3 when no daemon runs.`,
  },
);

/** @returns the exit code */
export async function runMetrics(args: DaemonArguments): Promise<number> {
  try {
    using client = connectOne(args);
    const text = await client.result("metrics");
    if (typeof text !== "string") throw new Error(`Cannot understand the daemon at ${JSON.stringify(client.path)}`);
    answer(text);
    return ExitCode.ok;
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    say(`miredo: ${error.message}`);
    return ExitCode.notRunning;
  }
}
