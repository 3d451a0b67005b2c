/**
 * Deadlines keyed by small integers (record numbers of the peer table): a binary heap that knows where each key stands.
 *
 * ```
 *   set(key, at)   makes or moves a deadline      O(log n)
 *   cancel(key)    forgets it                     O(log n)
 *   next()         the earliest, or Infinity      O(1)
 *   pop(now)       takes one that is due          O(log n)
 * ```
 */

import type { Millis } from "./machine.ts";

export class TimerHeap {
  readonly #keys: number[] = [];
  readonly #times: Millis[] = [];
  readonly #positions: Map<number, number> = new Map();

  /** Deadlines that are set. */
  get size(): number {
    return this.#keys.length;
  }

  /** Sets the deadline of `key` to `at`, in place of an earlier or later one. */
  set(key: number, at: Millis): void {
    const position = this.#positions.get(key);
    if (position === undefined) {
      this.#keys.push(key);
      this.#times.push(at);
      this.#up(this.#keys.length - 1, key, at);
    } else if (at < this.#times[position]) this.#up(position, key, at);
    else this.#down(position, key, at);
  }

  /** The deadline of `key`, or undefined. */
  get(key: number): Millis | undefined {
    const position = this.#positions.get(key);
    return position === undefined ? undefined : this.#times[position];
  }

  /** Forgets the deadline of `key`, if it has one. */
  cancel(key: number): void {
    const position = this.#positions.get(key);
    if (position !== undefined) this.#removeAt(position);
  }

  /** Forgets all deadlines. */
  clear(): void {
    this.#keys.length = this.#times.length = 0;
    this.#positions.clear();
  }

  /** The earliest deadline, or Infinity. */
  next(): Millis {
    return this.#times.length === 0 ? Infinity : this.#times[0];
  }

  /** Removes the earliest deadline if it is not after `now`. @returns its key, or -1 */
  pop(now: Millis): number {
    if (this.#times.length === 0 || this.#times[0] > now) return -1;
    const key = this.#keys[0];
    this.#removeAt(0);
    return key;
  }

  #removeAt(position: number): void {
    this.#positions.delete(this.#keys[position]);
    const key = this.#keys.pop(), at = this.#times.pop();
    if (key === undefined || at === undefined || position === this.#keys.length) return;
    if (position > 0 && at < this.#times[(position - 1) >> 1]) this.#up(position, key, at);
    else this.#down(position, key, at);
  }

  #up(from: number, key: number, at: Millis): void {
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      if (this.#times[parent] <= at) break;
      this.#place(position, this.#keys[parent], this.#times[parent]);
      position = parent;
    }
    this.#place(position, key, at);
  }

  #down(from: number, key: number, at: Millis): void {
    const length = this.#keys.length;
    let position = from;
    for (;;) {
      let child = 2 * position + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#times[child + 1] < this.#times[child]) child++;
      if (this.#times[child] >= at) break;
      this.#place(position, this.#keys[child], this.#times[child]);
      position = child;
    }
    this.#place(position, key, at);
  }

  #place(position: number, key: number, at: Millis): void {
    this.#keys[position] = key;
    this.#times[position] = at;
    this.#positions.set(key, position);
  }
}
