/** The release workflow: it does what everybody can do by hand, with the Deno that everything else uses. */

import assert from "node:assert/strict";
import manifest from "../../deno.json" with { type: "json" };
import { ARCHS } from "../../scripts/package/build.ts";
import { ROOT } from "./support.ts";

const workflow = Deno.readTextFileSync(`${ROOT}.github/workflows/release.yml`);

Deno.test("the release workflow runs tasks that exist, with the Deno of the README", () => {
  const readme = Deno.readTextFileSync(`${ROOT}README.md`);
  const runs = [...workflow.matchAll(/npx -y (deno@[0-9.]+) task (\S+)/g)];
  assert.ok(runs.length >= 2);
  for (const [, deno, task] of runs) {
    assert.ok(readme.includes(`npx -y ${deno} task`), deno);
    assert.ok(Object.hasOwn(manifest.tasks, task), task);
  }
  assert.match(workflow, /\.ci\/run$/m);
});

Deno.test("a release is made for every kind of machine there are packages for", () => {
  const built = [...workflow.matchAll(/arch: (x86_64|aarch64)\b/g)].map(([, arch]) => arch);
  assert.deepEqual(built, ARCHS.map(({ name }) => name));
});
