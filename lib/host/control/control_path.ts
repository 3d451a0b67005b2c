/**
 * The path of a control socket, at start and at the end.
 *
 * ```
 *   does not exist ─────────────────────────▶ listen
 *   exists ─ connect ─ refused: left over ──▶ remove, listen
 *                └──── taken: a live one ───▶ leave it alone, and say so
 * ```
 *
 * It is made with the privileges of the start, so that its directory can be made and its group set; the directory belongs to the service
 * user, so that it can be removed at the end without privileges.
 */

import { type Hints, SystemError } from "../../../ffi/errno.ts";
import { changeOwner, makeDirectory, removeFile } from "../../../ffi/file.ts";
import { close } from "../../../ffi/io.ts";
import { connectUnix, listenUnix } from "../../../ffi/stream.ts";
import { lookupGroup } from "../../../ffi/users.ts";

/** Root or the service user, and the group, may connect (that takes the permission to write). */
const SOCKET_MODE = 0o660;
const DIRECTORY_MODE = 0o755;

const HINTS: Hints = {
  EACCES: 'set status.socket to a path that this user may make, or to ""',
  ENOENT: "its directory does not exist: make it, or set status.socket to another path",
  EROFS: 'set status.socket to a path that can be written, or to ""',
};

/** What a control socket is made with. */
export interface ControlPath {
  readonly path: string;
  /** Who will run this process; undefined when that does not change. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  /** Name of the group that may use it, besides its owner. */
  readonly group: string | undefined;
}

/**
 * Makes the socket and listens.
 * @returns the descriptor
 * @throws an error of one line: a live daemon has the path, or the kernel refuses
 */
export function openControlPath({ path, user, group }: ControlPath): number {
  const gid = group === undefined ? undefined : lookupGroup(group);
  if (group !== undefined && gid === undefined) {
    throw new Error(`Cannot give ${JSON.stringify(path)} to group "${group}": no such group (set status.group)`);
  }
  const directory = path.slice(0, path.lastIndexOf("/"));
  if (directory !== "" && makeDirectory(directory, DIRECTORY_MODE, HINTS) && user !== undefined) {
    changeOwner(directory, user);
  }
  const fd = listenOrReplace(path);
  try {
    if (user !== undefined) changeOwner(path, { uid: user.uid, gid: gid ?? user.gid });
    else if (gid !== undefined) changeOwner(path, { gid }, { EPERM: "this user is not a member: set status.group" });
    return fd;
  } catch (cause) {
    close(fd);
    removeFile(path);
    throw cause;
  }
}

function listenOrReplace(path: string): number {
  try {
    return listenUnix(path, SOCKET_MODE, HINTS);
  } catch (cause) {
    if (!(cause instanceof SystemError) || cause.code !== "EADDRINUSE") throw cause;
  }
  if (isLive(path)) {
    throw new Error(
      `Cannot listen on ${JSON.stringify(path)}: another miredo does (end it, or set status.socket to another path)`,
    );
  }
  removeFile(path, HINTS);
  return listenUnix(path, SOCKET_MODE, HINTS);
}

/** Whether somebody listens. What is no socket counts as live, so that it is not removed. */
function isLive(path: string): boolean {
  try {
    close(connectUnix(path));
    return true;
  } catch (cause) {
    return !(cause instanceof SystemError) || cause.code !== "ECONNREFUSED" || !isSocket(path);
  }
}

function isSocket(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSocket === true;
  } catch {
    return false;
  }
}

/** Removes the socket; one that cannot be removed does no harm: the next daemon replaces it. */
export function removeControlPath(path: string): void {
  try {
    removeFile(path);
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
  }
}
