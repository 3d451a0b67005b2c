/** What is left to an intruder in a confined daemon. The confinement happens in a child process, with the executable's own permissions. */

import assert from "node:assert/strict";
import { PERMISSIONS } from "../../../scripts/compile.ts";
import { notRoot } from "../../ffi/support.ts";

interface Result {
  readonly signal: Deno.Signal | null;
  readonly lines: readonly string[];
  readonly errors: string;
}

function runChild(...args: readonly string[]): Result {
  const { signal, stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...PERMISSIONS, new URL("./confinement_child.ts", import.meta.url).pathname, ...args],
    stdout: "piped",
    stderr: "piped",
  }).outputSync();
  const words = new TextDecoder();
  return { signal, lines: words.decode(stdout).trim().split("\n"), errors: words.decode(stderr) };
}

const DENIED = "NotCapable";

for (const role of ["client", "relay", "server"] as const) {
  Deno.test({
    name: `inside a confined ${role} neither the runtime nor the C library gives what the role has no need for`,
    ignore: notRoot,
    fn: () => {
      const { signal, lines, errors } = runChild(role);
      assert.equal(signal, null, errors);
      assert.deepEqual(JSON.parse(lines[0]), {
        runtime: {
          readShadow: DENIED,
          readOther: DENIED,
          write: DENIED,
          list: DENIED,
          connect: DENIED,
          fetch: DENIED,
          listen: DENIED,
          run: DENIED,
          environment: DENIED,
          dlopen: DENIED,
          pointer: DENIED,
        },
        libc: {
          readShadow: "EACCES",
          configuration: "done",
          setuid: "EPERM",
          rawIpv4: "EPERM",
          rawIpv6: "EPERM",
          packets: "EPERM",
          execve: "EPERM",
          listen: "EPERM",
          killInit: "EPERM",
          seeBoundingSet: "EPERM",
          chroot: "EPERM",
        },
      });
    },
  });
}

for (const call of ["ptrace", "bpf", "mount", "unshare", "keyctl", "init_module"]) {
  Deno.test({
    name: `a confined daemon that calls ${call} is ended by the kernel`,
    ignore: notRoot,
    fn: () => {
      const { signal, lines } = runChild("relay", call);
      assert.equal(signal, "SIGSYS");
      assert.equal(lines.length, 1);
    },
  });
}

Deno.test({
  name: "SIGUSR1 opens no debugger in a confined daemon, though the runtime wants to handle it",
  ignore: notRoot,
  fn: async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        ...PERMISSIONS,
        new URL("./confinement_child.ts", import.meta.url).pathname,
        "relay",
        "",
        "stay",
      ],
      stdout: "piped",
      stderr: "piped",
      stdin: "null",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read(); // it is confined
    assert.match(value ?? "", /EPERM/);
    // The runtime sets its handler some time after the start: every moment must be safe.
    for (let i = 0; i < 30; i++) {
      child.kill("SIGUSR1");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    child.kill("SIGKILL");
    const [{ signal }, errors] = await Promise.all([child.status, new Response(child.stderr).text()]);
    await reader.cancel();
    assert.equal(signal, "SIGKILL");
    assert.doesNotMatch(errors, /Debugger|inspect/);
  },
});
