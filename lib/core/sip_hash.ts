/**
 * SipHash-2-4 of 16 octets: a keyed 64-bit hash that nobody can predict without its 128-bit key.
 *
 * ```
 *   a0 a1   b0 b1   c0 c1   d0 d1     four 64-bit numbers, low and high word: key ^ constants
 *   for each 8 octets m, then the length:   d ^= m   2 rounds   a ^= m
 *   at the end:                             c ^= ff  4 rounds   result a ^ b ^ c ^ d
 * ```
 *
 * Numbers of 64 bits are pairs of 32-bit words, as BigInt would make garbage. Octets are read in little-endian order, as the function
 * is defined.
 */

/** "somepseudorandomlygeneratedbytes", low word first. */
const A = [0x70736575, 0x736f6d65] as const;
const B = [0x6e646f6d, 0x646f7261] as const;
const C = [0x6e657261, 0x6c796765] as const;
const D = [0x79746573, 0x74656462] as const;

/** The last word of a message: its length, in the topmost octet. */
const LENGTH_WORD = 16 << 24;
const FINALIZATION = 0xff;

export class SipHash {
  readonly #key = new Int32Array(4);
  readonly #result = new Uint32Array(2);

  /** @param key 16 octets */
  constructor(key: Uint8Array) {
    for (let i = 0; i < 4; i++) this.#key[i] = littleEndian(key, 4 * i);
  }

  /** The first four octets of the last result, in network order: the low word. */
  get first(): number {
    return this.#result[0];
  }

  /** The other four: the high word. */
  get second(): number {
    return this.#result[1];
  }

  /** Hashes 16 octets at `bytes[at]`; the result is {@link first} and {@link second}. No allocation. */
  of16(bytes: Uint8Array, at: number): void {
    const [k0, k1, k2, k3] = [this.#key[0], this.#key[1], this.#key[2], this.#key[3]];
    let a0 = k0 ^ A[0], a1 = k1 ^ A[1], b0 = k2 ^ B[0], b1 = k3 ^ B[1];
    let c0 = k0 ^ C[0], c1 = k1 ^ C[1], d0 = k2 ^ D[0], d1 = k3 ^ D[1];
    for (let step = 0; step < 4; step++) {
      const low = step < 2 ? littleEndian(bytes, at + 8 * step) : 0;
      const high = step < 2 ? littleEndian(bytes, at + 8 * step + 4) : step === 2 ? LENGTH_WORD : 0;
      if (step === 3) c0 ^= FINALIZATION;
      d0 ^= low;
      d1 ^= high;
      for (let rounds = step === 3 ? 4 : 2; rounds > 0; rounds--) {
        let t = (a0 >>> 0) + (b0 >>> 0);
        a1 = a1 + b1 + (t > 0xffff_ffff ? 1 : 0) | 0;
        a0 = t | 0;
        let x = b0 << 13 | b1 >>> 19;
        b1 = (b1 << 13 | b0 >>> 19) ^ a1;
        b0 = x ^ a0;
        x = a0;
        a0 = a1;
        a1 = x;
        t = (c0 >>> 0) + (d0 >>> 0);
        c1 = c1 + d1 + (t > 0xffff_ffff ? 1 : 0) | 0;
        c0 = t | 0;
        x = d0 << 16 | d1 >>> 16;
        d1 = (d1 << 16 | d0 >>> 16) ^ c1;
        d0 = x ^ c0;
        t = (a0 >>> 0) + (d0 >>> 0);
        a1 = a1 + d1 + (t > 0xffff_ffff ? 1 : 0) | 0;
        a0 = t | 0;
        x = d0 << 21 | d1 >>> 11;
        d1 = (d1 << 21 | d0 >>> 11) ^ a1;
        d0 = x ^ a0;
        t = (c0 >>> 0) + (b0 >>> 0);
        c1 = c1 + b1 + (t > 0xffff_ffff ? 1 : 0) | 0;
        c0 = t | 0;
        x = b0 << 17 | b1 >>> 15;
        b1 = (b1 << 17 | b0 >>> 15) ^ c1;
        b0 = x ^ c0;
        x = c0;
        c0 = c1;
        c1 = x;
      }
      a0 ^= low;
      a1 ^= high;
    }
    this.#result[0] = a0 ^ b0 ^ c0 ^ d0;
    this.#result[1] = a1 ^ b1 ^ c1 ^ d1;
  }
}

function littleEndian(bytes: Uint8Array, at: number): number {
  return bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24;
}
