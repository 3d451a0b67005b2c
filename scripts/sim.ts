/**
 * Plays every pair of RFC 6081 figure 1 in the simulated internet, many times over, and prints the matrix beside what the figure says.
 *
 * ```
 *   deno task sim               100 seeds for each pair, weather and mode
 *   deno task sim -- 1000       more
 *   deno task sim -- 1000 5001  from another first seed
 * ```
 *
 * A cell: what the figure says, how it connected (d direct, r over a relay), how many of the runs, and the slowest first answer, seconds.
 * A failure prints its seed and the flow of packets as a mermaid diagram. Exit code 1 when there was one.
 */

import { mermaid } from "../tests/sim/diagram.ts";
import {
  drawRun,
  FIGURE_KINDS,
  FIGURE_NAMES,
  figureCell,
  type FigureKindName,
  pairFault,
  runPair,
  type Weather,
} from "../tests/sim/figure.ts";
import { Network } from "../tests/sim/network.ts";

const DEFAULT_SEEDS = 100;
/** Failures shown with their packets. */
const SHOWN_FAILURES = 3;
/** Crossings shown of each. */
const SHOWN_CROSSINGS = 120;
const CELL_WIDTH = 20;

interface Failure {
  readonly what: string;
  readonly flow: string;
}

/** One cell of the matrix. */
function playPair(
  initiator: FigureKindName,
  peer: FigureKindName,
  weather: Weather,
  relays: boolean,
  seeds: readonly number[],
  failures: Failure[],
): string {
  const figure = figureCell(initiator, peer).padEnd(4);
  // Hours of vain attempts show nothing that minutes do not.
  if (weather === "rough" && !relays && figure.startsWith("-")) return `${figure} not run`;
  let connected = 0, slowest = 0;
  const paths = new Set<string>();
  for (const seed of seeds) {
    const network = new Network(seed);
    let fault: string | undefined;
    try {
      const run = { ...drawRun(network, weather), traversal: { relayPaths: relays } };
      const result = runPair(network, FIGURE_KINDS[initiator], FIGURE_KINDS[peer], run);
      if (result.answered !== undefined) {
        connected++;
        slowest = Math.max(slowest, result.answered);
        paths.add(result.path === "relay" ? "r" : "d");
      }
      fault = pairFault(initiator, peer, weather, relays, result);
    } catch (cause) {
      fault = String(cause);
    }
    if (fault === undefined) continue;
    const what = `${initiator} to ${peer}, ${weather}${relays ? ", relays" : ""}, seed ${seed}: ${fault}`;
    failures.push({ what, flow: mermaid(network.trace.slice(-SHOWN_CROSSINGS)) });
  }
  const how = [...paths].sort().join("") || "-";
  return `${figure} ${how} ${connected}/${seeds.length} ${(slowest / 1000).toFixed(1)}`;
}

function main(args: readonly string[]): number {
  const [count, first] = args.filter((arg) => arg !== "--").map(Number);
  const seeds = Array.from({ length: count ?? DEFAULT_SEEDS }, (_, i) => (first ?? 1) + i);
  const failures: Failure[] = [];
  const started = performance.now();
  for (const weather of ["calm", "rough"] as const) {
    for (const relays of [false, true]) {
      console.log(`\n${weather}, ${relays ? "with" : "without"} relays to meet at; rows: initiator, columns: peer`);
      console.log(
        "".padEnd(21) + FIGURE_NAMES.map((name) => name.slice(0, CELL_WIDTH - 1).padEnd(CELL_WIDTH)).join(""),
      );
      for (const initiator of FIGURE_NAMES) {
        const cells = FIGURE_NAMES.map((peer) => playPair(initiator, peer, weather, relays, seeds, failures));
        console.log(initiator.padEnd(21) + cells.map((cell) => cell.padEnd(CELL_WIDTH)).join(""));
      }
    }
  }
  for (const { what, flow } of failures.slice(0, SHOWN_FAILURES)) console.log(`\n${what}\n${flow}`);
  for (const { what } of failures.slice(SHOWN_FAILURES)) console.log(what);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`\n${seeds.length} seeds, ${failures.length} failures, ${seconds} s`);
  return failures.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(main(Deno.args));
