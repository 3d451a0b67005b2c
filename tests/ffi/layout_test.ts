/**
 * The offset tables and constants of ffi/abi against the C headers: of this machine by a program that prints them, of arm64 by a
 * cross-compiler that refuses a program whose assertions do not hold.
 *
 * An export that is an object is a struct of that name: `size`, and one offset a field. An export that is a number is a constant.
 */

import assert from "node:assert/strict";
import * as errno from "../../ffi/abi/errno.ts";
import * as file from "../../ffi/abi/file.ts";
import * as netlink from "../../ffi/abi/netlink.ts";
import * as offload from "../../ffi/abi/offload.ts";
import * as process from "../../ffi/abi/process.ts";
import * as seccomp from "../../ffi/abi/seccomp.ts";
import * as socket from "../../ffi/abi/socket.ts";
import * as tun from "../../ffi/abi/tun.ts";
import { symbols } from "../../ffi/symbols.ts";

type Table = Readonly<Record<string, number | Readonly<Record<string, number>>>>;

interface Part {
  readonly name: string;
  readonly headers: readonly string[];
  readonly table: Table;
  /** Constants that headers older than the kernel they came with lack: checked where they are known. */
  readonly recent?: readonly string[];
}

/** Headers of one part only: those of the kernel and those of the C library do not go together everywhere. */
const PARTS: readonly Part[] = [
  { name: "errno", headers: ["errno.h"], table: { ...errno } },
  { name: "file", headers: ["fcntl.h", "poll.h", "time.h", "dirent.h", "sys/eventfd.h"], table: { ...file } },
  {
    name: "socket",
    headers: [
      "sys/socket.h",
      "sys/time.h",
      "sys/uio.h",
      "netinet/in.h",
      "netinet/ip.h",
      "netinet/icmp6.h",
      "netdb.h",
      "sys/un.h",
    ],
    table: { ...socket },
  },
  { name: "tun", headers: ["sys/socket.h", "sys/ioctl.h", "linux/if.h", "linux/if_tun.h"], table: { ...tun } },
  {
    name: "offload",
    headers: ["netinet/udp.h", "linux/if_tun.h", "linux/virtio_net.h"],
    table: { ...offload },
    recent: ["TUN_F_USO4", "TUN_F_USO6", "VIRTIO_NET_HDR_GSO_UDP_L4"],
  },
  {
    name: "netlink",
    headers: [
      "sys/socket.h",
      "linux/if.h",
      "linux/netlink.h",
      "linux/rtnetlink.h",
      "linux/if_link.h",
      "linux/if_addr.h",
      "linux/fib_rules.h",
    ],
    table: { ...netlink },
  },
  {
    name: "process",
    headers: [
      "sched.h",
      "signal.h",
      "sys/mman.h",
      "sys/prctl.h",
      "linux/capability.h",
      "linux/securebits.h",
      "pwd.h",
      "grp.h",
    ],
    table: { ...process },
  },
  {
    name: "seccomp",
    headers: ["linux/seccomp.h", "linux/filter.h", "linux/audit.h"],
    table: { ...seccomp },
  },
];

/** C expressions and the values the tables give them. */
function expectations(table: Table): Readonly<Record<string, number>> {
  const result: Record<string, number> = {};
  for (const [name, value] of Object.entries(table)) {
    if (typeof value === "number") {
      result[name] = value;
      continue;
    }
    for (const [field, offset] of Object.entries(value)) {
      result[field === "size" ? `sizeof(struct ${name})` : `offsetof(struct ${name}, ${field})`] = offset;
    }
  }
  return result;
}

function preamble(part: Part): string {
  return [
    "#define _GNU_SOURCE",
    ...["stddef.h", "stdio.h", ...part.headers].map((header) => `#include <${header}>`),
    ...(part.recent ?? []).map((name) => `#ifndef ${name}\n#define ${name} ${part.table[name]}\n#endif`),
    "",
  ]
    .join("\n");
}

function run(command: string, args: readonly string[]): string {
  const { code, stdout, stderr } = new Deno.Command(command, { args: [...args], stdout: "piped", stderr: "piped" })
    .outputSync();
  const words = new TextDecoder();
  assert.equal(code, 0, `${command} ${args.join(" ")}: ${words.decode(stderr)}`);
  return words.decode(stdout);
}

