import assert from "node:assert/strict";
import type { DropReason } from "../../../lib/core/counters.ts";
import { formTeredoAddress } from "../../../lib/wire/teredo_address.ts";
import {
  A,
  A_LOCAL,
  A_MAPPED,
  ALL_NODES,
  B_SERVER,
  data,
  Fixture,
  FROM_PRIMARY,
  isBubble,
  PRIMARY,
  QUIET,
} from "./client_fixture.ts";
import { hex, ip4, packet, SeededRandom, type UdpOutput } from "../harness.ts";

/** C is on the link of A, behind the same NAT. */
const C_MAPPED = { ...A_MAPPED, port: 7000 };
const C_LOCAL = { address: ip4("192.168.1.77"), port: 51_000 };
const C = formTeredoAddress({ server: PRIMARY, flags: 0x1234 & 0x3cff, mapped: C_MAPPED });
const ANNOUNCEMENT = packet(C, ALL_NODES, { hopLimit: 1 });

const ON = { ...QUIET, localDiscovery: true };

// Worked example "local-discovery".
const DISCOVERY = hex(`
  60 00 00 00 00 00 3b 01
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 01`);
const DISCOVERY_SENT: UdpOutput = {
  kind: "udp",
  socket: 0,
  bytes: DISCOVERY,
  address: ip4("224.0.0.253"),
  port: 3544,
};

Deno.test("[LOC-02 LOC-03] the worked discovery bubble leaves the service port soon after qualification, then every 200 to 300 s", () => {
  const gaps: number[] = [];
  for (let seed = 1; seed <= 40; seed++) {
    const fixture = new Fixture(ON, new SeededRandom(seed));
    fixture.qualify();
    let last = fixture.now;
    for (let i = 0; i < 4; i++) {
      fixture.pass(fixture.client.nextTimer() - fixture.now);
      assert.deepEqual(fixture.take(), [DISCOVERY_SENT]);
      if (i === 0) assert.ok(fixture.now - last <= 2000);
      else gaps.push(fixture.now - last);
      last = fixture.now;
    }
  }
  assert.ok(gaps.every((gap) => gap >= 200_000 && gap <= 300_000));
  assert.ok(Math.min(...gaps) < 210_000 && Math.max(...gaps) > 290_000, "the whole range is used");
});

Deno.test("[LOC-11] switched off, nothing is sent and nothing taken in", () => {
  const fixture = Fixture.qualified({ ...QUIET, localDiscovery: false });
  fixture.pass(1_000_000);
  assert.deepEqual(fixture.take(), []);
  fixture.drops("discovery-off", () => fixture.discover(ANNOUNCEMENT, C_LOCAL));
});

Deno.test("[LOC-08 LOC-09 LOC-10] a discovery bubble makes an untrusted entry and is answered with a bubble to where it came from", () => {
  const fixture = Fixture.qualified(ON);
  fixture.discover(ANNOUNCEMENT, C_LOCAL);
  assert.deepEqual(fixture.udp(), [{ kind: "udp", socket: 0, bytes: packet(A, C, { hopLimit: 21 }), ...C_LOCAL }]);
  assert.equal(fixture.bench.count("peers_created"), 1);
  assert.equal(fixture.bench.count("peers_trusted"), 0);
});

