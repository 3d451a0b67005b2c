/**
 * Finds and opens the C library, once per isolate and only when something asks for it.
 *
 * It is opened by absolute path: that is what a path-scoped permission (`--allow-ffi=/lib,/lib64,/usr/lib`) can name. Such a
 * permission forbids `Deno.UnsafePointer` and `Deno.UnsafePointerView`, so pointers are made by the C library itself (memory.ts).
 */

import { symbols } from "./symbols.ts";

/** The functions of {@link symbols}. */
export type Libc = Deno.DynamicLibrary<typeof symbols>["symbols"];

/** The permission under which {@link libc} finds the library on every distribution known. */
const PERMISSION = "--allow-ffi=/lib,/lib64,/usr/lib";

/** Where GNU libc lives: Debian and kin on either machine, Fedora and kin, Arch and kin. A daemon may open nothing else. */
export const LIBC_PATHS: readonly string[] = [
  "/lib/x86_64-linux-gnu/libc.so.6",
  "/usr/lib/x86_64-linux-gnu/libc.so.6",
  "/lib/aarch64-linux-gnu/libc.so.6",
  "/usr/lib/aarch64-linux-gnu/libc.so.6",
  "/lib64/libc.so.6",
  "/usr/lib64/libc.so.6",
  "/usr/lib/libc.so.6",
  "/lib/libc.so.6",
];

let opened: Libc | undefined;

/** Those of this machine: a library of another kind is no library here. */
function candidates(): readonly string[] {
  const other = Deno.build.arch === "aarch64" ? "x86_64-linux-gnu" : "aarch64-linux-gnu";
  return LIBC_PATHS.filter((path) => !path.includes(other));
}

/**
 * The C library of this isolate.
 * @throws Error naming what was tried, when it cannot be opened
 */
export function libc(): Libc {
  return opened ?? (opened = openFirst(candidates()));
}

/**
 * Opens the first library of `paths` that exists and has every symbol.
 * @throws Error naming what was tried and what to do
 */
export function openFirst(paths: readonly string[]): Libc {
  let reason: Error | undefined;
  let forbidden: Error | undefined;
  for (const path of paths) {
    try {
      return Deno.dlopen(path, symbols).symbols;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      if (error.name === "NotCapable" || error.name === "PermissionDenied") forbidden ??= error;
      else if (!/no such file/i.test(error.message)) reason ??= error;
    }
  }
  const tried = paths.map((path) => JSON.stringify(path)).join(", ");
  const why = reason !== undefined
    ? reason.message.replaceAll("\n", " ")
    : forbidden !== undefined
    ? `not permitted: run with ${PERMISSION}`
    : "no such file: GNU libc is needed";
  throw new Error(`Cannot open the C library: ${why} (tried ${tried})`, { cause: reason ?? forbidden });
}
