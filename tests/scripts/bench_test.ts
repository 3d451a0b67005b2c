/** The benchmark's own arithmetic: its command line, its statistics and its report. What it measures is no matter for tests. */

import assert from "node:assert/strict";
import { MEASURES } from "../../scripts/bench/catalogue.ts";
import { hasKey } from "../../scripts/bench/daemons.ts";
import { collections } from "../../scripts/bench/garbage.ts";
import { figure, type Measure, median, quantile, Results } from "../../scripts/bench/results.ts";
import { parseOptions } from "../../scripts/bench.ts";

const SPEED: Measure = { name: "speed", title: "Speed", unit: "Mbit/s", better: "more", goal: { times: 10 } };
const MEMORY: Measure = { name: "memory", title: "Memory", unit: "MiB", better: "less", goal: { figure: 64 } };
const PLAIN: Measure = { name: "plain", title: "Plain", unit: "ms", better: "less" };

/** The cells of the row of a table that begins with a title. */
function row(table: string, title: string): string[] | undefined {
  const line = table.split("\n").find((candidate) => candidate.startsWith(`| ${title} `));
  return line?.split("|").slice(1, -1).map((cell) => cell.trim());
}

Deno.test("the median of an even number of values is the mean of the middle two", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 3, 10]), 3.5);
  assert.ok(Number.isNaN(median([])));
});

Deno.test("a quantile is a value that was measured", () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.equal(quantile(values, 0.99), 100);
  assert.equal(quantile(values, 0), 1);
  assert.equal(quantile(values, 1), 100);
  assert.equal(quantile([7], 0.99), 7);
});

Deno.test("figures have three significant digits and no exponent", () => {
  const shown = [0, 0.0123456, 0.5, 1, 9.999, 12.34, 99.96, 123.4, 1234567, NaN, Infinity].map(figure);
  assert.deepEqual(shown, ["0", "0.0123", "0.5", "1", "10", "12.3", "100", "123", "1234567", "", ""]);
});

Deno.test("the report shows medians, the median of the rounds' ratios, and whether a goal is met", () => {
  const results = new Results([SPEED, MEMORY, PLAIN]);
  for (const value of [1000, 5000, 6600]) results.add("speed", "ours", value);
  for (const value of [500, 400, 600]) results.add("speed", "debian", value);
  results.add("memory", "ours", 65);
  const table = results.table();
  assert.deepEqual(row(table, "Speed"), ["Speed", "Mbit/s", "5000", "500", "11×", "≥ 10× met"]);
  assert.deepEqual(row(table, "Memory"), ["Memory", "MiB", "65", "", "", "≤ 64 missed"]);
  assert.equal(row(table, "Plain"), undefined);
});

Deno.test("a goal that cannot be judged is shown as neither met nor missed", () => {
  const results = new Results([SPEED]);
  results.add("speed", "debian", 500);
  assert.deepEqual(row(results.table(), "Speed"), ["Speed", "Mbit/s", "", "500", "", "≥ 10×"]);
});

Deno.test("mixed pairs and the kernel's tunnel stand beside Debian's in a table of their own", () => {
  const results = new Results([SPEED]);
  results.add("speed", "debian", 500);
  results.add("speed", "debian-ours", 700);
  results.add("speed", "vxlan", 9000);
  const beside = results.table().split("\n\n")[1];
  assert.deepEqual(row(beside, "Speed"), ["Speed", "Mbit/s", "500", "", "700", "9000"]);
});

Deno.test("what was skipped and what failed is named below the tables, and failures are counted", () => {
  const results = new Results([SPEED]);
  results.skip("vxlan", "this kernel has none");
  results.skip("vxlan", "this kernel has none");
  results.fail("speed (ours)", "Cannot start the client: it says nothing");
  assert.deepEqual(results.table().split("\n"), [
    "Skipped vxlan: this kernel has none",
    "Failed speed (ours): Cannot start the client: it says nothing",
  ]);
  assert.equal(results.failures, 1);
});

