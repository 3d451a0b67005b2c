/**
 * The house rules as the linter sees them: each rule is shown code that breaks it and code that does not.
 */
/// <reference lib="deno.unstable" />

import assert from "node:assert/strict";
import plugin from "../../scripts/lint_plugin.ts";

/** The ids of the rules that `source` breaks when it stands in file `path`, each as often as it is broken. */
function broken(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, path, source).map((diagnostic) => diagnostic.id);
}

/** The messages for `source` in file `path`. */
function messages(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, path, source).map((diagnostic) => diagnostic.message);
}

const DIRECTION = "miredo/import-direction";
const PURE = "miredo/pure-core";
const ASSERTION = "miredo/no-type-assertion";
const MESSAGE = "miredo/error-message";

Deno.test("imports along the arrows of the house are allowed", () => {
  const allowed: readonly (readonly [string, string])[] = [
    ["main.ts", "./lib/cli/main.ts"],
    ["lib/cli/client.ts", "../host/daemon.ts"],
    ["lib/cli/status.ts", "../control/status.ts"],
    ["lib/cli/address.ts", "../wire/teredo_address.ts"],
    ["lib/cli/config.ts", "../../config/load.ts"],
    ["lib/host/daemon.ts", "../core/client.ts"],
    ["lib/host/daemon.ts", "../../ffi/tun.ts"],
    ["lib/host/daemon.ts", "../../config/load.ts"],
    ["lib/host/monitor.ts", "../control/status.ts"],
    ["lib/control/status.ts", "../core/counters.ts"],
    ["lib/core/client.ts", "../wire/bubble.ts"],
    ["lib/core/client.ts", "./peers.ts"],
    ["ffi/tun.ts", "./errno.ts"],
    ["tests/sim/world.ts", "../../lib/core/client.ts"],
    ["scripts/demo.ts", "../tests/lab/lab.ts"],
  ];
  for (const [from, specifier] of allowed) {
    assert.deepEqual(broken(from, `import { a } from "${specifier}"; a();`), [], `${from} -> ${specifier}`);
  }
});

Deno.test("imports against or beside the arrows of the house are refused", () => {
  const refused: readonly (readonly [string, string])[] = [
    ["main.ts", "./lib/host/daemon.ts"],
    ["lib/wire/ipv6.ts", "../core/machine.ts"],
    ["lib/core/client.ts", "../host/daemon.ts"],
    ["lib/core/client.ts", "../../ffi/udp.ts"],
    ["lib/core/client.ts", "../../config/schema.ts"],
    ["lib/control/status.ts", "../host/daemon.ts"],
    ["lib/control/status.ts", "../../ffi/udp.ts"],
    ["lib/host/daemon.ts", "../cli/client.ts"],
    ["lib/host/daemon.ts", "../../tests/lab/lab.ts"],
    ["lib/cli/client.ts", "../../ffi/tun.ts"],
    ["lib/cli/client.ts", "../../scripts/compile.ts"],
    ["ffi/tun.ts", "../lib/wire/bytes.ts"],
    ["config/load.ts", "../lib/wire/ipv4.ts"],
  ];
  for (const [from, specifier] of refused) {
    assert.deepEqual(broken(from, `import { a } from "${specifier}"; a();`), [DIRECTION], `${from} -> ${specifier}`);
  }
});

Deno.test("a direction is held in every form of import", () => {
  const path = "lib/wire/ipv6.ts";
  const target = "../core/machine.ts";
  for (
    const source of [
      `import "${target}";`,
      `import type { Machine } from "${target}"; export type M = Machine;`,
      `export { a } from "${target}";`,
      `export * from "${target}";`,
      `export const later = () => import("${target}");`,
      `export type M = import("${target}").Machine;`,
    ]
  ) {
    assert.deepEqual(broken(path, source), [DIRECTION], source);
  }
});

Deno.test("a refused import says which rooms are open", () => {
  assert.deepEqual(messages("lib/core/client.ts", `import "../host/daemon.ts";`), [
    "lib/core does not import lib/host; it may import lib/wire",
  ]);
  assert.deepEqual(messages("lib/wire/ipv6.ts", `import "../core/machine.ts";`), [
    "lib/wire does not import lib/core; it may import nothing but itself",
  ]);
});

Deno.test("a file is known by its place below the root, whatever the absolute path", () => {
  const root = new URL("../../", import.meta.url).pathname;
  assert.deepEqual(broken(`${root}lib/core/x.ts`, `import "../host/daemon.ts";`), [DIRECTION]);
  assert.deepEqual(broken(`${root}lib/host/x.ts`, `import "../core/client.ts";`), []);
});

