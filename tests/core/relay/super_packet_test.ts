/** Super-packets: what a machine sends as a whole, and what it wants packet by packet. */

import assert from "node:assert/strict";
import type { Machine } from "../../../lib/core/machine.ts";
import * as client from "../client/client_fixture.ts";
import { type Bench, ip6, packet } from "../harness.ts";
import * as relay from "./relay_fixture.ts";
import { Fixture as ServerFixture } from "../server/server_fixture.ts";

const SEGMENTS = 20;

/** A super-packet of 20 segments of 1208 octets, as octets of TCP; what they are is the host's business. */
function superPacket(source: Uint8Array, destination: Uint8Array): Uint8Array {
  return packet(source, destination, { nextHeader: 6, payload: new Uint8Array(20 + SEGMENTS * 1208).fill(7) });
}

function give(bench: Bench, machine: Machine, bytes: Uint8Array, now: number, largest = 1268): boolean {
  bench.environment.memory.bytes.set(bytes, bench.inputAt);
  return machine.fromTunSuper(bench.inputAt, bytes.length, largest, now, SEGMENTS);
}

Deno.test("a client sends a super-packet for a peer it trusts as a whole, from where it lies", () => {
  const fixture = client.Fixture.qualified(client.QUIET);
  const bytes = superPacket(client.A, client.B);
  assert.equal(give(fixture.bench, fixture.client, bytes, fixture.now), false, "nothing is known of B");
  assert.deepEqual(fixture.take(), []);
  fixture.trustB();
  assert.equal(give(fixture.bench, fixture.client, bytes, fixture.now), true);
  assert.deepEqual(fixture.udp(), [{ kind: "udp", socket: 0, bytes, ...client.B_MAPPED }]);
  assert.equal(fixture.bench.lastAt, fixture.bench.inputAt);
  const { table } = fixture.client;
  assert.equal(table.sent(table.find(client.B, 0)), SEGMENTS, "each packet in it counts");
});

Deno.test("a client leaves a super-packet alone that needs more than one look-up", () => {
  const fixture = client.Fixture.qualified(client.QUIET);
  fixture.trustB();
  const { bench } = fixture;
  const refused = (bytes: Uint8Array, now: number, largest?: number): void => {
    assert.equal(give(bench, fixture.client, bytes, now, largest), false);
    assert.deepEqual(fixture.take(), []);
  };
  const bytes = superPacket(client.A, client.B);
  refused(bytes, fixture.now, 1281);
  refused(superPacket(client.NATIVE, client.B), fixture.now);
  refused(bytes, fixture.now + 30_000);
  assert.equal(give(bench, fixture.client, bytes, fixture.now + 29_999, 1280), true);
  fixture.client.stop(fixture.now);
  fixture.take();
  refused(bytes, fixture.now);
});

Deno.test("a super-packet counts as a transmission: no bubble answers a peer that is sent to", () => {
  const fixture = client.Fixture.qualified(client.QUIET);
  fixture.trustB();
  for (let i = 0; i < 4; i++) {
    fixture.pass(10_000);
    assert.equal(give(fixture.bench, fixture.client, superPacket(client.A, client.B), fixture.now), true);
    fixture.udp();
    fixture.receive(client.data(client.B, client.A), client.B_MAPPED);
    assert.deepEqual(fixture.udp(), []);
  }
});

Deno.test("a relay sends a super-packet for a client it trusts as a whole, and no other", () => {
  const fixture = new relay.Fixture();
  const { bench } = fixture;
  const bytes = superPacket(relay.NATIVE, relay.C);
  assert.equal(give(bench, fixture.relay, bytes, 0), false, "nothing is known of C");
  fixture.connect(0);
  assert.equal(give(bench, fixture.relay, bytes, 1), true);
  assert.deepEqual(bench.takeUdp(), [{ kind: "udp", socket: 0, bytes, ...relay.C_MAPPED }]);
  assert.equal(bench.lastAt, bench.inputAt);
  const refused = (each: Uint8Array, now: number, largest?: number): void => {
    assert.equal(give(bench, fixture.relay, each, now, largest), false);
    assert.deepEqual(bench.take(), []);
  };
  refused(bytes, 1, 1281);
  refused(bytes, 30_000);
  refused(superPacket(relay.NATIVE, ip6("2001:db8::5")), 1);
  refused(superPacket(relay.C, relay.C), 1);
  refused(superPacket(ip6("fe80::1"), relay.C), 1);
  refused(superPacket(ip6("2002:c000:2c8::1"), relay.C), 1); // 6to4 of the relay's own address
  const routed = packet(relay.NATIVE, relay.C, { nextHeader: 43, payload: new Uint8Array(2000) });
  routed.set([6, 0, 0, 1], 40);
  refused(routed, 1);
});

Deno.test("a server takes no super-packet", () => {
  const fixture = new ServerFixture();
  assert.equal(give(fixture.bench, fixture.server, superPacket(client.NATIVE, client.A), 0), false);
  assert.deepEqual(fixture.bench.take(), []);
});
