/** Names in the file system: made, removed and given away through the C library, which needs no permission of the runtime. */

import { EEXIST, ENOENT } from "./abi/errno.ts";
import { O_CLOEXEC, O_CREAT, O_EXCL, O_WRONLY } from "./abi/file.ts";
import { check, errno, type Hints, SystemError } from "./errno.ts";
import { close } from "./io.ts";
import { libc } from "./libc.ts";
import { cString } from "./text.ts";

/** Stands for "leave as it is" in {@link changeOwner}: (uid_t) -1. */
const UNCHANGED = 0xffff_ffff;

/**
 * Makes a directory with exactly these permission bits.
 * @returns whether it was made: false when something of that name exists
 * @throws SystemError
 */
export function makeDirectory(path: string, mode: number, hints?: Hints): boolean {
  const { mkdir, chmod } = libc();
  const name = cString(path);
  const action = `make directory ${JSON.stringify(path)}`;
  if (mkdir(name, 0o700) < 0) {
    const error = errno();
    if (error === EEXIST) return false;
    throw new SystemError("mkdir", action, error, hints);
  }
  check(chmod(name, mode), "chmod", action);
  return true;
}

/** Removes a file or socket. @returns whether there was one @throws SystemError */
export function removeFile(path: string, hints?: Hints): boolean {
  if (libc().unlink(cString(path)) >= 0) return true;
  const error = errno();
  if (error === ENOENT) return false;
  throw new SystemError("unlink", `remove ${JSON.stringify(path)}`, error, hints);
}

/** Gives a name, not what a symbolic link points at, to another user or group. @throws SystemError */
export function changeOwner(
  path: string,
  owner: { readonly uid?: number; readonly gid?: number },
  hints?: Hints,
): void {
  const result = libc().lchown(cString(path), owner.uid ?? UNCHANGED, owner.gid ?? UNCHANGED);
  check(result, "lchown", `change the owner of ${JSON.stringify(path)}`, hints);
}

/**
 * Puts a file in the place of another, at once: whoever reads sees the old octets or the new, also after a loss of power. The new ones are
 * in a file of the same name with ".new" behind it until then.
 * @param mode permission bits
 * @throws SystemError; the old file is as it was then
 */
export function replaceFile(path: string, octets: Uint8Array<ArrayBuffer>, mode: number, hints?: Hints): void {
  const { openMode, writeBuffer, fsync, rename } = libc();
  const draft = `${path}.new`;
  const action = `write ${JSON.stringify(path)}`;
  removeFile(draft, hints); // of a writer that was killed; nor is a link followed
  const fd = check(openMode(cString(draft), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode), "open", action, hints);
  try {
    try {
      for (let at = 0; at < octets.length;) {
        const rest = octets.subarray(at);
        at += check(writeBuffer(fd, rest, rest.length), "write", action, hints);
      }
      check(fsync(fd), "fsync", action, hints);
    } finally {
      close(fd);
    }
    check(rename(cString(draft), cString(path)), "rename", action, hints);
  } catch (cause) {
    removeFile(draft);
    throw cause;
  }
}

/** Does `work` while files are made without the permission bits of `mask`. The mask is the whole process's. */
export function withMask<T>(mask: number, work: () => T): T {
  const { umask } = libc();
  const before = umask(mask);
  try {
    return work();
  } finally {
    umask(before);
  }
}
