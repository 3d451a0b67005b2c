/** What a failed simulation shows. */

import assert from "node:assert/strict";
import { forSeeds, mermaid } from "./diagram.ts";
import { Network } from "./network.ts";
import { SERVER, World } from "./world.ts";

Deno.test("a diagram names hosts, NATs and what each packet means, and why one went no further", () => {
  const world = new World(new Network(1), { link: { delay: 10 } });
  const alice = world.home("alice", "port-restricted").client;
  const bob = world.home("bob", "port-restricted").client;
  world.qualify(alice, bob);
  alice.stack.ping(bob.address);
  world.run(1000);
  const text = mermaid(world.network.trace);
  assert.match(
    text,
    /^sequenceDiagram\n {2}alice-nat->>server: 20\.0 RS\n {2}server->>alice: 40\.0 RA, origin 198\.51\.100\.1:\d+\n/,
  );
  assert.match(text, /alice-nat-xbob-nat: \S+ bubble T\[198\.51\.100\.1:\d+\] > T\[198\.51\.100\.2:\d+\] \(filtered\)/);
  assert.match(text, /bob-nat->>alice: \S+ echo reply 1 /);
});

Deno.test("a scenario that fails names its seed and carries the packet flow", () => {
  const run = () =>
    forSeeds([3, 4, 5], (seed) => new Network(seed), (network) => {
      const world = new World(network);
      world.home("alice", "cone").client.qualify(SERVER);
      assert.equal(network.seed, 3);
    });
  assert.throws(
    run,
    (error) =>
      error instanceof Error && /^Seed 4, at 80\.0 ms: /.test(error.message) &&
      /alice-nat->>server: 20\.0 RS/.test(error.message),
  );
});
