/**
 * How a daemon gives up what it needed for its start. It reads from top to bottom; {@link confine} is called when every descriptor is open
 * and the interface is configured, and nothing of it can be undone:
 *
 * ```
 *                                                             thread      needs
 *    1  no_new_privs; empty bounding set, locked securebits   all         CAP_SETPCAP for the two last
 *    2  no groups, group and user of security.user            all         started by root
 *    3  the shell for hooks, where there are any              its own     /bin/sh
 *    4  security.chroot, where set                            process     CAP_SYS_CHROOT
 *    5  CAP_NET_ADMIN alone, in the thread that tends the     that one    a client that has it
 *       interface (interface_thread.ts)
 *    6  no capability                                         all others
 *    7  system call filter                                    all
 *    8  look: at every thread, and whether what must fail fails
 *    9  no permission of the runtime that is not needed any more
 * ```
 *
 * Started by root, as a user with ambient capabilities, as root of a user namespace, or as a user without any privilege whose TUN was made
 * for it: the steps are the same, and each takes away what there is.
 */

import { EPERM } from "../../../ffi/abi/errno.ts";
import { getLogger } from "@logtape/logtape";
import type { Role } from "../../../config/mod.ts";
import { errno, errnoName, SystemError } from "../../../ffi/errno.ts";
import { close, readTextFile } from "../../../ffi/io.ts";
import { libc } from "../../../ffi/libc.ts";
import {
  becomeUser,
  type Capability,
  changeRoot,
  dropCapabilities,
  forbidGain,
  ignoreDebuggerSignal,
  keepCapabilities,
  limitThread,
  maskOf,
  processId,
  ThreadDirectory,
  threadId,
  type ThreadPrivileges,
} from "../../../ffi/privileges.ts";
import { openRawIpv6 } from "../../../ffi/raw_ipv6.ts";
import { compileFilter, installFilter } from "../../../ffi/seccomp.ts";
import { cString } from "../../../ffi/text.ts";
import { openTun } from "../../../ffi/tun.ts";
import { lookupUser, type User } from "../../../ffi/users.ts";
import { REFUSED, systemCallRules } from "./system_calls.ts";

const log = getLogger(["miredo", "confinement"]);

/** The thread that keeps CAP_NET_ADMIN. */
export interface CapabilityHolder {
  /** Its number. */
  readonly thread: number;
  /** Lets it give up everything but CAP_NET_ADMIN, effective and permitted. */
  limit(): void;
}

/** What is to be confined. */
export interface Confinement {
  readonly role: Role;
  /** Who to become; undefined: the user stays. */
  readonly user: User | undefined;
  /** New root directory; empty: none. */
  readonly chroot: string;
  readonly holder: CapabilityHolder | undefined;
  /** Starts programs that are to run beside this one. */
  readonly startPrograms: () => void;
}

/**
 * Takes every privilege from this process that its role does not need while it runs, and looks whether that is so.
 * @throws Error when the kernel refuses a step, or something is left over
 */
export function confine({ role, user, chroot, holder, startPrograms }: Confinement): void {
  using threads = new ThreadDirectory(); // stays readable behind a chroot
  const maySetBounds = has(privilegesOf(threads, threadId()), "SETPCAP");

  if (chroot !== "") keepCapabilities();
  forbidGain(maySetBounds, threads);
  if (user !== undefined) becomeUser(user.uid, user.gid);
  startPrograms();
  if (chroot !== "") enter(chroot, threads);
  holder?.limit();
  dropCapabilities(threads, new Set(holder === undefined ? [] : [holder.thread]));
  ignoreDebuggerSignal();
  installFilter(compileFilter(systemCallRules(role, processId()), REFUSED));

  for (const thread of threads.read()) {
    const left = leftOver(thread, { user, emptyBounds: maySetBounds, holds: thread.tid === holder?.thread });
    if (left !== undefined) throw new Error(`Cannot give up privileges: thread ${thread.tid} still has ${left}`);
  }
  for (const [what, attempt] of FORBIDDEN) {
    if (attempt()) throw new Error(`Cannot give up privileges: ${what} still works`);
  }
  log.debug("Confined", { user: user?.name ?? "unchanged", root: chroot === "" ? "/" : chroot });
}

