/** Port-preserving and sequential symmetric NATs: random ports, Echo Tests (RFC 6081 5.4, 5.5). */

import assert from "node:assert/strict";
import { nonceTrailer, randomPortTrailer } from "../../../lib/wire/trailers.ts";
import {
  A,
  advertisement,
  B,
  B_MAPPED,
  data,
  type Fixture,
  FROM_PRIMARY,
  FROM_SECONDARY,
  PRIMARY,
  SECONDARY,
} from "./client_fixture.ts";
import type { UdpOutput } from "../harness.ts";
import { Datagram } from "../../../lib/wire/encapsulation.ts";
import {
  ALL,
  B_ELSEWHERE,
  begin,
  behind,
  direct,
  indirect,
  nonceOf,
  RANDOM_SOCKET,
  routes,
  sortBubbles,
  trailersOf,
} from "./traversal_fixture.ts";

const NONCE = nonceTrailer(0xa1b2c3d4);
/** Where a peer behind a port-preserving NAT says it can be reached. */
const B_RANDOM = { address: B_MAPPED.address, port: 1201 };

/** Behind a port-preserving NAT, reached by B's bubble on the random port. */
function onRandomPort(): { fixture: Fixture; nonce: number } {
  const fixture = behind("preserving", ALL);
  const nonce = nonceOf(begin(fixture).indirect);
  indirect(fixture, [NONCE, randomPortTrailer(B_RANDOM.port)]);
  direct(fixture, B_RANDOM, [nonceTrailer(nonce)], RANDOM_SOCKET);
  fixture.take();
  return { fixture, nonce };
}

/** Sockets opened and closed among the outputs, which are taken. */
function sockets(fixture: Fixture): string[] {
  return fixture.take().flatMap((output) =>
    output.kind === "open" || output.kind === "close" ? [`${output.kind} ${output.socket}`] : []
  );
}

/** The solicitations of an Echo Test among datagrams. */
function solicitations(sent: readonly UdpOutput[]): { nonce: Uint8Array; to: number; socket: number }[] {
  return sent.flatMap(({ bytes, address, socket }) => {
    const datagram = new Datagram();
    if (!datagram.decode(bytes, 0, bytes.length) || datagram.authentication === undefined) return [];
    return [{ nonce: datagram.authentication.nonce, to: address, socket }];
  });
}

/** Answers an Echo Test's solicitation: the server saw `port`. */
function answer(fixture: Fixture, question: { nonce: Uint8Array; to: number }, port: number, socket: number): void {
  const from = question.to === PRIMARY ? FROM_PRIMARY : FROM_SECONDARY;
  const source = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe);
  const ra = advertisement(
    { at: 0, socket, to: from, nonce: question.nonce, source, bytes: new Uint8Array(0) },
    { origin: { address: B_MAPPED.address, port } },
  );
  fixture.receive(ra, from, { socket });
}

Deno.test("[PPS-01 PPS-02] a mapped port equal to the local one means port-preserving; any other does not", () => {
  const preserving = behind("preserving").client.state, other = behind("symmetric").client.state;
  assert.ok(preserving.status === "qualified" && other.status === "qualified");
  assert.deepEqual([preserving.portPreserving, other.portPreserving], [true, false]);
  assert.deepEqual([preserving.nat.ports.kind, other.nat.ports.kind], ["preserving", "random"]);
});

Deno.test("[PPS-03 PPS-04] before the indirect bubble a random port is opened, and it announces that port", () => {
  const fixture = behind("preserving", ALL);
  fixture.send(data(A, B));
  const outputs = fixture.take();
  const opened = outputs.findIndex(({ kind }) => kind === "open");
  const sent = outputs.filter((output) => output.kind === "udp");
  const { indirect: [asking], direct: [straight] } = sortBubbles(sent);
  assert.ok(opened >= 0 && opened < outputs.indexOf(asking));
  assert.equal(trailersOf(asking).randomPort, 50_000);
  // Not on the bubble from the primary port.
  assert.deepEqual([straight.socket, trailersOf(straight).randomPort], [0, undefined]);
  // Without the option there is none.
  const plain = behind("preserving");
  assert.equal(trailersOf(begin(plain).indirect[0]).randomPort, undefined);
});

