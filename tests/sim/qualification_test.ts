/** Qualification and maintenance through simulated NATs (RFC 4380 5.2.1, 5.2.5). */

import assert from "node:assert/strict";
import { formatIpv6 } from "../../lib/wire/ipv6_address.ts";
import { parseTeredoAddress } from "../../lib/wire/teredo_address.ts";
import { forSeeds } from "./diagram.ts";
import { Network } from "./network.ts";
import { ClientNode, ServerNode } from "./nodes.ts";
import { NAT_KINDS, type NatOptions } from "./nat.ts";
import { PLAIN_KINDS, ROUGH, SERVER, World } from "./world.ts";

const SEEDS = Array.from({ length: 24 }, (_, i) => i + 1);
const FEW_SEEDS = SEEDS.slice(0, 6);
const make = (seed: number) => new Network(seed);

Deno.test("[QUA-15] a client qualifies behind every NAT with endpoint-independent mapping", () => {
  for (const kind of PLAIN_KINDS) {
    forSeeds(SEEDS, make, (network) => {
      const world = new World(network, { link: ROUGH });
      const { client, box } = world.home("alice", kind);
      world.qualify(client);
      const address = parseTeredoAddress(client.address);
      assert.equal(address?.server, SERVER.primary);
      assert.ok(address !== undefined && box.nat.addresses.includes(address.mapped.address));
      assert.equal(client.state.status === "qualified" && client.state.symmetric, false);
    });
  }
});

Deno.test("qualification takes one round trip to each server address", () => {
  const world = new World(make(1), { link: { delay: 10 } });
  const { client } = world.home("alice", "port-restricted");
  // Two lines each way, two advertisements.
  assert.equal(client.qualify(world.server.addresses), 80);
});

Deno.test("[QUA-14] a client behind a symmetric NAT goes off-line, and says why", () => {
  const kinds: readonly Partial<NatOptions>[] = [
    NAT_KINDS.symmetric,
    { mapping: "address-dependent", filtering: "address-dependent" },
    { ...NAT_KINDS.symmetric, ports: { kind: "sequential", step: 1 } },
    { ...NAT_KINDS.symmetric, addresses: [0xc6336450, 0xc6336451], pooling: "arbitrary" },
  ];
  for (const kind of kinds) {
    forSeeds(SEEDS, make, (network) => {
      const world = new World(network, { link: ROUGH });
      const { client } = world.home("alice", kind);
      client.start(world.server.addresses);
      const found = world.runUntil(() => client.eventsOf("offline").length > 0, 60_000);
      assert.notEqual(found, undefined);
      assert.equal(client.eventsOf("offline")[0].reason, "symmetric-nat");
      assert.equal(client.eventsOf("qualified").length, 0);
    });
  }
});

Deno.test("a client behind two NATs in series qualifies with the outer one's address", () => {
  const network = make(1);
  const world = new World(network);
  const carrier = network.zone("carrier", { address: 0x64400000, prefixLength: 10 });
  network.nat("cgn", carrier, network.internet, { addresses: [0xc6336463], ...NAT_KINDS["port-restricted"] });
  const lan = network.zone("lan", { address: 0x0a090000, prefixLength: 24 });
  network.nat("box", lan, carrier, { addresses: [0x64400005], ...NAT_KINDS["port-restricted"] });
  const client = new ClientNode(network, "alice", { zone: lan, address: 0x0a090002 });
  world.qualify(client);
  assert.equal(parseTeredoAddress(client.address)?.mapped.address, 0xc6336463);
});

Deno.test("a client without NAT qualifies with its own address and port", () => {
  const network = make(1);
  const world = new World(network);
  const client = new ClientNode(network, "alice", { zone: network.internet, address: 0xcb007105, port: 4545 });
  world.qualify(client);
  assert.deepEqual(parseTeredoAddress(client.address)?.mapped, { address: 0xcb007105, port: 4545 });
  assert.equal(client.state.status === "qualified" && client.state.portPreserving, true);
});

Deno.test("a server with one address qualifies clients behind all plain NATs", () => {
  for (const kind of PLAIN_KINDS) {
    const world = new World(make(1), { oneAddress: true });
    const { client } = world.home("alice", kind);
    assert.equal(client.qualify(world.server.addresses), 40, kind);
  }
});

Deno.test("[SEC-07 SEC-10] secure qualification succeeds with the right secret only", () => {
  const identifier = new TextEncoder().encode("alice");
  const secret = new TextEncoder().encode("correct horse");
  const secrets = new Map([["alice", secret]]);
  const world = new World(make(1), { server: { secrets } });
  const right = world.home("right", "port-restricted", { identifier, secret }).client;
  world.qualify(right);
  const wrong =
    world.home("wrong", "port-restricted", { identifier, secret: new TextEncoder().encode("guess") }).client;
  const none = world.home("none", "port-restricted").client;
  for (const client of [wrong, none]) {
    client.start(world.server.addresses);
    world.run(30_000);
    assert.equal(client.qualified, false);
    assert.equal(client.eventsOf("offline")[0]?.reason, "no-answer-primary");
  }
});

Deno.test("[MNT-01 MNT-02] maintenance keeps a mapping of 45 s alive for a day, with a solicitation every 22.5 to 30 s", () => {
  const world = new World(make(7));
  const { client } = world.home("alice", { ...NAT_KINDS["port-restricted"], lifetime: 45_000 });
  world.qualify(client);
  const address = formatIpv6(client.address);
  const before = client.counters.get("rs_sent");
  world.run(24 * 3_600_000);
  assert.equal(formatIpv6(client.address), address);
  assert.equal(client.eventsOf("lost").length, 0);
  const anHour = (client.counters.get("rs_sent") - before) / 24;
  assert.ok(anHour >= 119 && anHour <= 161, `${anHour} solicitations an hour`);
});

