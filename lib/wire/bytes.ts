/**
 * Integers and runs of octets in network byte order (most significant octet first), at any offset of a byte array.
 *
 * These stand below every format of this directory. They allocate nothing, and the caller answers for the bounds: the octets named
 * must lie inside the array.
 */

/** Two octets at `at` as a number 0 to 65535. */
export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

/** Four octets at `at` as a number 0 to 2^32 - 1. */
export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

/** Writes the low 16 bits of `value` at `at`. */
export function writeU16(value: number, bytes: Uint8Array, at: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Writes the low 32 bits of `value` at `at`. */
export function writeU32(value: number, bytes: Uint8Array, at: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Whether `length` octets at `aAt` of `a` and at `bAt` of `b` are the same. Stops at the first difference: not for secrets. */
export function equalBytes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, length: number): boolean {
  if (aAt + length > a.length || bAt + length > b.length) return false;
  for (let i = 0; i < length; i++) {
    if (a[aAt + i] !== b[bAt + i]) return false;
  }
  return true;
}

/** Above this many octets a view and a block copy cost less than a loop. */
const BLOCK_COPY = 64;

/** Copies `length` octets. The two runs may overlap. */
export function copyBytes(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, length: number): void {
  if (from === to) to.copyWithin(toAt, fromAt, fromAt + length);
  else if (length > BLOCK_COPY || from.buffer === to.buffer) to.set(from.subarray(fromAt, fromAt + length), toAt);
  else for (let i = 0; i < length; i++) to[toAt + i] = from[fromAt + i];
}
