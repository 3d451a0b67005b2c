import assert from "node:assert/strict";
import { parseEcho } from "../../../lib/wire/icmpv6.ts";
import {
  A,
  data,
  echoReply,
  Fixture,
  FROM_PRIMARY,
  icmpv6Error,
  isEchoRequest,
  NATIVE,
  OTHER_RELAY,
  QUIET,
  RELAY,
  withOrigin,
} from "./client_fixture.ts";
import { ip4, ip6, packet, SeededRandom, toHex, type UdpOutput } from "../harness.ts";

/** The echo request among the outputs, which are taken. */
function request(fixture: Fixture): UdpOutput {
  const [sent, ...rest] = fixture.udp();
  assert.ok(isEchoRequest(sent));
  assert.deepEqual(rest, []);
  return sent;
}

/** Other native nodes. */
function node(i: number): Uint8Array {
  return ip6(`2001:db8:2::${(i + 1).toString(16)}`);
}

Deno.test("[XMT-03 DCT-01 DCT-02] a native destination: queued, and an echo request to it with 64 random bits goes to the own server", () => {
  const nonces = new Set<string>();
  for (let seed = 1; seed <= 8; seed++) {
    const fixture = new Fixture({}, new SeededRandom(seed));
    fixture.qualify();
    fixture.send(data(A, NATIVE));
    const sent = request(fixture);
    assert.deepEqual([sent.socket, sent.address, sent.port], [0, FROM_PRIMARY.address, 3544]);
    const echo = parseEcho(sent.bytes, 0, sent.bytes.length);
    assert.ok(echo !== undefined && !echo.reply);
    assert.deepEqual([echo.source, echo.destination], [A, NATIVE]);
    assert.equal(echo.data.length, 8);
    nonces.add(toHex(echo.data));
  }
  assert.equal(nonces.size, 8);
});

Deno.test("[RCV-05 RCV-06 DCT-01] case 2: the reply shows the relay; the queue leaves for it in order; the reply is consumed", () => {
  const fixture = Fixture.qualified();
  fixture.send(data(A, NATIVE, 1));
  fixture.send(data(A, NATIVE, 2));
  const sent = request(fixture);
  fixture.receive(echoReply(sent.bytes), RELAY);
  assert.deepEqual(fixture.take(), [
    { kind: "event", event: { type: "peer-up", peer: NATIVE, endpoint: RELAY, path: "relay" } },
    { kind: "udp", socket: 0, bytes: data(A, NATIVE, 1), ...RELAY },
    { kind: "udp", socket: 0, bytes: data(A, NATIVE, 2), ...RELAY },
  ]);
  assert.equal(fixture.bench.count("connectivity_tests_passed"), 1);
  fixture.receive(data(NATIVE, A), RELAY);
  assert.deepEqual(fixture.ipv6(), [data(NATIVE, A)]);
});

Deno.test("[RCV-07 DCT-03] nothing but the exact reply proves a path: until then the entry is untrusted", () => {
  const wrongs: readonly ((reply: Uint8Array) => void)[] = [
    (reply) => reply[48] ^= 1, // the nonce, with it the checksum
    (reply) => {
      // Two words of the nonce exchanged: the checksum stays right.
      const [a, b, c, d] = reply.slice(48, 52);
      reply.set([c, d, a, b], 48);
    },
    (reply) => {
      // Identifier and sequence exchanged: the checksum stays right.
      const [a, b, c, d] = reply.slice(44, 48);
      reply.set([c, d, a, b], 44);
    },
  ];
  for (const wrong of wrongs) {
    const fixture = Fixture.qualified();
    fixture.send(data(A, NATIVE));
    const reply = echoReply(request(fixture).bytes);
    const forged = reply.slice();
    wrong(forged);
    fixture.receive(forged, OTHER_RELAY);
    assert.deepEqual(fixture.take().filter(({ kind }) => kind !== "udp"), [], "nothing reaches the host");
    assert.equal(fixture.bench.count("peers_trusted"), 0);
    fixture.receive(reply, RELAY);
    assert.equal(fixture.bench.count("peers_trusted"), 1);
  }
});

Deno.test("[RCV-18 RCV-05] a reply from an endpoint that is not global does not make a relay of it", () => {
  const fixture = Fixture.qualified();
  fixture.send(data(A, NATIVE));
  const reply = echoReply(request(fixture).bytes);
  fixture.drops("not-global-ipv4", () => fixture.receive(reply, { address: ip4("192.168.1.9"), port: 40_000 }));
  assert.equal(fixture.bench.count("peers_trusted"), 0);
});

