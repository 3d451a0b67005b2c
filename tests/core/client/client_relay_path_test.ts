/** Meeting at a relay: the client's side, asking and answering. */

import assert from "node:assert/strict";
import { parseEcho, writeEcho } from "../../../lib/wire/icmpv6.ts";
import type { Endpoint } from "../../../lib/wire/ipv4.ts";
import { equalIpv6 } from "../../../lib/wire/ipv6_address.ts";
import { nonceTrailer } from "../../../lib/wire/trailers.ts";
import {
  A,
  B,
  B_MAPPED,
  B_SERVER,
  data,
  echoReply,
  type Fixture,
  FROM_PRIMARY,
  icmpv6Error,
  isEchoRequest,
  NATIVE,
  OTHER_RELAY,
  PRIMARY,
  RELAY,
  withOrigin,
} from "./client_fixture.ts";
import { B_ELSEWHERE, behind, direct, indirect, routes } from "./traversal_fixture.ts";

const PATHS = { relayPaths: true };
const WITH_RELAY = { ...PATHS, relay: RELAY };

/** An echo request of B for the client, as it comes through a server or a relay. */
function request(mark: number = 1, source: Uint8Array = B): Uint8Array {
  const bytes = new Uint8Array(56);
  const random = new Uint8Array(8).fill(mark);
  const head = { source, destination: A, hopLimit: 21, reply: false };
  writeEcho({ ...head, identifier: 77, sequence: mark, data: random }, bytes, 0);
  return bytes;
}

/** The host's packet for B, and 8 s in which no bubble helps. @returns the echo request that follows */
function exhaust(fixture: Fixture): Uint8Array {
  fixture.send(data(A, B));
  fixture.pass(8_000);
  const test = fixture.udp().filter(isEchoRequest);
  assert.equal(test.length, 1);
  assert.deepEqual([test[0].address, test[0].port], [B_SERVER, 3544], "through the peer's server");
  return test[0].bytes;
}

/** B is reached over a relay; outputs so far are taken. */
function met(at: Endpoint = RELAY): Fixture {
  const fixture = behind("plain", WITH_RELAY);
  fixture.receive(echoReply(exhaust(fixture)), at);
  fixture.take();
  return fixture;
}

Deno.test("when bubbles are exhausted, a connectivity test through the peer's server follows; its reply shows the relay, and packets go", () => {
  const fixture = behind("plain", WITH_RELAY);
  const test = exhaust(fixture);
  fixture.receive(echoReply(test), RELAY);
  const outputs = fixture.take();
  const up = outputs.flatMap((output) => output.kind === "event" ? [output.event] : []).find(({ type }) =>
    type === "peer-up"
  );
  assert.ok(up?.type === "peer-up");
  assert.deepEqual([up.endpoint, up.path], [RELAY, "relay"]);
  assert.deepEqual(routes(outputs.filter((output) => output.kind === "udp")), [{ socket: 0, ...RELAY }]);
  fixture.send(data(A, B));
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...RELAY }]);
  fixture.receive(data(B, A), RELAY);
  assert.equal(fixture.ipv6().length, 1);
});

Deno.test("a reply with other random octets proves nothing, wherever it comes from", () => {
  const fixture = behind("plain", WITH_RELAY);
  const test = parseEcho(exhaust(fixture), 0, 56);
  assert.ok(test !== undefined);
  const forged = new Uint8Array(56);
  writeEcho({ ...test, source: B, destination: A, reply: true, data: new Uint8Array(8) }, forged, 0);
  for (const from of [B_ELSEWHERE, OTHER_RELAY]) fixture.drops("spoofed-source", () => fixture.receive(forged, from));
  fixture.send(data(A, B));
  assert.equal(fixture.udp().length, 0);
});

Deno.test("a peer that cannot be met at a relay either is unreachable for a while, and the host is told at once", () => {
  const fixture = behind("plain", WITH_RELAY);
  exhaust(fixture);
  fixture.pass(8_000);
  const [refused] = fixture.ipv6();
  assert.equal(icmpv6Error(refused).type, 1);
  fixture.pass(5_000);
  fixture.take();
  fixture.send(data(A, B));
  assert.deepEqual([fixture.udp().length, fixture.bench.count("peer-unreachable") > 0], [0, true]);
});

Deno.test("without relay paths nothing follows the bubbles, and nobody's request is answered", () => {
  const fixture = behind("plain");
  fixture.send(data(A, B));
  fixture.pass(20_000);
  assert.equal(fixture.udp().filter(isEchoRequest).length, 0);
  fixture.drops("spoofed-source", () => fixture.receive(withOrigin(B_MAPPED, request()), FROM_PRIMARY));
});

Deno.test("a Teredo peer's request that comes through our server is answered over the configured relay, octet for octet", () => {
  const fixture = behind("plain", WITH_RELAY);
  fixture.receive(withOrigin(B_MAPPED, request(9)), FROM_PRIMARY);
  const [answer, ...more] = fixture.udp();
  assert.equal(more.length, 0);
  assert.deepEqual(routes([answer]), [{ socket: 0, ...RELAY }]);
  assert.ok(equalIpv6(answer.bytes.slice(8, 24), A) && equalIpv6(answer.bytes.slice(24, 40), B));
  assert.equal(answer.bytes[40], 129);
  assert.deepEqual(answer.bytes.slice(44), request(9).slice(44));
  assert.equal(fixture.ipv6().length, 0, "the host never sees it");
});

