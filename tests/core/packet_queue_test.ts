import assert from "node:assert/strict";
import fc from "fast-check";
import { PacketQueue, QueueBudget } from "../../lib/core/packet_queue.ts";

const octets = (n: number, length: number) => new Uint8Array(length).fill(n);

Deno.test("[RLY-13] a queue delivers copies in order and refuses what exceeds its own bound", () => {
  const queue = new PacketQueue(new QueueBudget(10_000), 100);
  const source = octets(1, 60);
  assert.equal(queue.push(source, 10, 50), true);
  source.fill(9);
  assert.equal(queue.push(octets(2, 40), 0, 40), true);
  assert.equal(queue.push(octets(3, 11), 0, 11), false, "101 octets");
  assert.equal(queue.push(octets(4, 10), 0, 10), true);
  const out: number[][] = [];
  queue.drain((packet) => out.push([packet[0], packet.length]));
  assert.deepEqual(out, [[1, 50], [2, 40], [4, 10]]);
  assert.equal(queue.length, 0);
});

Deno.test("[RLY-13] all queues together keep to the budget, and give it back", () => {
  const budget = new QueueBudget(100);
  const [one, two] = [new PacketQueue(budget, 100), new PacketQueue(budget, 100)];
  assert.equal(one.push(octets(0, 60), 0, 60), true);
  assert.equal(two.push(octets(0, 41), 0, 41), false);
  assert.equal(two.push(octets(0, 40), 0, 40), true);
  assert.equal(one.clear(), 1);
  assert.equal(budget.used, 40);
  two.drain(() => {});
  assert.equal(budget.used, 0);
});

Deno.test("what is pushed while a queue is drained waits for the next drain", () => {
  const queue = new PacketQueue(new QueueBudget(1000), 1000);
  queue.push(octets(1, 40), 0, 40);
  let drained = 0;
  queue.drain((packet) => {
    drained++;
    queue.push(packet, 0, packet.length);
  });
  assert.equal(drained, 1);
  assert.equal(queue.length, 1);
});

Deno.test("the budget always equals what waits, over any sequence of operations", () => {
  const step = fc.record({
    queue: fc.nat(2),
    action: fc.constantFrom("push", "push", "drain", "clear"),
    length: fc.nat(99),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const budget = new QueueBudget(250);
    const queues = [0, 1, 2].map(() => new PacketQueue(budget, 120));
    for (const { queue, action, length } of steps) {
      if (action === "push") queues[queue].push(octets(queue, length), 0, length);
      else if (action === "drain") queues[queue].drain(() => {});
      else queues[queue].clear();
      assert.equal(budget.used, queues.reduce((sum, each) => sum + each.octets, 0));
      assert.ok(budget.used <= 250 && queues.every((each) => each.octets <= 120));
    }
  }));
});

Deno.test("packets of any length come out of several queues as they went in, also when memory is used again and given back", () => {
  const step = fc.record({
    queue: fc.nat(2),
    action: fc.constantFrom("push", "push", "push", "drain"),
    length: fc.nat(1500),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const budget = new QueueBudget(1e6);
      const queues = [0, 1, 2].map(() => new PacketQueue(budget, 1e6));
      const waiting: string[][] = [[], [], []];
      const drain = (queue: number): void => {
        const out: string[] = [];
        queues[queue].drain((packet) => out.push(packet.join()));
        assert.deepEqual(out, waiting[queue]);
        waiting[queue] = [];
      };
      for (const [i, { queue, action, length }] of steps.entries()) {
        if (action === "drain") drain(queue);
        else {
          const packet = Uint8Array.from({ length }, (_, at) => at * (i + 1));
          assert.equal(queues[queue].push(packet, 0, length), true);
          waiting[queue].push(packet.join());
        }
      }
      for (const queue of [0, 1, 2]) drain(queue);
      assert.equal(budget.used, 0);
    }),
    { numRuns: 30 },
  );
});
