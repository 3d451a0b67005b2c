/** The memory that both isolates see. */

import assert from "node:assert/strict";
import { COUNTER_COUNT } from "../../../lib/core/counters.ts";
import { MAX_EXTRA_SOCKETS, SharedState } from "../../../lib/host/data/messages.ts";

Deno.test("what one side writes the other reads", () => {
  const here = new SharedState();
  const there = new SharedState(here.buffer);
  there.counters[0] = 2 ** 40;
  there.counters[COUNTER_COUNT - 1] = 7;
  here.messages = 5;
  assert.ok(there.keep(33));
  assert.equal(here.counters[0], 2 ** 40);
  assert.equal(here.counters[COUNTER_COUNT - 1], 7);
  assert.equal(there.messages, 5);
  assert.deepEqual(here.leftOpen(), [33]);
});

Deno.test("extra sockets are kept up to the limit, and a forgotten one makes room", () => {
  const state = new SharedState();
  const all = Array.from({ length: MAX_EXTRA_SOCKETS }, (_, i) => i + 10);
  for (const descriptor of all) assert.ok(state.keep(descriptor));
  assert.equal(state.keep(1000), false);
  assert.deepEqual(state.leftOpen(), all);
  state.forget(12);
  state.forget(2000);
  assert.ok(state.keep(1000));
  assert.deepEqual(state.leftOpen().toSorted((a, b) => a - b), [...all.filter((d) => d !== 12), 1000]);
});
