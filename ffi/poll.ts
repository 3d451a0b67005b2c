/**
 * Waiting for descriptors: ppoll(2) on this thread, or poll(2) aside while the event loop goes on.
 *
 * ```
 *   at: timespec (16) │ pollfd (8) │ pollfd (8) │ ...
 * ```
 */

import { pollfd, POLLIN, timespec } from "./abi/file.ts";
import { errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { type NativeBuffer, nativeBuffer } from "./memory.ts";

export { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT } from "./abi/file.ts";

/** Longest finite wait, milliseconds (about 24 days): keeps the seconds far inside 32 bits. */
const LONGEST_WAIT = 0x7fff_ffff;

/** Octets a {@link Poller} of `capacity` descriptors needs. */
export function pollerLength(capacity: number): number {
  return timespec.size + capacity * pollfd.size;
}

/** A set of descriptors that is waited for again and again, without garbage. */
export class Poller {
  readonly #u32: Uint32Array;
  #count: number;
  readonly #timespec: number;
  readonly #first: number;
  readonly #timespecPointer: Deno.PointerValue;
  readonly #firstPointer: Deno.PointerValue;

  /**
   * @param at where its {@link pollerLength} octets lie in `buffer`, a multiple of 8
   * @param capacity descriptors it has room for; all start as "none"
   */
  constructor(buffer: NativeBuffer, at: number, capacity: number) {
    this.#u32 = buffer.u32;
    this.#count = capacity;
    this.#timespec = at >> 2;
    this.#first = (at + timespec.size) >> 2;
    this.#timespecPointer = buffer.pointer(at);
    this.#firstPointer = buffer.pointer(at + timespec.size);
    this.#u32.fill(0, this.#timespec, this.#first + capacity * (pollfd.size >> 2));
    for (let i = 0; i < capacity; i++) this.set(i, -1, 0);
  }

  /**
   * Sets entry `i`.
   * @param fd the descriptor, or -1 for none
   * @param events `POLLIN`, `POLLOUT` or both; errors are always waited for
   */
  set(i: number, fd: number, events: number): void {
    const at = this.#first + (i << 1);
    this.#u32[at] = fd;
    this.#u32[at + 1] = events;
  }

  /** Looks at the first `count` entries only: each one costs the kernel a little, "none" too. */
  limit(count: number): void {
    this.#count = count;
  }

  /**
   * Waits until a descriptor is ready or the time is over.
   * @param timeoutMs milliseconds, fractions allowed (rounded up to nanoseconds); negative or `Infinity`: for ever
   * @returns how many entries are ready, 0 when the time is over, or -errno (`-EINTR` after a signal)
   */
  wait(timeoutMs: number): number {
    let limit: Deno.PointerValue = null;
    if (timeoutMs >= 0 && timeoutMs !== Infinity) {
      const wait = timeoutMs < LONGEST_WAIT ? timeoutMs : LONGEST_WAIT;
      let seconds = Math.floor(wait / 1000);
      let nanoseconds = Math.ceil((wait - seconds * 1000) * 1e6);
      if (nanoseconds >= 1e9) {
        seconds += 1;
        nanoseconds -= 1e9;
      }
      this.#u32[this.#timespec] = seconds;
      this.#u32[this.#timespec + 2] = nanoseconds;
      limit = this.#timespecPointer;
    }
    const result = libc().ppoll(this.#firstPointer, this.#count, limit, null);
    return result < 0 ? -errno() : result;
  }

  /** What entry `i` is ready for since the last {@link wait}: `POLLIN`, `POLLERR` ... or 0. */
  revents(i: number): number {
    return this.#u32[this.#first + (i << 1) + 1] >>> 16;
  }
}

/** A descriptor and what it is waited for: `POLLIN`, `POLLOUT` or both. */
export interface Wanted {
  readonly fd: number;
  readonly events: number;
}

/**
 * Waits on another thread, so that timers and signals of this isolate go on, until one of `wanted` is ready. It cannot be called off:
 * put an eventfd among them to end it early.
 * @param timeoutMs whole milliseconds, -1 for ever
 * @returns what each is ready for, in their order; all 0 when the time is over or a signal came
 */
export async function waitAside(wanted: readonly Wanted[], timeoutMs = -1): Promise<readonly number[]> {
  const memory = nativeBuffer(new ArrayBuffer(Math.max(wanted.length, 1) * pollfd.size));
  wanted.forEach(({ fd, events }, i) => {
    memory.view.setInt32(i * pollfd.size + pollfd.fd, fd, true);
    memory.view.setInt16(i * pollfd.size + pollfd.events, events, true);
  });
  const ready = await libc().pollAside(memory.pointer(0), wanted.length, timeoutMs);
  return wanted.map((_, i) => ready <= 0 ? 0 : memory.view.getInt16(i * pollfd.size + pollfd.revents, true));
}

/**
 * {@link waitAside} for reading.
 * @returns those that are readable (or broken); empty when the time is over or a signal came
 */
export async function waitReadable(fds: readonly number[], timeoutMs = -1): Promise<readonly number[]> {
  const ready = await waitAside(fds.map((fd) => ({ fd, events: POLLIN })), timeoutMs);
  return fds.filter((_, i) => ready[i] !== 0);
}
