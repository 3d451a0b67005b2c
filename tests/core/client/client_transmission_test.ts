import assert from "node:assert/strict";
import { formTeredoAddress } from "../../../lib/wire/teredo_address.ts";
import {
  A,
  B,
  B_MAPPED,
  B_SERVER,
  data,
  Fixture,
  FROM_PRIMARY,
  icmpv6Error,
  isBubble,
  NATIVE,
  QUIET,
} from "./client_fixture.ts";
import { hex, ip4, ip6, packet, type UdpOutput } from "../harness.ts";

// Worked example "direct-bubble A->B".
const BUBBLE = hex(`
  60 00 00 00 00 00 3b 15
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  20 01 00 00 c6 33 64 76 3c 5a df ff 3f ff fd f5`);
const DIRECT: UdpOutput = { kind: "udp", socket: 0, bytes: BUBBLE, ...B_MAPPED };
const INDIRECT: UdpOutput = { kind: "udp", socket: 0, bytes: BUBBLE, address: B_SERVER, port: 3544 };

/** Other Teredo peers of B's server. */
function peer(i: number): Uint8Array {
  return formTeredoAddress({ server: B_SERVER, flags: 0, mapped: { address: ip4("192.0.2.11"), port: 1000 + i } });
}

/** Sends one packet and lists when bubbles leave for B, in ms since then, over `span` ms. */
function bubbleTimes(fixture: Fixture, span: number): number[] {
  const begin = fixture.now;
  const times: number[] = [];
  const collect = (): void => {
    if (fixture.udp().some((sent) => isBubble(sent) && sent.address === B_MAPPED.address)) {
      times.push(fixture.now - begin);
    }
  };
  fixture.send(data(A, B));
  collect();
  while (fixture.now - begin < span) {
    fixture.pass(50);
    collect();
  }
  return times;
}

// ---- Case 1

Deno.test("[XMT-01 XMT-02] case 1: to a trusted valid peer at once, from where the packet lies", () => {
  const fixture = Fixture.qualified(QUIET);
  fixture.trustB();
  fixture.send(data(A, B, 5, 1240));
  assert.deepEqual(fixture.take(), [{ kind: "udp", socket: 0, bytes: data(A, B, 5, 1240), ...B_MAPPED }]);
  assert.equal(fixture.bench.lastAt, fixture.bench.inputAt);
});

Deno.test("[XMT-02] an entry is good for less than 30 s after the last reception, sending does not renew it", () => {
  const fixture = Fixture.qualified(QUIET);
  fixture.trustB();
  fixture.pass(29_999);
  fixture.send(data(A, B));
  assert.deepEqual(fixture.udp().map(({ bytes }) => bytes.length), [48]);
  fixture.pass(1);
  fixture.send(data(A, B));
  assert.deepEqual(fixture.udp(), [], "the packet waits: no bubble within 2 s of the last transmission");
  fixture.pass(1998);
  assert.deepEqual(fixture.udp(), []);
  fixture.pass(1);
  assert.deepEqual(fixture.udp(), [DIRECT, INDIRECT]);
});

Deno.test("[XMT-01 BUB-01] sending to an entry counts as transmission", () => {
  const fixture = Fixture.qualified(QUIET);
  fixture.trustB();
  for (let i = 0; i < 30; i++) {
    fixture.send(data(A, B));
    fixture.pass(1000);
  }
  fixture.take();
  assert.deepEqual(bubbleTimes(fixture, 2500), [1000], "2 s after the last of them");
});

// ---- What is not sent

Deno.test("[XMT-14 ICM-05] a packet with another source than the own address is refused", () => {
  const fixture = Fixture.qualified();
  fixture.send(data(ip6("2001:db8::7"), NATIVE));
  const [error] = fixture.ipv6();
  assert.deepEqual(icmpv6Error(error), {
    type: 1,
    code: 1,
    destination: ip6("2001:db8::7"),
    quoted: data(ip6("2001:db8::7"), NATIVE),
  });
  assert.equal(fixture.bench.count("not-own-source"), 1);
  assert.deepEqual(fixture.udp(), []);
});

