/**
 * HalfSipHash-1-3 over one or four 32-bit words: the hash of every table whose keys come from the network.
 *
 * Whoever chooses keys must not be able to choose collisions, so the hash has a 64-bit key drawn once per process. Inputs have a
 * fixed length, hence no length block:
 *
 * ```
 *   v0 v1 v2 v3 <- key ^ constants
 *   each word m:   v3 ^= m   1 round   v0 ^= m
 *   at the end:    v2 ^= ff  3 rounds  result v1 ^ v3
 * ```
 */

import type { Random } from "./machine.ts";

/** The constants of HalfSipHash, so that v2 and v3 differ from v0 and v1 even for key 0. */
const V2_START = 0x6c796765;
const V3_START = 0x74656462;

/** Mixed in before the final rounds, so that an extra word cannot imitate the end. */
const FINALIZATION = 0xff;

/** A keyed 32-bit hash. Results are signed 32-bit integers; the same instance always gives the same result. */
export class KeyedHash {
  readonly #key0: number;
  readonly #key1: number;

  constructor(random: Random) {
    this.#key0 = random.u32() | 0;
    this.#key1 = random.u32() | 0;
  }

  /** Hash of four words, for example of a 128-bit address. No allocation. */
  of4(w0: number, w1: number, w2: number, w3: number): number {
    let v0 = this.#key0, v1 = this.#key1, v2 = V2_START ^ v0, v3 = V3_START ^ v1;
    // Written out: a loop would cost half as much again, and this runs for each packet.
    v3 ^= w0;
    v0 = (v0 + v1) | 0;
    v1 = (v1 << 5 | v1 >>> 27) ^ v0;
    v0 = v0 << 16 | v0 >>> 16;
    v2 = (v2 + v3) | 0;
    v3 = (v3 << 8 | v3 >>> 24) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = (v3 << 7 | v3 >>> 25) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = (v1 << 13 | v1 >>> 19) ^ v2;
    v2 = v2 << 16 | v2 >>> 16;
    v0 ^= w0;
    v3 ^= w1;
    v0 = (v0 + v1) | 0;
    v1 = (v1 << 5 | v1 >>> 27) ^ v0;
    v0 = v0 << 16 | v0 >>> 16;
    v2 = (v2 + v3) | 0;
    v3 = (v3 << 8 | v3 >>> 24) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = (v3 << 7 | v3 >>> 25) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = (v1 << 13 | v1 >>> 19) ^ v2;
    v2 = v2 << 16 | v2 >>> 16;
    v0 ^= w1;
    v3 ^= w2;
    v0 = (v0 + v1) | 0;
    v1 = (v1 << 5 | v1 >>> 27) ^ v0;
    v0 = v0 << 16 | v0 >>> 16;
    v2 = (v2 + v3) | 0;
    v3 = (v3 << 8 | v3 >>> 24) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = (v3 << 7 | v3 >>> 25) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = (v1 << 13 | v1 >>> 19) ^ v2;
    v2 = v2 << 16 | v2 >>> 16;
    v0 ^= w2;
    v3 ^= w3;
    v0 = (v0 + v1) | 0;
    v1 = (v1 << 5 | v1 >>> 27) ^ v0;
    v0 = v0 << 16 | v0 >>> 16;
    v2 = (v2 + v3) | 0;
    v3 = (v3 << 8 | v3 >>> 24) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = (v3 << 7 | v3 >>> 25) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = (v1 << 13 | v1 >>> 19) ^ v2;
    v2 = v2 << 16 | v2 >>> 16;
    v0 ^= w3;
    v2 ^= FINALIZATION;
    v0 = (v0 + v1) | 0;
    v1 = (v1 << 5 | v1 >>> 27) ^ v0;
    v0 = v0 << 16 | v0 >>> 16;
    v2 = (v2 + v3) | 0;
    v3 = (v3 << 8 | v3 >>> 24) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = (v3 << 7 | v3 >>> 25) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = (v1 << 13 | v1 >>> 19) ^ v2;
    v2 = v2 << 16 | v2 >>> 16;
    v0 = (v0 + v1) | 0;
    v1 = (v1 << 5 | v1 >>> 27) ^ v0;
    v0 = v0 << 16 | v0 >>> 16;
    v2 = (v2 + v3) | 0;
    v3 = (v3 << 8 | v3 >>> 24) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = (v3 << 7 | v3 >>> 25) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = (v1 << 13 | v1 >>> 19) ^ v2;
    v2 = v2 << 16 | v2 >>> 16;
    v0 = (v0 + v1) | 0;
    v1 = (v1 << 5 | v1 >>> 27) ^ v0;
    v0 = v0 << 16 | v0 >>> 16;
    v2 = (v2 + v3) | 0;
    v3 = (v3 << 8 | v3 >>> 24) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = (v3 << 7 | v3 >>> 25) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = (v1 << 13 | v1 >>> 19) ^ v2;
    v2 = v2 << 16 | v2 >>> 16;
    return v1 ^ v3;
  }

  /** Hash of one word, for example of an IPv4 address. No allocation. */
  of1(w: number): number {
    return this.of4(w, 0, 0, 0);
  }
}