Deno.test("[LOC-04 LOC-05 LOC-06 LOC-07] discovery bubbles that are none, or come from elsewhere, are dropped", () => {
  const form = (server: string, mapped: string, port: number): Uint8Array =>
    packet(formTeredoAddress({ server: ip4(server), flags: 0, mapped: { address: ip4(mapped), port } }), ALL_NODES);
  const wrong: readonly (readonly [DropReason, string, Uint8Array, typeof C_LOCAL])[] = [
    ["bad-discovery", "outside of the subnet", ANNOUNCEMENT, { ...C_LOCAL, address: ip4("192.168.2.77") }],
    ["bad-discovery", "no Teredo source", packet(hexAddress(), ALL_NODES), C_LOCAL],
    ["bad-discovery", "private server", form("10.0.0.1", "192.0.2.1", 7000), C_LOCAL],
    ["bad-discovery", "private mapping", form("203.0.113.120", "192.168.1.77", 7000), C_LOCAL],
    ["bad-discovery", "mapped port 0", form("203.0.113.120", "192.0.2.1", 0), C_LOCAL],
    ["bad-discovery", "another mapped address", form("203.0.113.120", "192.0.2.99", 7000), C_LOCAL],
    ["bad-discovery", "not to all nodes", packet(C, A), C_LOCAL],
    ["bad-discovery", "no bubble", data(C, ALL_NODES), C_LOCAL],
    ["own-address", "our own", DISCOVERY, A_LOCAL],
    ["loop", "from our own endpoint", ANNOUNCEMENT, A_LOCAL],
  ];
  for (const [reason, what, datagram, from] of wrong) {
    const fixture = Fixture.qualified(ON);
    fixture.drops(reason, () => fixture.discover(datagram, from));
    assert.equal(fixture.bench.count("peers_created"), 0, what);
  }
  const fixture = Fixture.qualified(ON);
  fixture.drops("bad-discovery", () => fixture.discover(ANNOUNCEMENT, C_LOCAL, A_LOCAL.address));
  fixture.drops("not-own-destination", () => fixture.receive(ANNOUNCEMENT, C_LOCAL));
});

Deno.test("[LOC-07] a client behind another mapped address is accepted when the option says so", () => {
  const fixture = Fixture.qualified({ ...ON, requireSameMappedAddress: false });
  const other = formTeredoAddress({ server: B_SERVER, flags: 0, mapped: { address: ip4("192.0.2.99"), port: 7000 } });
  fixture.discover(packet(other, ALL_NODES), C_LOCAL);
  assert.equal(fixture.udp().length, 1);
});

Deno.test("[XMT-05 XMT-13 RCV-13 RCV-11 RCV-12] case 3 and 5: queued; bubbles to the local endpoint and the group; the peer's unicast bubble opens the path", () => {
  const fixture = Fixture.qualified(ON);
  fixture.discover(ANNOUNCEMENT, C_LOCAL);
  fixture.pass(2000);
  fixture.take();
  fixture.send(data(A, C, 1));
  assert.deepEqual(fixture.udp(), [
    { kind: "udp", socket: 0, bytes: packet(A, C, { hopLimit: 21 }), ...C_LOCAL },
    DISCOVERY_SENT,
  ]);
  fixture.receive(packet(C, A), C_LOCAL);
  assert.deepEqual(fixture.take(), [
    { kind: "event", event: { type: "peer-up", peer: C, endpoint: C_LOCAL, path: "local" } },
    { kind: "udp", socket: 0, bytes: data(A, C, 1), ...C_LOCAL },
  ]);
  fixture.receive(data(C, A, 3), C_LOCAL);
  fixture.send(data(A, C, 2));
  const outputs = fixture.take();
  assert.deepEqual(outputs, [
    { kind: "ipv6", bytes: data(C, A, 3) },
    { kind: "udp", socket: 0, bytes: data(A, C, 2), ...C_LOCAL },
  ]);
});

Deno.test("[RCV-13] without a discovery bubble from there, a local endpoint proves nothing", () => {
  const fixture = Fixture.qualified(ON);
  fixture.drops("spoofed-source", () => fixture.receive(packet(C, A), C_LOCAL));
  fixture.discover(ANNOUNCEMENT, C_LOCAL);
  fixture.take();
  fixture.drops("spoofed-source", () => fixture.receive(packet(C, A), { ...C_LOCAL, port: 51_001 }));
  fixture.drops("spoofed-source", () => fixture.receive(packet(C, A), { ...C_LOCAL, address: ip4("192.168.1.78") }));
});

