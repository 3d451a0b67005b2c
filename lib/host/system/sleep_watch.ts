/**
 * Notices that this process did not run for a while: the host was suspended, the virtual machine or the process was stopped. The timers of
 * a machine stand still while a host sleeps, and the NAT does not.
 *
 * ```
 *   tick    tick    tick  ......................  tick
 *   └─ 2 s ─┴─ 2 s ─┴──── far longer than 2 s ────┘ slept
 * ```
 *
 * Setting the time of day does nothing: no clock here knows it.
 */

import { bootMicroseconds } from "../../../ffi/clock.ts";

/** Time between two looks, milliseconds: what a client is late by after a sleep. */
const INTERVAL = 2_000;
/** A gap longer by this is a sleep and not a busy host, milliseconds. Mappings of NATs live for 30 s and more. */
const SLEEP = 10_000;

/** Milliseconds of a clock that goes on while the host sleeps. */
type Clock = () => number;

/** Looks all the time. Dispose of it to end that. */
export class SleepWatch implements Disposable {
  readonly #clock: Clock;
  readonly #slept: (milliseconds: number) => void;
  readonly #timer: ReturnType<typeof setInterval>;
  #last: number;

  /** @param slept told after each sleep how long it was, milliseconds */
  constructor(slept: (milliseconds: number) => void, clock: Clock = () => Number(bootMicroseconds() / 1000n)) {
    this.#clock = clock;
    this.#slept = slept;
    this.#last = clock();
    this.#timer = setInterval(() => this.look(), INTERVAL);
  }

  /** Looks at the clock. To be called every {@link INTERVAL}. */
  look(): void {
    const now = this.#clock();
    const gap = now - this.#last - INTERVAL;
    this.#last = now;
    if (gap > SLEEP) this.#slept(gap);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
