/** The clock that service managers and other processes of this host share (clock_gettime(2)). */

import { CLOCK_MONOTONIC, timespec } from "./abi/file.ts";
import { check } from "./errno.ts";
import { libc } from "./libc.ts";

/** Microseconds of CLOCK_MONOTONIC, the same for all processes of this host. @throws SystemError */
export function monotonicMicroseconds(): bigint {
  const time = new Uint8Array(new ArrayBuffer(timespec.size));
  check(libc().clock_gettime(CLOCK_MONOTONIC, time), "clock_gettime", "read the monotonic clock");
  const view = new DataView(time.buffer);
  return view.getBigInt64(timespec.tv_sec, true) * 1_000_000n + view.getBigInt64(timespec.tv_nsec, true) / 1000n;
}