Deno.test("else over the relay through which a native node answered last; without any, the request is dropped", () => {
  const fixture = behind("plain", PATHS);
  fixture.drops("unproven-peer", () => fixture.receive(withOrigin(B_MAPPED, request()), FROM_PRIMARY));
  fixture.trustNative();
  fixture.receive(withOrigin(B_MAPPED, request()), FROM_PRIMARY);
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...RELAY }]);
});

Deno.test("else the node to probe is asked, and the request is answered when that has shown a relay", () => {
  const fixture = behind("plain", { ...PATHS, relayProbe: NATIVE });
  fixture.receive(withOrigin(B_MAPPED, request(3)), FROM_PRIMARY);
  const [probe] = fixture.udp();
  assert.equal(probe.address, PRIMARY);
  assert.ok(isEchoRequest(probe) && equalIpv6(probe.bytes.slice(24, 40), NATIVE));
  fixture.receive(echoReply(probe.bytes), RELAY);
  const [answer] = fixture.udp();
  assert.deepEqual(routes([answer]), [{ socket: 0, ...RELAY }]);
  assert.deepEqual(answer.bytes.slice(44), request(3).slice(44));
});

Deno.test("requests that wait for a relay are counted, and not answered when it is found too late", () => {
  const fixture = behind("plain", { ...PATHS, relayProbe: NATIVE });
  for (let i = 0; i < 3; i++) fixture.receive(withOrigin(B_MAPPED, request(i)), FROM_PRIMARY);
  const [probe] = fixture.udp();
  fixture.pass(2_000);
  fixture.receive(withOrigin(B_MAPPED, request(3)), FROM_PRIMARY);
  fixture.udp();
  fixture.receive(echoReply(probe.bytes), RELAY);
  const { bench } = fixture;
  assert.deepEqual(
    (["packets_queued", "expired-in-queue", "packets_flushed"] as const).map((name) => bench.count(name)),
    [4, 3, 1],
  );
  assert.equal(fixture.udp().length, 1);
});

Deno.test("a peer that is reached over a relay is answered over that one", () => {
  const fixture = met(OTHER_RELAY);
  fixture.receive(withOrigin(B_MAPPED, request()), FROM_PRIMARY);
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...OTHER_RELAY }]);
});

Deno.test("requests are answered within limits: per source, and in all", () => {
  const fixture = behind("plain", WITH_RELAY);
  for (let i = 0; i < 50; i++) fixture.receive(withOrigin(B_MAPPED, request(i)), FROM_PRIMARY);
  assert.equal(fixture.udp().length, 8);
});

Deno.test("a request that does not come from our server's port is no request", () => {
  const fixture = behind("plain", WITH_RELAY);
  fixture.drops("spoofed-source", () => fixture.receive(request(), { address: PRIMARY, port: 3545 }));
  fixture.drops("spoofed-source", () => fixture.receive(request(), B_ELSEWHERE));
});

Deno.test("a Teredo peer's packet over a relay that we know waits for a test of our own; over any other it is dropped", () => {
  const fixture = behind("plain", WITH_RELAY);
  fixture.drops("spoofed-source", () => fixture.receive(data(B, A), OTHER_RELAY));
  fixture.receive(data(B, A, 5), RELAY);
  const [test] = fixture.udp();
  assert.ok(isEchoRequest(test));
  assert.deepEqual([test.address, test.port], [B_SERVER, 3544]);
  assert.equal(fixture.ipv6().length, 0);
  fixture.receive(echoReply(test.bytes), RELAY);
  assert.deepEqual(fixture.ipv6().map((packet) => packet[40]), [5]);
});

Deno.test("bubbles over a relay mean nothing", () => {
  const fixture = behind("plain", WITH_RELAY);
  fixture.drops("spoofed-source", () => direct(fixture, RELAY));
});

Deno.test("of two relays both sides take the one with the lower endpoint", () => {
  const lower = { address: RELAY.address - 1, port: RELAY.port };
  const fixture = met(RELAY);
  fixture.receive(data(B, A), OTHER_RELAY);
  assert.equal(fixture.udp().length, 0, "a higher one is not tried");
  const other = behind("plain", { ...PATHS, relay: lower });
  other.receive(echoReply(exhaust(other)), RELAY);
  other.take();
  other.receive(data(B, A), lower);
  const [test] = other.udp();
  other.receive(echoReply(test.bytes), lower);
  other.take();
  other.send(data(A, B));
  assert.deepEqual(routes(other.udp()), [{ socket: 0, ...lower }]);
});

Deno.test("a direct way that opens takes over from the relay at once", () => {
  const fixture = met();
  indirect(fixture, [nonceTrailer(7)]);
  assert.ok(fixture.udp().some(({ address, port }) => address === B_MAPPED.address && port === B_MAPPED.port));
  direct(fixture, B_MAPPED);
  fixture.take();
  fixture.send(data(A, B));
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...B_MAPPED }]);
});

Deno.test("a peer that was met at a relay is looked for there first when its path has gone cold", () => {
  const fixture = met();
  fixture.pass(31_000);
  fixture.take();
  fixture.send(data(A, B));
  const [test, ...more] = fixture.udp();
  assert.ok(isEchoRequest(test) && more.length === 0);
});
