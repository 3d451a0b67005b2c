/** The permission a daemon runs with, `--allow-ffi` with paths, forbids Deno.UnsafePointer: everything must do without it. */

import assert from "node:assert/strict";

const EXPECTED = { nothing: -11, ready: 2, length: 3, drained: true, bad: -9, room: true };

function run(permissions: readonly string[], argument: string): { readonly code: number; readonly text: string } {
  const child = new URL("./isolate_child.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...permissions, child, argument],
    stdout: "piped",
    stderr: "piped",
  }).outputSync();
  const words = new TextDecoder();
  return { code, text: words.decode(code === 0 ? stdout : stderr) };
}

Deno.test("the main isolate reaches libc with a permission for library directories only", () => {
  const { code, text } = run(["--allow-ffi=/lib,/lib64,/usr/lib"], "main");
  assert.equal(code, 0, text);
  assert.deepEqual(JSON.parse(text), EXPECTED);
});

Deno.test("a Worker reaches libc with a permission for library directories only", () => {
  const { code, text } = run(["--allow-ffi=/lib,/lib64,/usr/lib", "--allow-read"], "worker");
  assert.equal(code, 0, text);
  assert.deepEqual(JSON.parse(text), EXPECTED);
});

Deno.test("without permission the error names the permission", () => {
  const { code, text } = run([], "main");
  assert.notEqual(code, 0);
  assert.match(
    text,
    /Cannot open the C library: not permitted: run with --allow-ffi=\/lib,\/lib64,\/usr\/lib \(tried /,
  );
});