/**
 * The user to become when root started this; undefined when there is nobody to become: another user started it, or the root of a user
 * namespace that has no other users.
 * @throws Error when the user does not exist or is root
 */
export function serviceUser(name: string): User | undefined {
  if (Deno.uid() !== 0) return undefined;
  const user = lookupUser(name);
  if (user === undefined) throw new Error(`Cannot become user "${name}": no such user (set security.user)`);
  if (user.uid === 0) throw new Error(`Cannot run as "${name}": it is root (set security.user to another user)`);
  return isMapped("uid_map", user.uid) && isMapped("gid_map", user.gid) && maySetGroups() ? user : undefined;
}

/** Whether this user namespace knows a number (user_namespaces(7)): lines of first number inside, first outside, count. */
function isMapped(map: "uid_map" | "gid_map", id: number): boolean {
  const lines = readTextFile(`/proc/self/${map}`).trim().split("\n").map((line) =>
    line.trim().split(/\s+/).map(Number)
  );
  return lines.some(([inside, _outside, count]) => id >= inside && id < inside + count);
}

function maySetGroups(): boolean {
  return readTextFile("/proc/self/setgroups").trim() !== "deny";
}

function privilegesOf(threads: ThreadDirectory, tid: number): ThreadPrivileges {
  const found = threads.read().find((thread) => thread.tid === tid);
  if (found === undefined) throw new Error(`Cannot see thread ${tid} in /proc`);
  return found;
}

/** Enters `path` with the last use of CAP_SYS_CHROOT. */
function enter(path: string, threads: ThreadDirectory): void {
  const permitted = (privilegesOf(threads, threadId()).permitted & maskOf(["SYS_CHROOT"])) !== 0n;
  if (permitted) limitThread(["SYS_CHROOT"]); // a change of user took it out of the effective set
  changeRoot(path);
}

function has(thread: ThreadPrivileges, capability: Capability): boolean {
  return (thread.effective & maskOf([capability])) !== 0n;
}

/** What a thread has that it must not have, in words. */
function leftOver(
  thread: ThreadPrivileges,
  expected: { readonly user: User | undefined; readonly emptyBounds: boolean; readonly holds: boolean },
): string | undefined {
  const { user, emptyBounds, holds } = expected;
  const allowed = holds ? maskOf(["NET_ADMIN"]) : 0n;
  const hex = (set: bigint): string => `0x${set.toString(16)}`;
  if (user !== undefined) {
    if (thread.uids.some((id) => id !== user.uid)) return `users ${thread.uids.join(" ")}`;
    if (thread.gids.some((id) => id !== user.gid)) return `groups ${thread.gids.join(" ")}`;
    if (thread.groups.length > 0) return `supplementary groups ${thread.groups.join(" ")}`;
  }
  if ((thread.permitted & ~allowed) !== 0n) return `permitted capabilities ${hex(thread.permitted)}`;
  if ((thread.effective & ~allowed) !== 0n) return `effective capabilities ${hex(thread.effective)}`;
  if (thread.inheritable !== 0n) return `inheritable capabilities ${hex(thread.inheritable)}`;
  if (thread.ambient !== 0n) return `ambient capabilities ${hex(thread.ambient)}`;
  if (emptyBounds && thread.bounding !== 0n) return `a bounding set of ${hex(thread.bounding)}`;
  if (!thread.noNewPrivileges) return "a way to new privileges: no_new_privs is not set";
  return thread.seccomp === 2 ? undefined : "no system call filter";
}

/** What must fail from now on. Each says whether it worked; all are harmless if they do. */
const FORBIDDEN: readonly (readonly [string, () => boolean])[] = [
  ["becoming root", () => libc().setresuid(0, 0, 0) === 0],
  ["creating a TUN interface", () => opens(() => openTun("miredo%d").fd)],
  ["opening a raw socket", () => opens(openRawIpv6)],
  // There is no such file: the filter has to refuse before anybody looks.
  ["execve", () => libc().execve(cString("/nonexistent"), null, null) === 0 || errno() !== EPERM],
];

function opens(open: () => number): boolean {
  try {
    close(open());
    return true;
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    log.debug("Refused as it should be", { call: cause.call, error: errnoName(cause.errno) });
    return false;
  }
}
