/**
 * Network namespaces of this thread: setns(2), unshare(2), network_namespaces(7).
 *
 * A namespace lives as long as a descriptor, a thread or an interface of another process holds it. Sockets and TUN descriptors stay
 * in the namespace they were made in, whichever the thread is in later.
 */

import { O_RDONLY } from "./abi/file.ts";
import { CLONE_NEWNET } from "./abi/process.ts";
import { check, type Hints } from "./errno.ts";
import { close, openFile } from "./io.ts";
import { libc } from "./libc.ts";

const HINTS: Hints = {
  EPERM: "needs CAP_SYS_ADMIN: run as root, or in a user namespace",
  ENOSPC: "too many namespaces: user.max_net_namespaces",
  EINVAL: "this kernel has no network namespaces, or the descriptor is none",
};

/** A descriptor of the network namespace this thread is in. @throws SystemError */
export function currentNetworkNamespace(): number {
  return openFile("/proc/thread-self/ns/net", O_RDONLY);
}

/**
 * Makes an empty network namespace (its loopback is down) and stays where it is.
 * @returns a descriptor of it, close-on-exec
 * @throws SystemError
 */
export function newNetworkNamespace(): number {
  const home = currentNetworkNamespace();
  try {
    check(libc().unshare(CLONE_NEWNET), "unshare", "make a network namespace", HINTS);
    try {
      return currentNetworkNamespace();
    } finally {
      enter(home, "go back to the own network namespace");
    }
  } finally {
    close(home);
  }
}

/**
 * Runs `work` with this thread in the namespace `fd`, then comes back, whatever happened.
 * @param work ends synchronously: after an await it would run at home, and others in there
 * @throws SystemError, or what `work` throws
 */
export function inNetworkNamespace<T>(fd: number, work: () => T): T {
  const home = currentNetworkNamespace();
  try {
    enter(fd, "enter a network namespace");
    try {
      return work();
    } finally {
      enter(home, "go back to the own network namespace");
    }
  } finally {
    close(home);
  }
}

function enter(fd: number, action: string): void {
  check(libc().setns(fd, CLONE_NEWNET), "setns", action, HINTS);
}
