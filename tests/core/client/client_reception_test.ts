import assert from "node:assert/strict";
import fc from "fast-check";
import {
  A,
  A_LOCAL,
  A_MAPPED,
  ALL_NODES,
  B,
  B_MAPPED,
  data,
  Fixture,
  FROM_PRIMARY,
  isBubble,
  NATIVE,
  QUIET,
  RELAY,
  RELAY_LINK_LOCAL,
  withOrigin,
} from "./client_fixture.ts";
import { concat, hex, ip4, ip6, packet } from "../harness.ts";

/** B's packet, direct and honest. */
const DIRECT = data(B, A);

// Worked examples "relay-bubble forwarded to A" and "reply A->relay", "indirect-bubble forwarded" turned round for A.
const RELAY_BUBBLE = hex(`
  00 00 63 bf 3f ff fd 37
  60 00 00 00 00 00 3b 15
  fe 80 00 00 00 00 00 00 1c 5f 6a d2 93 b1 77 e0
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe`);
const RELAY_ANSWER = hex(`
  60 00 00 00 00 00 3b 15
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  fe 80 00 00 00 00 00 00 1c 5f 6a d2 93 b1 77 e0`);
const BUBBLE_A_TO_B = hex(`
  60 00 00 00 00 00 3b 15
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  20 01 00 00 c6 33 64 76 3c 5a df ff 3f ff fd f5`);

Deno.test("[RCV-01 ENC-01 ENC-04 ENC-05 ENC-06 ENC-14] malformed datagrams are dropped in silence", () => {
  const fixture = Fixture.qualified();
  const origin = withOrigin(RELAY, new Uint8Array(0));
  const authentication = hex("00 01 00 00 01 23 45 67 89 ab cd ef 00");
  const long = DIRECT.slice();
  long[5] = 9;
  for (
    const wrong of [
      new Uint8Array(0),
      hex("60"),
      DIRECT.subarray(0, 39),
      concat(hex("40"), DIRECT.subarray(1)),
      concat(hex("00 02 00 00 00 00 00 00"), DIRECT),
      concat(origin, authentication, DIRECT),
      concat(origin, origin, DIRECT),
      concat(authentication, authentication, DIRECT),
      long,
    ]
  ) {
    fixture.drops("malformed", () => fixture.receive(wrong, B_MAPPED));
  }
});

Deno.test("[RCV-01] whatever octets arrive on whatever socket, nothing throws and nothing reaches the host but packets for it", () => {
  const fixture = Fixture.qualified({ localDiscovery: true, intervalDetermination: true });
  const start = fc.constantFrom(new Uint8Array(0), hex("60"), hex("00 00"), hex("00 01"), DIRECT, RELAY_BUBBLE);
  const from = fc.constantFrom(B_MAPPED, FROM_PRIMARY, RELAY, A_LOCAL);
  const socket = fc.constantFrom(0, 2, 3, 4);
  const run = (head: Uint8Array, tail: Uint8Array, source: typeof RELAY, at: number, flip: number): void => {
    const datagram = concat(head, tail);
    if (datagram.length > 0) datagram[flip % datagram.length] ^= 1 << (flip & 7);
    fixture.receive(datagram, source, { socket: at });
    for (const bytes of fixture.ipv6()) {
      assert.deepEqual(bytes.slice(24, 40), A);
      assert.equal(bytes.length, 40 + (bytes[4] << 8 | bytes[5]));
    }
  };
  fc.assert(fc.property(start, fc.uint8Array({ maxLength: 200 }), from, socket, fc.nat(), run), { numRuns: 500 });
});

Deno.test("[ENC-08 ENC-07] a packet is accepted plain, with origin, with authentication, with both, and cut off its trailers", () => {
  const authentication = hex("00 01 00 00 01 23 45 67 89 ab cd ef 00");
  const forms = [
    DIRECT,
    withOrigin(RELAY, DIRECT),
    concat(authentication, DIRECT),
    concat(authentication, withOrigin(RELAY, DIRECT)),
    concat(DIRECT, hex("31 32 33 34")),
  ];
  for (const form of forms) {
    const fixture = Fixture.qualified();
    fixture.receive(form, B_MAPPED);
    assert.deepEqual(fixture.ipv6(), [DIRECT]);
  }
});

