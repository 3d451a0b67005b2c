/**
 * The runtime's own permissions once the daemon is confined, and how it reads its configuration again without them.
 *
 * They bound mistakes, not an attacker: whoever runs code of his own in this process has the C library (ffi), and needs no permission
 * for what that can do. What binds him are the user, the empty capability sets and the system call filter (confinement.ts).
 */

import { O_RDONLY } from "../../../ffi/abi/file.ts";
import { check, SystemError } from "../../../ffi/errno.ts";
import { close, openFile } from "../../../ffi/io.ts";
import { libc } from "../../../ffi/libc.ts";

/** What a daemon never needs, and the number of its user, which it knows by now. */
const UNNEEDED = ["run", "write", "net", "sys", "import"] as const;

/**
 * Gives up every permission of the runtime but two: ffi for the C library, which each new data isolate opens for itself, and env for the few
 * names it was given. From source there is a third, since a new data isolate is read from its file.
 * @param standalone whether everything is in the executable
 */
export function revokePermissions(standalone: boolean = Deno.build.standalone): void {
  for (const name of UNNEEDED) Deno.permissions.revokeSync({ name });
  if (standalone) Deno.permissions.revokeSync({ name: "read" });
}

/**
 * Reads a file by the C library.
 * @param maximum octets
 * @returns the octets; the mode is not asked for and 0
 * @throws the errors of the runtime for a file that is not there, may not be read or is none; else SystemError
 */
export function readByLibc(file: string, maximum: number): { readonly bytes: Uint8Array; readonly mode: number } {
  try {
    const fd = openFile(file, O_RDONLY);
    try {
      const bytes = new Uint8Array(new ArrayBuffer(maximum));
      let length = 0;
      for (let more = true; more && length < maximum;) {
        const part = new Uint8Array(bytes.buffer, length);
        const count = check(libc().readBuffer(fd, part, part.length), "read", `read ${JSON.stringify(file)}`);
        length += count;
        more = count > 0;
      }
      return { bytes: bytes.subarray(0, length), mode: 0 };
    } finally {
      close(fd);
    }
  } catch (cause) {
    throw cause instanceof SystemError ? asRuntimeError(cause) : cause;
  }
}

function asRuntimeError(error: SystemError): Error {
  switch (error.code) {
    case "ENOENT":
      return new Deno.errors.NotFound(error.message, { cause: error });
    case "EACCES":
      return new Deno.errors.PermissionDenied(error.message, { cause: error });
    case "EISDIR":
      return new Deno.errors.IsADirectory(error.message, { cause: error });
    case "ENOTDIR":
      return new Deno.errors.NotADirectory(error.message, { cause: error });
    default:
      return error;
  }
}
