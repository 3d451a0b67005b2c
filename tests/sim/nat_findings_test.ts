/** What a client finds out of its NAT by asking: true for every NAT of the simulation, from nobody but its server, and once. */

import assert from "node:assert/strict";
import type { NatFindings } from "../../lib/core/qualification/nat_test.ts";
import { forSeeds } from "./diagram.ts";
import { Network } from "./network.ts";
import { ClientNode } from "./nodes.ts";
import { ROUGH, SERVER, World } from "./world.ts";

const make = (seed: number) => new Network(seed);
/** A test takes no longer. */
const LIMIT = 20_000;

const TESTING = { natTest: true, symmetricNatSupport: true } as const;

function found(client: ClientNode): NatFindings {
  const { state } = client;
  assert.ok(state.status === "qualified");
  const { filteringOpen, hairpins } = state.nat;
  return { filteringOpen, hairpins };
}

const KINDS = ["endpoint-independent", "address-dependent", "address-and-port-dependent"] as const;
const HAIRPINS = ["none", "external-source", "internal-source"] as const;

Deno.test("filtering and hairpinning of every NAT are told as they are, or as not checked", () => {
  for (const mapping of KINDS) {
    for (const filtering of KINDS) {
      for (const hairpin of HAIRPINS) {
        const what = JSON.stringify({ mapping, filtering, hairpin });
        const world = new World(make(3));
        const { client } = world.home("alice", { mapping, filtering, hairpin }, TESTING);
        world.qualify(client);
        assert.deepEqual(found(client), { filteringOpen: undefined, hairpins: undefined });
        world.run(LIMIT);
        const independent = mapping === "endpoint-independent", open = filtering === "endpoint-independent";
        const returns = hairpin !== "none" && (independent || open);
        assert.deepEqual(found(client), {
          filteringOpen: open ? true : independent ? false : undefined,
          hairpins: returns ? true : independent ? false : undefined,
        }, what);
      }
    }
  }
});

Deno.test("losses and jitter do not change what is found", () => {
  forSeeds([1, 2, 3, 4, 5, 6], make, (network) => {
    const world = new World(network, { link: ROUGH });
    const { client } = world.home("alice", { hairpin: "external-source" }, TESTING);
    world.qualify(client);
    world.run(LIMIT);
    assert.deepEqual(found(client), { filteringOpen: false, hairpins: true });
  });
});

Deno.test("nobody but the server and the own NAT gets a datagram of the test, and no more than twenty", () => {
  const world = new World(make(5));
  const { client, box, local } = world.home("alice", {}, TESTING);
  world.qualify(client);
  world.run(LIMIT);
  const sent = world.sent(({ source }) => source.address === local.address);
  const test = sent.filter(({ datagram }) =>
    datagram.source.port !== local.port || box.nat.addresses.includes(datagram.destination.address)
  );
  assert.ok(test.length > 0 && test.length <= 20, `${test.length}`);
  for (const { datagram: { destination } } of test) {
    assert.ok(destination.address === SERVER.primary || box.nat.addresses.includes(destination.address));
  }
});

Deno.test("the test is made once for a NAT, what it found outlives a new mapping, and its socket is closed", () => {
  const network = make(6);
  const world = new World(network);
  const { client, box, local } = world.home("alice", { filtering: "endpoint-independent" }, TESTING);
  world.qualify(client);
  world.run(LIMIT);
  assert.deepEqual(found(client), { filteringOpen: true, hairpins: false });
  const ports = new Set(
    world.sent(({ source }) => client.host.owns(source.address)).map(({ datagram }) => datagram.source.port),
  );
  assert.equal(ports.size, 2);
  for (const port of ports) {
    // The host takes a port again only when nobody has it.
    if (port !== local.port) client.host.bind(port, () => {});
  }
  const asked = client.counters.get("rs_sent");
  box.nat.reboot();
  assert.notEqual(world.runUntil(() => client.eventsOf("qualified").length === 2, 60_000), undefined);
  assert.deepEqual(found(client), { filteringOpen: true, hairpins: false }, "what is known is kept");
  const again = client.counters.get("rs_sent");
  world.run(LIMIT);
  assert.ok(client.counters.get("rs_sent") - again <= 1, "maintenance alone");
  assert.ok(again > asked);
});

Deno.test("a server with one address cannot show the filtering, and without a NAT nothing comes back", () => {
  const one = new World(make(1), { oneAddress: true });
  const { client } = one.home("alice", { hairpin: "external-source" }, TESTING);
  one.qualify(client);
  one.run(LIMIT);
  assert.deepEqual(found(client), { filteringOpen: undefined, hairpins: true });

  const network = make(2);
  const world = new World(network);
  const address = 0xcb007105;
  const subnets = [{ address, prefixLength: 24 }];
  const plain = new ClientNode(network, "alice", { zone: network.internet, address, subnets, client: TESTING });
  world.qualify(plain);
  world.run(LIMIT);
  assert.deepEqual(found(plain), { filteringOpen: true, hairpins: undefined });
});
