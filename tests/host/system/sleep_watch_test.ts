/** Sleeps of the host, by a clock that the test moves. */

import assert from "node:assert/strict";
import { bootMicroseconds, monotonicMicroseconds } from "../../../ffi/clock.ts";
import { SleepWatch } from "../../../lib/host/system/sleep_watch.ts";

Deno.test("a gap of more than 10 s beyond the interval is a sleep, told once; a busy host is none", () => {
  let now = 1_000_000;
  const sleeps: number[] = [];
  using watch = new SleepWatch((milliseconds) => sleeps.push(milliseconds), () => now);
  for (const gap of [2_000, 2_050, 9_000, 12_000, 2_000, 62_000, 2_000]) {
    now += gap;
    watch.look();
  }
  assert.deepEqual(sleeps, [60_000]);
});

Deno.test("the clock that goes on in a sleep is never behind the one that does not", () => {
  for (let i = 0; i < 100; i++) {
    const monotonic = monotonicMicroseconds();
    assert.ok(bootMicroseconds() >= monotonic);
  }
});
