/**
 * Giving up privileges for good, in every thread (credentials(7), capabilities(7)): the single steps. Their order is the business of
 * lib/host/confinement/confinement.ts.
 *
 * ```
 *   chroot            the process                      CAP_SYS_CHROOT
 *   forbidGain        every thread                     CAP_SETPCAP for securebits and bounding set
 *   becomeUser        every thread, by the C library   CAP_SETGID, CAP_SETUID
 *   limitThread       the calling thread
 *   dropCapabilities  every thread but those named
 * ```
 *
 * The kernel keeps all of this by thread, and a thread starts with what the one has that makes it.
 */

import {
  __user_cap_data_struct,
  __user_cap_header_struct,
  _LINUX_CAPABILITY_VERSION_3,
  CAP_NET_ADMIN,
  CAP_NET_BIND_SERVICE,
  CAP_NET_RAW,
  CAP_SETGID,
  CAP_SETPCAP,
  CAP_SETUID,
  CAP_SYS_CHROOT,
  PR_CAPBSET_DROP,
  PR_CAPBSET_READ,
  PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS,
  PR_SET_NAME,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_SECUREBITS,
  SECBIT_KEEP_CAPS_LOCKED,
  SECBIT_NO_CAP_AMBIENT_RAISE,
  SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
  SECBIT_NO_SETUID_FIXUP,
  SECBIT_NO_SETUID_FIXUP_LOCKED,
  SECBIT_NOROOT,
  SECBIT_NOROOT_LOCKED,
  SIGUSR1,
} from "./abi/process.ts";
import { sigaction } from "./abi/process.ts";
import { syscallNumber } from "./abi/syscalls.ts";
import { check, type Hints } from "./errno.ts";
import { type Call, inEveryThread } from "./every_thread.ts";
import { libc } from "./libc.ts";
import { cString } from "./text.ts";
import type { ThreadDirectory } from "./threads.ts";

export { ThreadDirectory, type ThreadPrivileges, threadPrivileges } from "./threads.ts";

/** Capabilities that matter here, by their names without `CAP_`; the value is the bit. */
export const CAPABILITIES = {
  SETGID: CAP_SETGID,
  SETUID: CAP_SETUID,
  SETPCAP: CAP_SETPCAP,
  NET_BIND_SERVICE: CAP_NET_BIND_SERVICE,
  NET_ADMIN: CAP_NET_ADMIN,
  NET_RAW: CAP_NET_RAW,
  SYS_CHROOT: CAP_SYS_CHROOT,
} as const;

/** A capability. */
export type Capability = keyof typeof CAPABILITIES;

/** Root has no capabilities by being root, no change of user touches them, none can be made ambient; and all that for ever. */
const SECUREBITS = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
  SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

/** Numbers of capabilities end below this. */
const CAPABILITY_COUNT = 64;

const HINTS: Hints = { EPERM: "needs CAP_SETUID and CAP_SETGID: start as root", EINVAL: "no such id here" };

/** `SIG_IGN`. */
const IGNORE = 1n;

/** A set of capabilities as a mask. */
export function maskOf(capabilities: readonly Capability[]): bigint {
  return capabilities.reduce((mask, name) => mask | 1n << BigInt(CAPABILITIES[name]), 0n);
}

/** Makes `path` the root directory of this process, and the working directory. @throws SystemError */
export function changeRoot(path: string): void {
  const action = `enter ${JSON.stringify(path)} as root directory`;
  check(libc().chroot(cString(path)), "chroot", action, { EPERM: "needs CAP_SYS_CHROOT: start as root" });
  check(libc().chdir(cString("/")), "chdir", action);
}

/**
 * Every thread: nothing that is executed gains anything (no_new_privs); with CAP_SETPCAP, root is nobody special any more and the
 * bounding set is empty. The process can no longer be traced, nor its memory read, by others of its user (prctl(2), PR_SET_DUMPABLE).
 * @param full whether the threads have CAP_SETPCAP
 * @param threads tells which there are
 * @throws SystemError, or Error when a thread refuses
 */
