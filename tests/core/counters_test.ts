/** Counters and histograms in one array. */

import assert from "node:assert/strict";
import { COUNTER_COUNT, COUNTER_NAMES, Counters, DROP_REASONS, HISTOGRAMS } from "../../lib/core/counters.ts";

Deno.test("every counter has a cell of its own, and histograms lie behind them", () => {
  const counters = new Counters();
  for (const name of [...COUNTER_NAMES, ...DROP_REASONS]) counters.count(name);
  const names = COUNTER_NAMES.length + DROP_REASONS.length;
  assert.ok(counters.values.subarray(0, names).every((value) => value === 1));
  assert.ok(counters.values.subarray(names).every((value) => value === 0));
  counters.observe("qualification_seconds", 1);
  counters.observe("first_packet_seconds", 1);
  assert.ok(counters.values.subarray(0, names).every((value) => value === 1));
  assert.equal(counters.values.length, COUNTER_COUNT);
});

Deno.test("a histogram puts a value in the first bucket whose bound it does not exceed, and the rest in the last", () => {
  const counters = new Counters();
  const bounds = HISTOGRAMS.first_packet_seconds;
  for (const seconds of [0, bounds[0], bounds[0] + 0.001, 10, 10.5]) {
    counters.observe("first_packet_seconds", seconds * 1000);
  }
  const { buckets, sum } = counters.histogram("first_packet_seconds");
  assert.equal(buckets.length, bounds.length + 1);
  assert.deepEqual([buckets[0], buckets[1], buckets.at(-2), buckets.at(-1)], [2, 1, 1, 1]);
  assert.ok(Math.abs(sum - 20.521) < 1e-9);
  assert.deepEqual(counters.histogram("qualification_seconds").sum, 0);
});