Deno.test("[XMT-14 ICM-02] the kernel's own chatter, and errors, get no error", () => {
  const fixture = Fixture.qualified();
  const listener = packet(ip6("fe80::1"), ip6("ff02::16"), { nextHeader: 0, hopLimit: 1, payload: new Uint8Array(36) });
  fixture.drops("not-own-source", () => fixture.send(listener));
  fixture.drops("not-own-source", () => fixture.send(packet(ip6("::"), ip6("ff02::2"), { nextHeader: 58 })));
  const failure = packet(ip6("2001:db8::7"), NATIVE, { nextHeader: 58, payload: hex("01 03 00 00 00 00 00 00") });
  fixture.drops("not-own-source", () => fixture.send(failure));
});

Deno.test("[XMT-12 RCV-19] destinations that are no single node, or this one, are not sent to", () => {
  const fixture = Fixture.qualified();
  for (const text of ["ff02::1", "ff0e::1", "fe80::1", "::", "::1", "::ffff:192.0.2.1"]) {
    fixture.drops("bad-ipv6-destination", () => fixture.send(data(A, ip6(text))));
  }
  fixture.drops("loop", () => fixture.send(data(A, ip6("2001:0:c633:6476:3c00:efff:3fff:fdfe"))));
  fixture.drops("loop", () => fixture.send(data(A, ip6("2001:0:cb00:7178:8000:efff:3fff:fdfe"))));
  fixture.drops("own-address", () => fixture.send(data(A, A)));
});

Deno.test("[XMT-12 ADR-18 ICM-05] a peer whose mapping or server is no global address, or port 0, is dropped without an error", () => {
  const fixture = Fixture.qualified({ subnets: [{ address: ip4("198.51.100.7"), prefixLength: 24 }] });
  const to = (server: string, mapped: string, port: number): Uint8Array =>
    data(A, formTeredoAddress({ server: ip4(server), flags: 0, mapped: { address: ip4(mapped), port } }));
  for (
    const bad of [
      ...["10.0.0.1", "127.0.0.1", "192.168.1.1", "169.254.1.1", "172.16.0.1", "0.0.0.0", "192.88.99.1"],
      ...["224.0.0.253", "255.255.255.255", "198.51.100.255"],
    ]
  ) {
    fixture.drops("not-global-ipv4", () => fixture.send(to("198.51.100.118", bad, 8192)));
    fixture.drops("not-global-ipv4", () => fixture.send(to(bad, "192.0.2.10", 8192)));
  }
  fixture.drops("port-zero", () => fixture.send(to("198.51.100.118", "192.0.2.10", 0)));
  assert.equal(fixture.bench.count("peers_created"), 0);
});

Deno.test("[XMT-14] octets that are no IPv6 packet are not sent", () => {
  const fixture = Fixture.qualified();
  const good = data(A, B);
  for (const wrong of [good.subarray(0, 39), good.subarray(0, 47), Uint8Array.of(0x45), new Uint8Array(60)]) {
    fixture.drops("malformed", () => fixture.send(wrong));
  }
});

Deno.test("[ICM-02 ICM-03] a packet above the MTU is answered with the MTU, however often, within the limit", () => {
  const fixture = Fixture.qualified({ errorsPerSecond: 3 });
  for (let i = 0; i < 10; i++) fixture.send(data(A, B, 1, 1241));
  const errors = fixture.ipv6();
  assert.equal(errors.length, 3);
  assert.deepEqual([errors[0][40], errors[0].slice(44, 48)], [2, hex("00 00 05 00")]);
  assert.equal(fixture.bench.count("too-big"), 10);
});

// ---- Case 5

Deno.test("[XMT-08 XMT-09 BUB-05 BUB-06 BUB-07 ADR-12 XMT-07] case 5: queued; direct bubble to the mapping, indirect one to the peer's server, whatever the cone bit", () => {
  const fixture = Fixture.qualified();
  fixture.send(data(A, B));
  assert.deepEqual(fixture.take(), [DIRECT, INDIRECT]);
  const cone = B.slice();
  cone[8] |= 0x80;
  fixture.send(data(A, cone));
  const outputs = fixture.udp();
  assert.ok(outputs.length === 2 && outputs.every(isBubble));
});

