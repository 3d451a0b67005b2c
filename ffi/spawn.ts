/**
 * Starting a program with pipes for its standard input and output: posix_spawn(3), pipe2(2).
 *
 * The runtime's own way would need a permission to run programs, and forks; this one is used once, before the system call filter forbids it.
 */

import { F_SETFL, O_CLOEXEC, O_NONBLOCK } from "./abi/file.ts";
import { check, SystemError } from "./errno.ts";
import { close } from "./io.ts";
import { libc } from "./libc.ts";
import { type NativeBuffer, nativeBuffer } from "./memory.ts";
import { cString } from "./text.ts";

/** `sizeof(posix_spawn_file_actions_t)` is 80 on x86-64 and arm64; only the C library looks into it. */
const FILE_ACTIONS_LENGTH = 128;

/** A program that was started. */
export interface SpawnedProgram {
  readonly pid: number;
  /** Writes to its standard input; close-on-exec, nonblocking. */
  readonly input: number;
  /** Reads from its standard output; close-on-exec, nonblocking. */
  readonly output: number;
}

/**
 * Starts a program. Its standard error is that of this process, its environment is `environment` alone.
 * @param program an absolute path
 * @param args without the program's own name
 * @param environment `NAME=value`
 * @throws SystemError
 */
export function spawnProgram(
  program: string,
  args: readonly string[],
  environment: readonly string[],
): SpawnedProgram {
  const action = `start ${JSON.stringify(program)}`;
  const input = makePipe(action);
  const output = makePipe(action);
  const actions = new Uint8Array(new ArrayBuffer(FILE_ACTIONS_LENGTH));
  const pid = new Int32Array(new ArrayBuffer(4));
  const argv = stringVector([program, ...args]);
  const envp = stringVector(environment);
  libc().posix_spawn_file_actions_init(actions);
  libc().posix_spawn_file_actions_adddup2(actions, input.read, 0);
  libc().posix_spawn_file_actions_adddup2(actions, output.write, 1);
  // The error is the result itself, not errno.
  const error = libc().posix_spawn(pid, cString(program), actions, null, argv.pointer(0), envp.pointer(0));
  libc().posix_spawn_file_actions_destroy(actions);
  close(input.read);
  close(output.write);
  if (error !== 0) {
    close(input.write);
    close(output.read);
    throw new SystemError("posix_spawn", action, error);
  }
  // Of each pipe the program's end blocks as it expects, and ours does not: they are two open files.
  for (const fd of [input.write, output.read]) check(libc().fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl", action);
  return { pid: pid[0], input: input.write, output: output.read };
}

function makePipe(action: string): { readonly read: number; readonly write: number } {
  const ends = new Int32Array(new ArrayBuffer(8));
  check(libc().pipe2(ends, O_CLOEXEC), "pipe2", action);
  return { read: ends[0], write: ends[1] };
}

/** An array of strings as C has it: addresses, a null, the strings. */
function stringVector(strings: readonly string[]): NativeBuffer {
  const octets = strings.map(cString);
  const table = 8 * (strings.length + 1);
  const memory = nativeBuffer(new ArrayBuffer(octets.reduce((sum, { length }) => sum + length, table)));
  let at = table;
  for (const [i, text] of octets.entries()) {
    memory.bytes.set(text, at);
    memory.writePointer(8 * i, at);
    at += text.length;
  }
  return memory;
}
