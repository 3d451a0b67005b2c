/** Numbers of system calls against the C headers, and the signal handler against its source, for both kinds of machine. */

import assert from "node:assert/strict";
import { SYSCALLS } from "../../ffi/abi/syscalls.ts";
import { CODE, SOURCE } from "../../ffi/every_thread.ts";

interface Tools {
  readonly machine: "x86_64" | "aarch64";
  readonly compiler: string;
  readonly assembler: string;
  readonly copier: string;
}

const MACHINES: readonly Tools[] = [
  {
    machine: "x86_64",
    compiler: "x86_64-linux-gnu-gcc",
    assembler: "x86_64-linux-gnu-as",
    copier: "x86_64-linux-gnu-objcopy",
  },
  {
    machine: "aarch64",
    compiler: "aarch64-linux-gnu-gcc",
    assembler: "aarch64-linux-gnu-as",
    copier: "aarch64-linux-gnu-objcopy",
  },
];

function run(command: string, args: readonly string[], input: string): Uint8Array {
  const directory = Deno.makeTempDirSync({ prefix: "miredo-code-" });
  try {
    Deno.writeTextFileSync(`${directory}/in`, input);
    const { code, stdout, stderr } = new Deno.Command(command, {
      args: [...args],
      cwd: directory,
      stdout: "piped",
      stderr: "piped",
    })
      .outputSync();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return stdout;
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function installed(...commands: readonly string[]): boolean {
  return commands.every((command) => {
    try {
      return new Deno.Command(command, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });
}

for (const { machine, compiler, assembler, copier } of MACHINES) {
  const noCompiler = !installed(compiler);
  Deno.test({
    name: `the numbers of system calls are those of ${machine} headers${
      noCompiler ? ` (ignored: no ${compiler} here)` : ""
    }`,
    ignore: noCompiler,
    fn: () => {
      const names = Object.keys(SYSCALLS);
      const lines = names.map((name) => `#ifdef SYS_${name}\n@${name} SYS_${name}\n#else\n@${name} -1\n#endif`);
      const text = run(compiler, ["-E", "-P", "-x", "c", "in"], `#include <sys/syscall.h>\n${lines.join("\n")}\n`);
      const found = [...new TextDecoder().decode(text).matchAll(/^@\s*(\w+) (-?\d+)$/gm)].map(([, name, number]) =>
        [name, Number(number)] as const
      );
      const expected = Object.entries(SYSCALLS).map(([name, numbers]) => [name, numbers[machine === "x86_64" ? 0 : 1]]);
      assert.deepEqual(found, expected);
    },
  });

  const noAssembler = !installed(assembler, copier);
  Deno.test({
    name: `the signal handler of ${machine} is its source, assembled${
      noAssembler ? ` (ignored: no ${assembler} here)` : ""
    }`,
    ignore: noAssembler,
    fn: () => {
      const directory = Deno.makeTempDirSync({ prefix: "miredo-code-" });
      try {
        Deno.writeTextFileSync(`${directory}/in.s`, SOURCE[machine]);
        run(assembler, ["-o", `${directory}/out.o`, `${directory}/in.s`], "");
        run(copier, ["-O", "binary", "-j", ".text", `${directory}/out.o`, `${directory}/out.bin`], "");
        const octets = Array.from(
          Deno.readFileSync(`${directory}/out.bin`),
          (octet) => octet.toString(16).padStart(2, "0"),
        );
        assert.equal(octets.join(""), CODE[machine]);
      } finally {
        Deno.removeSync(directory, { recursive: true });
      }
    },
  });
}
