/** What an operator can do about a refusal of the kernel: the key of the configuration that helps, behind the error. */

import { type Hints, SystemError } from "../../../ffi/errno.ts";

/** For the UDP socket of a client or relay. */
export const BIND_ADVICE: Hints = {
  EADDRINUSE: "the port is in use: set bind.port to another, or to 0 for any",
  EADDRNOTAVAIL: "the address is not one of this host's: set bind.address to one, or to 0.0.0.0 for any",
};

/**
 * Does `work`; an error of the system with one of these codes says this instead of its general hint.
 * @param advice by error code: why, and the next step
 * @throws SystemError
 */
export function withAdvice<T>(advice: Hints, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof SystemError) || advice[cause.code] === undefined) throw cause;
    throw new SystemError(cause.call, cause.action, cause.errno, advice);
  }
}

/**
 * Does `work`, and takes the errors of these codes for success: what was to be done is done already.
 * @throws SystemError with another code
 */
export function tolerating(codes: readonly string[], work: () => void): void {
  try {
    work();
  } catch (cause) {
    if (!(cause instanceof SystemError) || !codes.includes(cause.code)) throw cause;
  }
}

/** The words of anything thrown, for a log or an error line. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