Deno.test("[PPS-05 PPS-06 PPS-07] the peer's random port gets a bubble from ours, with the trailer, at the IPv4 of its address", () => {
  const fixture = behind("preserving", ALL);
  begin(fixture);
  indirect(fixture, [NONCE, randomPortTrailer(B_RANDOM.port)]);
  const { direct: sent } = sortBubbles(fixture.udp());
  assert.deepEqual(routes(sent), [{ socket: 0, ...B_MAPPED }, { socket: RANDOM_SOCKET, ...B_RANDOM }]);
  assert.deepEqual(sent.map((each) => trailersOf(each).randomPort), [undefined, 50_000]);
  assert.deepEqual(sent.map((each) => trailersOf(each).nonce), [0xa1b2c3d4, 0xa1b2c3d4]);
});

Deno.test("[PPS-16] a peer without a random port gets the bubble from ours at the mapping in its address", () => {
  const fixture = behind("preserving", ALL);
  indirect(fixture, [NONCE]);
  const { direct: sent } = sortBubbles(fixture.udp());
  assert.deepEqual(routes(sent), [{ socket: 0, ...B_MAPPED }, { socket: RANDOM_SOCKET, ...B_MAPPED }]);
});

Deno.test("[PPS-15] a side that is not symmetric reaches the peer's random port from its primary port", () => {
  const fixture = behind("plain", ALL);
  indirect(fixture, [NONCE, randomPortTrailer(B_RANDOM.port)]);
  const { direct: sent } = sortBubbles(fixture.udp());
  assert.deepEqual(routes(sent), [{ socket: 0, ...B_MAPPED }, { socket: 0, ...B_RANDOM }]);
  assert.deepEqual(sockets(fixture), []);
});

Deno.test("[PPS-08] another random port within 30 s of an exchange is ignored, and so is the same one", () => {
  const { fixture } = onRandomPort();
  indirect(fixture, [NONCE, randomPortTrailer(B_RANDOM.port)]);
  indirect(fixture, [NONCE, randomPortTrailer(1300)]);
  const outputs = fixture.udp();
  assert.deepEqual(routes(outputs), [{ socket: RANDOM_SOCKET, ...B_RANDOM }, { socket: RANDOM_SOCKET, ...B_RANDOM }]);
});

Deno.test("[PPS-09] another one after 30 s is taken, and our own random port, meant for the old one, is given up for a new one", () => {
  const { fixture } = onRandomPort();
  fixture.pass(31_000);
  fixture.take();
  indirect(fixture, [NONCE, randomPortTrailer(1300)]);
  const outputs = fixture.take();
  assert.ok(outputs.some((output) => output.kind === "close" && output.socket === RANDOM_SOCKET));
  const sent = outputs.filter((output) => output.kind === "udp");
  const last = sortBubbles(sent).direct.at(-1);
  assert.deepEqual([last?.port, last && trailersOf(last).randomPort], [1300, 50_001]);
});

Deno.test("[PPS-10] on the primary port: the peer is trusted there and the random port closed", () => {
  const fixture = behind("preserving", ALL);
  const nonce = nonceOf(begin(fixture).indirect);
  indirect(fixture, [NONCE]);
  fixture.take();
  direct(fixture, B_ELSEWHERE, [nonceTrailer(nonce)]);
  assert.deepEqual(sockets(fixture), [`close ${RANDOM_SOCKET}`]);
  fixture.send(data(A, B));
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...B_ELSEWHERE }]);
});

Deno.test("[PPS-10] on the primary port another mapping is ignored within 30 s of an exchange, and starts over after", () => {
  const fixture = behind("preserving", ALL);
  const nonce = nonceTrailer(nonceOf(begin(fixture).indirect));
  indirect(fixture, [NONCE]);
  direct(fixture, B_ELSEWHERE, [nonce]);
  fixture.pass(3_000);
  fixture.drops("spoofed-source", () => direct(fixture, { ...B_MAPPED, port: 8888 }, [nonce]));
  fixture.pass(31_000);
  fixture.take();
  direct(fixture, { ...B_MAPPED, port: 8888 }, [nonce]);
  assert.equal(sortBubbles(fixture.udp()).indirect.length, 1, "an indirect bubble asks anew");
});

Deno.test("[PPS-10 PPS-11] a peer reached on the random port moves to the primary one when its bubble comes there", () => {
  const { fixture, nonce } = onRandomPort();
  fixture.pass(3_000);
  direct(fixture, B_ELSEWHERE, [nonceTrailer(nonce)]);
  assert.ok(sockets(fixture).includes(`close ${RANDOM_SOCKET}`));
  fixture.send(data(A, B));
  assert.deepEqual(routes(fixture.udp()), [{ socket: 0, ...B_ELSEWHERE }]);
});

