/** Mutants have one fault each, where the source has something to get wrong, and nowhere else. */

import assert from "node:assert/strict";
import { applyMutant, mutantsOf } from "../../scripts/mutation/mutants.ts";
import { linesRun } from "../../scripts/mutation/tests_by_line.ts";

/** Every source that one fault makes of this one. */
function faulty(source: string): string[] {
  return mutantsOf(source).map((mutant) => applyMutant(source, mutant));
}

Deno.test("an order loses its boundary or its direction, an equality its sense", () => {
  assert.deepEqual(faulty("f(a < b);").toSorted(), [";", "f(a <= b);", "f(a >= b);"].toSorted());
  assert.deepEqual(faulty("x = a === b;").toSorted(), [";", "x = a !== b;"].toSorted());
});

Deno.test("arithmetic, logic, conditions and literals change, one at a time", () => {
  const source = "function f(a) {\n  if (a && g) return a - 1;\n  return true;\n}";
  assert.deepEqual(
    faulty(source).toSorted(),
    [
      source.replace("a && g", "!(a && g)"),
      source.replace("&&", "||"),
      source.replace("a - 1", "a + 1"),
      source.replace("1", "(1 + 1)"),
      source.replace("true", "false"),
    ].toSorted(),
  );
});

Deno.test("types, imports, texts, errors and constants of the file have no mutants", () => {
  const source = [
    'import { a } from "./1.ts";',
    "type T = 1 | 2;",
    "export const LIMIT = 4 * 3;",
    "interface I { x: true }",
    'function f(x: 1 | 2): T { throw new Error("a < b" + 1); }',
  ].join("\n");
  assert.deepEqual(faulty(source), []);
});

Deno.test("an operator that stands in its operand too is found where it is", () => {
  assert.ok(faulty("x = (a + b) + c;").includes("x = (a + b) - c;"));
  assert.ok(faulty("x = (a + b) + c;").includes("x = (a - b) + c;"));
});

Deno.test("a mutant knows its line", () => {
  assert.deepEqual(mutantsOf("f();\n\ng(1);\n").map(({ line }) => line), [1, 3, 3]);
});

Deno.test("the lines that a test runs are those that LCOV counts more than zero times", () => {
  const tracefile = "SF:/r/lib/a.ts\nDA:1,0\nDA:2,5\nend_of_record\nSF:/else/b.ts\nDA:1,1\nend_of_record\n";
  assert.deepEqual(linesRun(tracefile, "/r/"), new Map([["lib/a.ts", new Set([2])]]));
});
