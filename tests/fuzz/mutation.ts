/** Damage to octets and texts, of the kinds that parsers stumble over. */

import type { SeededRandom } from "../sim/random.ts";

/** Octets that are bounds of something: signs, lengths, protocol numbers, versions. */
const OCTETS = [
  0,
  1,
  2,
  4,
  6,
  7,
  8,
  39,
  40,
  41,
  43,
  44,
  50,
  51,
  58,
  59,
  60,
  0x60,
  63,
  64,
  127,
  128,
  133,
  134,
  137,
  254,
  255,
];
const WORDS = [0, 1, 7, 8, 39, 40, 48, 88, 1240, 1280, 1500, 0x7fff, 0x8000, 0xfff8, 0xffff];

/** One of several. */
export function pick<T>(random: SeededRandom, from: readonly T[]): T {
  return from[Math.floor(random.float() * from.length)];
}

/** So many random octets. */
export function octets(random: SeededRandom, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  random.fill(bytes);
  return bytes;
}

/**
 * Damages the first `length` octets of `bytes` in 1 to 4 ways.
 * @returns how many octets there are afterwards; never more than the array holds
 */
export function mutate(random: SeededRandom, bytes: Uint8Array, length: number): number {
  let size = length;
  for (let times = random.integer(1, 4); times > 0; times--) {
    const at = size === 0 ? 0 : random.integer(0, size - 1);
    switch (random.integer(0, 8)) {
      case 0:
        bytes[at] ^= 1 << random.integer(0, 7);
        break;
      case 1:
        bytes[at] = pick(random, OCTETS);
        break;
      case 2:
        bytes[at] = random.u32();
        break;
      case 3: {
        const word = pick(random, WORDS);
        if (at + 1 >= size) break;
        bytes[at] = word >>> 8;
        bytes[at + 1] = word;
        break;
      }
      case 4:
        size = at;
        break;
      case 5: { // more at the end
        const more = Math.min(random.integer(1, 40), bytes.length - size);
        for (let i = 0; i < more; i++) bytes[size + i] = random.u32();
        size += more;
        break;
      }
      case 6: { // some octets twice
        const count = Math.min(random.integer(1, 48), size - at, bytes.length - size);
        bytes.copyWithin(at + count, at, size);
        size += count;
        break;
      }
      case 7: { // some octets gone
        const count = Math.min(random.integer(1, 48), size - at);
        bytes.copyWithin(at, at + count, size);
        size -= count;
        break;
      }
      case 8: { // some octets elsewhere
        const to = size === 0 ? 0 : random.integer(0, size - 1);
        bytes.copyWithin(to, at, at + Math.min(random.integer(1, 20), size - at, size - to));
        break;
      }
    }
  }
  return size;
}

/** Damages a text: the ways of {@link mutate}, by characters, and with words of `language`. */
export function mutateText(random: SeededRandom, text: string, language: readonly string[]): string {
  let out = text;
  for (let times = random.integer(1, 4); times > 0; times--) {
    const at = random.integer(0, out.length), to = Math.min(out.length, at + random.integer(0, 24));
    switch (random.integer(0, 5)) {
      case 0:
        out = out.slice(0, at) + out.slice(to);
        break;
      case 1:
        out = out.slice(0, at) + pick(random, language) + out.slice(at);
        break;
      case 2:
        out = out.slice(0, at) + pick(random, language) + out.slice(to);
        break;
      case 3:
        out = out.slice(0, to) + out.slice(at);
        break;
      case 4:
        out = out.slice(0, at) + String.fromCodePoint(random.integer(0, random.chance(0.8) ? 0x7f : 0xd7ff)) +
          out.slice(at);
        break;
      case 5:
        out = out.slice(0, at);
        break;
    }
  }
  return out;
}
