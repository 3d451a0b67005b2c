import assert from "node:assert/strict";
import { isBubble } from "../../../lib/wire/bubble.ts";
import { verifyIcmpv6 } from "../../../lib/wire/checksum.ts";
import { ip4, ip6, packet, toHex } from "../harness.ts";
import { C, C_MAPPED, client, data, ERROR_SOURCE, Fixture, NATIVE, OWN_IPV4, SERVER_PORT } from "./relay_fixture.ts";

/** Type and code of an ICMPv6 error, and what it quotes. */
function errorOf(bytes: Uint8Array): { type: number; code: number; parameter: number; quote: string } {
  assert.equal(bytes[6], 58);
  assert.ok(verifyIcmpv6(bytes, 0, bytes.length - 40));
  assert.equal(toHex(bytes.subarray(8, 24)), toHex(ERROR_SOURCE));
  assert.equal(toHex(bytes.subarray(24, 40)), toHex(NATIVE));
  const parameter = new DataView(bytes.buffer).getUint32(44);
  return { type: bytes[40], code: bytes[41], parameter, quote: toHex(bytes.subarray(48)) };
}

// ---- Bubbles

Deno.test("[RLY-06 RLY-05 RLY-11 ADR-12 ENC-12] the first packet for a client waits while a bubble goes through the client's server", () => {
  for (const flags of [0x0000, 0x8000]) {
    const fixture = new Fixture();
    const destination = client(C_MAPPED, flags);
    const outputs = fixture.tun(data(NATIVE, destination), 0);
    assert.deepEqual(outputs.map(({ socket, address, port }) => ({ socket, address, port })), [{
      socket: 0,
      ...SERVER_PORT,
    }]);
    const [{ bytes }] = outputs;
    assert.ok(bytes.length === 40 && isBubble(bytes, 0));
    assert.equal(toHex(bytes.subarray(0, 8)), "6000000000003b15");
    assert.equal(toHex(bytes.subarray(24, 40)), toHex(destination));
    assert.equal(toHex(bytes.subarray(8, 16)), "fe80000000000000");
    assert.equal(fixture.bench.count("packets_queued"), 1);
    assert.equal(fixture.bench.count("indirect_bubbles_sent"), 1);
  }
});

Deno.test("[RLY-07 RLY-08] with direct bubbles the same bubble goes to the client's mapping too, first", () => {
  const fixture = new Fixture({ directBubbles: true });
  const outputs = fixture.tun(data(NATIVE, C), 0);
  assert.deepEqual(outputs.map(({ address, port }) => ({ address, port })), [C_MAPPED, SERVER_PORT]);
  assert.deepEqual(outputs[0].bytes, outputs[1].bytes);
});

Deno.test("the source of the bubbles differs from client to client and from process to process, and stays for one client", () => {
  const fixture = new Fixture();
  const other = client({ ...C_MAPPED, port: 4097 });
  const source = (to: Uint8Array, now: number) => toHex(fixture.tun(data(NATIVE, to), now)[0].bytes.subarray(8, 24));
  const first = source(C, 0);
  assert.notEqual(source(other, 0), first);
  assert.deepEqual(fixture.run(2000).map(({ bytes }) => toHex(bytes.subarray(8, 24))).includes(first), true);
  assert.equal(Number.parseInt(first.slice(16, 18), 16) & 0x03, 0, "neither universal nor group");
});

Deno.test("[RLY-09 RLY-10 RLY-12 RLY-23] bubbles go at 0, 2, 4 and 6 s; at 8 s what waits is answered with address unreachable", () => {
  const fixture = new Fixture();
  const { bench, relay } = fixture;
  const packets = [1, 2, 3].map((mark) => data(NATIVE, C, mark));
  assert.equal(fixture.tun(packets[0], 1000).length, 1);
  assert.equal(fixture.tun(packets[1], 1001).length, 0);
  assert.equal(fixture.tun(packets[2], 4500).length, 0);
  for (const due of [3000, 5000, 7000]) {
    bench.run(relay, due - 1);
    assert.deepEqual(bench.takeUdp(), []);
    bench.run(relay, due);
    assert.deepEqual(bench.takeUdp().map(({ address, port }) => ({ address, port })), [SERVER_PORT]);
  }
  bench.run(relay, 8999);
  assert.deepEqual(bench.take(), []);
  bench.run(relay, 9000);
  const outputs = bench.take();
  const errors = outputs.flatMap((output) => output.kind === "ipv6" ? [errorOf(output.bytes)] : []);
  assert.deepEqual(errors, packets.map((each) => ({ type: 1, code: 3, parameter: 0, quote: toHex(each) })));
  assert.deepEqual(outputs.filter(({ kind }) => kind !== "ipv6"), [{
    kind: "event",
    event: { type: "peer-unreachable", peer: C },
  }]);
  assert.equal(bench.count("expired-in-queue"), 3);
  assert.equal(bench.count("peers_unreachable"), 1);
  assert.deepEqual(fixture.run(100_000), [], "no bubble after the last");
});

