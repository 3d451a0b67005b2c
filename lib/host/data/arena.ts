/**
 * The packet arena: one fixed WebAssembly memory that the kernel reads and writes directly. It never grows, so nothing in it ever moves.
 *
 * ```
 *   │ scratch │ what its users reserve, one after the other: structures shared with the kernel, headers, packets │ free │
 * ```
 *
 * Only pages that are used take real memory.
 */

import { type NativeBuffer, nativeBuffer } from "../../../ffi/memory.ts";
import { type Memory, SCRATCH_LENGTH } from "../../core/machine.ts";
import { type ArenaSum, plainSum, simdSum } from "./checksum.ts";
import type { OffloadMemory } from "./offload/memory.ts";

/** Pages of 64 KiB: all that one data isolate needs, with both directions in batches. */
const PAGES = 112;

/** Every reservation begins at a multiple of this, octets: a cache line. */
const ALIGNMENT = 64;

/** The first octets stay unused, so that offset 0 is no packet. */
const SCRATCH_AT = ALIGNMENT;

/** The arena of one data isolate. */
export class Arena implements OffloadMemory {
  readonly native: NativeBuffer;
  /** What a machine sees of it. */
  readonly memory: Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly sum: ArenaSum;
  #next: number;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
    this.native = nativeBuffer(memory.buffer);
    this.bytes = this.native.bytes;
    this.view = this.native.view;
    this.sum = simdSum(memory) ?? plainSum(this.bytes);
    this.memory = { bytes: this.bytes, view: this.view, scratch: SCRATCH_AT };
    this.#next = SCRATCH_AT + align(SCRATCH_LENGTH);
  }

  /** Sets `length` octets aside. @returns their offset, a multiple of {@link ALIGNMENT} */
  reserve(length: number): number {
    const at = this.#next;
    if (at + length > this.bytes.length) {
      throw new RangeError(`Cannot reserve ${length} octets of the arena: it is full`);
    }
    this.#next = at + align(length);
    return at;
  }
}

function align(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}
