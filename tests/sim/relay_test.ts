/** Clients and hosts of the IPv6 internet through a relay (RFC 4380 5.4), over simulated NATs. */

import assert from "node:assert/strict";
import { ICMPV6_DESTINATION_UNREACHABLE, ICMPV6_PACKET_TOO_BIG, Unreachable } from "../../lib/wire/icmpv6.ts";
import { formTeredoAddress } from "../../lib/wire/teredo_address.ts";
import { forSeeds } from "./diagram.ts";
import { NAT_KINDS } from "./nat.ts";
import { Network } from "./network.ts";
import { PLAIN_KINDS, ROUGH, World } from "./world.ts";

const SEEDS = Array.from({ length: 24 }, (_, i) => i + 1);
const FEW_SEEDS = SEEDS.slice(0, 8);
const make = (seed: number) => new Network(seed);
/** Connectivity tests and bubbles are repeated 2 s after each other, 3 times, and the last waits 2 s as well. */
const EXHAUSTED = 8000;

for (const oneAddress of [false, true]) {
  const server = oneAddress ? "a server with one address" : "a server with two addresses";
  Deno.test(`clients behind every plain NAT and IPv6 hosts reach each other through a relay, with ${server}`, () => {
    for (const kind of PLAIN_KINDS) {
      for (const outward of [true, false]) {
        forSeeds(SEEDS, make, (network) => {
          const world = new World(network, { link: ROUGH, oneAddress });
          const alice = world.home("alice", kind).client;
          world.qualify(alice);
          const [from, to] = outward ? [alice.stack, world.native.address] : [world.native.stack, alice.address];
          // The packet that opens the path waits for it; afterwards packets are lost at the rate of the lines.
          from.ping(to);
          world.run(EXHAUSTED);
          world.every(200, 4000, () => from.ping(to));
          world.run(1000);
          const lost = from.pings.slice(1).filter(({ repliedAt }) => repliedAt === undefined);
          assert.ok(lost.length <= 6, `${lost.length} of 20 pings lost from ${kind}`);
        });
      }
    }
  });
}

Deno.test("the first exchange through a relay takes a connectivity test and a bubble, the next none", () => {
  const world = new World(make(1), { link: { delay: 10 } });
  const alice = world.home("alice", "port-restricted").client;
  world.qualify(alice);
  const times = [1, 2].map(() => {
    const ping = alice.stack.ping(world.native.address);
    world.run(1000);
    return (ping.repliedAt ?? 0) - ping.sentAt;
  });
  // Test 40 ms to the host, 20 to the relay, 40 bubble, 20 answer, 20 reply; then 80 ms for the ping.
  assert.deepEqual(times, [220, 80]);
});

Deno.test("[RLY-11 RLY-12] a burst from an IPv6 host to a new client arrives complete and in order", () => {
  forSeeds(FEW_SEEDS, make, (network) => {
    const world = new World(network, { link: { delay: 15, jitter: 25 } });
    const alice = world.home("alice", "port-restricted").client;
    world.qualify(alice);
    const numbers = Array.from({ length: 40 }, (_, i) => i);
    for (const number of numbers) {
      world.native.stack.send(alice.address, number, 1000);
      world.run(2);
    }
    world.run(5000);
    assert.deepEqual(alice.stack.data.map(({ number }) => number), numbers);
  });
});

Deno.test("[XMT-03] a burst from a client to a new IPv6 host arrives complete and in order", () => {
  forSeeds(FEW_SEEDS, make, (network) => {
    const world = new World(network, { link: { delay: 15, jitter: 25 } });
    const alice = world.home("alice", "port-restricted").client;
    world.qualify(alice);
    const numbers = Array.from({ length: 40 }, (_, i) => i);
    for (const number of numbers) {
      alice.stack.send(world.native.address, number, 1000);
      world.run(2);
    }
    world.run(5000);
    assert.deepEqual(world.native.stack.data.map(({ number }) => number), numbers);
  });
});

for (const restarted of [false, true]) {
  // A new relay knows no peers and drops their packets (RFC 4380 5.4.2); clients trust the old one for 30 s after its last packet.
  const limit = restarted ? 10_000 + 3000 : 3000;
  const how = restarted ? "by a restart" : "off the net";
  Deno.test(`a relay that is gone for 20 s (${how}) under steady traffic is used again within ${limit / 1000} s of its return`, () => {
    for (const outward of [true, false]) {
      forSeeds(SEEDS, make, (network) => {
        const world = new World(network);
        const alice = world.home("alice", "port-restricted").client;
        world.qualify(alice);
        const [from, to] = outward ? [alice.stack, world.native.address] : [world.native.stack, alice.address];
        world.every(1000, 5000, () => from.ping(to));
        assert.ok(from.pings.every(({ repliedAt }) => repliedAt !== undefined), "it works before");
        world.relay.plugged = false;
        world.every(1000, 20_000, () => from.ping(to));
        if (restarted) world.relay.restart();
        world.relay.plugged = true;
        const back = network.now;
        world.every(1000, 20_000, () => from.ping(to));
        world.run(1000);
        const late = from.pings.filter(({ sentAt, repliedAt }) => sentAt >= back + limit && repliedAt === undefined);
        assert.equal(late.length, 0, `${late.length} pings lost later than that`);
      });
    }
  });
}

