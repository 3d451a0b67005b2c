/** Client to client through simulated NATs (RFC 4380 5.2.4 to 5.2.6, RFC 6081 figure 1). */

import assert from "node:assert/strict";
import { ICMPV6_DESTINATION_UNREACHABLE, Unreachable } from "../../lib/wire/icmpv6.ts";
import { formTeredoAddress } from "../../lib/wire/teredo_address.ts";
import { describeTeredo, forSeeds } from "./diagram.ts";
import { NAT_KINDS } from "./nat.ts";
import { Network } from "./network.ts";
import { ClientNode } from "./nodes.ts";
import type { Ping } from "./stack.ts";
import { PLAIN_KINDS, ROUGH, World } from "./world.ts";

const SEEDS = Array.from({ length: 24 }, (_, i) => i + 1);
const FEW_SEEDS = SEEDS.slice(0, 8);
const make = (seed: number) => new Network(seed);
/** Bubbles are repeated 2 s after each other, 3 times, and the last waits 2 s as well. */
const EXHAUSTED = 8000;

function isUnreachable(ping: Ping): boolean {
  return ping.error?.type === ICMPV6_DESTINATION_UNREACHABLE && ping.error.code === Unreachable.address;
}

for (const initiator of PLAIN_KINDS) {
  Deno.test(`a client behind a NAT "${initiator}" reaches clients behind every plain NAT and is reached, over rough lines`, () => {
    for (const peer of PLAIN_KINDS) {
      forSeeds(SEEDS, make, (network) => {
        const world = new World(network, { link: ROUGH });
        const alice = world.home("alice", initiator).client;
        const bob = world.home("bob", peer).client;
        world.qualify(alice, bob);
        // The packet that opens the hole waits for it: it is not lost.
        const first = alice.stack.ping(bob.address);
        world.runUntil(() => first.repliedAt !== undefined, EXHAUSTED);
        world.every(200, 4000, () => alice.stack.ping(bob.address));
        world.every(200, 4000, () => bob.stack.ping(alice.address));
        world.run(1000);
        const lost = [...alice.stack.pings, ...bob.stack.pings].filter(({ repliedAt }) => repliedAt === undefined);
        assert.ok(lost.length <= 6, `${lost.length} of 41 pings lost between ${initiator} and ${peer}`);
        assert.equal(alice.eventsOf("peer-up").length, 1);
        assert.equal(alice.eventsOf("peer-unreachable").length, 0);
      });
    }
  });
}

Deno.test("the first exchange between port-restricted NATs takes two round trips: bubbles, then data", () => {
  const world = new World(make(1), { link: { delay: 10 } });
  const alice = world.home("alice", "port-restricted").client;
  const bob = world.home("bob", "port-restricted").client;
  world.qualify(alice, bob);
  const ping = alice.stack.ping(bob.address);
  world.run(1000);
  // Indirect bubble 40 ms, direct answer 20 ms, request 20 ms, reply 20 ms.
  assert.equal((ping.repliedAt ?? 0) - ping.sentAt, 100);
  const second = alice.stack.ping(bob.address);
  world.run(1000);
  assert.equal((second.repliedAt ?? 0) - second.sentAt, 40);
});

Deno.test("[XMT-08 XMT-10 RCV-12] a burst to a new peer arrives complete and in order, whichever side the bubbles come from", () => {
  for (const both of [false, true]) {
    forSeeds(SEEDS, make, (network) => {
      const world = new World(network, { link: { delay: 15, jitter: 25 } });
      const alice = world.home("alice", "port-restricted").client;
      const bob = world.home("bob", "port-restricted").client;
      world.qualify(alice, bob);
      const numbers = Array.from({ length: 40 }, (_, i) => i);
      for (const number of numbers) {
        alice.stack.send(bob.address, number, 1000);
        if (both) bob.stack.send(alice.address, number, 1000);
        world.run(2);
      }
      world.run(5000);
      assert.deepEqual(bob.stack.data.map(({ number }) => number), numbers);
      if (both) assert.deepEqual(alice.stack.data.map(({ number }) => number), numbers);
    });
  }
});

Deno.test("a peer whose entry went idle is reached again, and the packet that finds it idle is not lost", () => {
  forSeeds(FEW_SEEDS, make, (network) => {
    const world = new World(network);
    const alice = world.home("alice", "port-restricted").client;
    const bob = world.home("bob", "port-restricted").client;
    world.qualify(alice, bob);
    for (const pause of [1000, 29_000, 31_000, 45_000, 130_000, 301_000, 3_600_000]) {
      world.run(pause);
      const ping = alice.stack.ping(bob.address);
      world.run(2000);
      assert.notEqual(ping.repliedAt, undefined, `after a pause of ${pause} ms`);
    }
  });
});

