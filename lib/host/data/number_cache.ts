/**
 * Numbers of more than 31 bits, such as half of all IPv4 addresses, live on the heap when they are handed from function to function: 16 octets
 * of garbage a call. Here the same number is the same heap object as long as it keeps coming, so that a steady flow makes none.
 */

/** Entries; a power of 2. */
const ENTRIES = 64;

/** The last numbers seen, by a hash. */
export class NumberCache {
  /** Made with entries that are no numbers: an array of numbers alone would keep them unpacked, and pack each again when it is read. */
  readonly #entries: (number | undefined)[] = new Array<number | undefined>(ENTRIES).fill(undefined);

  /** `value`, an integer of at most 32 bits, as the heap object of the last time if there is one. */
  same(value: number): number {
    const entry = (value ^ (value >>> 8) ^ (value >>> 16) ^ (value >>> 24)) & (ENTRIES - 1);
    const known = this.#entries[entry];
    if (known === value) return known;
    this.#entries[entry] = value;
    return value;
  }
}
