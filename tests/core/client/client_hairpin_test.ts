/** Hairpinning and server load reduction (RFC 6081 5.6, 5.7). */

import assert from "node:assert/strict";
import { equalIpv6 } from "../../../lib/wire/ipv6_address.ts";
import {
  alternateAddressTrailer,
  discoveryTrailer,
  nonceTrailer,
  type Trailer,
  TRAILER_ALTERNATE_ADDRESS,
} from "../../../lib/wire/trailers.ts";
import {
  A,
  A_LOCAL,
  A_MAPPED,
  B,
  B_MAPPED,
  data,
  Fixture,
  FROM_PRIMARY,
  OPTIONS,
  SERVER,
  withOrigin,
} from "./client_fixture.ts";
import { concat, ip4 } from "../harness.ts";
import {
  B_ELSEWHERE,
  begin,
  behind,
  bubble,
  direct,
  indirect,
  INSIDE,
  nonceOf,
  OTHER_MAPPED,
  routes,
  sortBubbles,
  trailersOf,
} from "./traversal_fixture.ts";

const NONCE = nonceTrailer(0xa1b2c3d4);
const HAIRPIN = { hairpinning: true };
const REDUCED = { serverLoadReduction: true };

/** B is a trusted peer; outputs so far are taken. */
function reached(traversal: Partial<typeof OPTIONS.traversal>): Fixture {
  const fixture = behind("plain", traversal);
  begin(fixture);
  direct(fixture, B_MAPPED);
  fixture.take();
  return fixture;
}

Deno.test("[HPN-01 HPN-02 HPN-03] before contact the indirect bubble names the local address, then a foreign port mapping, beside a nonce", () => {
  const fixture = behind("plain", HAIRPIN);
  fixture.client.portMapping(OTHER_MAPPED, fixture.now);
  const trailers = trailersOf(begin(fixture).indirect[0]);
  assert.deepEqual(trailers.alternates, [A_LOCAL, OTHER_MAPPED]);
  assert.notEqual(trailers.nonce, undefined);
});

Deno.test("[HPN-01] bound to any address, the client names those of the host, two at most", () => {
  const localAddresses = [ip4("192.168.1.10"), ip4("10.1.1.1"), ip4("10.1.1.2")];
  const fixture = behind("plain", { ...HAIRPIN, localAddresses }, { localEndpoint: { address: 0, port: 50_000 } });
  const { alternates } = trailersOf(begin(fixture).indirect[0]);
  assert.deepEqual(alternates, localAddresses.slice(0, 2).map((address) => ({ address, port: 50_000 })));
});

Deno.test("without hairpinning nothing is told of the inside", () => {
  assert.equal(trailersOf(begin(behind("plain")).indirect[0]).alternates, undefined);
});

Deno.test("[HPN-03] hairpinning has its nonces without symmetric NAT support too", () => {
  const fixture = new Fixture({ traversal: { ...OPTIONS.traversal, ...HAIRPIN } });
  fixture.qualify(A_MAPPED, SERVER);
  fixture.take();
  assert.notEqual(trailersOf(begin(fixture).indirect[0]).nonce, undefined);
});

Deno.test("[HPN-04] a bubble with a malformed trailer of alternates is dropped", () => {
  const fixture = behind("plain", HAIRPIN);
  const malformed: readonly Trailer[] = [
    { type: TRAILER_ALTERNATE_ADDRESS, value: new Uint8Array(7) },
    alternateAddressTrailer([{ ...INSIDE, port: 0 }]),
    alternateAddressTrailer([{ address: ip4("224.0.0.1"), port: 4000 }]),
  ];
  for (const trailer of malformed) fixture.drops("malformed", () => indirect(fixture, [NONCE, trailer]));
});

Deno.test("[HPN-05] direct bubbles with the nonce go to the mapping in the address and to every alternate", () => {
  const fixture = behind("plain", HAIRPIN);
  const inner = { address: ip4("10.9.9.9"), port: 40_000 };
  indirect(fixture, [NONCE, alternateAddressTrailer([INSIDE, inner])]);
  const { direct: sent } = sortBubbles(fixture.udp());
  assert.deepEqual(routes(sent), [B_MAPPED, INSIDE, inner].map((to) => ({ socket: 0, ...to })));
  assert.ok(sent.every((each) => trailersOf(each).nonce === 0xa1b2c3d4));
});

Deno.test("[HPN-06] a trusted peer gets one bubble, at its mapping", () => {
  const fixture = reached(HAIRPIN);
  indirect(fixture, [NONCE, alternateAddressTrailer([INSIDE])]);
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...B_MAPPED }]);
});

