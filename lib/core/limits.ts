/**
 * Rate limits in fixed memory: a token bucket, and one such bucket per IPv4 source (RFC 4443 2.4(f); RFC 4380 5.2.6, 7.3).
 *
 * Sources are kept in sets of four, found by a keyed hash:
 *
 * ```
 *   set = hash(source) mod sets     [source | busy until] x 4
 * ```
 *
 * A source that is not there takes the cell that is idle for the longest time. So no source ever pays for another one's traffic; who
 * forges many sources gets as many buckets, which only a limit on the total can stop.
 */

import type { Ipv4 } from "../wire/ipv4.ts";
import { KeyedHash } from "./keyed_hash.ts";
import type { Millis, Random } from "./machine.ts";

/** Cells in which one source may stand. */
const WAYS = 4;

/** At most `burst` at once and `perSecond` in the long run. */
export class TokenBucket {
  readonly #perMilli: number;
  readonly #burst: number;
  #tokens: number;
  #last: Millis = -Infinity;

  /** @param perSecond tokens that come back a second; 0 = none ever @param burst tokens at the start and at most */
  constructor(perSecond: number, burst: number) {
    this.#perMilli = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Takes one token. @returns false when there is none */
  take(now: Millis): boolean {
    if (now > this.#last) {
      if (this.#last !== -Infinity) {
        this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#last) * this.#perMilli);
      }
      this.#last = now;
    }
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

export interface SourceLimiterOptions {
  /** Tokens a second and source, more than 0. */
  readonly perSecond: number;
  /** Tokens a source may take at once, at least 1. */
  readonly burst: number;
  /** Sources that are remembered, rounded up to a power of two. 12 octets each. */
  readonly slots: number;
  readonly random: Random;
}

/** A token bucket for each IPv4 source address. */
export class SourceLimiter {
  readonly #hash: KeyedHash;
  readonly #setMask: number;
  readonly #sources: Uint32Array;
  /** The moment at which the bucket is full again (the theoretical arrival time of the generic cell rate algorithm). */
  readonly #fullAt: Float64Array;
  readonly #interval: Millis;
  readonly #tolerance: Millis;

  constructor(options: SourceLimiterOptions) {
    const sets = 2 ** Math.max(0, Math.ceil(Math.log2(options.slots / WAYS)));
    this.#hash = new KeyedHash(options.random);
    this.#setMask = sets - 1;
    this.#sources = new Uint32Array(sets * WAYS);
    this.#fullAt = new Float64Array(sets * WAYS).fill(-Infinity);
    this.#interval = 1000 / options.perSecond;
    this.#tolerance = this.#interval * (options.burst - 1);
  }

  /** Takes one token of `source`. @returns false when it has none */
  take(source: Ipv4, now: Millis): boolean {
    const first = (this.#hash.of1(source) & this.#setMask) * WAYS;
    let cell = first;
    for (let i = first; i < first + WAYS; i++) {
      if (this.#sources[i] === source) {
        cell = i;
        break;
      }
      if (this.#fullAt[i] < this.#fullAt[cell]) cell = i;
    }
    const known = this.#sources[cell] === source;
    const fullAt = known ? Math.max(this.#fullAt[cell], now) : now;
    if (fullAt - now > this.#tolerance) return false;
    this.#sources[cell] = source;
    this.#fullAt[cell] = fullAt + this.#interval;
    return true;
  }
}
