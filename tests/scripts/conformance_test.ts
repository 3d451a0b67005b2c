/** The conformance report says what the tests hold, and every decision of ours has rules that hold it. */

import assert from "node:assert/strict";
import { conformancePage } from "../../scripts/conformance.ts";
import { CHECKLIST } from "../checklist.ts";
import { DIFFERENCES } from "../differences.ts";

Deno.test("the committed conformance report is the one that the tests make (deno task docs)", () => {
  assert.equal(Deno.readTextFileSync(new URL("../../docs/conformance.md", import.meta.url)), conformancePage());
});

Deno.test("the report has a row for every rule and for every decision", () => {
  const page = conformancePage();
  for (const { id } of CHECKLIST) assert.match(page, new RegExp(`^\\| ${id} \\|.*\\]\\(\\.\\./tests/`, "m"));
  for (const { rules } of DIFFERENCES) assert.ok(page.includes(`\n| ${rules.join(" ")} |`), rules.join(" "));
});

Deno.test("every rule that is ours alone is explained among the decisions", () => {
  const explained = new Set(DIFFERENCES.flatMap(({ rules }) => rules));
  assert.deepEqual(CHECKLIST.filter(({ id, level }) => level === "ours" && !explained.has(id)).map(({ id }) => id), []);
});