Deno.test("the pure rooms import only two functions from outside the house", () => {
  const path = "lib/core/secure.ts";
  assert.deepEqual(broken(path, `import { createHmac, timingSafeEqual } from "node:crypto"; createHmac;`), []);
  assert.deepEqual(broken(path, `import { randomBytes } from "node:crypto"; randomBytes;`), [DIRECTION]);
  assert.deepEqual(broken(path, `import * as crypto2 from "node:crypto"; crypto2;`), [DIRECTION]);
  assert.deepEqual(broken(path, `import { readFileSync } from "node:fs"; readFileSync;`), [DIRECTION]);
  assert.deepEqual(broken(path, `import * as v from "valibot"; v;`), [DIRECTION]);
  assert.deepEqual(broken("lib/host/log.ts", `import { getLogger } from "@logtape/logtape"; getLogger;`), []);
});

Deno.test("a machine has no clock, timer, randomness or output of its own", () => {
  const impure = [
    "Deno.now();",
    "export const t = Date.now();",
    "export const t = new Date();",
    "export const t = performance.now();",
    "setTimeout(() => {}, 1);",
    "setInterval(() => {}, 1);",
    "queueMicrotask(() => {});",
    'console.log("x");',
    'await fetch("http://192.0.2.1/");',
    "export const r = crypto.getRandomValues(new Uint8Array(8));",
    "export const r = Math.random();",
    'export const r = Math["random"]();',
    "export const d = globalThis;",
    "export function f(now = Date): unknown { return now; }",
  ];
  for (const source of impure) {
    for (const room of ["lib/core/x.ts", "lib/wire/x.ts"]) assert.deepEqual(broken(room, source), [PURE], source);
    for (const room of ["lib/host/x.ts", "tests/x.ts", "ffi/x.ts"]) assert.deepEqual(broken(room, source), [], source);
  }
});

Deno.test("names that only look like a clock are allowed in a machine", () => {
  for (
    const source of [
      "export interface Event { Date: number; console(): void }",
      "export const event = { performance: 1, crypto: 2 };",
      "export function f(event: { process: number }): number { return event.process; }",
      "export const top = Math.max(1, 2);",
      "export class Timer { fetch(): void {} crypto = 1; }",
    ]
  ) {
    assert.deepEqual(broken("lib/core/x.ts", source), [], source);
  }
});

Deno.test("type assertions stay inside ffi, and `as const` is none", () => {
  for (const source of ["export const n = x as number;", "export const n = x as unknown as number;"]) {
    const times = source.split(" as ").length - 1;
    assert.deepEqual(broken("lib/host/x.ts", source), Array(times).fill(ASSERTION));
    assert.deepEqual(broken("tests/wire/x_test.ts", source), Array(times).fill(ASSERTION));
    assert.deepEqual(broken("ffi/x.ts", source), []);
  }
  assert.deepEqual(broken("lib/host/x.ts", "export const n = <number>x;"), [ASSERTION]);
  assert.deepEqual(broken("lib/host/x.ts", "export const n = [1, 2] as const;"), []);
  assert.deepEqual(broken("lib/host/x.ts", "export const n = { a: 1 } satisfies A;"), []);
  assert.deepEqual(broken("lib/host/x.ts", 'import { a as b } from "./y.ts"; export { b as c };'), []);
});

Deno.test("an error's text starts in upper case, ends without a period and has no contraction", () => {
  const path = "lib/host/x.ts";
  for (
    const source of [
      'throw new Error("cannot open file");',
      'throw new Error("Cannot open file.");',
      'throw new Error("Can\'t open file");',
      "throw new RangeError(`cannot use port ${port}`);",
      "throw new TypeError(`Cannot use port ${port}.`);",
      'throw new Error("cannot open " + name);',
      'throw new Error("Cannot open " + name + ".");',
      'throw Error("cannot open file", { cause });',
    ]
  ) {
    assert.deepEqual(broken(path, source), [MESSAGE], source);
  }
  for (
    const source of [
      'throw new Error(`Cannot open "${name}": ${code} (needs CAP_NET_ADMIN)`);',
      "throw new Error(`${what} is not an address`);",
      "throw new Error('\"mtu\" is out of range: 100 is below 1280');",
      'throw new Error("Cannot read 3 of 5 files, giving up ...");',
      "throw new Error(message);",
      "throw new Error();",
      'throw new SystemError("open", 13);',
      'console.error("cannot open file.");',
    ]
  ) {
    assert.deepEqual(broken(path, source), [], source);
  }
});
