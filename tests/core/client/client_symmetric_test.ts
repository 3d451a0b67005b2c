/** Symmetric NAT support and UPnP-enabled symmetric NATs (RFC 6081 5.2, 5.3). */

import assert from "node:assert/strict";
import { nonceTrailer } from "../../../lib/wire/trailers.ts";
import { A, A_MAPPED, B, B_MAPPED, data, Fixture, SERVER } from "./client_fixture.ts";
import { SeededRandom } from "../harness.ts";
import {
  B_ELSEWHERE,
  begin,
  behind,
  direct,
  indirect,
  nonceOf,
  OTHER_MAPPED,
  routes,
  sortBubbles,
  trailersOf,
} from "./traversal_fixture.ts";

const NONCE = nonceTrailer(0xa1b2c3d4);

Deno.test("[SNS-01 SNS-02 UPN-07] behind a symmetric NAT the client stays in service with the primary's mapping, and says so", () => {
  const fixture = behind("symmetric");
  const { state } = fixture.client;
  assert.ok(state.status === "qualified");
  assert.deepEqual(state.mapped, A_MAPPED);
  assert.deepEqual([state.symmetric, state.nat.endpointIndependent], [true, false]);
  const plain = behind("plain").client.state;
  assert.ok(plain.status === "qualified");
  assert.deepEqual([plain.symmetric, plain.nat.endpointIndependent], [false, true]);
});

Deno.test("[UPN-01 SEQ-01] without symmetric NAT support such a NAT takes the client off-line, whatever else is on", () => {
  const fixture = new Fixture({ symmetricNatSupport: false });
  fixture.client.start(SERVER, fixture.now);
  fixture.client.portMapping(A_MAPPED, fixture.now);
  fixture.advertise(fixture.solicitation(), { origin: A_MAPPED });
  fixture.advertise(fixture.solicitation(), { origin: OTHER_MAPPED });
  assert.equal(fixture.status(), "offline");
});

Deno.test("[SNS-03 SNS-14] every indirect bubble has a nonce of its own from the random source", () => {
  const fixture = behind("plain");
  const nonces = [nonceOf(begin(fixture).indirect)];
  for (let i = 0; i < 3; i++) {
    fixture.pass(2000);
    nonces.push(nonceOf(sortBubbles(fixture.udp()).indirect));
  }
  assert.equal(new Set(nonces).size, 4);
  assert.ok(nonces.every((nonce) => nonce > 0xffff), "all 32 bits are drawn");
});

Deno.test("[SNS-13] nonce 0 is not sent, and never matches", () => {
  const zeros = new SeededRandom(7);
  let draws = 0;
  // Zero now and then: where a nonce is drawn, it is drawn again.
  const random = { u32: () => ++draws % 2 === 1 ? 0 : zeros.u32(), fill: (bytes: Uint8Array) => zeros.fill(bytes) };
  const fixture = new Fixture({ symmetricNatSupport: true }, random);
  fixture.qualify();
  assert.notEqual(nonceOf(begin(fixture).indirect), 0);
  const other = behind("plain");
  other.drops("spoofed-source", () => direct(other, B_ELSEWHERE, [nonceTrailer(0)]));
});

Deno.test("[SNS-05] a direct bubble has no nonce before an indirect one has come", () => {
  const fixture = behind("plain");
  for (const sent of begin(fixture).direct) assert.equal(trailersOf(sent).nonce, undefined);
});

Deno.test("[SNS-04 SNS-06 SNS-07] direct bubbles repeat the nonce of the last indirect one, until one comes without", () => {
  const fixture = behind("plain");
  indirect(fixture, [NONCE]);
  assert.ok(sortBubbles(fixture.udp()).direct.every((sent) => trailersOf(sent).nonce === 0xa1b2c3d4));
  indirect(fixture, [nonceTrailer(7)]);
  assert.ok(sortBubbles(fixture.udp()).direct.every((sent) => trailersOf(sent).nonce === 7));
  indirect(fixture);
  const { direct: last } = sortBubbles(fixture.udp());
  assert.ok(last.length > 0 && last.every((sent) => trailersOf(sent).nonce === undefined));
});

Deno.test("[SNS-08] a direct bubble from where the address says is accepted without a nonce", () => {
  const fixture = behind("plain");
  begin(fixture);
  direct(fixture, B_MAPPED);
  fixture.take();
  fixture.send(data(A, B));
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...B_MAPPED }]);
});

Deno.test("[SNS-09 SNS-11 HPN-07] a direct bubble with our nonce is accepted from anywhere, and data goes there and comes from there", () => {
  const fixture = behind("plain");
  const nonce = nonceOf(begin(fixture).indirect);
  direct(fixture, B_ELSEWHERE, [nonceTrailer(nonce)]);
  assert.ok(fixture.udp().every(({ address, port }) => address === B_ELSEWHERE.address && port === B_ELSEWHERE.port));
  fixture.send(data(A, B));
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...B_ELSEWHERE }]);
  fixture.receive(data(B, A), B_ELSEWHERE);
  assert.equal(fixture.ipv6().length, 1);
});

Deno.test("[SNS-10] other direct bubbles are dropped: no nonce, a wrong one, an old one; a trusted peer needs none", () => {
  const fixture = behind("plain");
  const old = nonceOf(begin(fixture).indirect);
  fixture.pass(2000);
  const nonce = nonceOf(sortBubbles(fixture.udp()).indirect);
  for (const trailers of [[], [nonceTrailer(nonce + 1)], [nonceTrailer(old)]]) {
    fixture.drops("spoofed-source", () => direct(fixture, B_ELSEWHERE, trailers));
  }
  direct(fixture, B_ELSEWHERE, [nonceTrailer(nonce)]);
  fixture.take();
  const before = fixture.bench.count("bubbles_received");
  direct(fixture, B_ELSEWHERE);
  assert.equal(fixture.bench.count("bubbles_received"), before + 1);
});