Deno.test("values that are no numbers are left out, and names nobody knows are refused", () => {
  const results = new Results([SPEED]);
  results.add("speed", "ours", NaN);
  results.add("speed", "ours", 3);
  assert.equal(results.median("speed", "ours"), 3);
  assert.throws(() => results.add("spead", "ours", 1), /no such measure/);
});

Deno.test("the JSON keeps every value and says its schema", () => {
  const results = new Results([SPEED, PLAIN]);
  results.add("speed", "ours", 6);
  results.add("speed", "ours", 2);
  results.add("speed", "debian", 1);
  results.add("plain", "ours", 1);
  const report = JSON.parse(results.json({ rounds: 2 }));
  assert.equal(report.schema, 1);
  assert.equal(report.rounds, 2);
  assert.deepEqual(report.measures[0].subjects.ours, { median: 4, values: [6, 2] });
  assert.equal(report.measures[0].ratio, 4);
  assert.equal(report.measures[1].ratio, null);
});

Deno.test("the catalogue has every name once", () => {
  const names = MEASURES.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  const titles = MEASURES.map(({ title }) => title);
  assert.equal(new Set(titles).size, titles.length);
});

Deno.test("without arguments everything is measured but what takes too long", () => {
  const { quick, rounds, groups, json } = parseOptions([]);
  assert.deepEqual({ quick, rounds, json }, { quick: false, rounds: 3, json: undefined });
  assert.ok(groups.has("tcp") && groups.has("peers") && !groups.has("millions"));
});

Deno.test("the command line chooses groups, rounds and a file", () => {
  const options = parseOptions([
    "--",
    "--quick",
    "--only",
    "tcp,ping",
    "server",
    "--rounds",
    "5",
    "--json",
    "out.json",
  ]);
  assert.equal(options.quick, true);
  assert.equal(options.rounds, 5);
  assert.deepEqual([...options.groups], ["tcp", "ping", "server"]);
  assert.equal(options.json, "out.json");
  assert.equal(parseOptions(["--quick"]).rounds, 1);
});

Deno.test("a command line that means nothing is refused with what is allowed", () => {
  assert.throws(() => parseOptions(["--only"]), /needs a name/);
  assert.throws(() => parseOptions(["--only", "dns"]), /"dns": the groups are tcp, relay/);
  assert.throws(() => parseOptions(["--rounds", "0"]), /allowed are 1 to/);
  assert.throws(() => parseOptions(["--rounds"]), /allowed are 1 to/);
  assert.throws(() => parseOptions(["--json"]), /needs a file/);
  assert.throws(() => parseOptions(["fast"]), /"fast"/);
});

Deno.test("collections are read out of what V8 says, and nothing else", () => {
  const trace = [
    "[15432:0x55a8d4c1f000]       98 ms: Scavenge 4.0 (4.5) -> 4.1 (5.0) MB, pooled: 0.0 MB, 0.60 / 0.00 ms",
    "warning: Scavenge",
    "[15432:0x7f193c0ca000]    12035 ms: Mark-Compact (reduce) 4.3 (5.0) -> 3.9 (5.8) MB, 2.10 / 0.00 ms",
  ].join("\n");
  assert.deepEqual(collections(trace), [98, 12035]);
});

Deno.test("a key is found in the table it belongs to only", () => {
  const example =
    '[server]\naddress = "192.0.2.1"\n#workers = 1\n\n[server.secrets]\n#alice = "x"\n\n[log]\n#level = "info"\n';
  assert.equal(hasKey(example, "server", "workers"), true);
  assert.equal(hasKey(example, "server", "address"), true);
  assert.equal(hasKey(example, "log", "level"), true);
  assert.equal(hasKey(example, "server", "level"), false);
  assert.equal(hasKey(example, "status", "socket"), false);
});