Deno.test("[PPS-11] on the random port: the peer is trusted, and data leaves from and arrives at that port", () => {
  const { fixture } = onRandomPort();
  fixture.send(data(A, B));
  assert.deepEqual(routes(fixture.udp()), [{ socket: RANDOM_SOCKET, ...B_RANDOM }]);
  fixture.receive(data(B, A), B_RANDOM, { socket: RANDOM_SOCKET });
  assert.equal(fixture.ipv6().length, 1);
});

Deno.test("a random port serves the peer that it was opened for, and nobody else", () => {
  const { fixture } = onRandomPort();
  const other = B.slice();
  other[8] ^= 1;
  fixture.drops("unknown-peer", () => fixture.receive(data(other, A), B_MAPPED, { socket: RANDOM_SOCKET }));
});

Deno.test("[PPS-12] another mapping on the random port closes it and starts over", () => {
  const { fixture, nonce } = onRandomPort();
  fixture.pass(3_000);
  direct(fixture, { ...B_MAPPED, port: 1300 }, [nonceTrailer(nonce)], RANDOM_SOCKET);
  const outputs = fixture.take();
  assert.ok(outputs.some((output) => output.kind === "close" && output.socket === RANDOM_SOCKET));
  const { indirect: asked } = sortBubbles(outputs.filter((output) => output.kind === "udp"));
  assert.equal(asked.length, 1);
});

Deno.test("[PPS-13 PPS-14 PPS-01] an idle conversation over a random port is refreshed every 30 s, twenty times; data resets the count", () => {
  const { fixture } = onRandomPort();
  const refreshes = (millis: number) => {
    fixture.pass(millis);
    return sortBubbles(fixture.udp()).direct;
  };
  // Data that is only queued or dropped does not count as sent; this one goes out.
  fixture.send(data(A, B));
  fixture.take();
  assert.equal(refreshes(30_000).length, 0);
  const first = refreshes(30_000);
  assert.deepEqual(routes(first), [{ socket: RANDOM_SOCKET, ...B_RANDOM }]);
  assert.equal(refreshes(30_000 * 19).length, 19);
  assert.equal(refreshes(120_000).length, 0);
});

Deno.test("the random port goes with the peer's entry, with the address, and when the client stops", () => {
  const { fixture } = onRandomPort();
  fixture.client.stop(fixture.now);
  assert.deepEqual(sockets(fixture), [`close ${RANDOM_SOCKET}`]);
  const idle = onRandomPort().fixture;
  idle.pass(1_200_000);
  assert.ok(sockets(idle).includes(`close ${RANDOM_SOCKET}`));
});

Deno.test("a peer that does not answer costs its random port for 8 s", () => {
  const fixture = behind("preserving", ALL);
  begin(fixture);
  fixture.pass(8_000);
  assert.deepEqual(sockets(fixture), [`close ${RANDOM_SOCKET}`]);
});

Deno.test("where no socket can be had, bubbles go without a random port", () => {
  const fixture = behind("preserving", ALL);
  fixture.bench.nextPort = 0;
  assert.equal(trailersOf(begin(fixture).indirect[0]).randomPort, undefined);
});

Deno.test("[SEQ-02 SEQ-03 SEQ-04 SEQ-05] a symmetric NAT that does not keep ports is measured before the indirect bubble", () => {
  const fixture = behind("symmetric", ALL);
  fixture.send(data(A, B));
  const sent = fixture.udp();
  assert.deepEqual(sortBubbles(sent).indirect, []);
  const test = sent.filter(({ socket }) => socket === RANDOM_SOCKET);
  assert.deepEqual(test.map(({ address }) => address), [PRIMARY, B_MAPPED.address, SECONDARY]);
  assert.equal(test[1].port, B_MAPPED.port);
  assert.equal(solicitations(test).length, 2, "both with an authentication element of their own nonce");
  assert.notDeepEqual(solicitations(test)[0].nonce, solicitations(test)[1].nonce);
});

Deno.test("[SEQ-06 SEQ-07] the prediction is the middle of the two ports, set once, and the indirect bubble announces it", () => {
  const fixture = behind("symmetric", ALL);
  fixture.send(data(A, B));
  const [lower, upper] = solicitations(fixture.udp());
  const mapped = fixture.client.state;
  answer(fixture, lower, 1200, RANDOM_SOCKET);
  assert.deepEqual(fixture.take(), []);
  // A copy of the answer that says otherwise comes too late.
  answer(fixture, lower, 1300, RANDOM_SOCKET);
  answer(fixture, upper, 1203, RANDOM_SOCKET);
  const { indirect: [asking] } = sortBubbles(fixture.udp());
  assert.equal(trailersOf(asking).randomPort, 1201);
  // Maintenance has not seen any of this.
  const { state } = fixture.client;
  assert.ok(mapped.status === "qualified" && state.status === "qualified");
  assert.deepEqual(state.address, mapped.address);
  assert.equal(fixture.bench.count("mapping_changes"), 0);
});

