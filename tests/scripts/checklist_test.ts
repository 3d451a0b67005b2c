/**
 * The list of rules is complete and held: every rule has a test that names it.
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
};

Deno.test("every rule has a test", () => {
  assert.deepEqual(coverage().missing.map((rule) => rule.id), []);
});

Deno.test("the name of a test names only rules that exist", () => {
  assert.deepEqual(coverage().unknown, []);
});

Deno.test("the list has 293 rules, each id once", () => {
  assert.equal(CHECKLIST.length, 293);
  assert.equal(new Set(CHECKLIST.map((rule) => rule.id)).size, 293);
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

Deno.test("the name of a test goes on behind the ids, whatever quotes it has", () => {
  const source = 'Deno.test("@ABC-01] one, \\"quoted\\"", () => {});\nDeno.test(`@ABC-02] two "2" ${x}`, f);'
    .replaceAll("@", "[");
  assert.deepEqual(placesIn("tests/x_test.ts", source).map(({ name }) => name), [
    'one, \\"quoted\\"',
    'two "2" ${x}',
  ]);
});

const PLACE = { id: "ABC-02", file: "tests/x_test.ts", line: 7, name: "something" };

Deno.test("a rule without a test is missing", () => {
  const rules = [RULE, { ...RULE, id: "ABC-02" }];
  const found = compare(rules, [PLACE, { ...PLACE, id: "XYZ-99" }]);
  assert.deepEqual(found.missing.map((rule) => rule.id), ["ABC-01"]);
  assert.deepEqual(found.unknown.map((place) => place.id), ["XYZ-99"]);
});

Deno.test("the report shows the place of each rule and ends with the sum", () => {
  const rules = [RULE, { ...RULE, id: "ABC-02", part: "Other" }];
  assert.deepEqual(report(rules, compare(rules, [PLACE])), [
    "",
    "Part",
    "  ABC-01  NO TEST",
    "          something holds (must, RFC 4380 5)",
    "",
    "Other",
    "  ABC-02  tests/x_test.ts:7",
    "          something holds (must, RFC 4380 5)",
    "",
    "Rules without a test: ABC-01",
    "1 of 2 rules held",
  ]);
});