Deno.test("[RLY-09 RLY-10] a client out of reach gets no bubbles for 300 s, and packets for it are refused at once", () => {
  const fixture = new Fixture();
  const { bench } = fixture;
  fixture.tun(data(NATIVE, C), 0);
  fixture.run(8000);
  for (const now of [8001, 100_000, 305_999]) {
    bench.tun(fixture.relay, data(NATIVE, C, 7), now);
    const [error, ...more] = bench.take();
    assert.ok(error.kind === "ipv6" && more.length === 0);
    assert.deepEqual(errorOf(error.bytes), { type: 1, code: 3, parameter: 0, quote: toHex(data(NATIVE, C, 7)) });
  }
  assert.equal(bench.count("bubble-limit"), 3);
  assert.equal(fixture.tun(data(NATIVE, C), 306_000).length, 1, "300 s after the last bubble");
  assert.equal(fixture.run(313_999).length, 3);
});

Deno.test("[RLY-10] nothing is left of a client out of reach after 300 s more", () => {
  const fixture = new Fixture();
  fixture.tun(data(NATIVE, C), 0);
  assert.equal(fixture.relay.peers, 1);
  fixture.run(1_000_000);
  assert.equal(fixture.relay.peers, 0);
  assert.equal(fixture.relay.nextTimer(), Infinity);
  assert.equal(fixture.bench.count("peers_expired"), 1);
});

Deno.test("[RLY-23 ICM-03] errors about what waited keep to their rate", () => {
  const fixture = new Fixture({ errorsPerSecond: 5 });
  for (let i = 0; i < 20; i++) fixture.tun(data(NATIVE, C, i), 0);
  fixture.bench.run(fixture.relay, 8000);
  assert.equal(fixture.bench.takeIpv6().length, 5);
  assert.equal(fixture.bench.count("expired-in-queue"), 20);
});

Deno.test("[RLY-13] one client's queue and all queues together are bounded", () => {
  const fixture = new Fixture({ queueOctetsPerPeer: 120, queueOctetsTotal: 300 });
  const clients = [1, 2, 3].map((port) => client({ ...C_MAPPED, port }));
  for (const each of clients) for (let i = 0; i < 3; i++) fixture.tun(data(NATIVE, each), 0);
  assert.equal(fixture.bench.count("packets_queued"), 5, "two of 60 octets each, but 300 in all");
  assert.equal(fixture.bench.count("queue-full"), 4);
});

Deno.test("[RLY-13] clients under negotiation are bounded; those beyond are refused aloud", () => {
  const fixture = new Fixture({ maxPending: 2 });
  const clients = [1, 2, 3].map((port) => client({ ...C_MAPPED, port }));
  assert.deepEqual(clients.map((each) => fixture.tun(data(NATIVE, each), 0).length), [1, 1, 0]);
  fixture.bench.tun(fixture.relay, data(NATIVE, clients[2]), 1);
  assert.equal(errorOf(fixture.bench.takeIpv6()[0].bytes).code, 3);
  assert.equal(fixture.bench.count("peer-table-full"), 2);
  fixture.run(8000);
  assert.equal(fixture.tun(data(NATIVE, clients[2]), 8000).length, 1);
});

Deno.test("[RLY-13] the table is bounded: new clients push out expired ones, never those in use", () => {
  const fixture = new Fixture({ maxPeers: 2 });
  const [one, two, three] = [1, 2, 3].map((port) => client({ ...C_MAPPED, port }));
  fixture.connect(0, one, { ...C_MAPPED, port: 1 });
  fixture.connect(20_000, two, { ...C_MAPPED, port: 2 });
  assert.equal(fixture.tun(data(NATIVE, three), 29_999).length, 0);
  assert.equal(fixture.tun(data(NATIVE, three), 30_000).length, 1);
  assert.equal(fixture.relay.peers, 2);
  assert.equal(fixture.bench.count("peers_evicted"), 1);
  const [{ port }] = fixture.tun(data(NATIVE, two), 30_001);
  assert.equal(port, 2, "still trusted");
});

// ---- Established clients

