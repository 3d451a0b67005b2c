/** Virtual time: actions happen in the order of their moments, those of one moment in the order in which they were planned. */

import type { Millis } from "../../lib/core/machine.ts";

interface Planned {
  readonly at: Millis;
  readonly order: number;
  readonly action: () => void;
}

/** A clock that jumps from one planned action to the next. */
export class VirtualClock {
  #now: Millis = 0;
  #order = 0;
  /** Binary heap, earliest first. */
  readonly #heap: Planned[] = [];

  get now(): Millis {
    return this.#now;
  }

  /** Moment of the next planned action, or `Infinity`. */
  get next(): Millis {
    return this.#heap.length === 0 ? Infinity : this.#heap[0].at;
  }

  /** Plans `action` for `at`, or for the present moment when that has passed. `Infinity` is never. */
  schedule(at: Millis, action: () => void): void {
    if (at === Infinity) return;
    const planned = { at: Math.max(at, this.#now), order: this.#order++, action };
    let i = this.#heap.push(planned) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(planned, this.#heap[parent])) break;
      this.#heap[i] = this.#heap[parent];
      i = parent;
    }
    this.#heap[i] = planned;
  }

  /** Lets `duration` milliseconds pass. */
  run(duration: Millis): void {
    const end = this.#now + duration;
    while (this.#heap.length > 0 && this.#heap[0].at <= end) this.#step();
    this.#now = end;
  }

  /**
   * Lets time pass until `condition` holds.
   * @returns the milliseconds that took, or undefined when `limit` milliseconds passed without it
   */
  runUntil(condition: () => boolean, limit: Millis): Millis | undefined {
    const start = this.#now;
    while (!condition()) {
      if (this.#heap.length === 0 || this.#heap[0].at > start + limit) {
        this.#now = start + limit;
        return undefined;
      }
      this.#step();
    }
    return this.#now - start;
  }

  #step(): void {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) this.#sink(last);
    this.#now = first.at;
    first.action();
  }

  #sink(planned: Planned): void {
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && before(this.#heap[child + 1], this.#heap[child])) child++;
      if (!before(this.#heap[child], planned)) break;
      this.#heap[i] = this.#heap[child];
      i = child;
    }
    this.#heap[i] = planned;
  }
}

function before(a: Planned, b: Planned): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