Deno.test("[BUB-01 BUB-02] a peer that never answers gets four bubbles in 300 s, 2 s apart, and the host an ICMPv6 unreachable", () => {
  forSeeds(FEW_SEEDS, make, (network) => {
    const world = new World(network);
    const alice = world.home("alice", "port-restricted").client;
    world.qualify(alice);
    const flags = 0x1234;
    const nobody = formTeredoAddress({ server: 0xc0000201, flags, mapped: { address: 0xcb0071c8, port: 4000 } });
    const first = alice.stack.ping(nobody);
    world.run(EXHAUSTED + 100);
    assert.ok(isUnreachable(first), "unreachable after the last bubble");
    assert.ok((first.error?.at ?? 0) - first.sentAt <= EXHAUSTED + 1);
    assert.equal(alice.eventsOf("peer-unreachable").length, 1);
    const from = network.now - EXHAUSTED - 100;
    world.every(1000, 600_000, () => alice.stack.ping(nobody));
    assert.ok(alice.stack.pings.slice(0, -10).every(isUnreachable), "every ping gets an answer");
    // Direct ones are not seen on a trace: nobody is there. Indirect ones go to the server.
    const bubbles = world.sent(({ source, destination, payload }) =>
      source.address === 0xc6336401 && destination.address === 0xc0000201 &&
      describeTeredo(payload).startsWith("bubble")
    ).filter(({ at }) => at >= from);
    const times = bubbles.map(({ at }) => at);
    assert.ok(times.length >= 8 && times.length <= 12, `${times.length} bubbles in 10 minutes`);
    times.forEach((time, i) => {
      if (i > 0) assert.ok(time - times[i - 1] >= 2000, `bubbles at ${times[i - 1]} and ${time}`);
      if (i >= 4) assert.ok(time - times[i - 4] > 300_000, `five bubbles from ${times[i - 4]} to ${time}`);
    });
  });
});

Deno.test("pairs that the protocol cannot connect fail in finite time with ICMPv6 unreachable, both ways", () => {
  for (const peer of ["port-restricted", "symmetric"] as const) {
    forSeeds(FEW_SEEDS, make, (network) => {
      const world = new World(network);
      const symmetric = { symmetricNatSupport: true };
      const alice = world.home("alice", "symmetric", symmetric).client;
      const bob = world.home("bob", peer, symmetric).client;
      world.qualify(alice, bob);
      for (const [from, to] of [[alice, bob], [bob, alice]]) {
        const ping = from.stack.ping(to.address);
        world.run(EXHAUSTED + 2100);
        assert.equal(ping.repliedAt, undefined);
        assert.ok(isUnreachable(ping), `${from.host.name} learns that ${to.host.name} cannot be reached`);
      }
    });
  }
});

Deno.test("a symmetric NAT that keeps the port for every destination looks like a port-restricted one, and works like it", () => {
  forSeeds(FEW_SEEDS, make, (network) => {
    const world = new World(network, { link: ROUGH });
    const kind = { ...NAT_KINDS.symmetric, ports: { kind: "preserving", overload: true } } as const;
    const alice = world.home("alice", kind).client;
    const bob = world.home("bob", kind).client;
    world.qualify(alice, bob);
    alice.stack.ping(bob.address);
    world.run(EXHAUSTED);
    world.every(200, 4000, () => alice.stack.ping(bob.address));
    world.run(1000);
    const lost = alice.stack.pings.slice(1).filter(({ repliedAt }) => repliedAt === undefined);
    assert.ok(lost.length <= 6, `${lost.length} of 20 pings lost`);
  });
});

Deno.test("a client whose NAT changed its mapping is reached at its new address, and gone at its old one", () => {
  forSeeds(FEW_SEEDS, make, (network) => {
    const world = new World(network);
    const alice = world.home("alice", "port-restricted").client;
    const { client: bob, box } = world.home("bob", "port-restricted");
    world.qualify(alice, bob);
    const before = alice.stack.ping(bob.address);
    world.run(1000);
    assert.notEqual(before.repliedAt, undefined);
    const old = bob.address;
    box.nat.reboot();
    world.runUntil(() => bob.eventsOf("qualified").length === 2, 60_000);
    const now = alice.stack.ping(bob.address);
    const gone = alice.stack.ping(old);
    world.run(45_000);
    assert.notEqual(now.repliedAt, undefined);
    assert.equal(gone.repliedAt, undefined);
  });
});

Deno.test("[LOC-10 XMT-05] clients on one LAN behind a NAT without hairpinning find each other by local discovery", () => {
  forSeeds(FEW_SEEDS, make, (network) => {
    const world = new World(network);
    const lan = network.zone("lan", { address: 0xc0a80100, prefixLength: 24 });
    network.nat("box", lan, network.internet, { addresses: [0xc6336470], ...NAT_KINDS["port-restricted"] });
    const client = { localDiscovery: true };
    const alice = new ClientNode(network, "alice", { zone: lan, address: 0xc0a80102, client });
    const bob = new ClientNode(network, "bob", { zone: lan, address: 0xc0a80103, client });
    world.qualify(alice, bob);
    // Discovery bubbles go out at random times of 200 to 300 s.
    world.run(310_000);
    const there = alice.stack.ping(bob.address);
    world.run(2000);
    const back = bob.stack.ping(alice.address);
    world.run(2000);
    assert.ok(there.repliedAt !== undefined && back.repliedAt !== undefined);
    // Once the entries are too old to be trusted, a bubble on the LAN renews them (there is no hairpinning: nothing else could).
    world.run(60_000);
    const later = alice.stack.ping(bob.address);
    world.run(2000);
    assert.notEqual(later.repliedAt, undefined);
  });
});

Deno.test("without local discovery, clients behind one NAT meet where it hairpins", () => {
  for (const hairpin of ["none", "external-source"] as const) {
    const network = make(1);
    const world = new World(network);
    const lan = network.zone("lan", { address: 0xc0a80100, prefixLength: 24 });
    network.nat("box", lan, network.internet, { addresses: [0xc6336470], hairpin, ...NAT_KINDS["port-restricted"] });
    const alice = new ClientNode(network, "alice", { zone: lan, address: 0xc0a80102 });
    const bob = new ClientNode(network, "bob", { zone: lan, address: 0xc0a80103 });
    world.qualify(alice, bob);
    const ping = alice.stack.ping(bob.address);
    world.run(EXHAUSTED + 100);
    assert.equal(ping.repliedAt !== undefined, hairpin === "external-source");
    assert.equal(isUnreachable(ping), hairpin === "none");
  }
});
