/** NAT traversal over time, behind shared and nested NATs, and at relays (RFC 6081; RFC 4380 5.2.5, 5.4). */

import assert from "node:assert/strict";
import { ICMPV6_DESTINATION_UNREACHABLE } from "../../lib/wire/icmpv6.ts";
import { formatIpv6 } from "../../lib/wire/ipv6_address.ts";
import { forSeeds } from "./diagram.ts";
import { FIGURE_KINDS, type FigureKindName, pairWorld, runPair } from "./figure.ts";
import { NAT_KINDS } from "./nat.ts";
import { Network } from "./network.ts";
import { ClientNode, FULL_TRAVERSAL, NO_TRAVERSAL, RelayNode } from "./nodes.ts";
import { World } from "./world.ts";

const SEEDS = Array.from({ length: 12 }, (_, i) => i + 1);
const make = (seed: number) => new Network(seed);
const CALM = { patience: 20_000, lifetime: 30_000 };

/** Pairs of a direct way each of another sort. */
const WAYS: readonly (readonly [FigureKindName, FigureKindName])[] = [
  ["port-restricted", "port-restricted"],
  ["symmetric", "address-restricted"],
  ["port-preserving", "port-preserving"],
  ["port-preserving", "sequential"],
  ["sequential", "port-restricted"],
  ["UPnP symmetric", "UPnP symmetric"],
  ["symmetric", "symmetric"],
];

/** A client of a LAN that knows all ways. */
function inside(network: Network, name: string, zone: ClientNode["host"]["zone"], address: number): ClientNode {
  const client = { symmetricNatSupport: true, traversal: FULL_TRAVERSAL };
  return new ClientNode(network, name, { zone, address, client });
}

Deno.test("a steady flow does not notice maintenance, refreshes and NATs that forget after 30 s: complete and in order", () => {
  for (const [initiator, peer] of WAYS) {
    forSeeds([...SEEDS.slice(0, 4), 14, 39], make, (network) => {
      const link = { delay: 15, jitter: 10 };
      const { alice, bob } = runPair(network, FIGURE_KINDS[initiator], FIGURE_KINDS[peer], { ...CALM, link });
      network.clock.run(2000);
      let count = 0;
      const end = network.now + 300_000;
      while (network.now < end) {
        alice.client.stack.send(bob.client.address, count);
        bob.client.stack.send(alice.client.address, count);
        count++;
        network.clock.run(250);
      }
      network.clock.run(1000);
      const numbers = Array.from({ length: count }, (_, i) => i);
      for (const { client } of [alice, bob]) {
        assert.deepEqual(client.stack.data.map(({ number }) => number), numbers, `${initiator} to ${peer}`);
      }
    });
  }
});

Deno.test("a mapping for the server that NATs forget after 30 s lasts as long as the client, behind symmetric NATs too", () => {
  // With these seeds a refresh was once 30 s after the answer to the one before, and so more than 30 s after its question.
  forSeeds([14, 26, 28, 30, 39], make, (network) => {
    const { world, alice, bob } = pairWorld(network, FIGURE_KINDS.symmetric, FIGURE_KINDS.symmetric, {
      ...CALM,
      link: { delay: 40, jitter: 20 },
    });
    world.qualify(alice.client, bob.client);
    const before = [alice, bob].map(({ client }) => formatIpv6(client.address));
    world.run(3_600_000);
    assert.deepEqual([alice, bob].map(({ client }) => formatIpv6(client.address)), before);
    assert.deepEqual([alice, bob].map(({ client }) => client.counters.get("mapping_changes")), [0, 0]);
  });
});

Deno.test("a pair that was idle for a minute, ten minutes or an hour meets again, whoever speaks first", () => {
  for (const [initiator, peer] of WAYS) {
    forSeeds(SEEDS.slice(0, 4), make, (network) => {
      const run = { ...CALM, lifetime: 120_000, link: { delay: 10 } };
      const { world, alice, bob } = runPair(network, FIGURE_KINDS[initiator], FIGURE_KINDS[peer], run);
      for (const pause of [60_000, 600_000, 3_600_000]) {
        world.run(pause);
        const pings = [];
        for (let i = 0; i < 20; i++) {
          pings.push(alice.client.stack.ping(bob.client.address));
          world.run(1000);
        }
        assert.ok(pings.some(({ repliedAt }) => repliedAt !== undefined), `${initiator} to ${peer} after ${pause} ms`);
      }
    });
  }
});

