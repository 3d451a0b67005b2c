/**
 * What went wrong in a call of the C library: errno, its name, and an error that says it to people.
 *
 * errno belongs to the thread that made the call: it is right after a synchronous call, and useless after a call declared
 * `nonblocking`, which ran on another thread.
 */

import * as numbers from "./abi/errno.ts";
import { libc } from "./libc.ts";
import { nativeBuffer } from "./memory.ts";

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(numbers).map(([name, number]) => [number, name]));

let reader: (() => number) | undefined;

/** errno of the last synchronous call of this thread that failed. Costs about 10 ns. */
export function errno(): number {
  return (reader ??= makeReader())();
}

function makeReader(): () => number {
  const { __errno_location, copy } = libc();
  const cell = new Int32Array(new ArrayBuffer(8));
  const pointer = nativeBuffer(cell.buffer).pointer(0);
  const location = __errno_location();
  return () => {
    copy(pointer, location, 4);
    return cell[0];
  };
}

/** The C name of an error number, `EACCES` for 13; `errno 4711` for one without a name here. */
export function errnoName(number: number): string {
  return NAMES.get(number) ?? `errno ${number}`;
}

/** What to say in brackets behind an error code: the privilege that is missing, or the next step. */
export type Hints = Readonly<Record<string, string>>;

/** A call of the C library that failed: `Cannot open "/dev/net/tun": EACCES (needs CAP_NET_ADMIN)`. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The function that failed, `open`. */
  readonly call: string;
  /** What could not be done, and to what: `open "/dev/net/tun"`. */
  readonly action: string;
  /** The C name of the error, `EACCES`. */
  readonly code: string;
  /** The number of the error, 13. */
  readonly errno: number;

  /**
   * @param call the C function
   * @param action what could not be done, and to what: `open "/dev/net/tun"`
   * @param number errno, positive
   * @param hints by code, what helps
   */
  constructor(call: string, action: string, number: number, hints: Hints = {}) {
    const code = errnoName(number);
    const hint = hints[code];
    super(`Cannot ${action}: ${code}${hint === undefined ? "" : ` (${hint})`}`);
    this.call = call;
    this.action = action;
    this.code = code;
    this.errno = number;
  }
}

/**
 * `result` as it is, when it is no failure.
 * @param call the C function
 * @param action what was tried, and on what
 * @param hints by code, what helps
 * @throws SystemError when `result` is negative
 */
export function check(result: number, call: string, action: string, hints?: Hints): number {
  if (result < 0) throw new SystemError(call, action, errno(), hints);
  return result;
}
