/**
 * The parts of the compile step that work on bytes and text: the cut of an ELF file and the reference to the worker.
 */

import assert from "node:assert/strict";
import { PERMISSIONS, pointAtWorker, WORKERS } from "../../scripts/compile.ts";
import { elfLength, sha256 } from "../../scripts/npm_runtime.ts";

/** A 64-bit little-endian ELF header (elf.h) with `count` section headers of 64 octets at `at`, and `length` octets in all. */
function elf(at: number, count: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setBigUint64(40, BigInt(at), true);
  view.setUint16(58, 64, true);
  view.setUint16(60, count, true);
  return bytes;
}

Deno.test("an ELF file ends behind its section headers, whatever is appended", () => {
  assert.equal(elfLength(elf(128, 3, 320)), 320);
  assert.equal(elfLength(elf(128, 3, 5000)), 320);
  const inside = new Uint8Array(1000);
  inside.set(elf(128, 3, 400), 100);
  assert.equal(elfLength(inside.subarray(100)), 320);
});

Deno.test("the running Deno is an ELF file with nothing behind it, or with something", () => {
  const head = Deno.readFileSync(Deno.execPath());
  const length = elfLength(head);
  assert.ok(length > 1_000_000 && length <= head.length);
});

Deno.test("what is no whole 64-bit ELF file is refused", () => {
  assert.throws(() => elfLength(new Uint8Array(0)), /Cannot find an ELF header/);
  assert.throws(() => elfLength(elf(64, 0, 64).subarray(0, 63)), /Cannot find an ELF header/);
  assert.throws(() => elfLength(new TextEncoder().encode("#!/bin/sh\n".repeat(20))), /Cannot find an ELF header/);
  const small = elf(128, 3, 320);
  small[4] = 1;
  assert.throws(() => elfLength(small), /not 64-bit/);
  assert.throws(() => elfLength(elf(128, 3, 319)), /Cannot cut the ELF file/);
  assert.throws(() => elfLength(elf(0, 0, 320)), /Cannot cut the ELF file/);
});

Deno.test("the bundle's one reference to the worker is pointed at the worker's bundle", () => {
  const code = 'a();\nnew Worker(new URL("./data_worker.ts", import.meta.url), { type: "module" });\n';
  assert.equal(pointAtWorker(code, "data_worker"), code.replace(".ts", ".js"));
  assert.equal(
    pointAtWorker("new Worker(new URL('./data_worker.ts',import.meta.url))", "data_worker"),
    "new Worker(new URL('./data_worker.js',import.meta.url))",
  );
});

Deno.test("a bundle without reference to the worker, or with several, is refused", () => {
  const once = 'new URL("./data_worker.ts", import.meta.url);';
  assert.throws(() => pointAtWorker("main();", "data_worker"), /stands in it 0 times, not once/);
  assert.throws(() => pointAtWorker(once + once, "data_worker"), /stands in it 2 times, not once/);
  assert.throws(
    () => pointAtWorker(`${once} log("./data_worker.ts");`, "data_worker"),
    /stands in it 2 times, not once/,
  );
  assert.throws(
    () => pointAtWorker('open("./data_worker.ts");', "data_worker"),
    /Cannot point the bundle at the worker/,
  );
});

Deno.test("the source refers to each worker as the compile step expects", () => {
  const root = new URL("../../lib/host/threads/", import.meta.url);
  const sources = [...Deno.readDirSync(root)].filter((entry) => entry.name.endsWith(".ts"))
    .map((entry) => Deno.readTextFileSync(new URL(entry.name, root)));
  for (const worker of WORKERS) {
    const code = sources.filter((source) => source.includes(`new URL("./${worker}.ts"`));
    assert.equal(code.length, 1);
    assert.doesNotThrow(() => pointAtWorker(code[0], worker));
  }
});

Deno.test("the executable may not start programs, write files or reach the network by Deno, and asks for nothing", () => {
  assert.ok(PERMISSIONS.includes("--no-prompt"));
  for (const flag of PERMISSIONS) assert.doesNotMatch(flag, /^-A|all$|run|net|write|env$|ffi$/);
});

Deno.test("of its environment the executable sees nothing but what a service manager says", () => {
  const flags = PERMISSIONS.filter((flag) => flag.startsWith("--allow-env"));
  assert.deepEqual(flags, ["--allow-env=NOTIFY_SOCKET,WATCHDOG_USEC,WATCHDOG_PID,JOURNAL_STREAM"]);
});

Deno.test("a SHA-256 is that of the standard's example", async () => {
  // FIPS 180-4, "abc"
  const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(await sha256(new TextEncoder().encode("abc")), digest);
});
