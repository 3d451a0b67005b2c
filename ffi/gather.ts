/**
 * Writing one packet that lies anywhere in a buffer, without making a pointer for it: writev(2) over an iovec whose address and length
 * are two plain stores.
 */

import { errno } from "./errno.ts";
import { iovec } from "./abi/socket.ts";
import { libc } from "./libc.ts";
import type { NativeBuffer } from "./memory.ts";

/** Octets of the control area a {@link GatherWriter} needs. */
export const GATHER_LENGTH = iovec.size;

/** Writes packets of one buffer to descriptors. */
export class GatherWriter {
  readonly #buffer: NativeBuffer;
  readonly #iovec: number;
  readonly #pointer: Deno.PointerValue;

  /** @param at where its {@link GATHER_LENGTH} octets lie in `buffer`, a multiple of 8 */
  constructor(buffer: NativeBuffer, at: number) {
    this.#buffer = buffer;
    this.#iovec = at;
    this.#pointer = buffer.pointer(at);
    buffer.u32[(at + iovec.iov_len + 4) >> 2] = 0; // the high word of a 64-bit length
  }

  /** Writes the `length` octets at offset `from`. @returns octets, or -errno */
  write(fd: number, from: number, length: number): number {
    this.#buffer.writePointer(this.#iovec + iovec.iov_base, from);
    this.#buffer.u32[(this.#iovec + iovec.iov_len) >> 2] = length;
    const result = libc().writev(fd, this.#pointer, 1);
    return result < 0 ? -errno() : result;
  }
}
