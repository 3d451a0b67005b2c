/**
 * How the test runner reads results. The summary lines are those that `deno test` of Deno 2.9.6 prints.
 */

import assert from "node:assert/strict";
import { add, judge, parseSummary, ROOMS, summaryLine } from "../../scripts/test.ts";

Deno.test("the results come from the summary line, colours and steps aside", () => {
  const line =
    "\u001b[0m\u001b[31mFAILED\u001b[0m | 12 passed (3 steps) | 2 failed | 5 ignored \u001b[0m(11ms)\u001b[0m";
  assert.deepEqual(parseSummary(`a ... ok\n\n${line}\n\nerror: Test failed\n`), { passed: 12, failed: 2, skipped: 5 });
  assert.deepEqual(parseSummary("\nok | 1 passed | 0 failed (23ms)\n"), { passed: 1, failed: 0, skipped: 0 });
  assert.deepEqual(parseSummary("\nok | 0 passed | 0 failed | 4 ignored (1ms)\n"), {
    passed: 0,
    failed: 0,
    skipped: 4,
  });
});

Deno.test("the last summary line counts, since a test may print another", () => {
  const output = "ok | 100 passed | 0 failed (1s)\nFAILED | 1 passed | 1 failed (2s)\n";
  assert.deepEqual(parseSummary(output), { passed: 1, failed: 1, skipped: 0 });
});

Deno.test("a run without summary line has no results", () => {
  assert.equal(parseSummary("error: Type checking failed.\n"), undefined);
  assert.equal(parseSummary(""), undefined);
});

Deno.test("a run that fails without a failed test counts as one failure", () => {
  assert.deepEqual(judge("error: Type checking failed.\n", false), { passed: 0, failed: 1, skipped: 0 });
  assert.deepEqual(judge("ok | 3 passed | 0 failed (1s)\n", false), { passed: 3, failed: 1, skipped: 0 });
  assert.deepEqual(judge("FAILED | 3 passed | 2 failed (1s)\n", false), { passed: 3, failed: 2, skipped: 0 });
  assert.deepEqual(judge("ok | 3 passed | 0 failed (1s)\n", true), { passed: 3, failed: 0, skipped: 0 });
});

Deno.test("the last line adds up the rooms", () => {
  const totals = add([{ passed: 1, failed: 0, skipped: 2 }, { passed: 10, failed: 20, skipped: 30 }]);
  assert.equal(summaryLine(totals), "11 passed, 20 failed, 32 skipped");
  assert.equal(summaryLine(add([])), "0 passed, 0 failed, 0 skipped");
});

Deno.test("every directory of tests belongs to exactly one room", () => {
  const root = new URL("../", import.meta.url);
  const paths = ROOMS.flatMap((room) => room.paths);
  assert.equal(new Set(paths).size, paths.length);
  for (const entry of Deno.readDirSync(root)) {
    if (entry.isDirectory) assert.ok(paths.includes(`tests/${entry.name}`), `tests/${entry.name} is in no room`);
  }
});