Deno.test("[TRL-01 TRL-02 TRL-03 TRL-04 TRL-05 TRL-06 TRL-11] trailers are walked in order: class 01 discards, unknown ones are skipped, a malformed one ends the walk", () => {
  const kept = [
    "00 00", // padding of no length
    "3f 01 00", // unknown, class 00
    "80 00 c0 02 00 00", // unknown, classes 10 and 11
    "01", // less than a header: malformed
    "7f 05 00", // class 01 but cut short: malformed, not a reason to discard
    "01 10 00 00 40 00", // malformed first, so the class 01 trailer behind it is never seen
    "03 08 00 00 c0 a8 01 0b c3 50", // an alternate address outside of an indirect bubble means nothing
    "01 04 a1 b2 c3 d4 05 02 04 b1",
  ];
  for (const trailers of kept) {
    const fixture = Fixture.qualified();
    fixture.receive(concat(DIRECT, hex(trailers)), B_MAPPED);
    assert.deepEqual(fixture.take().map(({ kind }) => kind), ["ipv6"], trailers);
  }
  for (const trailers of ["40 00", "7f 01 00", "3f 01 00 55 00", "01 04 a1 b2 c3 d4 40 00 00"]) {
    const fixture = Fixture.qualified();
    fixture.drops("trailer-discard", () => fixture.receive(concat(DIRECT, hex(trailers)), B_MAPPED));
  }
});

Deno.test("[RCV-02] a packet for any address but exactly ours is dropped, other flags included", () => {
  const fixture = Fixture.qualified();
  for (
    const destination of [
      "2001:0:cb00:7178:3c5a:efff:3fff:fdfe",
      "2001:0:cb00:7179:0:efff:3fff:fdfe",
      "2001:db8::1",
      "ff02::1",
      "fe80::ffff:ffff:ffff",
    ]
  ) {
    fixture.drops("not-own-destination", () => fixture.receive(data(B, ip6(destination)), B_MAPPED));
  }
});

Deno.test("[RCV-19] sources that no packet can come from: own, unspecified, multicast, loopback", () => {
  const fixture = Fixture.qualified();
  fixture.drops("own-address", () => fixture.receive(data(A, A), A_MAPPED));
  for (const source of ["::", "ff02::1", "ff0e::1", "::1"]) {
    fixture.drops("bad-ipv6-source", () => fixture.receive(data(ip6(source), A), B_MAPPED));
  }
  fixture.drops("bad-ipv6-source", () => fixture.receive(data(ip6("::ffff:192.0.2.10"), A), B_MAPPED));
});

Deno.test("[RCV-04 RCV-11] case 1: a trusted peer's packet from its mapping is accepted where it lies, without a copy", () => {
  const fixture = Fixture.qualified();
  fixture.trustB();
  fixture.send(data(A, B));
  fixture.take();
  const peers = fixture.bench.count("peers_created");
  fixture.receive(withOrigin(RELAY, data(B, A, 2)), B_MAPPED);
  assert.deepEqual(fixture.ipv6(), [data(B, A, 2)]);
  assert.equal(fixture.bench.lastAt, fixture.bench.inputAt + 8);
  fixture.receive(packet(B, A), B_MAPPED);
  assert.deepEqual(fixture.take(), [], "a bubble is consumed");
  assert.equal(fixture.bench.count("peers_created"), peers);
});

Deno.test("[RCV-04 XMT-02] case 1 renews the entry: 30 s count from the last reception", () => {
  const fixture = Fixture.qualified(QUIET);
  fixture.trustB();
  fixture.pass(20_000);
  fixture.receive(packet(B, A), B_MAPPED);
  fixture.take();
  fixture.pass(20_000);
  fixture.send(data(A, B));
  assert.deepEqual(fixture.udp().filter(({ bytes }) => bytes.length === 48).map(({ port }) => port), [B_MAPPED.port]);
});

