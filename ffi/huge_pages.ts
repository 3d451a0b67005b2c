/**
 * Asks the kernel for pages of 2 MiB: one entry of the TLB then covers 512 times the memory, which a random look-up in a large table feels.
 *
 * ```
 *   buffer ──── 2 MiB ────┬──── 2 MiB ────┬─ rest: stays as it is
 *   advise    small pages, until the table is well filled (elsewhere a single record would make 2 MiB real)
 *   collapse  the next 2 MiB become one page, now
 * ```
 */

import { EINVAL } from "./abi/errno.ts";
import { errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { pointerTo } from "./memory.ts";

/** linux/mman.h */
const MADV_HUGEPAGE = 14;
const MADV_NOHUGEPAGE = 15;
/** Linux 6.1. */
const MADV_COLLAPSE = 25;

/** One large page on x86-64, and on arm64 with pages of 4 KiB, octets. */
export const HUGE_PAGE = 2 ** 21;
const SIZE = BigInt(HUGE_PAGE);

/** The large pages of one buffer that never moves and begins at a page of the kernel. Whatever the kernel refuses is left as it was. */
export class HugePages {
  readonly #start: bigint;
  readonly #end: bigint;
  #next: bigint;

  constructor(buffer: ArrayBufferLike) {
    const bytes = new Uint8Array(buffer) as Uint8Array<ArrayBuffer>;
    this.#start = libc().addressOf(bytes, bytes, 0);
    this.#end = this.#start + BigInt(buffer.byteLength);
    this.#next = (this.#start + SIZE - 1n) & -SIZE;
  }

  /** Lets the kernel give large pages here, or forbids it. @returns whether it takes the advice */
  advise(large: boolean): boolean {
    return libc().madvise(
      pointerTo(this.#start),
      Number(this.#end - this.#start),
      large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE,
    ) === 0;
  }

  /** Makes the next large page of small ones, which takes a fraction of a millisecond. @returns false when there is nothing left to do */
  collapseNext(): boolean {
    const at = this.#next;
    if (at + SIZE > this.#end) return false;
    this.#next += SIZE;
    const result = libc().madvise(pointerTo(at), HUGE_PAGE, MADV_COLLAPSE);
    return result === 0 || errno() !== EINVAL;
  }
}
