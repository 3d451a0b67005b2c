/**
 * The list of rules is complete and held: every rule that is not built later has a test that names it.
 */

import assert from "node:assert/strict";
import { compare, coverage, placesIn, report } from "../../scripts/checklist.ts";
import { CHECKLIST, type Rule } from "../checklist.ts";

const RULE: Rule = {
  id: "ABC-01",
  role: "C",
  level: "must",
  text: "something holds",
  source: "RFC 4380 5",
  part: "Part",
  later: false,
};

Deno.test("every rule that is not built later has a test", () => {
  assert.deepEqual(coverage().missing.map((rule) => rule.id), []);
});

Deno.test("the name of a test names only rules that exist", () => {
  assert.deepEqual(coverage().unknown, []);
});

Deno.test("the list has 293 rules, none of them built later, each id once", () => {
  assert.equal(CHECKLIST.length, 293);
  assert.equal(new Set(CHECKLIST.map((rule) => rule.id)).size, 293);
  assert.deepEqual(CHECKLIST.filter((rule) => rule.later), []);
});

Deno.test("every rule says whom it binds, how strongly, and where it comes from", () => {
  for (const rule of CHECKLIST) {
    assert.match(rule.id, /^[A-Z]{3}-\d{2}$/);
    assert.match(rule.role, /^[ACRS](?: [CRS])*$/, rule.id);
    assert.match(rule.level, /^(?:MUST|SHOULD|must|should)(?: NOT)?$|^MAY$|^may$|^ours$/, rule.id);
    assert.match(rule.source, /^ours$|^RFC \d{4} \d/, rule.id);
    assert.ok(rule.text.length > 10, rule.id);
  }
});

// The samples write @ for the opening bracket, so that this file is not taken for one that holds the ids in them.

Deno.test("ids are found at the start of a test's name, in every way of writing a test", () => {
  const source = [
    'Deno.test("@ABC-01 ABC-02] one", () => {});',
    "Deno.test(",
    "  `@ABC-03, ABC-04] two`,",
    "  () => {},",
    ");",
    "Deno.test({",
    "  name: '@ABC-05] three',",
    "});",
    'labTest("@ABC-06] four", () => {});',
  ].join("\n").replaceAll("@", "[");
  assert.deepEqual(placesIn("tests/x_test.ts", source).map((place) => `${place.id}:${place.line}`), [
    "ABC-01:1",
    "ABC-02:1",
    "ABC-03:3",
    "ABC-04:3",
    "ABC-05:7",
    "ABC-06:9",
  ]);
});

Deno.test("ids elsewhere, and ids of tests that never run, hold nothing", () => {
  const source = [
    "// @ABC-01] a comment",
    'Deno.test("one @ABC-02]", () => {});',
    'Deno.test.ignore("@ABC-03] two", () => {});',
    'assert.equal(x, "@ABC-04]");',
  ].join("\n").replaceAll("@", "[");
  assert.deepEqual(placesIn("tests/x_test.ts", source), []);
});

Deno.test("a rule without a test is missing, unless it is built later", () => {
  const rules = [RULE, { ...RULE, id: "ABC-02" }, { ...RULE, id: "ABC-03", later: true }];
  const places = [{ id: "ABC-02", file: "tests/x_test.ts", line: 7 }, {
    id: "XYZ-99",
    file: "tests/x_test.ts",
    line: 8,
  }];
  const found = compare(rules, places);
  assert.deepEqual(found.missing.map((rule) => rule.id), ["ABC-01"]);
  assert.deepEqual(found.later.map((rule) => rule.id), ["ABC-03"]);
  assert.deepEqual(found.unknown.map((place) => place.id), ["XYZ-99"]);
});

Deno.test("the report shows the place of each rule and ends with the sum", () => {
  const rules = [RULE, { ...RULE, id: "ABC-02" }, { ...RULE, id: "ABC-03", part: "Other", later: true }];
  assert.deepEqual(report(rules, compare(rules, [{ id: "ABC-01", file: "tests/x_test.ts", line: 7 }])), [
    "",
    "Part",
    "  ABC-01  tests/x_test.ts:7",
    "          something holds (must, RFC 4380 5)",
    "  ABC-02  NO TEST",
    "          something holds (must, RFC 4380 5)",
    "",
    "Other",
    "  ABC-03  later",
    "          something holds (must, RFC 4380 5)",
    "",
    "Rules without a test: ABC-02",
    "1 of 2 rules held; built later: 0 of 1",
  ]);
});