Deno.test("[MNT-05 MNT-06] a NAT that reboots is noticed within a refresh interval, and the new address works", () => {
  forSeeds(SEEDS, make, (network) => {
    const world = new World(network);
    const { client, box } = world.home("alice", "port-restricted");
    world.qualify(client);
    world.native.stack.ping(client.address);
    world.run(5000);
    const old = formatIpv6(client.address);
    box.nat.reboot();
    const noticed = world.runUntil(() => client.eventsOf("lost").length > 0, 40_000);
    assert.ok(noticed !== undefined && noticed <= 30_100, `noticed after ${noticed} ms`);
    assert.equal(client.eventsOf("lost")[0].reason, "mapping-changed");
    assert.notEqual(world.runUntil(() => client.qualified, 20_000), undefined);
    assert.notEqual(formatIpv6(client.address), old);
    const outward = client.stack.ping(world.native.address);
    const inward = world.native.stack.ping(client.address);
    world.run(5000);
    assert.ok(outward.repliedAt !== undefined && inward.repliedAt !== undefined);
  });
});

Deno.test("a server that goes away is noticed, asked on at a bounded rate, and used again within 5 s of its return", () => {
  forSeeds(SEEDS, make, (network) => {
    const world = new World(network);
    const { client } = world.home("alice", "port-restricted");
    world.qualify(client);
    world.server.plugged = false;
    const noticed = world.runUntil(() => !client.qualified, 60_000);
    // A refresh interval and three solicitations of 4 s.
    assert.ok(noticed !== undefined && noticed <= 30_000 + 12_100, `noticed after ${noticed} ms`);
    world.run(600_000);
    const before = client.counters.get("rs_sent");
    world.run(600_000);
    const asked = client.counters.get("rs_sent") - before;
    assert.ok(asked >= 140 && asked <= 200, `${asked} questions in 10 minutes`);
    assert.equal(client.eventsOf("offline").length, 1);
    world.server.plugged = true;
    const back = world.runUntil(() => client.qualified, 120_000);
    assert.ok(back !== undefined && back <= 5_000, `back after ${back} ms`);
  });
});

Deno.test("fail-over takes at most 10 s from the first question that is not answered", () => {
  const times: number[] = [];
  forSeeds(SEEDS, make, (network) => {
    const world = new World(network);
    const other = new ServerNode(network, "other", { primary: 0xcb007121, secondary: 0xcb007122 });
    const { client } = world.home("alice", "port-restricted", { maintenanceTimeout: 2000 });
    world.qualify(client);
    world.server.plugged = false;
    const before = client.counters.get("rs_sent");
    assert.notEqual(world.runUntil(() => client.counters.get("rs_sent") > before, 60_000), undefined);
    const lost = world.runUntil(() => !client.qualified, 60_000);
    client.start(other.addresses);
    const back = world.runUntil(() => client.qualified, 60_000);
    assert.ok(lost !== undefined && back !== undefined);
    times.push(lost + back);
    assert.equal(parseTeredoAddress(client.address)?.server, other.addresses.primary);
  });
  assert.ok(Math.max(...times) <= 10_000, `${Math.max(...times)} ms`);
});

Deno.test("the address stays the same over requalification while the mapping is the same", () => {
  forSeeds(SEEDS, make, (network) => {
    const world = new World(network);
    const { client } = world.home("alice", { ...NAT_KINDS["port-restricted"], lifetime: 600_000 });
    world.qualify(client);
    const address = formatIpv6(client.address);
    client.start(world.server.addresses);
    assert.notEqual(world.runUntil(() => client.qualified, 10_000), undefined);
    assert.equal(formatIpv6(client.address), address);
    world.server.plugged = false;
    assert.notEqual(world.runUntil(() => !client.qualified, 60_000), undefined);
    world.server.plugged = true;
    assert.notEqual(world.runUntil(() => client.qualified, 120_000), undefined);
    assert.equal(formatIpv6(client.address), address);
  });
});

Deno.test("a stopped client falls silent", () => {
  const world = new World(make(1));
  const { client } = world.home("alice", "port-restricted");
  world.qualify(client);
  client.stop();
  assert.equal(client.qualified, false);
  assert.equal(client.eventsOf("lost")[0]?.reason, "stopped");
  const before = client.counters.get("udp_tx_datagrams");
  world.run(3_600_000);
  assert.equal(client.counters.get("udp_tx_datagrams"), before);
});

Deno.test("[RID-05 RID-06] interval determination finds what the NAT keeps, as the trace vectors of the procedure say", () => {
  // NAT lifetime, seconds -> interval found, seconds (RFC 4380 5.2.7 worked by hand).
  for (const [lifetime, interval] of [[30, 30], [40, 37.5], [50, 45], [70, 60], [100, 90]]) {
    forSeeds(FEW_SEEDS, make, (network) => {
      const world = new World(network);
      const nat = { ...NAT_KINDS["port-restricted"], lifetime: lifetime * 1000 };
      const { client } = world.home("alice", nat, { intervalDetermination: true });
      world.qualify(client);
      world.run(3_600_000);
      const found = client.eventsOf("refresh-interval").at(-1)?.interval ?? 30_000;
      assert.equal(found / 1000, interval, `with a lifetime of ${lifetime} s`);
      // A NAT that forgets after 30 s is too fast for the interval that every client has to start with.
      if (lifetime > 30) assert.equal(client.eventsOf("lost").length, 0, "the address stays");
    });
  }
});
