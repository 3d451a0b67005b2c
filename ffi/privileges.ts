/**
 * Giving up root for good, in every thread (credentials(7), capabilities(7)).
 *
 * ```
 *   KEEPCAPS (calling thread) ─▶ setgroups ─▶ setresgid ─▶ setresuid ─▶ capset (calling thread) ─▶ look at every thread
 *                                └── the C library changes all threads ──┘
 * ```
 *
 * The kernel keeps user, groups and capabilities by thread. The C library's set*id functions change all of them, and every thread but
 * the calling one loses its capabilities by that; the calling one keeps exactly those asked for.
 */

import { __user_cap_data_struct, __user_cap_header_struct } from "./abi/process.ts";
import {
  _LINUX_CAPABILITY_VERSION_3,
  CAP_NET_ADMIN,
  CAP_NET_BIND_SERVICE,
  CAP_NET_RAW,
  PR_SET_KEEPCAPS,
} from "./abi/process.ts";
import { dirent } from "./abi/file.ts";
import { check, errno, type Hints, SystemError } from "./errno.ts";
import { readTextFile } from "./io.ts";
import { libc } from "./libc.ts";
import { copyFrom } from "./memory.ts";
import { cString, readCString } from "./text.ts";

/** Capabilities that can be kept, by their names without `CAP_`. */
const CAPABILITIES = {
  NET_ADMIN: CAP_NET_ADMIN,
  NET_BIND_SERVICE: CAP_NET_BIND_SERVICE,
  NET_RAW: CAP_NET_RAW,
} as const;

/** A capability that the calling thread can keep. */
export type Capability = keyof typeof CAPABILITIES;

const HINTS: Hints = { EPERM: "needs CAP_SETUID and CAP_SETGID: start as root", EINVAL: "no such id here" };

/** What {@link dropPrivileges} is asked for. */
export interface PrivilegeDrop {
  readonly uid: number;
  readonly gid: number;
  /** Capabilities the calling thread keeps, effective and permitted; every other thread keeps none. */
  readonly keep: readonly Capability[];
}

/** What one thread may do, from /proc. */
export interface ThreadPrivileges {
  readonly tid: number;
  /** Real, effective, saved, file system. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** Bit n is capability n. */
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

/**
 * Becomes `uid` and `gid` without supplementary groups, in all threads and for good, then looks whether that is so. The process is no
 * longer dumpable afterwards (prctl(2)): other processes of that user can neither trace it nor read its memory.
 * @throws SystemError when the kernel refuses; Error when a thread has more than it should
 */
export function dropPrivileges(drop: PrivilegeDrop): void {
  const { setgroups, setresgid, setresuid } = libc();
  const { uid, gid, keep } = drop;
  if (keep.length > 0) keepCapabilities(true);
  check(setgroups(0, null), "setgroups", "give up the supplementary groups", HINTS);
  check(setresgid(gid, gid, gid), "setresgid", `become group ${gid}`, HINTS);
  check(setresuid(uid, uid, uid), "setresuid", `become user ${uid}`, HINTS);
  const mask = keep.reduce((bits, name) => bits | (1 << CAPABILITIES[name]), 0) >>> 0;
  setCapabilities(mask);
  if (keep.length > 0) keepCapabilities(false);
  verify(drop, BigInt(mask));
}

function keepCapabilities(on: boolean): void {
  check(libc().prctl(PR_SET_KEEPCAPS, on ? 1n : 0n, 0n, 0n, 0n), "prctl", "keep capabilities over a change of user");
}

/** Gives the calling thread exactly the capabilities of `mask` (all of them below 32). */
function setCapabilities(mask: number): void {
  const header = new Uint8Array(new ArrayBuffer(__user_cap_header_struct.size));
  new DataView(header.buffer).setUint32(__user_cap_header_struct.version, _LINUX_CAPABILITY_VERSION_3, true);
  const data = new Uint8Array(new ArrayBuffer(2 * __user_cap_data_struct.size));
  const view = new DataView(data.buffer);
  view.setUint32(__user_cap_data_struct.effective, mask, true);
  view.setUint32(__user_cap_data_struct.permitted, mask, true);
  check(libc().capset(header, data), "capset", "limit the capabilities", {
    EPERM: "needs the capabilities that are to be kept: start as root",
  });
}

function verify(drop: PrivilegeDrop, mask: bigint): void {
  const self = Number(readTextFile("/proc/thread-self/stat").split(" ", 1)[0]);
  for (const thread of threadPrivileges()) {
    const allowed = thread.tid === self ? mask : 0n;
    const right = thread.uids.every((id) => id === drop.uid) && thread.gids.every((id) => id === drop.gid) &&
      thread.groups.length === 0 && thread.effective === allowed && thread.permitted === allowed &&
      thread.inheritable === 0n && thread.ambient === 0n;
    if (!right) throw new Error(`Cannot give up privileges: thread ${thread.tid} still has ${describe(thread)}`);
  }
}

function describe(thread: ThreadPrivileges): string {
  const { uids, gids, groups, effective, permitted } = thread;
  const ids = `users ${uids.join(" ")}, groups ${[...gids, ...groups].join(" ")}`;
  return `${ids}, capabilities ${effective.toString(16)} effective, ${permitted.toString(16)} permitted`;
}

/** What every thread of this process may do now. @throws SystemError */
export function threadPrivileges(): readonly ThreadPrivileges[] {
  const threads: ThreadPrivileges[] = [];
  for (const name of listDirectory("/proc/self/task")) {
    let status: string;
    try {
      status = readTextFile(`/proc/self/task/${name}/status`);
    } catch (error) {
      // A thread may end while it is looked at.
      if (error instanceof SystemError && (error.code === "ENOENT" || error.code === "ESRCH")) continue;
      throw error;
    }
    threads.push(parseStatus(Number(name), status));
  }
  return threads;
}

function parseStatus(tid: number, status: string): ThreadPrivileges {
  const words = (key: string): readonly string[] => {
    const line = status.split("\n").find((line) => line.startsWith(`${key}:`)) ?? "";
    return line.slice(key.length + 1).split(/\s+/).filter((word) => word !== "");
  };
  const numbers = (key: string): readonly number[] => words(key).map(Number);
  const bits = (key: string): bigint => BigInt(`0x${words(key)[0] ?? "0"}`);
  return {
    tid,
    uids: numbers("Uid"),
    gids: numbers("Gid"),
    groups: numbers("Groups"),
    effective: bits("CapEff"),
    permitted: bits("CapPrm"),
    inheritable: bits("CapInh"),
    ambient: bits("CapAmb"),
  };
}

function listDirectory(path: string): readonly string[] {
  const { opendir, readdir, closedir } = libc();
  const directory = opendir(cString(path));
  if (directory === null) throw new SystemError("opendir", `list ${JSON.stringify(path)}`, errno());
  const names: string[] = [];
  try {
    for (let entry = readdir(directory); entry !== null; entry = readdir(directory)) {
      // An entry ends with its name: only its own length may be read.
      const head = new DataView(copyFrom(entry, dirent.d_type).buffer);
      const name = readCString(copyFrom(entry, head.getUint16(dirent.d_reclen, true)), dirent.d_name);
      if (!name.startsWith(".")) names.push(name);
    }
  } finally {
    closedir(directory);
  }
  return names;
}

/** Gives up every capability of the calling thread. A thread starts with those of the one that made it. @throws SystemError */
export function dropThreadCapabilities(): void {
  setCapabilities(0);
}
