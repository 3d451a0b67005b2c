/**
 * Descriptors: read, write, close, and the eventfd(2) that wakes a thread blocked in poll.
 *
 * The hot calls never throw: they return octets (>= 0) or a negative errno, `-EAGAIN` when nothing is there.
 */

import { EAGAIN } from "./abi/errno.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK, O_CLOEXEC } from "./abi/file.ts";
import { check, errno, type Hints } from "./errno.ts";
import { libc } from "./libc.ts";
import { nativeBuffer } from "./memory.ts";
import { cString } from "./text.ts";

/** Reads at most `length` octets to `pointer`. @returns octets, or -errno */
export function read(fd: number, pointer: Deno.PointerValue, length: number): number {
  const result = libc().read(fd, pointer, length);
  return result < 0 ? -errno() : result;
}

/** Writes `length` octets from `pointer`. @returns octets, or -errno */
export function write(fd: number, pointer: Deno.PointerValue, length: number): number {
  const result = libc().write(fd, pointer, length);
  return result < 0 ? -errno() : result;
}

/** Closes a descriptor. The number is free afterwards whatever the result (close(2)). @returns 0, or -errno */
export function close(fd: number): number {
  return libc().close(fd) < 0 ? -errno() : 0;
}

/**
 * Opens `path`, close-on-exec, without creating it.
 * @param flags `O_*` of abi/file.ts
 * @param hints by error code, what helps
 * @throws SystemError
 */
export function openFile(path: string, flags: number, hints?: Hints): number {
  return check(libc().open(cString(path), flags | O_CLOEXEC), "open", `open ${JSON.stringify(path)}`, hints);
}

/**
 * The whole of a file, read through the C library: files of /proc need no further permission this way.
 * @throws SystemError
 */
export function readTextFile(path: string): string {
  const fd = openFile(path, 0);
  try {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(new ArrayBuffer(16384));
    let text = "";
    for (;;) {
      const length = check(libc().readBuffer(fd, buffer, buffer.length), "read", `read ${JSON.stringify(path)}`);
      if (length === 0) return text + decoder.decode();
      text += decoder.decode(buffer.subarray(0, length), { stream: true });
    }
  } finally {
    close(fd);
  }
}

/** The 8 octets an eventfd is written with, and those it is read into. */
const event = {
  pointers: undefined as undefined | { readonly one: Deno.PointerValue; readonly out: Deno.PointerValue },
};
const eventWords = new BigUint64Array(new ArrayBuffer(16));

function eventPointers(): { readonly one: Deno.PointerValue; readonly out: Deno.PointerValue } {
  if (event.pointers === undefined) {
    eventWords[0] = 1n;
    const memory = nativeBuffer(eventWords.buffer);
    event.pointers = { one: memory.pointer(0), out: memory.pointer(8) };
  }
  return event.pointers;
}

/** Makes an eventfd, nonblocking and close-on-exec. @throws SystemError */
export function makeEventFd(): number {
  return check(libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd", "make an eventfd");
}

/** Makes an eventfd readable, from any thread. One that is readable already stays so. @throws SystemError */
export function signalEventFd(fd: number): void {
  const result = write(fd, eventPointers().one, 8);
  if (result !== -EAGAIN && result < 0) check(result, "write", `signal eventfd ${fd}`);
}

/** Makes an eventfd unreadable again. @returns whether it was readable */
export function drainEventFd(fd: number): boolean {
  return read(fd, eventPointers().out, 8) === 8;
}