Deno.test("[XMT-11 BUB-02 BUB-04 BUB-08] case 5: repeated after 2, 4 and 6 s; a pair counts once; then never more within 300 s", () => {
  const fixture = Fixture.qualified(QUIET);
  assert.deepEqual(bubbleTimes(fixture, 200_000), [0, 2000, 4000, 6000]);
  for (let second = 0; second < 90; second++) {
    fixture.send(data(A, B));
    fixture.pass(1000);
  }
  assert.deepEqual(fixture.udp().filter(isBubble), []);
});

Deno.test("[XMT-11 ICM-02 ICM-05] nobody answers: each queued packet is answered with address unreachable after 8 s, and an event tells", () => {
  const fixture = Fixture.qualified();
  const failure = packet(A, B, { nextHeader: 58, payload: hex("01 03 00 00 00 00 00 00") });
  for (const each of [data(A, B, 1), failure, data(A, B, 2)]) fixture.send(each);
  fixture.pass(7999);
  assert.deepEqual(fixture.ipv6(), []);
  fixture.pass(1);
  const outputs = fixture.take();
  const errors = outputs.filter((output) => output.kind === "ipv6").map(({ bytes }) => icmpv6Error(bytes));
  assert.deepEqual(errors, [1, 2].map((mark) => ({ type: 1, code: 3, destination: A, quoted: data(A, B, mark) })));
  const events = outputs.filter((output) => output.kind === "event").map(({ event }) => event);
  assert.deepEqual(events, [{ type: "peer-unreachable", peer: B }]);
});

Deno.test("[ICM-03] errors about queued packets are limited", () => {
  const fixture = Fixture.qualified({ errorsPerSecond: 2 });
  for (let mark = 0; mark < 10; mark++) fixture.send(data(A, B, mark));
  fixture.pass(8000);
  assert.equal(fixture.ipv6().length, 2);
  assert.equal(fixture.bench.count("expired-in-queue"), 10);
});

Deno.test("[BUB-02 XMT-11] 300 s after the last bubble the peer is tried again, and a direct answer heals at any time", () => {
  const fixture = Fixture.qualified(QUIET);
  fixture.send(data(A, B));
  fixture.pass(20_000);
  fixture.take();
  fixture.send(data(A, B));
  const refused = fixture.take();
  assert.deepEqual(refused.map(({ kind }) => kind), ["ipv6"], "no bubble is allowed: told at once, without an event");
  fixture.pass(285_990);
  fixture.take();
  fixture.send(data(A, B));
  assert.deepEqual(fixture.udp().filter(isBubble), []);
  fixture.pass(10);
  fixture.pass(3000);
  fixture.send(data(A, B));
  assert.deepEqual(fixture.udp(), [DIRECT, INDIRECT]);

  const other = Fixture.qualified(QUIET);
  other.send(data(A, B));
  other.pass(9000);
  other.receive(packet(B, A), B_MAPPED);
  other.take();
  other.send(data(A, B));
  assert.deepEqual(other.udp().map(({ bytes }) => bytes.length), [48]);
  other.pass(31_000);
  other.send(data(A, B));
  assert.deepEqual(other.udp(), [DIRECT, INDIRECT], "the direct answer began the count anew");
});

Deno.test("[BUB-03] sending a bubble is a transmission: the next is 2 s away even when the peer's entry is new", () => {
  const fixture = Fixture.qualified();
  fixture.receive(packet(B, A), FROM_PRIMARY);
  assert.deepEqual(fixture.udp(), [DIRECT], "the answer");
  fixture.now += 500;
  assert.deepEqual(bubbleTimes(fixture, 2000), [1500]);
});

Deno.test("[XMT-10 RCV-12] data that comes directly flushes the queue as a bubble does; packets in between keep their order", () => {
  const fixture = Fixture.qualified();
  fixture.send(data(A, B, 1));
  fixture.pass(1000);
  fixture.send(data(A, B, 2));
  fixture.take();
  fixture.receive(data(B, A, 9), B_MAPPED);
  fixture.send(data(A, B, 3));
  const outputs = fixture.take();
  assert.deepEqual(outputs.filter((output) => output.kind === "udp").map(({ bytes }) => bytes[40]), [1, 2, 3]);
  assert.deepEqual(outputs.filter((output) => output.kind === "ipv6").map(({ bytes }) => bytes[40]), [9]);
  fixture.pass(10_000);
  assert.deepEqual(fixture.udp().filter(isBubble), [], "no bubble is left over");
});

