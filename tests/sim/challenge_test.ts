/** Clients of plain RFC 4380 behind symmetric NATs that do not know it, as the C Miredo: reached by a bubble that only they can answer. */

import assert from "node:assert/strict";
import { forSeeds } from "./diagram.ts";
import { Network } from "./network.ts";
import { FULL_TRAVERSAL, NO_TRAVERSAL } from "./nodes.ts";
import { SERVER, World } from "./world.ts";

const SEEDS = [1, 2, 3, 4];
const make = (seed: number) => new Network(seed);
const PLAIN = { symmetricNatSupport: false, traversal: NO_TRAVERSAL };
const FULL = { symmetricNatSupport: true, traversal: FULL_TRAVERSAL };

/** A client that knows all ways behind one NAT, and one that knows none behind a symmetric one. */
function pair(network: Network, kind: "cone" | "address-restricted" | "port-restricted") {
  const world = new World(network);
  const alice = world.home("alice", kind, FULL).client;
  const bob = world.home("bob", "symmetric", PLAIN).client;
  world.qualify(alice);
  // With one address to compare it cannot tell that its NAT is symmetric.
  assert.notEqual(bob.qualify({ primary: SERVER.primary, secondary: undefined }), undefined);
  return { world, alice, bob };
}

for (const kind of ["cone", "address-restricted"] as const) {
  Deno.test(`from behind a NAT "${kind}" such a client is reached with the second bubble, and answers from then on`, () => {
    forSeeds(SEEDS, make, (network) => {
      const { world, alice, bob } = pair(network, kind);
      const ping = alice.stack.ping(bob.address);
      world.run(3000);
      assert.notEqual(ping.repliedAt, undefined);
      const back = bob.stack.ping(alice.address);
      world.run(500);
      assert.notEqual(back.repliedAt, undefined);
      assert.equal(alice.eventsOf("peer-up").length, 1);
    });
  });
}

Deno.test("such a client reaches one that knows all ways, though by itself it could not", () => {
  forSeeds(SEEDS, make, (network) => {
    const { world, alice, bob } = pair(network, "cone");
    const ping = bob.stack.ping(alice.address);
    world.run(3000);
    assert.notEqual(ping.repliedAt, undefined);
  });
});

Deno.test("from behind a port-restricted NAT it cannot be reached, and that is said", () => {
  forSeeds(SEEDS, make, (network) => {
    const { world, alice, bob } = pair(network, "port-restricted");
    const ping = alice.stack.ping(bob.address);
    world.run(17_000);
    assert.equal(ping.repliedAt, undefined);
    assert.notEqual(ping.error, undefined);
  });
});