Deno.test("[XMT-04 DCT-03] no reply: the same request after 2, 4 and 6 s; a late reply to the first still counts", () => {
  const fixture = Fixture.qualified();
  fixture.send(data(A, NATIVE));
  const first = request(fixture);
  for (let i = 0; i < 3; i++) {
    fixture.pass(1999);
    assert.deepEqual(fixture.udp(), []);
    fixture.pass(1);
    assert.deepEqual(request(fixture), first);
  }
  fixture.pass(1900);
  fixture.receive(echoReply(first.bytes), RELAY);
  assert.deepEqual(fixture.udp(), [{ kind: "udp", socket: 0, bytes: data(A, NATIVE), ...RELAY }]);
  fixture.pass(10_000);
  assert.deepEqual(fixture.udp().filter(isEchoRequest), []);
});

Deno.test("[XMT-04 ICM-02] four requests without reply: address unreachable for each queued packet", () => {
  const fixture = Fixture.qualified();
  fixture.send(data(A, NATIVE, 1));
  fixture.send(data(A, NATIVE, 2));
  fixture.pass(8000);
  const outputs = fixture.take();
  assert.equal(outputs.filter((output) => output.kind === "udp").length, 4);
  const errors = outputs.filter((output) => output.kind === "ipv6").map(({ bytes }) => icmpv6Error(bytes));
  assert.deepEqual(errors, [1, 2].map((mark) => ({ type: 1, code: 3, destination: A, quoted: data(A, NATIVE, mark) })));
  assert.deepEqual(outputs.at(-1), { kind: "event", event: { type: "peer-unreachable", peer: NATIVE } });
});

Deno.test("[XMT-04] a relay that comes back is found within seconds while the host keeps sending", () => {
  const fixture = Fixture.qualified(QUIET);
  const back = fixture.now + 60_000;
  let healed = 0;
  for (let second = 0; second < 100 && healed === 0; second++) {
    fixture.send(data(A, NATIVE));
    const requests = fixture.udp().filter(isEchoRequest);
    for (const sent of requests) if (fixture.now >= back) fixture.receive(echoReply(sent.bytes), RELAY);
    if (fixture.udp().some(({ address }) => address === RELAY.address)) healed = fixture.now;
    fixture.pass(1000);
  }
  assert.ok(healed > 0 && healed - back <= 5000, `healed after ${healed - back} ms`);
});

Deno.test("[XMT-04] a reply that comes after the test was given up still opens the path", () => {
  const fixture = Fixture.qualified();
  fixture.send(data(A, NATIVE));
  const sent = request(fixture);
  fixture.pass(9000);
  fixture.take();
  fixture.receive(echoReply(sent.bytes), RELAY);
  fixture.take();
  fixture.send(data(A, NATIVE));
  assert.deepEqual(fixture.udp().map(({ address }) => address), [RELAY.address]);
});

Deno.test("[DCT-04] no test when a valid entry exists, in either direction", () => {
  const fixture = Fixture.qualified();
  fixture.trustNative();
  fixture.send(data(A, NATIVE));
  fixture.receive(data(NATIVE, A), RELAY);
  assert.deepEqual(fixture.udp().filter(isEchoRequest), []);
});

Deno.test("[XMT-02 XMT-03] 30 s after the last packet from the relay it is tested again; any packet from it revives the entry", () => {
  const fixture = Fixture.qualified(QUIET);
  fixture.trustNative();
  fixture.pass(30_000);
  fixture.send(data(A, NATIVE, 7));
  assert.equal(fixture.udp().filter(isEchoRequest).length, 1);
  fixture.receive(data(NATIVE, A), RELAY);
  assert.deepEqual(fixture.udp(), [{ kind: "udp", socket: 0, bytes: data(A, NATIVE, 7), ...RELAY }]);
});

// ---- Packets from an unproven relay

Deno.test("[RCV-14 RCV-06] case 6: a packet from an unproven relay waits, and is delivered in order once the test has passed", () => {
  const fixture = Fixture.qualified();
  fixture.receive(data(NATIVE, A, 1), RELAY);
  const sent = request(fixture);
  fixture.receive(data(NATIVE, A, 2), RELAY);
  assert.deepEqual(fixture.take(), []);
  fixture.receive(echoReply(sent.bytes), RELAY);
  assert.deepEqual(fixture.ipv6(), [data(NATIVE, A, 1), data(NATIVE, A, 2)]);
});

