/**
 * Plays generated and damaged inputs against machines and parsers, and tells how many and how much memory that took.
 *
 * ```
 *   deno task fuzz                                     a million inputs for each target
 *   deno task fuzz -- client relay --inputs 10000000   two of them, more
 *   deno task fuzz -- client --seed 123 --inputs 1000  one episode again
 * ```
 *
 * A fault prints its seed and ends the run with code 1.
 */

import { parseArgs } from "node:util";
import { Fault, play } from "../tests/fuzz/target.ts";
import { TARGETS } from "../tests/fuzz/targets.ts";

const DEFAULT_INPUTS = "1000000";
/** Time between lines of progress, milliseconds. */
const PROGRESS_INTERVAL = 10_000;

function main(args: readonly string[]): number {
  const { values, positionals } = parseArgs({
    args: args.filter((arg) => arg !== "--"),
    allowPositionals: true,
    options: { seed: { type: "string", default: "1" }, inputs: { type: "string", default: DEFAULT_INPUTS } },
  });
  const unknown = positionals.find((name) => TARGETS.every((target) => target.name !== name));
  if (unknown !== undefined) {
    console.error(`Cannot fuzz "${unknown}": the targets are ${TARGETS.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  const seed = Number(values.seed), inputs = Number(values.inputs);
  for (const target of TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
    const started = performance.now();
    let told = started;
    const tell = (done: number): void => {
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      const heap = (Deno.memoryUsage().heapUsed / 2 ** 20).toFixed(0);
      console.log(`${target.name}: ${done} inputs, ${seconds} s, heap ${heap} MiB`);
    };
    try {
      play(target, seed, inputs, (done) => {
        if (done < inputs && performance.now() - told < PROGRESS_INTERVAL) return;
        told = performance.now();
        tell(done);
      });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      console.log(error.message);
      return 1;
    }
  }
  return 0;
}

if (import.meta.main) Deno.exit(main(Deno.args));
