/** What a relay carries from one client to another. */

import assert from "node:assert/strict";
import { C, C_MAPPED, client, data, Fixture, NATIVE, SERVER } from "./relay_fixture.ts";
import { ip4, packet } from "../harness.ts";

const D_MAPPED = { address: ip4("192.0.2.77"), port: 5000 };
const D = client(D_MAPPED, 0x0101);
const ON = { betweenClients: true, symmetricClients: true };

/** C and D have both answered bubbles, at 0. */
function both(options: Partial<ConstructorParameters<typeof Fixture>[0]> = {}): Fixture {
  const fixture = new Fixture({ ...ON, ...options });
  fixture.connect(0);
  fixture.connect(0, D, D_MAPPED);
  return fixture;
}

Deno.test("between two clients that have answered its bubbles the relay passes packets, one hop older, at their mappings", () => {
  const fixture = both();
  fixture.bench.udp(fixture.relay, data(C, D, 9), C_MAPPED, 1000);
  const [sent, ...more] = fixture.bench.takeUdp();
  assert.equal(more.length, 0);
  assert.deepEqual([sent.address, sent.port], [D_MAPPED.address, D_MAPPED.port]);
  assert.equal(sent.bytes[7], 63);
  assert.deepEqual(sent.bytes.slice(8), data(C, D, 9).slice(8));
  assert.equal(fixture.bench.count("packets_between_clients"), 1);
});

Deno.test("switched off, it passes none", () => {
  const fixture = both({ betweenClients: false });
  fixture.dropsUdp("not-served", data(C, D), C_MAPPED, 1000);
});

Deno.test("a client that has not answered a bubble gets one through its server, no larger than its packet, which waits for the answer", () => {
  const fixture = new Fixture({ ...ON, directBubbles: true });
  fixture.connect(0, D, D_MAPPED);
  fixture.bench.udp(fixture.relay, data(C, D, 7), C_MAPPED, 1000);
  const sent = fixture.bench.takeUdp();
  assert.deepEqual(sent.map(({ address, port }) => [address, port]), [[SERVER, 3544]]);
  assert.ok(sent[0].bytes.length <= data(C, D, 7).length);
  // No repeats: nobody can make the relay send more than he sends himself.
  assert.deepEqual(fixture.run(20_000), []);
  fixture.bench.udp(fixture.relay, data(C, D, 8), C_MAPPED, 21_000);
  const [bubble] = fixture.bench.takeUdp();
  fixture.connect(21_000, D, D_MAPPED);
  fixture.bench.udp(fixture.relay, packet(C, bubble.bytes.slice(8, 24)), C_MAPPED, 21_100);
  const carried = fixture.bench.takeUdp();
  assert.deepEqual(carried.map(({ address, bytes }) => [address, bytes[40]]), [[D_MAPPED.address, 8]]);
});

Deno.test("a client that is known by its data only has answered no bubble: its mapping may be another's word", () => {
  const fixture = new Fixture(ON);
  fixture.connect(0, D, D_MAPPED);
  fixture.tun(data(NATIVE, C), 0);
  // The embedded mapping is right, but nothing shows that our bubble arrived there.
  fixture.udp(data(C, NATIVE), C_MAPPED, 100);
  fixture.bench.udp(fixture.relay, data(C, D), C_MAPPED, 3000);
  const sent = fixture.bench.takeUdp();
  assert.ok(sent.every(({ address }) => address === SERVER), "a bubble, and nothing to D");
});

Deno.test("the other client is asked by the usual bubbles, and only an answer to those lets the packet through", () => {
  const fixture = new Fixture(ON);
  fixture.connect(0);
  fixture.bench.udp(fixture.relay, data(C, D, 3), C_MAPPED, 1000);
  const [bubble] = fixture.bench.takeUdp();
  assert.equal(bubble.address, SERVER);
  fixture.dropsUdp("unproven-peer", packet(D, NATIVE), D_MAPPED, 1100);
  fixture.bench.udp(fixture.relay, packet(D, bubble.bytes.slice(8, 24)), D_MAPPED, 1200);
  const [sent] = fixture.bench.takeUdp();
  assert.deepEqual([sent.address, sent.bytes[40]], [D_MAPPED.address, 3]);
});

Deno.test("behind a symmetric NAT the port may be another than the address says, the IPv4 address may not", () => {
  const elsewhere = { ...C_MAPPED, port: 7777 };
  const fixture = new Fixture(ON);
  fixture.bench.udp(fixture.relay, data(C, D), elsewhere, 0);
  assert.equal(fixture.bench.takeUdp().length, 1);
  const forged = new Fixture(ON);
  forged.dropsUdp("spoofed-source", data(C, D), { address: ip4("203.0.113.66"), port: 4096 });
  const strict = new Fixture({ ...ON, symmetricClients: false });
  strict.dropsUdp("spoofed-source", data(C, D), elsewhere);
});

Deno.test("packets that must not be passed on are not: to oneself, at the end of their hops, neighbor discovery, a large one", () => {
  const fixture = both();
  fixture.dropsUdp("loop", data(C, C), C_MAPPED, 1000);
  fixture.dropsUdp("hop-limit", packet(C, D, { nextHeader: 17, hopLimit: 1 }), C_MAPPED, 1000);
  const solicitation = new Uint8Array(24);
  solicitation[0] = 135;
  fixture.dropsUdp("icmpv6-type", packet(C, D, { nextHeader: 58, payload: solicitation }), C_MAPPED, 1000);
  fixture.bench.udp(fixture.relay, data(C, D, 0, 1400), C_MAPPED, 1000);
  assert.deepEqual(fixture.bench.takeUdp(), []);
});

Deno.test("a destination that hides the relay's own or a private address gets nothing", () => {
  const fixture = both();
  const own = client({ address: ip4("192.0.2.200"), port: 4000 });
  fixture.dropsUdp("loop", data(C, own), C_MAPPED, 1000);
  fixture.dropsUdp("not-global-ipv4", data(C, client({ address: ip4("10.0.0.9"), port: 4000 })), C_MAPPED, 1000);
});

Deno.test("one client has a rate, which does not touch another's", () => {
  const fixture = both({ betweenClientsRate: 10 });
  for (let i = 0; i < 50; i++) fixture.bench.udp(fixture.relay, data(C, D), C_MAPPED, 1000);
  assert.equal(fixture.bench.takeUdp().length, 10);
  fixture.bench.udp(fixture.relay, data(D, C), D_MAPPED, 1000);
  assert.equal(fixture.bench.takeUdp().length, 1);
});

Deno.test("strangers make the relay send few bubbles, and no packet of theirs comes through", () => {
  const fixture = new Fixture({ ...ON, maxPending: 1000, maxPeers: 1000 });
  fixture.connect(0, D, D_MAPPED);
  let octetsIn = 0;
  for (let i = 0; i < 500; i++) {
    const mapped = { address: ip4("203.0.113.9"), port: 1024 + i };
    const bytes = data(client(mapped), D);
    octetsIn += bytes.length;
    fixture.bench.udp(fixture.relay, bytes, mapped, 100);
  }
  const sent = [...fixture.bench.takeUdp(), ...fixture.run(60_000)];
  assert.ok(sent.every(({ address }) => address === SERVER));
  assert.ok(sent.reduce((sum, { bytes }) => sum + bytes.length, 0) < octetsIn / 10, "one source, few bubbles");
});
