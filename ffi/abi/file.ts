/**
 * Descriptors, waiting and directories: open(2), eventfd(2), ppoll(2), readdir(3).
 *
 * An object is a C struct: `size` and the offset of each field, octets, under the C name. A number is a C constant.
 * All are the same on x86-64 and arm64; tests/ffi/layout_test.ts compares every export with the C headers.
 */

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;

/** fcntl(2): sets the flags of an open file. */
export const F_SETFL = 4;

export const EFD_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = 0o4000;

export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;
export const POLLNVAL = 32;

/** `poll.h`: one descriptor waited for. */
export const pollfd = { size: 8, fd: 0, events: 4, revents: 6 } as const;

export const CLOCK_MONOTONIC = 1;
export const CLOCK_BOOTTIME = 7;

/** `time.h`: seconds and nanoseconds, 64 bits each. */
export const timespec = { size: 16, tv_sec: 0, tv_nsec: 8 } as const;

/** `dirent.h`: one entry of a directory; the name ends with a NUL octet. */
export const dirent = { size: 280, d_ino: 0, d_reclen: 16, d_type: 18, d_name: 19 } as const;
