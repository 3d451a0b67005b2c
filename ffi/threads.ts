/**
 * The threads of this process and what each of them may do, from /proc/self/task (proc(5)).
 *
 * The directory can be kept open: then it is read behind a chroot too. Its entries have the numbers of the process namespace that /proc was
 * mounted for, which may be another than the one this process is in; the line NSpid of a status file ends with the number in the latter.
 */

import { O_CLOEXEC, O_RDONLY } from "./abi/file.ts";
import { dirent } from "./abi/file.ts";
import { check, errno, SystemError } from "./errno.ts";
import { close, openFile } from "./io.ts";
import { libc } from "./libc.ts";
import { copyFrom } from "./memory.ts";
import { cString, readCString } from "./text.ts";

const DIRECTORY = "/proc/self/task";

/** Room for one status file, octets; they have less than 2,000. */
const STATUS_ROOM = 16384;

/** What one thread may do. */
export interface ThreadPrivileges {
  /** Its number in its own process namespace, as gettid(2) gives it. */
  readonly tid: number;
  /** What the thread calls itself, at most 15 octets. */
  readonly name: string;
  /** Real, effective, saved, file system. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** Capability sets; bit n is capability n. */
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly bounding: bigint;
  readonly ambient: bigint;
  readonly noNewPrivileges: boolean;
  /** 0: no filter, 1: strict, 2: filter. */
  readonly seccomp: number;
}

/** An open /proc/self/task. */
export class ThreadDirectory implements Disposable {
  readonly #fd: number;

  /** @throws SystemError where /proc is not mounted */
  constructor() {
    this.#fd = openFile(DIRECTORY, O_RDONLY);
  }

  /** The entries there are now. */
  #list(): readonly number[] {
    const { openat, fdopendir, readdir, closedir } = libc();
    // A descriptor of its own, since closedir closes it.
    const fd = check(openat(this.#fd, cString("."), O_RDONLY | O_CLOEXEC), "openat", `open "${DIRECTORY}"`);
    const directory = fdopendir(fd);
    if (directory === null) {
      const error = errno();
      close(fd);
      throw new SystemError("fdopendir", `list "${DIRECTORY}"`, error);
    }
    const threads: number[] = [];
    try {
      for (let entry = readdir(directory); entry !== null; entry = readdir(directory)) {
        // An entry ends with its name: only its own length may be read.
        const head = new DataView(copyFrom(entry, dirent.d_type).buffer);
        const name = readCString(copyFrom(entry, head.getUint16(dirent.d_reclen, true)), dirent.d_name);
        if (/^\d+$/.test(name)) threads.push(Number(name));
      }
    } finally {
      closedir(directory);
    }
    return threads;
  }

  /** What every thread may do now. @throws SystemError */
  read(): readonly ThreadPrivileges[] {
    return this.#list().flatMap((thread) => {
      const status = this.#status(thread);
      return status === undefined ? [] : [parseThreadStatus(status)];
    });
  }

  /** The status file of a thread; undefined when it has ended. */
  #status(thread: number): string | undefined {
    const fd = libc().openat(this.#fd, cString(`${thread}/status`), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return undefined;
    try {
      const buffer = new Uint8Array(new ArrayBuffer(STATUS_ROOM));
      const length = libc().readBuffer(fd, buffer, buffer.length);
      return length <= 0 ? undefined : new TextDecoder().decode(buffer.subarray(0, length));
    } finally {
      close(fd);
    }
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

/** Reads what a status file of /proc says. */
export function parseThreadStatus(status: string): ThreadPrivileges {
  const lines = new Map(status.split("\n").map((line) => [line.split(":", 1)[0], line.slice(line.indexOf(":") + 1)]));
  const words = (key: string): readonly string[] => (lines.get(key) ?? "").split(/\s+/).filter((word) => word !== "");
  const numbers = (key: string): readonly number[] => words(key).map(Number);
  const bits = (key: string): bigint => BigInt(`0x${words(key)[0] ?? "0"}`);
  return {
    tid: numbers("NSpid").at(-1) ?? numbers("Pid")[0] ?? 0,
    name: words("Name").join(" "),
    uids: numbers("Uid"),
    gids: numbers("Gid"),
    groups: numbers("Groups"),
    effective: bits("CapEff"),
    permitted: bits("CapPrm"),
    inheritable: bits("CapInh"),
    bounding: bits("CapBnd"),
    ambient: bits("CapAmb"),
    noNewPrivileges: words("NoNewPrivs")[0] === "1",
    seccomp: numbers("Seccomp")[0] ?? 0,
  };
}

/** What every thread of this process may do now. @throws SystemError */
export function threadPrivileges(): readonly ThreadPrivileges[] {
  using directory = new ThreadDirectory();
  return directory.read();
}
