/** The clocks that all processes of this host share (clock_gettime(2)). None of them is ever set. */

import { CLOCK_BOOTTIME, CLOCK_MONOTONIC, timespec } from "./abi/file.ts";
import { check } from "./errno.ts";
import { libc } from "./libc.ts";

/** Microseconds of CLOCK_MONOTONIC: it stands still while the host is suspended. @throws SystemError */
export function monotonicMicroseconds(): bigint {
  return microseconds(CLOCK_MONOTONIC, "monotonic");
}

/** Microseconds of CLOCK_BOOTTIME: it goes on while the host is suspended. @throws SystemError */
export function bootMicroseconds(): bigint {
  return microseconds(CLOCK_BOOTTIME, "boot time");
}

function microseconds(clock: number, name: string): bigint {
  const time = new Uint8Array(new ArrayBuffer(timespec.size));
  check(libc().clock_gettime(clock, time), "clock_gettime", `read the ${name} clock`);
  const view = new DataView(time.buffer);
  return view.getBigInt64(timespec.tv_sec, true) * 1_000_000n + view.getBigInt64(timespec.tv_nsec, true) / 1000n;
}