export function forbidGain(full: boolean, threads: ThreadDirectory): void {
  check(libc().prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n), "prctl", "forbid being traced");
  const prctl = (...values: readonly number[]): Call => ({ number: syscallNumber("prctl"), arguments: values });
  const calls: Call[] = [prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)];
  if (full) {
    for (let capability = 0; capability < CAPABILITY_COUNT; capability++) {
      // The kernel knows no more of them where reading fails.
      if (libc().prctl(PR_CAPBSET_READ, BigInt(capability), 0n, 0n, 0n) < 0) break;
      calls.push(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
    }
    calls.push(prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0));
  }
  const { failed } = inEveryThread(calls, threads);
  if (failed > 0) throw new Error(`Cannot forbid new privileges: the kernel refused ${failed} times`);
}

/** Lets the calling thread keep its permitted capabilities over a change of user. @throws SystemError */
export function keepCapabilities(): void {
  check(libc().prctl(PR_SET_KEEPCAPS, 1n, 0n, 0n, 0n), "prctl", "keep capabilities over a change of user");
}

/** Becomes `uid` and `gid` without supplementary groups, in all threads. @throws SystemError */
export function becomeUser(uid: number, gid: number): void {
  const { setgroups, setresgid, setresuid } = libc();
  check(setgroups(0, null), "setgroups", "give up the supplementary groups", HINTS);
  check(setresgid(gid, gid, gid), "setresgid", `become group ${gid}`, HINTS);
  check(setresuid(uid, uid, uid), "setresuid", `become user ${uid}`, HINTS);
}

/**
 * Gives the calling thread exactly these capabilities, effective and permitted.
 * @throws SystemError when it does not have them
 */
export function limitThread(keep: readonly Capability[]): void {
  const { header, data } = capabilityCall(keep);
  check(libc().capset(header, data), "capset", "limit the capabilities", {
    EPERM: "needs the capabilities that are to be kept: start as root",
  });
}

/**
 * Takes every capability from every thread.
 * @param threads tells which there are
 * @param except threads that keep theirs, by their numbers
 * @throws SystemError, or Error when a thread refuses
 */
export function dropCapabilities(threads: ThreadDirectory, except: ReadonlySet<number> = new Set()): void {
  const { header, data } = capabilityCall([]);
  const { failed } = inEveryThread([{ number: syscallNumber("capset"), arguments: [header, data] }], threads, except);
  if (failed > 0) throw new Error(`Cannot give up capabilities: ${failed} threads refused`);
}

/** The arguments of capset(2) for the calling thread. */
function capabilityCall(keep: readonly Capability[]): {
  readonly header: Uint8Array<ArrayBuffer>;
  readonly data: Uint8Array<ArrayBuffer>;
} {
  const mask = Number(maskOf(keep));
  const header = new Uint8Array(new ArrayBuffer(__user_cap_header_struct.size));
  new DataView(header.buffer).setUint32(__user_cap_header_struct.version, _LINUX_CAPABILITY_VERSION_3, true);
  const data = new Uint8Array(new ArrayBuffer(2 * __user_cap_data_struct.size));
  const view = new DataView(data.buffer);
  view.setUint32(__user_cap_data_struct.effective, mask, true);
  view.setUint32(__user_cap_data_struct.permitted, mask, true);
  return { header, data };
}

/** Gives up every capability of the calling thread. A thread starts with those of the one that made it. @throws SystemError */
export function dropThreadCapabilities(): void {
  limitThread([]);
}

/** The number of the calling thread. */
export function threadId(): number {
  return libc().gettid();
}

/** Gives the calling thread a name that ps(1) and top(1) show; 15 octets at most count. @throws SystemError */
export function nameThread(name: string): void {
  const text = cString(name);
  check(libc().prctl(PR_SET_NAME, libc().addressOf(text, text, 0), 0n, 0n, 0n), "prctl", "name a thread");
}

/** The number of this process. */
export function processId(): number {
  return libc().getpid();
}

/** Lets this process ignore SIGUSR1, at which the runtime would open a debugger. @throws SystemError */
export function ignoreDebuggerSignal(): void {
  const action = new Uint8Array(new ArrayBuffer(sigaction.size));
  new DataView(action.buffer).setBigUint64(sigaction.sa_handler, IGNORE, true);
  check(libc().sigaction(SIGUSR1, action, null), "sigaction", "ignore SIGUSR1");
}