Deno.test("[RLY-03 RLY-12 RLY-17 RLY-20] once the client answers, what waited goes to it in order, and all that follows at once", () => {
  const fixture = new Fixture();
  const { bench, relay } = fixture;
  const packets = [1, 2, 3, 4].map((mark) => data(NATIVE, C, mark));
  const [{ bytes: bubble }] = fixture.tun(packets[0], 0);
  fixture.tun(packets[1], 10);
  fixture.tun(packets[2], 20);
  bench.udp(relay, packet(C, bubble.slice(8, 24)), C_MAPPED, 30);
  const outputs = bench.take();
  assert.deepEqual(outputs.filter(({ kind }) => kind === "event"), [
    { kind: "event", event: { type: "peer-up", peer: C, endpoint: C_MAPPED, path: "direct" } },
  ]);
  const sent = outputs.flatMap((output) => output.kind === "udp" ? [output] : []);
  assert.deepEqual(sent.map(({ bytes }) => toHex(bytes)), packets.slice(0, 3).map(toHex));
  for (const { socket, address, port } of sent) assert.deepEqual({ socket, address, port }, { socket: 0, ...C_MAPPED });
  const [direct] = fixture.tun(packets[3], 40);
  assert.deepEqual(direct, { kind: "udp", socket: 0, bytes: packets[3], ...C_MAPPED });
  assert.equal(bench.lastAt, bench.inputAt, "sent from where it lies");
  assert.equal(fixture.bench.count("packets_flushed"), 3);
  assert.deepEqual(fixture.run(25_000), [], "no bubble to a client that answered");
});

Deno.test("a packet leaves without the octets behind it, which the client would take for trailers", () => {
  const fixture = new Fixture();
  fixture.connect(0);
  const sent = fixture.tun(new Uint8Array([...data(NATIVE, C), 1, 4, 9, 9, 9, 9]), 1);
  assert.deepEqual(sent.map(({ bytes }) => toHex(bytes)), [toHex(data(NATIVE, C))]);
});

Deno.test("[RLY-03 XMT-02] 30 s without reception end the trust, however much was sent", () => {
  const fixture = new Fixture();
  fixture.connect(0);
  for (let now = 1000; now < 30_000; now += 1000) {
    assert.equal(fixture.tun(data(NATIVE, C), now)[0].port, C_MAPPED.port);
  }
  assert.deepEqual(fixture.tun(data(NATIVE, C), 30_000), [], "queued");
  assert.deepEqual(fixture.run(30_999), [], "the last packet to the client was sent at 29 s: no bubble before 31 s");
  assert.deepEqual(fixture.run(31_000).map(({ address, port }) => ({ address, port })), [SERVER_PORT]);
  fixture.bench.udp(fixture.relay, data(C, NATIVE), C_MAPPED, 31_050);
  assert.deepEqual(fixture.bench.takeUdp().map(({ address, port }) => ({ address, port })), [C_MAPPED]);
});

Deno.test("[RLY-17] any packet from the client keeps the trust alive", () => {
  const fixture = new Fixture();
  fixture.connect(0);
  for (let now = 0; now < 300_000; now += 29_000) {
    assert.equal(fixture.udp(data(C, NATIVE), C_MAPPED, now).length, 1);
    assert.equal(fixture.tun(data(NATIVE, C), now + 28_999)[0].address, C_MAPPED.address);
  }
});

Deno.test("[RLY-04] legacy: with the cone bit honoured a packet goes to the mapping at once; without the bit it waits", () => {
  const fixture = new Fixture({ honourCone: true });
  const cone = client(C_MAPPED, 0x8000);
  for (const now of [0, 1, 100_000]) {
    assert.deepEqual(fixture.tun(data(NATIVE, cone), now), [{
      kind: "udp",
      socket: 0,
      bytes: data(NATIVE, cone),
      ...C_MAPPED,
    }]);
  }
  assert.equal(fixture.udp(data(cone, NATIVE), C_MAPPED, 100_001).length, 1);
  assert.ok(isBubble(fixture.tun(data(NATIVE, C), 0)[0].bytes, 0));
});

Deno.test("[RLY-09] an answer gives the client all four bubbles back", () => {
  const fixture = new Fixture();
  fixture.tun(data(NATIVE, C), 0);
  fixture.run(4000);
  fixture.udp(data(C, NATIVE), C_MAPPED, 4500);
  assert.equal(fixture.tun(data(NATIVE, C), 40_000).length, 1);
  assert.equal(fixture.run(47_999).length, 3);
});

// ---- What is not sent

