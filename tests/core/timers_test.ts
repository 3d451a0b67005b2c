import assert from "node:assert/strict";
import fc from "fast-check";
import { TimerHeap } from "../../lib/core/timers.ts";

Deno.test("timers come due in order of time, and only when it is time", () => {
  const timers = new TimerHeap();
  assert.equal(timers.next(), Infinity);
  assert.equal(timers.pop(1e9), -1);
  timers.set(7, 30);
  timers.set(8, 10);
  timers.set(9, 20);
  assert.equal(timers.next(), 10);
  assert.equal(timers.pop(9.5), -1);
  assert.equal(timers.pop(25), 8);
  assert.equal(timers.pop(25), 9);
  assert.equal(timers.pop(25), -1);
  assert.equal(timers.size, 1);
});

Deno.test("setting a timer again moves it, cancelling forgets it", () => {
  const timers = new TimerHeap();
  timers.set(1, 10);
  timers.set(1, 50);
  timers.set(2, 40);
  timers.set(2, 20);
  timers.cancel(3);
  assert.equal(timers.next(), 20);
  timers.cancel(2);
  assert.equal(timers.next(), 50);
  assert.equal(timers.get(1), 50);
  timers.clear();
  assert.equal(timers.next(), Infinity);
});

Deno.test("the heap does what a map of deadlines does, over any sequence of operations", () => {
  const action = fc.constantFrom("set", "set", "set", "set", "cancel", "pop");
  const step = fc.record({ action, key: fc.nat(40), at: fc.nat(1000) });
  fc.assert(fc.property(fc.array(step, { minLength: 60, maxLength: 250 }), (steps) => {
    const timers = new TimerHeap(), model = new Map<number, number>();
    for (const { action, key, at } of steps) {
      if (action === "set") {
        timers.set(key, at);
        model.set(key, at);
      } else if (action === "cancel") {
        timers.cancel(key);
        model.delete(key);
      } else {
        const popped = timers.pop(at), earliest = Math.min(Infinity, ...model.values());
        assert.equal(popped >= 0, earliest <= at);
        if (popped >= 0) {
          assert.equal(model.get(popped), earliest);
          model.delete(popped);
        }
      }
      assert.equal(timers.size, model.size);
      assert.equal(timers.next(), Math.min(Infinity, ...model.values()));
    }
  }));
});
