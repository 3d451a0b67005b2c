/**
 * What deno.json promises: the version the program tells, exact dependencies, tasks that explain themselves.
 */

import assert from "node:assert/strict";
import manifest from "../../deno.json" with { type: "json" };
import { VERSION } from "../../lib/cli/version.ts";

Deno.test("the program tells the version that deno.json has", () => {
  assert.equal(VERSION, manifest.version);
});

Deno.test("every dependency comes from npm in one exact version", () => {
  for (const [name, specifier] of Object.entries(manifest.imports)) {
    assert.match(specifier, /^npm:.+@\d+\.\d+\.\d+$/, name);
    assert.ok(specifier.startsWith(`npm:${name}@`), name);
  }
});

Deno.test("every task says what it does, and runs the Deno that runs it", () => {
  for (const [name, task] of Object.entries(manifest.tasks)) {
    assert.ok(task.description.length > 10, name);
    assert.match(task.command, /^deno /, name);
    assert.doesNotMatch(task.command, /https?:|npx/, name);
  }
});
