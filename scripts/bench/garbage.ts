/**
 * Collections of garbage while packets flow: there are to be none, as each stops the tunnel for a moment.
 *
 * ```
 *   [4711:0x7f193c0ca000]       35 ms: Scavenge 4.3 (5.0) -> 3.9 (5.8) MB, ...      one line of --trace-gc
 *         └ isolate             └ since it began
 * ```
 */

import { pause } from "./command.ts";
import { stopAll } from "./daemons.ts";
import { listen, reach, tcp } from "./load.ts";
import type { Program } from "./process.ts";
import { addressOf, type Round, worldOf } from "./stands.ts";

const COLLECTION = /^\[\d+:0x[0-9a-f]+\]\s+(\d+) ms: .*?\b(?:Scavenge|Mark-Compact|Minor Mark)/gm;

const WARM_UP_SECONDS = 2;
/** Between warm-up and load, milliseconds: an isolate's clock starts a little after its process. */
const GAP = 1000;
/** What the measure is for. */
const SECONDS = 10;
const QUICK_SECONDS = 3;

/** When each collection happened, milliseconds after the start of its isolate. */
export function collections(trace: string): number[] {
  return Array.from(trace.matchAll(COLLECTION), (match) => Number(match[1]));
}

/** Counts those in all isolates of two clients of ours while one TCP flow runs between them. */
export async function garbage(round: Round, quick: boolean): Promise<void> {
  const { daemons, results, progress } = round;
  const { a, b, server } = worldOf(round, "ours");
  const seconds = quick ? QUICK_SECONDS : SECONDS;
  const running: Program[] = [];
  const traces = ["", ""];
  const env = { DENO_V8_FLAGS: "--trace-gc" };
  let from = 0, to = 0;
  const started: number[] = [];
  try {
    progress.show("ours: garbage");
    running.push(await daemons.server("ours", server));
    for (const [i, host] of [a, b].entries()) {
      started.push(performance.now());
      const client = await daemons.client("ours", host, { onText: (text) => traces[i] += text, env });
      running.push(client);
      await daemons.qualified(client);
    }
    running.push(await listen(b));
    const address = await addressOf(b);
    await reach(a, address);
    await tcp(a, address, WARM_UP_SECONDS, 1);
    await pause(GAP);
    from = performance.now();
    await tcp(a, address, seconds, 1);
    to = performance.now();
  } finally {
    // Only at their end do they write out all they have to say.
    await stopAll(running);
  }
  const found = traces.map(collections);
  if (found.some((times) => times.length === 0)) throw new Error("Cannot count collections: V8 told of none at all");
  const counted = found.flatMap((times, i) =>
    times.filter((time) => time > from - started[i] && time < to - started[i])
  );
  results.add("garbage", "ours", counted.length * SECONDS / seconds);
}