Deno.test("[HPN-07] the nonce makes an inside endpoint the peer's mapping; without hairpinning private sources are refused", () => {
  const meet = (traversal: Partial<typeof OPTIONS.traversal>) => {
    const fixture = behind("plain", traversal);
    const nonce = nonceTrailer(nonceOf(begin(fixture).indirect));
    indirect(fixture, [NONCE]);
    fixture.take();
    direct(fixture, INSIDE, [nonce]);
    return { fixture, up: fixture.events().find(({ type }) => type === "peer-up") };
  };
  const { fixture, up } = meet(HAIRPIN);
  assert.ok(up?.type === "peer-up");
  assert.deepEqual([up.endpoint, up.path], [INSIDE, "local"]);
  fixture.send(data(A, B));
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...INSIDE }]);
  assert.equal(meet({}).up, undefined);
});

Deno.test("[HPN-08] alternates that are no peer's address get no bubble: our own, and broadcasts of our subnets", () => {
  const fixture = behind("plain", HAIRPIN);
  const broadcast = { address: ip4("192.168.1.255"), port: 4000 };
  indirect(fixture, [NONCE, alternateAddressTrailer([A_LOCAL, broadcast])]);
  assert.deepEqual(routes(sortBubbles(fixture.udp()).direct), [{ socket: 0, ...B_MAPPED }]);
});

Deno.test("alternates in a direct bubble mean nothing", () => {
  const fixture = reached(HAIRPIN);
  direct(fixture, B_MAPPED, [alternateAddressTrailer([INSIDE])]);
  assert.deepEqual(fixture.udp(), []);
});

Deno.test("[SLR-01 SLR-02] after 30 s of silence a solicitation is sent, twice repeated, and with the last one the server is asked", () => {
  const fixture = reached(REDUCED);
  fixture.pass(31_000);
  fixture.take();
  fixture.send(data(A, B));
  const kinds = () => {
    const { direct: straight, indirect: asked } = sortBubbles(fixture.udp());
    return [straight.filter((each) => trailersOf(each).discovery === "solicitation").length, asked.length];
  };
  assert.deepEqual(kinds(), [1, 0]);
  fixture.pass(1_999);
  assert.deepEqual(kinds(), [0, 0]);
  fixture.pass(1);
  assert.deepEqual(kinds(), [1, 0]);
  fixture.pass(2_000);
  assert.deepEqual(kinds(), [1, 1]);
  // From here on as with a new peer: four bubbles in all.
  fixture.pass(8_000);
  assert.deepEqual(kinds(), [0, 3]);
});

Deno.test("[SLR-01] any direct bubble ends the solicitation, and what waited goes out", () => {
  const fixture = reached(REDUCED);
  fixture.pass(31_000);
  fixture.send(data(A, B, 7));
  fixture.take();
  direct(fixture, B_MAPPED, [discoveryTrailer("advertisement")]);
  const sent = fixture.udp();
  assert.equal(sent.at(-1)?.bytes[40], 7);
  assert.ok(equalIpv6(sent.at(-1)?.bytes.slice(24, 40) ?? new Uint8Array(16), B));
  fixture.pass(10_000);
  assert.deepEqual(fixture.udp(), []);
});

Deno.test("[SLR-03 SLR-04] a solicitation is answered with an advertisement where it came from, an advertisement is not", () => {
  const fixture = reached(REDUCED);
  direct(fixture, B_MAPPED, [discoveryTrailer("solicitation")]);
  const [answer, ...more] = fixture.udp();
  assert.deepEqual([answer.address, answer.port, more.length], [B_MAPPED.address, B_MAPPED.port, 0]);
  assert.equal(trailersOf(answer).discovery, "advertisement");
  direct(fixture, B_MAPPED, [discoveryTrailer("advertisement")]);
  assert.deepEqual(fixture.udp(), []);
});

Deno.test("[SLR-03] a solicitation from elsewhere than the peer's mapping, or through the server, gets no advertisement", () => {
  const fixture = reached(REDUCED);
  fixture.drops("spoofed-source", () => direct(fixture, B_ELSEWHERE, [discoveryTrailer("solicitation")]));
  fixture.receive(withOrigin(B_MAPPED, bubble([discoveryTrailer("solicitation")])), FROM_PRIMARY);
  assert.ok(fixture.udp().every((each) => trailersOf(each).discovery === undefined));
});

Deno.test("without load reduction an idle peer is asked through its server at once", () => {
  const fixture = reached({});
  fixture.pass(31_000);
  fixture.take();
  assert.equal(begin(fixture).indirect.length, 1);
});

Deno.test("no trailers and any octets behind a bubble never make the client throw", () => {
  const fixture = reached({ ...HAIRPIN, ...REDUCED });
  for (let type = 0; type < 256; type++) {
    const trailer = Uint8Array.of(type, 8, 0, 0, 192, 168, 1, 77, 0, 80, type);
    fixture.receive(concat(bubble(), trailer), B_MAPPED);
    fixture.receive(withOrigin(B_MAPPED, concat(bubble(), trailer)), FROM_PRIMARY);
  }
  assert.equal(fixture.status(), "qualified");
});
