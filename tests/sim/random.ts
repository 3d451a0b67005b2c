/**
 * Seeded random numbers for simulations: a run is repeated by its seed. Not for secrets.
 *
 * The generator is sfc32 (a 128-bit chaotic counter generator by Chris Doty-Humphrey, public domain).
 */

import type { Random } from "../../lib/core/machine.ts";

/** Random numbers that depend on a seed only. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c = 0;
  #counter = 1;

  /** @param seed any number; its integer part's low 32 bits and `stream` count */
  constructor(seed: number, stream: number = 0) {
    this.#a = seed >>> 0;
    this.#b = (stream ^ 0x9e3779b9) >>> 0;
    for (let i = 0; i < 16; i++) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.u32() >>> 24;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** A uniform integer in [low, high]. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.float() * (high - low + 1));
  }

  /** True with the given probability; draws nothing for 0, so that switching a fault off does not shift the rest of a run. */
  chance(probability: number): boolean {
    return probability > 0 && this.float() < probability;
  }

  /** An independent generator, e.g. one for each link, so that traffic on one does not change another. */
  fork(): SeededRandom {
    return new SeededRandom(this.u32(), this.u32());
  }
}
