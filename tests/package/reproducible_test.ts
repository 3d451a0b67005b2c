/** Two compilations of the same sources are the same bytes, so that anybody can check where an executable comes from. */

import assert from "node:assert/strict";
import { sha256 } from "../../scripts/npm_runtime.ts";
import { runProgram } from "../../scripts/package/program.ts";
import { ROOT, temporaryDirectory } from "./support.ts";

Deno.test("two compilations of the same sources are the same bytes", async () => {
  await using directory = await temporaryDirectory();
  const sums: string[] = [];
  for (const name of ["first/miredo", "second/deeper/miredo"]) {
    const output = `${directory.path}/${name}`;
    await runProgram([Deno.execPath(), "run", "-A", "--no-prompt", `${ROOT}scripts/compile.ts`, "--output", output]);
    sums.push(await sha256(await Deno.readFile(output)));
  }
  assert.equal(sums[1], sums[0]);
});
