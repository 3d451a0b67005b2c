/**
 * Reading and writing packets that lie anywhere in a buffer, without making a pointer for them: readv(2) and writev(2) over iovecs
 * whose address and length are plain stores.
 */

import { errno } from "./errno.ts";
import { iovec } from "./abi/socket.ts";
import { libc } from "./libc.ts";
import type { NativeBuffer } from "./memory.ts";

/** Octets of the control area of a {@link GatherWriter} with one piece. */
export const GATHER_LENGTH = iovec.size;

/** Reads and writes packets of one buffer. */
export class GatherWriter {
  readonly #buffer: NativeBuffer;
  readonly #iovec: number;
  readonly #pointer: Deno.PointerValue;

  /**
   * @param at where its octets lie in `buffer`, a multiple of 8
   * @param pieces most pieces of one packet; each takes {@link GATHER_LENGTH} octets
   */
  constructor(buffer: NativeBuffer, at: number, pieces: number = 1) {
    this.#buffer = buffer;
    this.#iovec = at;
    this.#pointer = buffer.pointer(at);
    buffer.bytes.fill(0, at, at + pieces * GATHER_LENGTH); // the high words of lengths stay 0
  }

  /** Reads one packet of at most `length` octets to offset `to`. @returns octets, or -errno */
  read(fd: number, to: number, length: number): number {
    this.setPiece(0, to, length);
    const result = libc().readv(fd, this.#pointer, 1);
    return result < 0 ? -errno() : result;
  }

  /** Writes the `length` octets at offset `from` as one packet. @returns octets, or -errno */
  write(fd: number, from: number, length: number): number {
    this.setPiece(0, from, length);
    return this.writePieces(fd, 1);
  }

  /** Piece `i` is the `length` octets at offset `from`. */
  setPiece(i: number, from: number, length: number): void {
    const at = this.#iovec + i * iovec.size;
    this.#buffer.writePointer(at + iovec.iov_base, from);
    this.#buffer.u32[(at + iovec.iov_len) >> 2] = length;
  }

  /** Writes the first `count` pieces as one packet. @returns octets, or -errno */
  writePieces(fd: number, count: number): number {
    const result = libc().writev(fd, this.#pointer, count);
    return result < 0 ? -errno() : result;
  }
}