Deno.test("[RCV-08 RCV-09 RCV-11] case 3: a Teredo peer that sends from its embedded mapping is created, trusted and heard", () => {
  const fixture = Fixture.qualified();
  fixture.receive(DIRECT, B_MAPPED);
  assert.deepEqual(fixture.ipv6(), [DIRECT]);
  assert.equal(fixture.bench.count("peers_created"), 1);
  assert.equal(fixture.bench.count("peers_trusted"), 1);
  fixture.send(data(A, B));
  assert.deepEqual(fixture.udp(), [{ kind: "udp", socket: 0, bytes: data(A, B), ...B_MAPPED }]);
});

Deno.test("[RCV-08 RCV-11] case 3: a direct bubble makes the peer trusted too, and is consumed", () => {
  const fixture = Fixture.qualified();
  fixture.receive(packet(B, A), B_MAPPED);
  assert.deepEqual(fixture.take(), []);
  fixture.send(data(A, B));
  assert.equal(fixture.udp().length, 1);
});

Deno.test("[RCV-10 BUB-02] a new entry may send bubbles at once, and all four of them", () => {
  const fixture = Fixture.qualified(QUIET);
  fixture.trustB();
  fixture.pass(40_000);
  fixture.take();
  fixture.send(data(A, B));
  fixture.pass(10_000);
  assert.equal(fixture.udp().filter((sent) => isBubble(sent) && sent.address === B_MAPPED.address).length, 4);
});

Deno.test("[RCV-09 RCV-12 XMT-10] a waiting queue leaves in order when the peer speaks directly, before anything else", () => {
  const fixture = Fixture.qualified();
  for (const mark of [1, 2, 3]) fixture.send(data(A, B, mark));
  fixture.take();
  fixture.receive(packet(B, A), B_MAPPED);
  const outputs = fixture.take();
  assert.deepEqual(outputs.filter((output) => output.kind === "udp").map(({ bytes }) => bytes[40]), [1, 2, 3]);
  assert.deepEqual(outputs[0], {
    kind: "event",
    event: { type: "peer-up", peer: B, endpoint: B_MAPPED, path: "direct" },
  });
  assert.equal(fixture.bench.count("packets_flushed"), 3);
});

Deno.test("[RCV-18] a mapping that is not global makes no entry, even when the address embeds it", () => {
  const fixture = Fixture.qualified();
  const inside = ip6("2001:0:c633:6476:0:dfff:3f57:fef4"); // 192.168.1.11:8192
  fixture.drops(
    "not-global-ipv4",
    () => fixture.receive(data(inside, A), { address: ip4("192.168.1.11"), port: 8192 }),
  );
  assert.equal(fixture.bench.count("peers_created"), 0);
  // The directed broadcast of a subnet this host is attached to, and one that only looks like it.
  const attached = Fixture.qualified({ subnets: [{ address: ip4("198.51.100.1"), prefixLength: 24 }] });
  const broadcast = ip6("2001:0:c633:6476:0:dfff:39cc:9b00");
  attached.drops(
    "not-global-ipv4",
    () => attached.receive(data(broadcast, A), { address: ip4("198.51.100.255"), port: 8192 }),
  );
});

Deno.test("[RCV-07 RCV-14] a Teredo source with another mapping than it embeds is dropped", () => {
  const fixture = Fixture.qualified();
  fixture.drops("spoofed-source", () => fixture.receive(DIRECT, { ...B_MAPPED, port: 8193 }));
  fixture.drops("spoofed-source", () => fixture.receive(DIRECT, RELAY));
  fixture.trustB();
  fixture.drops("spoofed-source", () => fixture.receive(DIRECT, RELAY));
});

// ---- Indirect bubbles

Deno.test("[RCV-20 BUB-06 BUB-09] an indirect bubble of a Teredo peer, with or without origin, is answered to its embedded mapping", () => {
  for (const datagram of [packet(B, A), withOrigin(RELAY, packet(B, A))]) {
    const fixture = Fixture.qualified();
    fixture.receive(datagram, FROM_PRIMARY);
    assert.deepEqual(fixture.take(), [{ kind: "udp", socket: 0, bytes: BUBBLE_A_TO_B, ...B_MAPPED }]);
    assert.equal(fixture.bench.count("peers_trusted"), 0, "it proves nothing about the peer");
  }
});