Deno.test("[XMT-06 XMT-12] case 4, by option: a cone peer is sent to at once, if its mapping is global", () => {
  const fixture = Fixture.qualified({ honourCone: true });
  const cone = B.slice();
  cone[8] |= 0x80;
  fixture.send(data(A, cone));
  assert.deepEqual(fixture.take(), [{ kind: "udp", socket: 0, bytes: data(A, cone), ...B_MAPPED }]);
  fixture.drops("not-global-ipv4", () => fixture.send(data(A, ip6("2001:0:c633:6476:8000:dfff:3f57:fef4"))));
  fixture.send(data(A, B));
  assert.deepEqual(fixture.udp(), [DIRECT, INDIRECT]);
});

// ---- Bounds

Deno.test("[XMT-15] queues are bounded per peer: what does not fit is dropped, what waits keeps its order", () => {
  const fixture = Fixture.qualified({ queueOctetsPerPeer: 100 });
  for (const mark of [1, 2, 3]) fixture.send(data(A, B, mark));
  assert.equal(fixture.bench.count("queue-full"), 1);
  fixture.take();
  fixture.receive(packet(B, A), B_MAPPED);
  assert.deepEqual(fixture.udp().map(({ bytes }) => bytes[40]), [1, 2]);
});

Deno.test("[XMT-15] queues are bounded in total, and what has left makes room", () => {
  const fixture = Fixture.qualified({ queueOctetsTotal: 100 });
  for (let i = 0; i < 3; i++) fixture.send(data(A, peer(i)));
  assert.equal(fixture.bench.count("queue-full"), 1);
  fixture.receive(packet(peer(0), A), { address: ip4("192.0.2.11"), port: 1000 });
  fixture.send(data(A, peer(2)));
  assert.equal(fixture.bench.count("queue-full"), 1);
});

Deno.test("[XMT-15] peers under negotiation are bounded; given-up ones make room", () => {
  const fixture = Fixture.qualified({ ...QUIET, maxPending: 2 });
  for (let i = 0; i < 3; i++) fixture.send(data(A, peer(i)));
  assert.equal(fixture.bench.count("peer-table-full"), 1);
  fixture.pass(8000);
  fixture.take();
  fixture.send(data(A, peer(2)));
  assert.equal(fixture.udp().filter(isBubble).length, 2);

  // One that was given up and then healed makes no room twice.
  const healed = Fixture.qualified({ ...QUIET, maxPending: 1 });
  healed.send(data(A, peer(0)));
  healed.pass(8000);
  healed.receive(packet(peer(0), A), { address: ip4("192.0.2.11"), port: 1000 });
  healed.send(data(A, peer(1)));
  healed.pass(8000);
  healed.send(data(A, peer(2)));
  assert.equal(healed.bench.count("peer-table-full"), 0);
});

Deno.test("[XMT-15] the peer list is bounded: new peers take the place of expired and untrusted ones, never of good ones", () => {
  const fixture = Fixture.qualified({ ...QUIET, maxPeers: 4 });
  for (let i = 0; i < 10; i++) {
    fixture.receive(packet(peer(i), A), { address: ip4("192.0.2.11"), port: 1000 + i });
  }
  assert.equal(fixture.bench.count("peer-table-full"), 6);
  fixture.pass(31_000);
  for (let i = 4; i < 8; i++) {
    fixture.receive(packet(peer(i), A), { address: ip4("192.0.2.11"), port: 1000 + i });
  }
  assert.equal(fixture.bench.count("peer-table-full"), 6);
  assert.equal(fixture.bench.count("peers_evicted"), 4);
});

Deno.test("[XMT-15] idle entries are removed in time, without being asked for", () => {
  const fixture = Fixture.qualified(QUIET);
  fixture.trustB();
  fixture.pass(400_000);
  assert.equal(fixture.bench.count("peers_expired"), 1);
  fixture.send(data(A, B));
  fixture.pass(400_000);
  assert.equal(fixture.bench.count("peers_expired"), 2, "those that never answered too");
  assert.ok(fixture.client.nextTimer() > fixture.now + 1_000_000, "with an empty list nothing has to be looked at");
});
