/**
 * Memory that the kernel reads and writes: addresses and pointers of one buffer that never moves.
 *
 * `Deno.UnsafePointer` needs an unrestricted FFI permission. memmove(3) of no octets gives the same: its result is its first argument,
 * declared as a number when a buffer goes in (the address), and as a pointer when a number goes in.
 *
 * ```
 *   buffer ──addressOf──▶ address (64 bits) ──+ offset──▶ pointerAt ──▶ pointer object, made once and kept
 *                                          └─▶ two 32-bit words in a struct (iov_base, msg_name ...)
 * ```
 */

import { libc } from "./libc.ts";

/** One piece of memory as JavaScript and as the kernel see it. */
export interface NativeBuffer {
  /** All octets. */
  readonly bytes: Uint8Array;
  /** The same memory, for numbers of either byte order. */
  readonly view: DataView;
  /** The same memory as words of the machine's byte order (little-endian on every machine supported). */
  readonly u32: Uint32Array;
  /** The pointer to offset `at`, octets. Costs about a microsecond: make it once, keep it. */
  pointer(at: number): Deno.PointerValue;
  /** Writes the address of offset `target` into the 8 octets at `at` (a multiple of 4). No garbage. */
  writePointer(at: number, target: number): void;
}

const WORD = 0x1_0000_0000;

class Buffer implements NativeBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly u32: Uint32Array;
  readonly #address: bigint;
  readonly #low: number;
  readonly #high: number;

  constructor(buffer: ArrayBufferLike) {
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.u32 = new Uint32Array(buffer, 0, buffer.byteLength >>> 2);
    // The FFI type wants a view of an ArrayBuffer; one of a SharedArrayBuffer works as well.
    const bytes = this.bytes as Uint8Array<ArrayBuffer>;
    this.#address = libc().addressOf(bytes, bytes, 0);
    this.#low = Number(this.#address & 0xffff_ffffn);
    this.#high = Number(this.#address >> 32n);
  }

  pointer(at: number): Deno.PointerValue {
    return pointerTo(this.#address + BigInt(at));
  }

  writePointer(at: number, target: number): void {
    const low = this.#low + target;
    const carry = low >= WORD;
    this.u32[at >> 2] = carry ? low - WORD : low;
    this.u32[(at >> 2) + 1] = carry ? this.#high + 1 : this.#high;
  }
}

/**
 * Makes `buffer` usable for the kernel. The caller keeps the result alive as long as the kernel, or a struct, may refer to it.
 * @param buffer an ArrayBuffer, a SharedArrayBuffer or the memory of a WebAssembly module that cannot grow; not empty
 */
export function nativeBuffer(buffer: ArrayBufferLike): NativeBuffer {
  return new Buffer(buffer);
}

/** A pointer object of an address that the kernel or the C library gave; null for 0. */
export function pointerTo(address: bigint): Deno.PointerValue {
  return libc().pointerAt(address, null, 0);
}

/** A copy of `length` octets of foreign memory. */
export function copyFrom(pointer: Deno.PointerValue, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(length));
  if (length > 0) libc().copyOut(bytes, pointer, length);
  return bytes;
}
