/** The user and group databases as this system reads them, nsswitch included: getpwnam_r(3), getgrnam_r(3). */

import { EINTR, ENOENT, ERANGE, ESRCH } from "./abi/errno.ts";
import { group, passwd } from "./abi/process.ts";
import { SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { cString } from "./text.ts";

/** First and largest room for the strings of an entry, octets. */
const FIRST_ROOM = 4096;
const LARGEST_ROOM = 1 << 20;

/** Who a name stands for. */
export interface User {
  readonly name: string;
  readonly uid: number;
  /** Primary group. */
  readonly gid: number;
}

/**
 * Looks up a user.
 * @returns undefined when there is none of that name
 * @throws SystemError when the database cannot be read
 */
export function lookupUser(name: string): User | undefined {
  const view = lookup("getpwnam_r", "user", name, passwd.size);
  if (view === undefined) return undefined;
  return { name, uid: view.getUint32(passwd.pw_uid, true), gid: view.getUint32(passwd.pw_gid, true) };
}

/**
 * Looks up a group.
 * @returns its number; undefined when there is none of that name
 * @throws SystemError when the database cannot be read
 */
export function lookupGroup(name: string): number | undefined {
  return lookup("getgrnam_r", "group", name, group.size)?.getUint32(group.gr_gid, true);
}

/** The entry of `name`, of `size` octets. */
function lookup(call: "getpwnam_r" | "getgrnam_r", what: string, name: string, size: number): DataView | undefined {
  if (name === "" || name.includes("\0")) return undefined;
  for (let room = FIRST_ROOM;; room *= 4) {
    const entry = new Uint8Array(new ArrayBuffer(size));
    const found = new BigUint64Array(new ArrayBuffer(8));
    // The error is the result itself, not errno.
    const error = libc()[call](cString(name), entry, new Uint8Array(new ArrayBuffer(room)), room, found);
    if (error === EINTR) continue;
    if (error === ERANGE && room < LARGEST_ROOM) continue;
    // POSIX lets some systems say "no such entry" with these.
    if (error === ENOENT || error === ESRCH || (error === 0 && found[0] === 0n)) return undefined;
    if (error !== 0) throw new SystemError(call, `look up ${what} ${JSON.stringify(name)}`, error);
    return new DataView(entry.buffer);
  }
}
