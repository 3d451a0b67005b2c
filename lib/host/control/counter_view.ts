/** Counters in shared memory as the status tells them, and how they moved lately. */

import {
  COUNTER_NAMES,
  type CounterName,
  Counters,
  DROP_REASONS,
  type DropReason,
  type HistogramName,
  HISTOGRAMS,
} from "../../core/counters.ts";
import type { HistogramStatus, Status } from "../../control/status.ts";

/** How often counters are looked at for {@link CounterTrend}, and how many looks are kept. */
export const TREND_INTERVAL = 5_000;
const TREND_LOOKS = 121; // ten minutes

/** The counters, drops and histograms of a status. */
export function readCounters(counters: Counters): Pick<Status, "counters" | "drops" | "histograms"> {
  const histograms: Record<string, HistogramStatus> = {};
  for (const name of Object.keys(HISTOGRAMS).filter(isHistogramName)) {
    const { buckets, sum } = counters.histogram(name);
    let count = 0;
    const cumulative = HISTOGRAMS[name].map((le, i) => ({ le, count: count += buckets[i] }));
    histograms[name] = { buckets: cumulative, count: count + (buckets.at(-1) ?? 0), sum };
  }
  return {
    counters: Object.fromEntries(COUNTER_NAMES.map((name) => [name, counters.get(name)])),
    drops: Object.fromEntries(DROP_REASONS.map((name) => [name, counters.get(name)])),
    histograms,
  };
}

function isHistogramName(name: string): name is HistogramName {
  return name in HISTOGRAMS;
}

/** How much counters grew in the last seconds or minutes. */
export class CounterTrend {
  readonly #counters: Counters;
  /** Oldest first. */
  readonly #looks: Float64Array[] = [];

  constructor(counters: Counters) {
    this.#counters = counters;
    this.look();
  }

  /** To be called every {@link TREND_INTERVAL} milliseconds. */
  look(): void {
    this.#looks.push(this.#counters.values.slice());
    if (this.#looks.length > TREND_LOOKS) this.#looks.shift();
  }

  /** Growth within about the last `milliseconds` (at most ten minutes). */
  growth(name: CounterName | DropReason, milliseconds: number): number {
    const back = Math.min(this.#looks.length, Math.max(1, Math.ceil(milliseconds / TREND_INTERVAL)));
    const then = new Counters(this.#looks[this.#looks.length - back]);
    return this.#counters.get(name) - then.get(name);
  }
}