Deno.test("[SEQ-06] an advertisement with another nonce, or on another socket, measures nothing", () => {
  const fixture = behind("symmetric", ALL);
  fixture.send(data(A, B));
  const [lower] = solicitations(fixture.udp());
  fixture.drops("bad-nonce", () => answer(fixture, { ...lower, nonce: new Uint8Array(8) }, 1200, RANDOM_SOCKET));
  fixture.drops("unknown-peer", () => answer(fixture, lower, 1200, RANDOM_SOCKET + 1));
});

Deno.test("a measurement that outlives the address comes to nothing: no bubble without a source", () => {
  const fixture = behind("symmetric", ALL);
  fixture.send(data(A, B));
  const [lower, upper] = solicitations(fixture.udp());
  fixture.client.start({ primary: PRIMARY, secondary: SECONDARY }, fixture.now);
  fixture.take();
  answer(fixture, lower, 1200, RANDOM_SOCKET);
  answer(fixture, upper, 1203, RANDOM_SOCKET);
  assert.deepEqual(fixture.take(), []);
  assert.equal(fixture.bench.count("not-qualified"), 2);
});

Deno.test("[SEQ-05 SEQ-08] without answers a second test follows after 1 s, and 2 s later the indirect bubble without a port", () => {
  const fixture = behind("symmetric", ALL);
  fixture.send(data(A, B));
  fixture.take();
  fixture.pass(999);
  assert.equal(solicitations(fixture.udp()).length, 0);
  fixture.pass(1);
  assert.equal(solicitations(fixture.udp()).length, 2);
  fixture.pass(1_999);
  assert.equal(sortBubbles(fixture.udp()).indirect.length, 0);
  fixture.pass(1);
  const { indirect: asked } = sortBubbles(fixture.udp());
  assert.deepEqual(asked.map((each) => trailersOf(each).randomPort), [undefined]);
});

Deno.test("[SEQ-09] a direct bubble on the primary port ends the test", () => {
  const fixture = behind("symmetric", ALL);
  indirect(fixture, [NONCE]);
  fixture.take();
  direct(fixture, B_MAPPED);
  fixture.pass(5_000);
  const sent = fixture.take().filter((output) => output.kind === "udp");
  assert.deepEqual([solicitations(sent).length, sortBubbles(sent).indirect.length], [0, 0]);
});

Deno.test("[SEQ-10] the refresh timer forgets ports and count: later tests are two again", () => {
  const fixture = behind("symmetric", ALL);
  fixture.send(data(A, B));
  fixture.pass(310_000);
  fixture.take();
  fixture.send(data(A, B));
  fixture.pass(1_000);
  assert.equal(solicitations(fixture.udp()).length, 4);
});

Deno.test("[SEQ-11] the test's bubble goes to the random port that the peer foretold", () => {
  const fixture = behind("symmetric", ALL);
  indirect(fixture, [NONCE, randomPortTrailer(B_RANDOM.port)]);
  const test = fixture.udp().filter(({ socket }) => socket === RANDOM_SOCKET);
  assert.deepEqual(routes(test)[1], { socket: RANDOM_SOCKET, ...B_RANDOM });
  assert.equal(trailersOf(test[1]).nonce, 0xa1b2c3d4);
});

Deno.test("[SEQ-12] while a test runs, another wish for an indirect bubble is part of it", () => {
  const fixture = behind("symmetric", ALL);
  fixture.send(data(A, B));
  fixture.take();
  indirect(fixture, [NONCE]);
  assert.equal(solicitations(fixture.udp()).length, 0);
});

Deno.test("port numbering is told when two measurements agree, and as random when one shows no step", () => {
  const numbering = (lower: number, upper: number) => {
    const fixture = behind("symmetric", ALL);
    fixture.send(data(A, B));
    const [first, second] = solicitations(fixture.udp());
    answer(fixture, first, lower, RANDOM_SOCKET);
    answer(fixture, second, upper, RANDOM_SOCKET);
    const { state } = fixture.client;
    return state.status === "qualified" ? state.nat.ports.kind : undefined;
  };
  // At qualification the ports were 4096 and 4242: too far apart for a step.
  assert.equal(numbering(1200, 1202), "random");
});
