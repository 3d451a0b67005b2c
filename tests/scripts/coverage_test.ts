/** Coverage is read off LCOV tracefiles (geninfo(1), "TRACEFILE FORMAT") and held against the marks. */

import assert from "node:assert/strict";
import { MARKS, readTracefile, shortfalls, sumOf, type Tally } from "../../scripts/coverage.ts";

const TRACEFILE = `SF:/src/lib/wire/a.ts
BRF:10
BRH:9
LF:100
LH:95
end_of_record
SF:/src/lib/wire/b.ts
LF:100
LH:97
BRF:0
BRH:0
end_of_record
SF:/elsewhere/lib/wire/c.ts
LF:100
LH:0
end_of_record
`;

Deno.test("a tracefile gives a tally a file, and files outside the repository none", () => {
  const files = readTracefile(TRACEFILE, "/src/");
  assert.deepEqual([...files.keys()], ["lib/wire/a.ts", "lib/wire/b.ts"]);
  assert.deepEqual(sumOf(files, "lib/wire"), { lines: 200, linesHit: 192, branches: 10, branchesHit: 9 });
});

Deno.test("a room below a mark is named, and so is one that nothing measured", () => {
  const full: Tally = { lines: 100, linesHit: 95, branches: 10, branchesHit: 9 };
  const all = new Map(Object.keys(MARKS).map((room) => [`${room}/x.ts`, full]));
  assert.deepEqual(shortfalls(all), []);
  all.set("config/x.ts", { ...full, linesHit: 94, branchesHit: 8 });
  assert.deepEqual(shortfalls(all), [
    "config: 94.0 % of lines, below 95.0 %",
    "config: 80.0 % of branches, below 90.0 %",
  ]);
  all.delete("lib/core/x.ts");
  assert.deepEqual(shortfalls(all)[0], "lib/core: nothing was measured");
});