Deno.test("a relay missing from the start, for longer than all repeats, is found within 3 s when it comes", () => {
  forSeeds(FEW_SEEDS, make, (network) => {
    const world = new World(network);
    const alice = world.home("alice", "port-restricted").client;
    world.qualify(alice);
    world.relay.plugged = false;
    world.every(1000, 20_000, () => alice.stack.ping(world.native.address));
    world.relay.plugged = true;
    const back = network.now;
    world.every(1000, 10_000, () => alice.stack.ping(world.native.address));
    world.run(1000);
    const late = alice.stack.pings.filter(({ sentAt, repliedAt }) => sentAt >= back + 3000 && repliedAt === undefined);
    assert.equal(late.length, 0);
  });
});

Deno.test("an IPv6 host that does not exist is reported unreachable in finite time, under steady traffic too", () => {
  forSeeds(FEW_SEEDS, make, (network) => {
    const world = new World(network);
    const alice = world.home("alice", "port-restricted").client;
    world.qualify(alice);
    world.native.plugged = false;
    const first = alice.stack.ping(world.native.address);
    world.run(EXHAUSTED + 100);
    assert.equal(first.error?.type, ICMPV6_DESTINATION_UNREACHABLE);
    const before = alice.counters.get("connectivity_tests_sent");
    world.every(100, 60_000, () => alice.stack.ping(world.native.address));
    const tests = alice.counters.get("connectivity_tests_sent") - before;
    assert.ok(tests <= 31, `${tests} connectivity tests in a minute: more than one in 2 s`);
    const silent = alice.stack.pings.filter(({ sentAt, error }) =>
      error === undefined && network.now - sentAt > EXHAUSTED + 100
    );
    assert.equal(silent.length, 0, `${silent.length} pings without an answer`);
  });
});

Deno.test("[RLY-09 RLY-23] a relay tells the IPv6 host that a client does not answer, after four bubbles", () => {
  forSeeds(FEW_SEEDS, make, (network) => {
    const world = new World(network);
    const nobody = formTeredoAddress({
      server: 0xc0000201,
      flags: 0x0102,
      mapped: { address: 0xcb0071c8, port: 4000 },
    });
    const ping = world.native.stack.ping(nobody);
    world.run(EXHAUSTED + 200);
    assert.equal(ping.error?.type, ICMPV6_DESTINATION_UNREACHABLE);
    assert.equal(ping.error.code, Unreachable.address);
    assert.equal(world.relay.counters.get("indirect_bubbles_sent"), 4);
    assert.equal(world.relay.counters.get("peers_unreachable"), 1);
  });
});

Deno.test("[RLY-22] a packet larger than the tunnel is answered with Packet Too Big by client and relay", () => {
  const world = new World(make(1));
  const alice = world.home("alice", "port-restricted").client;
  world.qualify(alice);
  const small = world.native.stack.ping(alice.address, 1280 - 48);
  const large = world.native.stack.ping(alice.address, 1400);
  const own = alice.stack.ping(world.native.address, 1400);
  world.run(3000);
  assert.notEqual(small.repliedAt, undefined);
  assert.equal(large.error?.type, ICMPV6_PACKET_TOO_BIG);
  assert.equal(own.error?.type, ICMPV6_PACKET_TOO_BIG);
});

Deno.test("a relay set to serve clients behind symmetric NATs does, both ways; otherwise they are out of reach", () => {
  for (const symmetricClients of [true, false]) {
    forSeeds(FEW_SEEDS, make, (network) => {
      const world = new World(network, { relay: { symmetricClients } });
      const alice = world.home("alice", NAT_KINDS.symmetric, { symmetricNatSupport: true }).client;
      world.qualify(alice);
      const inward = world.native.stack.ping(alice.address);
      world.run(EXHAUSTED + 200);
      const outward = alice.stack.ping(world.native.address);
      world.run(EXHAUSTED + 200);
      assert.equal(inward.repliedAt !== undefined, symmetricClients);
      assert.equal(outward.repliedAt !== undefined, symmetricClients);
    });
  }
});

Deno.test("an idle world stays quiet: after the last packet only maintenance goes on", () => {
  const world = new World(make(3));
  const alice = world.home("alice", "port-restricted").client;
  const bob = world.home("bob", "port-restricted").client;
  world.qualify(alice, bob);
  for (const target of [bob.address, world.native.address]) alice.stack.ping(target);
  world.native.stack.ping(bob.address);
  world.run(60_000);
  const sent = () =>
    [alice, bob, world.relay].map(({ counters }) => counters.get("udp_tx_datagrams") - counters.get("rs_sent"));
  const before = sent();
  world.run(12 * 3_600_000);
  assert.deepEqual(sent(), before);
});