Deno.test("[RCV-20] an indirect bubble of a local peer whose entry has expired is answered to its mapping, for it may have moved", () => {
  const fixture = Fixture.qualified(ON);
  fixture.discover(ANNOUNCEMENT, C_LOCAL);
  fixture.receive(packet(C, A), C_LOCAL);
  fixture.take();
  fixture.receive(packet(C, A), FROM_PRIMARY);
  assert.deepEqual(fixture.udp().map(({ port }) => port), [C_LOCAL.port]);
  fixture.pass(30_000);
  fixture.take();
  fixture.receive(packet(C, A), FROM_PRIMARY);
  assert.deepEqual(fixture.udp().map(({ port }) => port), [C_MAPPED.port]);
});

Deno.test("[MNT-06 XMT-05] with a new address the link is taken for another one: local endpoints are forgotten", () => {
  const fixture = Fixture.qualified({ localDiscovery: true });
  fixture.discover(ANNOUNCEMENT, C_LOCAL);
  fixture.pass(30_000);
  fixture.advertise(fixture.solicitation(), { origin: { ...A_MAPPED, port: 4097 } });
  const { state } = fixture.client;
  assert.ok(state.status === "qualified" && state.mapped.port === 4097);
  fixture.take();
  fixture.send(data(state.address, C));
  assert.deepEqual(fixture.udp().filter(isBubble)[0].port, C_MAPPED.port);
});

Deno.test("[LOC-08 RCV-16] a trusted local peer that announces another endpoint is answered there, and moves with its next bubble", () => {
  const fixture = Fixture.qualified(ON);
  fixture.discover(ANNOUNCEMENT, C_LOCAL);
  fixture.receive(packet(C, A), C_LOCAL);
  fixture.take();
  const moved = { ...C_LOCAL, port: 51_999 };
  fixture.discover(ANNOUNCEMENT, moved);
  assert.deepEqual(fixture.udp().map(({ port }) => port), [moved.port]);
  fixture.receive(packet(C, A), moved);
  fixture.send(data(A, C));
  assert.deepEqual(fixture.udp().map(({ port }) => port), [moved.port]);
});

Deno.test("[XMT-05] a local endpoint is tried for 600 s after its last announcement, then the peer counts as any other", () => {
  for (const [wait, local] of [[599_000, true], [600_000, false]] as const) {
    const fixture = Fixture.qualified(ON);
    fixture.discover(ANNOUNCEMENT, C_LOCAL);
    fixture.pass(wait);
    fixture.take();
    fixture.send(data(A, C));
    const [bubble] = fixture.udp().filter(isBubble);
    assert.equal(bubble.address === C_LOCAL.address, local, `${wait}`);
  }
});

Deno.test("[XMT-05] a local endpoint that does not answer is given up for the mapping", () => {
  const fixture = Fixture.qualified(ON);
  fixture.discover(ANNOUNCEMENT, C_LOCAL);
  fixture.pass(2000);
  fixture.send(data(A, C));
  fixture.pass(12_000);
  fixture.take();
  // The bubbles towards this peer are used up for now: what is left to see is that the mapping is tried once they are not.
  fixture.pass(300_000);
  fixture.take();
  fixture.send(data(A, C));
  const bubbles = fixture.udp().filter(isBubble);
  assert.deepEqual(bubbles.map(({ address, port }) => ({ address, port })), [C_MAPPED, {
    address: PRIMARY,
    port: 3544,
  }]);
});

Deno.test("[LOC-10 BUB-09] answers to announcements are limited too", () => {
  const fixture = Fixture.qualified(ON);
  for (let i = 0; i < 50; i++) fixture.discover(ANNOUNCEMENT, C_LOCAL);
  assert.equal(fixture.udp().length, 4);
});

/** A native address. */
function hexAddress(): Uint8Array {
  return hex("20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 77");
}
