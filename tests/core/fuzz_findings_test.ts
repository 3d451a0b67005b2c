/** What fuzzing has found, each as small as it can be. */

import assert from "node:assert/strict";
import { isNeighborDiscovery } from "../../lib/core/guards.ts";
import { DISCOVERY_ADDRESS } from "../../lib/wire/ipv4.ts";
import { A, A_MAPPED, B, B_MAPPED, Fixture, FROM_PRIMARY, NATIVE, RELAY, withOrigin } from "./client/client_fixture.ts";
import { ip4, ip6, packet } from "./harness.ts";
import { C, C_MAPPED, Fixture as RelayFixture, NATIVE as RELAY_NATIVE } from "./relay/relay_fixture.ts";

Deno.test("a packet that waits for a proof leaves the octets before it as they were", () => {
  const fixture = Fixture.qualified();
  const { bytes } = fixture.bench.environment.memory, at = fixture.bench.inputAt;
  fixture.receive(packet(NATIVE, A, { nextHeader: 17, payload: new Uint8Array(8) }), RELAY);
  assert.equal(fixture.bench.count("packets_queued"), 1);
  assert.ok(bytes.subarray(at - 8, at).every((octet) => octet === 0xa5), "those of the packet that came before it");
});

Deno.test("a relay keeps neighbour discovery out behind extension headers too", () => {
  const fixture = new RelayFixture();
  fixture.connect(0);
  for (const extension of [0, 43, 60]) {
    const payload = new Uint8Array(32);
    payload.set([58, 0, 2]);
    payload[8] = 135;
    const bytes = packet(C, RELAY_NATIVE, { nextHeader: extension, hopLimit: 255, payload });
    assert.equal(isNeighborDiscovery(bytes, 0, bytes.length), true);
    fixture.dropsUdp("icmpv6-type", bytes, C_MAPPED, 1);
  }
});

Deno.test("an origin indication with our own mapping does not lead us to send to ourselves", () => {
  const fixture = Fixture.qualified();
  fixture.receive(withOrigin(A_MAPPED, packet(NATIVE, A)), FROM_PRIMARY);
  assert.deepEqual(fixture.udp(), []);
  assert.equal(fixture.bench.count("loop"), 1);
});

Deno.test("a datagram from our own mapping makes nobody trusted there", () => {
  const fixture = Fixture.qualified();
  const twin = ip6("2001:0:cb00:7178:3c5a:efff:3fff:fdfe");
  fixture.drops("loop", () => fixture.receive(packet(twin, A), A_MAPPED));
});

Deno.test("a discovery bubble from the broadcast address of our subnet is not answered", () => {
  const fixture = Fixture.qualified({ localDiscovery: true, requireSameMappedAddress: false });
  const broadcast = { address: ip4("192.168.1.255"), port: 4000 };
  fixture.drops("bad-discovery", () => {
    fixture.receive(packet(B, ip6("ff02::1")), broadcast, { socket: 2, destination: DISCOVERY_ADDRESS });
  });
});

Deno.test("a bubble from a client of a server that is no global address is not answered", () => {
  const fixture = Fixture.qualified({ symmetricNatSupport: true });
  const source = ip6("2001:0:0:0:3c5a:dfff:3fff:fdf5");
  fixture.receive(packet(source, A), FROM_PRIMARY);
  assert.deepEqual(fixture.udp(), []);
  assert.equal(fixture.bench.count("not-global-ipv4"), 1);
});

Deno.test("a client on our link whose server is no global address is not learned: a test would go through it", () => {
  const fixture = Fixture.qualified({ localDiscovery: true, requireSameMappedAddress: false });
  const source = ip6("2001:0:c0a8:1ff:3c5a:dfff:3fff:fdf5");
  fixture.drops("bad-discovery", () => {
    const near = { address: ip4("192.168.1.11"), port: 4000 };
    fixture.receive(packet(source, ip6("ff02::1")), near, { socket: 2, destination: DISCOVERY_ADDRESS });
  });
});

Deno.test("a type 0 routing header is one however early the packet ends behind its type", () => {
  const fixture = Fixture.qualified();
  for (const length of [3, 6, 7, 8]) {
    const payload = new Uint8Array(length);
    payload[0] = 59;
    fixture.receive(packet(B, A, { nextHeader: 43, payload }), B_MAPPED);
    assert.equal(fixture.bench.count("routing-header"), 1, `${length} octets`);
    fixture.bench.environment.counters.values.fill(0);
  }
});