Deno.test("[RLY-01 ADR-03] a destination that is not Teredo is answered with no route", () => {
  const fixture = new Fixture();
  for (const destination of ["2001:db8:2::1", "2001:1::1", "3ffe:831f:cb00:7178::1", "fd00::1"]) {
    const bytes = data(NATIVE, ip6(destination));
    fixture.bench.tun(fixture.relay, bytes, 0);
    assert.deepEqual(fixture.bench.takeIpv6().map((output) => errorOf(output.bytes)), [
      { type: 1, code: 0, parameter: 0, quote: toHex(bytes) },
    ]);
  }
  fixture.dropsTun(
    "not-teredo-destination",
    packet(NATIVE, ip6("ff02::16"), { nextHeader: 58, payload: new Uint8Array(8) }),
  );
  fixture.dropsTun("malformed", data(NATIVE, C).subarray(0, 59));
  fixture.dropsTun("malformed", new Uint8Array(39));
});

Deno.test("[RLY-02 ICM-05 ADR-15 ADR-16] a client or server whose IPv4 address is not global is dropped in silence, even if the packet is too big", () => {
  const fixture = new Fixture();
  const bad = [
    "10.0.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "127.0.0.1",
    "169.254.0.1",
    "192.88.99.1",
    "224.0.0.253",
    "255.255.255.255",
    "0.1.2.3",
    "198.51.100.255",
  ];
  for (const address of bad.map(ip4)) {
    fixture.dropsTun("not-global-ipv4", data(NATIVE, client({ address, port: 4096 }), 0, 1400));
    fixture.dropsTun("not-global-ipv4", data(NATIVE, client(C_MAPPED, 0, address), 0, 1400));
  }
  assert.equal(fixture.relay.peers, 0);
});

Deno.test("[ADR-18 ICM-05] a client with port 0 is never sent to", () => {
  new Fixture().dropsTun("port-zero", data(NATIVE, client({ ...C_MAPPED, port: 0 })));
});

Deno.test("[RLY-21 ICM-05] a client at our own IPv4 address is never sent to", () => {
  new Fixture().dropsTun("loop", data(NATIVE, client({ address: OWN_IPV4, port: 4096 })));
});

Deno.test("[RLY-21] a source inside a 6to4 or ISATAP tunnel that ends here is not carried into another tunnel", () => {
  const fixture = new Fixture();
  for (const source of ["2002:c000:2c8::1", "2001:db8::5efe:192.0.2.200", "2001:db8::200:5efe:10.0.0.5"]) {
    fixture.dropsTun("loop", data(ip6(source), C));
  }
  assert.equal(fixture.tun(data(ip6("2002:c000:2c9::1"), C), 0).length, 1);
});

Deno.test("odd sources and source-routed packets are not carried", () => {
  const fixture = new Fixture();
  for (const source of ["::", "::1", "fe80::1", "ff02::1", "::ffff:192.0.2.1", "2001:0:cb00:7178:0:efff:3fff:fdfd"]) {
    fixture.dropsTun("bad-ipv6-source", data(ip6(source), C));
  }
  const routed = packet(NATIVE, C, { nextHeader: 43, payload: Uint8Array.of(59, 2, 0, 1, ...new Uint8Array(20)) });
  fixture.dropsTun("routing-header", routed);
});

Deno.test("[RLY-22] a packet above the MTU is answered packet too big, before and after the client is trusted", () => {
  const fixture = new Fixture({ mtu: 1300 });
  const tooBig = data(NATIVE, C, 5, 1261), fits = data(NATIVE, C, 5, 1260);
  const check = (now: number) => {
    fixture.bench.tun(fixture.relay, tooBig, now);
    assert.deepEqual(fixture.bench.takeIpv6().map(({ bytes }) => [bytes.length, errorOf(bytes)]), [
      [1280, { type: 2, code: 0, parameter: 1300, quote: toHex(tooBig.subarray(0, 1232)) }],
    ]);
  };
  check(0);
  fixture.connect(1);
  check(2);
  assert.equal(fixture.tun(fits, 3)[0].bytes.length, 1300);
  assert.equal(fixture.bench.count("too-big"), 2);
});

Deno.test("[ICM-02] no error is an answer to an error", () => {
  const fixture = new Fixture();
  const error = packet(NATIVE, ip6("2001:db8:2::1"), {
    nextHeader: 58,
    payload: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0),
  });
  fixture.dropsTun("not-teredo-destination", error);
});

Deno.test("without an address to send errors from, none are sent", () => {
  const fixture = new Fixture({ errorSource: undefined });
  fixture.dropsTun("not-teredo-destination", data(NATIVE, ip6("2001:db8:2::1")));
  fixture.dropsTun("too-big", data(NATIVE, C, 0, 1400));
});