/** The first of these compilers that answers. */
function find(compilers: readonly (readonly string[])[]): readonly string[] | undefined {
  return compilers.find(([command, ...args]) => {
    try {
      const source = new Deno.Command(command, {
        args: [...args, "-E", "-include", "stdio.h", "-x", "c", "/dev/null"],
      });
      return source.outputSync().success;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });
}

function inDirectory(work: (directory: string) => void): void {
  const directory = Deno.makeTempDirSync({ prefix: "miredo-layout-" });
  try {
    work(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** What the headers of this machine say, by running a program. */
function printed(compiler: readonly string[], directory: string, part: Part): Record<string, number> {
  const prints = Object.keys(expectations(part.table))
    .map((expression) => `  printf("%lld %s\\n", (long long)(${expression}), "${expression}");`);
  Deno.writeTextFileSync(
    `${directory}/${part.name}.c`,
    `${preamble(part)}int main(void) {\n${prints.join("\n")}\n  return 0;\n}\n`,
  );
  const [command, ...args] = compiler;
  run(command, [...args, "-o", `${directory}/${part.name}`, `${directory}/${part.name}.c`]);
  const lines = run(`${directory}/${part.name}`, []).trim().split("\n");
  return Object.fromEntries(lines.map((line) => {
    const space = line.indexOf(" ");
    return [line.slice(space + 1), Number(line.slice(0, space))];
  }));
}

/** Compiles, but does not run, a program that holds only if every number is right. */
function assertCompiles(compiler: readonly string[], directory: string, part: Part, table: Table): void {
  const asserts = Object.entries(expectations(table))
    .map(([expression, value]) => `_Static_assert((long long)(${expression}) == ${value}, "${expression}");`);
  Deno.writeTextFileSync(`${directory}/${part.name}.c`, `${preamble(part)}${asserts.join("\n")}\n`);
  const [command, ...args] = compiler;
  run(command, [...args, "-c", "-o", `${directory}/${part.name}.o`, `${directory}/${part.name}.c`]);
}

const native = find([["gcc"], ["cc"], ["clang"]]);
const arm64 = find([["aarch64-linux-gnu-gcc"], ["clang", "--target=aarch64-linux-gnu"]]);
const without = (compiler: readonly string[] | undefined, which: string): string =>
  compiler === undefined ? ` (ignored: no ${which} here)` : "";

for (const part of PARTS) {
  Deno.test({
    name: `structs and constants of ${part.name} are those of this machine's headers${without(native, "C compiler")}`,
    ignore: native === undefined,
    fn: () => {
      inDirectory((directory) => {
        assert.deepEqual(printed(native ?? [], directory, part), expectations(part.table));
      });
    },
  });

  Deno.test({
    name: `structs and constants of ${part.name} are those of arm64 headers${without(arm64, "arm64 cross-compiler")}`,
    ignore: arm64 === undefined,
    fn: () => {
      inDirectory((directory) => assertCompiles(arm64 ?? [], directory, part, part.table));
    },
  });
}

Deno.test({
  name: `every function called is in the C library of arm64${without(arm64, "arm64 cross-compiler")}`,
  ignore: arm64 === undefined,
  fn: () => {
    const names = Object.entries(symbols).map(([key, symbol]) => "name" in symbol ? symbol.name : key);
    inDirectory((directory) => {
      const references = names.map((name) => `  .quad ${name}\\n`).join("");
      Deno.writeTextFileSync(`${directory}/symbols.c`, `__asm__(".data\\n${references}");\n`);
      const [command, ...args] = arm64 ?? [];
      run(command, [...args, "-shared", "-Wl,--no-undefined", "-o", `${directory}/out`, `${directory}/symbols.c`]);
    });
  },
});

Deno.test({
  name: `a wrong offset is noticed${without(native, "C compiler")}`,
  ignore: native === undefined,
  fn: () => {
    inDirectory((directory) => {
      const part: Part = { name: "wrong", headers: ["poll.h"], table: {} };
      assert.throws(
        () => assertCompiles(native ?? [], directory, part, { pollfd: { size: 8, fd: 0, events: 4, revents: 4 } }),
        /offsetof\(struct pollfd, revents\)/,
      );
    });
  },
});