Deno.test("[BUB-09 BUB-01] an answer is not held back by a transmission a moment ago", () => {
  const fixture = Fixture.qualified();
  fixture.send(data(A, B));
  fixture.take();
  fixture.now += 100;
  fixture.receive(packet(B, A), FROM_PRIMARY);
  assert.deepEqual(fixture.udp(), [{ kind: "udp", socket: 0, bytes: BUBBLE_A_TO_B, ...B_MAPPED }]);
});

Deno.test("[RCV-21 DCT-01] a relay's bubble is answered to its origin, addresses swapped: the worked example", () => {
  const fixture = Fixture.qualified();
  fixture.receive(RELAY_BUBBLE, FROM_PRIMARY);
  assert.deepEqual(fixture.take(), [{ kind: "udp", socket: 0, bytes: RELAY_ANSWER, ...RELAY }]);
});

Deno.test("[RCV-21 ADR-18] a relay's bubble without origin, or with one that is no target, gets no answer", () => {
  const fixture = Fixture.qualified();
  const bubble = packet(RELAY_LINK_LOCAL, A);
  fixture.drops("unknown-peer", () => fixture.receive(bubble, FROM_PRIMARY));
  const inside = { address: ip4("10.0.0.1"), port: 40_000 };
  fixture.drops("not-global-ipv4", () => fixture.receive(withOrigin(inside, bubble), FROM_PRIMARY));
  fixture.drops("port-zero", () => fixture.receive(withOrigin({ ...RELAY, port: 0 }, bubble), FROM_PRIMARY));
});

Deno.test("[RCV-20] a trusted peer's indirect bubble is answered to its entry's mapping, once", () => {
  const fixture = Fixture.qualified();
  fixture.trustB();
  fixture.receive(packet(B, A), FROM_PRIMARY);
  assert.deepEqual(fixture.udp().map(({ address, port }) => ({ address, port })), [B_MAPPED]);
});

Deno.test("[ADR-18 RCV-20] an indirect bubble whose mapping is private, port 0 or our own gets no answer", () => {
  const fixture = Fixture.qualified();
  const bubble = (text: string): Uint8Array => packet(ip6(text), A);
  const at = (text: string): () => void => () => fixture.receive(bubble(text), FROM_PRIMARY);
  fixture.drops("not-global-ipv4", at("2001:0:c633:6476:0:dfff:3f57:fef4"));
  fixture.drops("port-zero", at("2001:0:c633:6476:0:ffff:3fff:fdf5"));
  fixture.drops("loop", at("2001:0:c633:6476:0:efff:3fff:fdfe"));
});

Deno.test("[BUB-09] answers have limits of their own: four at once to one endpoint, two a second after that", () => {
  const fixture = Fixture.qualified();
  let answers = 0;
  for (let i = 0; i < 20; i++) {
    fixture.receive(packet(B, A), FROM_PRIMARY);
    answers += fixture.udp().length;
  }
  assert.equal(answers, 4);
  assert.equal(fixture.bench.count("rate-limited"), 16);
  fixture.now += 500;
  fixture.receive(packet(B, A), FROM_PRIMARY);
  fixture.receive(packet(B, A), FROM_PRIMARY);
  assert.equal(fixture.udp().length, 1);
});

// ---- What the host must not see

