/**
 * One direction of a line: delay, jitter, loss, duplication and reordering, from a seeded generator. It carries nothing itself: it says
 * when a packet that enters now comes out, so that the simulation (virtual time) and the lab (real time) share it.
 *
 * ```
 *   now ──▶ lost? ──▶ + delay + jitter, never before the packet ahead ──▶ overtaken? + reorderBy ──▶ arrival(s)
 * ```
 */

import type { Millis } from "../../lib/core/machine.ts";
import type { SeededRandom } from "./random.ts";

/** Behaviour of a line, the same in both directions. Everything defaults to 0: a perfect line. */
export interface LinkOptions {
  /** Milliseconds one way. */
  readonly delay?: Millis;
  /** Up to so many milliseconds more, uniform; order is kept. */
  readonly jitter?: Millis;
  /** Probability that a packet is lost. */
  readonly loss?: number;
  /** Probability that a packet comes out twice. */
  readonly duplication?: number;
  /** Probability that a packet is overtaken by those behind it. */
  readonly reordering?: number;
  /** How much later an overtaken packet comes out at most, milliseconds. Default: 20. */
  readonly reorderBy?: Millis;
}

const DEFAULT_REORDER_BY: Millis = 20;

/** One direction of a line. */
export class Link {
  readonly #options: LinkOptions;
  readonly #random: SeededRandom;
  #last: Millis = -Infinity;

  constructor(options: LinkOptions, random: SeededRandom) {
    this.#options = options;
    this.#random = random;
  }

  /** When a packet that enters at `now` comes out: never, once or twice. */
  arrivals(now: Millis): readonly Millis[] {
    const { delay = 0, jitter = 0, loss = 0, duplication = 0, reordering = 0 } = this.#options;
    if (this.#random.chance(loss)) return [];
    const wanted = now + delay + (jitter === 0 ? 0 : jitter * this.#random.float());
    if (this.#random.chance(reordering)) {
      return [wanted + (this.#options.reorderBy ?? DEFAULT_REORDER_BY) * this.#random.float()];
    }
    const arrival = Math.max(wanted, this.#last);
    this.#last = arrival;
    return this.#random.chance(duplication) ? [arrival, arrival] : [arrival];
  }
}
