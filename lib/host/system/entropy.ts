/** The daemon's source of random bits: the system's CSPRNG, fetched by the block (RFC 5991 4 asks for a security-grade generator). */

import type { Random } from "../../core/machine.ts";

/** Words fetched at a time. */
const BLOCK = 256;

/** @returns a {@link Random} over `crypto.getRandomValues` */
export function systemRandom(): Random {
  const block = new Uint32Array(BLOCK);
  let next = BLOCK;
  return {
    u32(): number {
      if (next === BLOCK) {
        crypto.getRandomValues(block);
        next = 0;
      }
      const word = block[next];
      block[next++] = 0; // a word is used once and not kept
      return word;
    },
    fill(bytes: Uint8Array): void {
      const random = new Uint8Array(bytes.length);
      crypto.getRandomValues(random);
      bytes.set(random);
    },
  };
}