Deno.test("a NAT that reboots in the middle of a flow costs no more than the rest of the refresh interval and a new negotiation", () => {
  const kinds: readonly FigureKindName[] = ["port-restricted", "port-preserving", "sequential", "symmetric"];
  for (const kind of kinds) {
    forSeeds(SEEDS.slice(0, 6), make, (network) => {
      const { world, alice, bob } = runPair(network, FIGURE_KINDS["address-restricted"], FIGURE_KINDS[kind], CALM);
      const old = formatIpv6(bob.client.address);
      bob.box.nat.reboot();
      // The peers' packets find no way; maintenance does.
      const renewed = world.runUntil(() => bob.client.qualified && formatIpv6(bob.client.address) !== old, 45_000);
      if (kind !== "port-preserving") assert.notEqual(renewed, undefined, "the address is renewed");
      const pings = [];
      for (let i = 0; i < 45; i++) {
        if (bob.client.qualified) pings.push(bob.client.stack.ping(alice.client.address));
        world.run(1000);
      }
      assert.ok(pings.slice(-3).every(({ repliedAt }) => repliedAt !== undefined), `${kind}: reached again`);
    });
  }
});

Deno.test("clients behind one NAT that does not hairpin meet at their inside addresses, without local discovery", () => {
  for (const kind of ["cone", "port-restricted", "symmetric"] as const) {
    forSeeds(SEEDS, make, (network) => {
      const world = new World(network);
      const lan = network.zone("lan", { address: 0xc0a80100, prefixLength: 24 });
      network.nat("box", lan, network.internet, { addresses: [0xc6336470], ...NAT_KINDS[kind] });
      const alice = inside(network, "alice", lan, 0xc0a80102), bob = inside(network, "bob", lan, 0xc0a80103);
      world.qualify(alice, bob);
      const there = alice.stack.ping(bob.address);
      world.run(3000);
      const back = bob.stack.ping(alice.address);
      world.run(1000);
      assert.ok(there.repliedAt !== undefined && back.repliedAt !== undefined, kind);
      assert.equal(alice.eventsOf("peer-up")[0].path, "local");
    });
  }
});

Deno.test("behind two NATs in a row, the outer one without hairpinning, clients meet at the ports that the inner ones forward", () => {
  forSeeds(SEEDS, make, (network) => {
    const world = new World(network);
    const street = network.zone("street", { address: 0x0ac80000, prefixLength: 24 });
    network.nat("outer", street, network.internet, { addresses: [0xc6336470], ...NAT_KINDS["port-restricted"] });
    const clients = ["alice", "bob"].map((name, i) => {
      const lan = network.zone(`${name}-lan`, { address: 0xc0a80000 + 256 * i, prefixLength: 24 });
      const box = network.nat(`${name}-nat`, lan, street, {
        addresses: [0x0ac80002 + i],
        ...NAT_KINDS["port-restricted"],
      });
      const address = 0xc0a80002 + 256 * i, port = 40_000 + i;
      const client = { symmetricNatSupport: true, traversal: FULL_TRAVERSAL };
      const node = new ClientNode(network, name, { zone: lan, address, port, client });
      box.nat.forward(17, port, { address, port });
      node.portMapping({ address: 0x0ac80002 + i, port });
      return node;
    });
    const [alice, bob] = clients;
    world.qualify(alice, bob);
    const ping = alice.stack.ping(bob.address);
    world.run(3000);
    assert.notEqual(ping.repliedAt, undefined);
    assert.equal(alice.eventsOf("peer-up")[0].path, "local");
  });
});

Deno.test("unsupported pairs without relays are refused within 15 s and remembered: no bubbles for the rest of 300 s", () => {
  for (const peer of ["symmetric", "port-preserving", "sequential"] as const) {
    forSeeds(SEEDS.slice(0, 6), make, (network) => {
      const { world, alice, bob } = pairWorld(network, FIGURE_KINDS.symmetric, FIGURE_KINDS[peer], {
        ...CALM,
        lifetime: 120_000,
        traversal: { relayPaths: false },
      });
      world.qualify(alice.client, bob.client);
      world.every(1000, 15_000, () => alice.client.stack.ping(bob.client.address));
      const { pings } = alice.client.stack;
      assert.ok(pings.some(({ error }) => error?.type === ICMPV6_DESTINATION_UNREACHABLE));
      const before = alice.client.counters.get("indirect_bubbles_sent");
      const asked = pings.length;
      world.every(1000, 270_000, () => alice.client.stack.ping(bob.client.address));
      assert.equal(alice.client.counters.get("indirect_bubbles_sent"), before);
      assert.ok(pings.slice(asked).every(({ error }) => error?.type === ICMPV6_DESTINATION_UNREACHABLE));
    });
  }
});