Deno.test("[RCV-19 ICM-07] link-local sources, Neighbor Discovery and source-routed packets never reach the host, even from a trusted peer", () => {
  const fixture = Fixture.qualified();
  fixture.trustB();
  fixture.drops("link-local-source", () => fixture.receive(data(RELAY_LINK_LOCAL, A), RELAY));
  for (const type of [133, 134, 135, 136, 137]) {
    const message = packet(B, A, { nextHeader: 58, hopLimit: 255, payload: Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0) });
    fixture.drops("neighbor-discovery", () => fixture.receive(message, B_MAPPED));
  }
  const hidden = packet(B, A, { nextHeader: 60, hopLimit: 255, payload: hex("3a 00 01 04 00 00 00 00 88 00 00 00") });
  fixture.drops("neighbor-discovery", () => fixture.receive(hidden, B_MAPPED));
  const routed = packet(B, A, { nextHeader: 43, payload: hex("11 00 00 01 00 00 00 00 01 02 03 04 05 06 07 08") });
  fixture.drops("routing-header", () => fixture.receive(routed, B_MAPPED));
  const behindOptions = packet(B, A, {
    nextHeader: 0,
    payload: hex("2b 00 01 04 00 00 00 00 11 00 00 01 00 00 00 00"),
  });
  fixture.drops("routing-header", () => fixture.receive(behindOptions, B_MAPPED));
  const type2 = packet(B, A, { nextHeader: 43, payload: hex("11 00 02 01 00 00 00 00 01 02 03 04 05 06 07 08") });
  fixture.receive(type2, B_MAPPED);
  assert.deepEqual(fixture.ipv6(), [type2], "other routing headers are not ours to judge");
});

Deno.test("[ICM-06] an echo request to the own address reaches the host unchanged, and its reply leaves unchanged", () => {
  const fixture = Fixture.qualified();
  const request = packet(B, A, { nextHeader: 58, payload: hex("80 00 12 34 00 01 00 02 61 62 63 64") });
  fixture.receive(request, B_MAPPED);
  assert.deepEqual(fixture.ipv6(), [request]);
  const reply = packet(A, B, { nextHeader: 58, payload: hex("81 00 12 33 00 01 00 02 61 62 63 64") });
  fixture.send(reply);
  assert.deepEqual(fixture.udp(), [{ kind: "udp", socket: 0, bytes: reply, ...B_MAPPED }]);
});

// ---- One-way streams

Deno.test("[RCV-15 BUB-01 BUB-03] who sends to a silent host gets a bubble every 15 s, so that its entry stays valid", () => {
  const fixture = Fixture.qualified();
  fixture.trustB();
  fixture.send(data(A, B));
  fixture.take();
  const bubbles: number[] = [];
  for (let second = 1; second <= 60; second++) {
    fixture.now += 1000;
    fixture.receive(DIRECT, B_MAPPED);
    const sent = fixture.udp();
    assert.ok(sent.every((each) => isBubble(each) && each.address === B_MAPPED.address && each.port === B_MAPPED.port));
    if (sent.length > 0) bubbles.push(second);
  }
  assert.deepEqual(bubbles, [15, 30, 45, 60]);
});

Deno.test("[RCV-15] bubbles are never answered so: two silent hosts do not keep each other awake", () => {
  const fixture = Fixture.qualified(QUIET);
  fixture.trustB();
  fixture.pass(29_000);
  fixture.take();
  fixture.receive(packet(B, A), B_MAPPED);
  assert.deepEqual(fixture.udp(), []);
});

Deno.test("[RCV-16] a datagram to the discovery group is sorted out before the trusted entries", () => {
  const fixture = Fixture.qualified();
  fixture.trustB();
  fixture.drops("discovery-off", () => fixture.discover(packet(B, ALL_NODES), B_MAPPED));
});

Deno.test("[RCV-17 RCV-03] packets of a relay on the server's own address run through the cases like any other", () => {
  const fixture = Fixture.qualified();
  fixture.send(data(A, NATIVE));
  const [request] = fixture.udp();
  const reply = request.bytes.slice();
  reply.set(NATIVE, 8);
  reply.set(A, 24);
  reply[40] = 129;
  reply[42] = ((request.bytes[42] << 8 | request.bytes[43]) - 0x100) >>> 8;
  fixture.receive(reply, FROM_PRIMARY);
  assert.deepEqual(fixture.udp().map(({ bytes, address, port }) => ({ bytes, address, port })), [
    { bytes: data(A, NATIVE), ...FROM_PRIMARY },
  ]);
  fixture.receive(data(NATIVE, A), FROM_PRIMARY);
  assert.deepEqual(fixture.ipv6(), [data(NATIVE, A)]);
});