Deno.test("[RCV-14] what waited is delivered only if it came from the relay that the test has proved", () => {
  const fixture = Fixture.qualified();
  fixture.receive(data(NATIVE, A, 1), OTHER_RELAY);
  const sent = request(fixture);
  fixture.receive(data(NATIVE, A, 2), RELAY);
  fixture.receive(data(NATIVE, A, 3), { ...RELAY, port: 1 });
  fixture.receive(echoReply(sent.bytes), RELAY);
  assert.deepEqual(fixture.ipv6(), [data(NATIVE, A, 2)]);
  assert.equal(fixture.bench.count("unproven-peer"), 2);
});

Deno.test("[RCV-03 RCV-14] a packet that the server passed on with an origin starts a test, and counts as coming from there", () => {
  const fixture = Fixture.qualified();
  fixture.receive(withOrigin(RELAY, data(NATIVE, A, 1)), FROM_PRIMARY);
  const sent = request(fixture);
  fixture.receive(echoReply(sent.bytes), RELAY);
  assert.deepEqual(fixture.ipv6(), [data(NATIVE, A, 1)]);
});

Deno.test("[RCV-14 RCV-05] a valid entry keeps working while another relay is put to the test, and moves when that passes", () => {
  const fixture = Fixture.qualified();
  fixture.trustNative();
  fixture.receive(data(NATIVE, A, 1), OTHER_RELAY);
  const sent = request(fixture);
  fixture.send(data(A, NATIVE));
  assert.equal(fixture.udp()[0].address, RELAY.address);
  fixture.receive(data(NATIVE, A, 5), RELAY);
  assert.deepEqual(fixture.ipv6(), [data(NATIVE, A, 5)]);
  fixture.receive(echoReply(sent.bytes), OTHER_RELAY);
  assert.deepEqual(fixture.ipv6(), [data(NATIVE, A, 1)]);
  fixture.send(data(A, NATIVE));
  assert.equal(fixture.udp()[0].address, OTHER_RELAY.address);
});

Deno.test("[RCV-14] a test that was begun by a forged packet fails without a word to the host, and is not begun again at once", () => {
  const fixture = Fixture.qualified();
  fixture.receive(data(NATIVE, A), OTHER_RELAY);
  fixture.pass(8000);
  const outputs = fixture.take();
  assert.equal(outputs.length, 4);
  assert.ok(outputs.every((output) => output.kind === "udp" && isEchoRequest(output)));
  fixture.drops("unproven-peer", () => fixture.receive(data(NATIVE, A), OTHER_RELAY));
  fixture.pass(3000);
  fixture.receive(data(NATIVE, A), OTHER_RELAY);
  request(fixture);
});

Deno.test("[RCV-14] bubbles, Neighbor Discovery and errors of scope from unproven relays start no test", () => {
  const fixture = Fixture.qualified();
  fixture.drops("unproven-peer", () => fixture.receive(packet(NATIVE, A), RELAY));
  const redirect = packet(NATIVE, A, { nextHeader: 58, hopLimit: 255, payload: Uint8Array.of(137, 0, 0, 0) });
  fixture.drops("neighbor-discovery", () => fixture.receive(redirect, RELAY));
  fixture.drops("link-local-source", () => fixture.receive(data(ip6("fe80::9"), A), RELAY));
});

Deno.test("[DCT-05] tests are rate limited, and packets from outside use up at most half of them", () => {
  const fixture = Fixture.qualified({ testsPerSecond: 8 });
  for (let i = 0; i < 16; i++) fixture.receive(data(node(i), A), RELAY);
  assert.equal(fixture.udp().filter(isEchoRequest).length, 4);
  assert.equal(fixture.bench.count("rate-limited"), 12);
  for (let i = 100; i < 116; i++) fixture.send(data(A, node(i)));
  assert.equal(fixture.udp().filter(isEchoRequest).length, 4);
});

Deno.test("[DCT-05 XMT-04] a test that the limit held back goes out at its next turn, and the packet with it", () => {
  const fixture = Fixture.qualified({ testsPerSecond: 1 });
  fixture.send(data(A, node(0)));
  fixture.send(data(A, node(1)));
  fixture.take();
  fixture.pass(10_000);
  const asked = fixture.udp().filter(isEchoRequest).map(({ bytes }) => bytes[39]);
  assert.ok(asked.includes(2), "the second node is asked too");
});