Deno.test("two clients that cannot meet directly, both starting at once with a relay of their own each, agree on one", () => {
  forSeeds(SEEDS, make, (network) => {
    const world = new World(network, { relay: { symmetricClients: true, betweenClients: true } });
    const second = new RelayNode(network, "relay2", {
      address: 0xc000020a,
      ipv6: "2001:db8:a::1",
      relay: { symmetricClients: true, betweenClients: true },
    });
    const client = (relay: { address: number; port: number }) => ({
      symmetricNatSupport: true,
      traversal: { ...FULL_TRAVERSAL, relayPaths: true, relay },
    });
    const alice = world.home("alice", "symmetric", client(world.relay.endpoint)).client;
    const bob = world.home("bob", "symmetric", client(second.endpoint)).client;
    world.qualify(alice, bob);
    world.every(1000, 20_000, () => {
      alice.stack.ping(bob.address);
      bob.stack.ping(alice.address);
    });
    world.every(200, 20_000, () => {
      alice.stack.ping(bob.address);
      bob.stack.ping(alice.address);
    });
    world.run(1000);
    for (const { stack } of [alice, bob]) {
      assert.ok(stack.pings.slice(-90).every(({ repliedAt }) => repliedAt !== undefined), "steady once they agree");
    }
    const carried = [world.relay, second].filter(({ counters }) => counters.get("packets_between_clients") > 50);
    assert.equal(carried.length, 1, "one relay carries it all");
  });
});

Deno.test("when the relay goes away, both find another within a minute", () => {
  forSeeds(SEEDS.slice(0, 6), make, (network) => {
    const options = { symmetricClients: true, betweenClients: true };
    const world = new World(network, { relay: options });
    const traversal = { ...FULL_TRAVERSAL, relayPaths: true, relayProbe: world.native.address };
    const client = { symmetricNatSupport: true, traversal };
    const alice = world.home("alice", "symmetric", client).client;
    const bob = world.home("bob", "port-restricted", client).client;
    world.qualify(alice, bob);
    world.every(1000, 15_000, () => alice.stack.ping(bob.address));
    assert.notEqual(alice.stack.pings.at(-2)?.repliedAt, undefined);
    // Routing takes the way to another relay.
    world.relay.plugged = false;
    new RelayNode(network, "relay2", {
      address: 0xc000020a,
      ipv6: "2001:db8:a::1",
      prefixes: ["2001::/33", "2001:0:8000::/33"],
      relay: options,
    });
    world.every(1000, 75_000, () => alice.stack.ping(bob.address));
    assert.ok(alice.stack.pings.slice(-5, -1).every(({ repliedAt }) => repliedAt !== undefined));
  });
});

Deno.test("a relay that is not to carry packets between clients carries none", () => {
  const network = make(1);
  const world = new World(network, { relay: { symmetricClients: true, betweenClients: false } });
  const traversal = { ...FULL_TRAVERSAL, relayPaths: true, relayProbe: world.native.address };
  const client = { symmetricNatSupport: true, traversal };
  const alice = world.home("alice", "symmetric", client).client;
  const bob = world.home("bob", "symmetric", client).client;
  world.qualify(alice, bob);
  world.every(1000, 30_000, () => alice.stack.ping(bob.address));
  assert.ok(alice.stack.pings.every(({ repliedAt }) => repliedAt === undefined));
  assert.equal(world.relay.counters.get("packets_between_clients"), 0);
});

Deno.test("clients of RFC 4380 only and clients that know all ways reach each other wherever the former can", () => {
  const plain = { symmetricNatSupport: false, traversal: NO_TRAVERSAL };
  const full = { symmetricNatSupport: true, traversal: FULL_TRAVERSAL };
  for (const kind of ["cone", "address-restricted", "port-restricted"] as const) {
    for (const other of ["cone", "address-restricted", "port-restricted"] as const) {
      for (const [first, second] of [[plain, full], [full, plain]]) {
        forSeeds(SEEDS.slice(0, 4), make, (network) => {
          const world = new World(network);
          const alice = world.home("alice", kind, first).client, bob = world.home("bob", other, second).client;
          world.qualify(alice, bob);
          const ping = alice.stack.ping(bob.address);
          world.run(3000);
          assert.notEqual(ping.repliedAt, undefined, `${kind} to ${other}`);
        });
      }
    }
  }
});