Deno.test("[SNS-12] an indirect bubble of a peer that is not reached is answered directly and, under the rules, indirectly", () => {
  const fixture = behind("plain");
  indirect(fixture, [NONCE]);
  const first = sortBubbles(fixture.udp());
  assert.deepEqual([first.direct.length, first.indirect.length], [1, 1]);
  // Within 2 s of that only the direct one is allowed.
  fixture.pass(1000);
  indirect(fixture, [NONCE]);
  const second = sortBubbles(fixture.udp());
  assert.deepEqual([second.direct.length, second.indirect.length], [1, 0]);
  // And the four of 300 s are all there are.
  fixture.pass(60_000);
  assert.equal(1 + sortBubbles(fixture.udp()).indirect.length, 4);
});

Deno.test("[SNS-12] an answer to an initiator that has just asked us is direct only: no ping-pong", () => {
  const fixture = behind("plain");
  begin(fixture);
  indirect(fixture, [NONCE]);
  const { direct: answers, indirect: asked } = sortBubbles(fixture.udp());
  assert.deepEqual([answers.length, asked.length], [1, 0]);
});

Deno.test("[SNS-15] a peer that turns trusted gets one direct bubble, before the packets that waited, and no second one", () => {
  const fixture = behind("plain");
  begin(fixture);
  direct(fixture, B_MAPPED);
  const sent = fixture.udp();
  assert.deepEqual(sent.map(({ bytes }) => bytes.length === 40 ? "bubble" : "data"), ["bubble", "data"]);
  direct(fixture, B_MAPPED);
  assert.deepEqual(fixture.udp(), []);
});

Deno.test("[SNS-15] behind a symmetric NAT the packets wait for the nonce without which the peer would refuse them", () => {
  const fixture = behind("symmetric");
  begin(fixture);
  direct(fixture, B_MAPPED);
  assert.equal(fixture.udp().filter(({ bytes }) => bytes.length > 46).length, 0);
  fixture.send(data(A, B, 2));
  assert.deepEqual(fixture.udp(), []);
  indirect(fixture, [NONCE]);
  const sent = fixture.udp();
  assert.equal(trailersOf(sent[0]).nonce, 0xa1b2c3d4);
  assert.deepEqual(sent.slice(1).map(({ bytes }) => bytes[40]), [1, 2], "in order");
});

Deno.test("a peer that goes on asking although it seemed reached does not hear us: the host is told, and its bubbles change nothing", () => {
  const fixture = behind("symmetric");
  begin(fixture);
  direct(fixture, B_MAPPED);
  for (let i = 0; i < 3; i++) {
    indirect(fixture, [NONCE]);
    fixture.pass(2000);
  }
  fixture.take();
  direct(fixture, B_MAPPED);
  fixture.send(data(A, B));
  assert.equal(fixture.bench.count("peer-unreachable") + fixture.bench.count("expired-in-queue") > 0, true);
  // Data shows that it does hear us.
  fixture.receive(data(B, A), B_MAPPED);
  fixture.take();
  fixture.send(data(A, B));
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...B_MAPPED }]);
});

Deno.test("of two mappings that one volley of bubbles shows, the first counts", () => {
  const fixture = behind("plain");
  const nonce = nonceTrailer(nonceOf(begin(fixture).indirect));
  direct(fixture, B_MAPPED, [nonce]);
  direct(fixture, B_ELSEWHERE, [nonce]);
  fixture.take();
  fixture.send(data(A, B));
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...B_MAPPED }]);
});

Deno.test("[UPN-08] a port mapping that is the one in our address is no alternate; another one is", () => {
  const alternates = (endpoint: typeof A_MAPPED) => {
    const fixture = behind("plain", { hairpinning: true });
    fixture.client.portMapping(endpoint, fixture.now);
    return trailersOf(begin(fixture).indirect[0]).alternates;
  };
  assert.equal(alternates(A_MAPPED)?.length, 1);
  assert.deepEqual(alternates(OTHER_MAPPED)?.[1], OTHER_MAPPED);
});

Deno.test("[UPN-09 UPN-10] symmetric, one NAT, a port mapping, a symmetric peer: bubbles and data go to the mapping in its address", () => {
  const fixture = behind("symmetric");
  fixture.client.portMapping(A_MAPPED, fixture.now);
  indirect(fixture, [NONCE]);
  const nonce = nonceTrailer(nonceOf(sortBubbles(fixture.udp()).indirect));
  direct(fixture, B_ELSEWHERE, [nonce]);
  fixture.send(data(A, B));
  assert.deepEqual(new Set(fixture.udp().map(({ port }) => port)), new Set([B_MAPPED.port]));
  // What comes from the other mapping is accepted all the same.
  fixture.receive(data(B, A), B_ELSEWHERE);
  assert.equal(fixture.ipv6().length, 1);
});

Deno.test("[UPN-10] where one of the four conditions fails, packets go to the mapping that was learned", () => {
  for (const [nat, mapping] of [["plain", A_MAPPED], ["symmetric", OTHER_MAPPED], ["symmetric", undefined]] as const) {
    const fixture = behind(nat);
    fixture.client.portMapping(mapping, fixture.now);
    indirect(fixture, [NONCE]);
    const nonce = nonceTrailer(nonceOf(sortBubbles(fixture.udp()).indirect));
    direct(fixture, B_ELSEWHERE, [nonce]);
    fixture.take();
    fixture.send(data(A, B));
    assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...B_ELSEWHERE }]);
  }
});
