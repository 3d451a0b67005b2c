import assert from "node:assert/strict";
import { flagsAt } from "../../../lib/wire/teredo_address.ts";
import {
  A,
  A_MAPPED,
  B,
  B_MAPPED,
  data,
  Fixture,
  FROM_PRIMARY,
  FROM_SECONDARY,
  NATIVE,
  OPTIONS,
  PRIMARY,
  RELAY_LINK_LOCAL,
  RS_SOURCE,
  RS_SOURCE_CONE,
  SECONDARY,
} from "./client_fixture.ts";
import { ip4, packet, SeededRandom } from "../harness.ts";
import { behind } from "./traversal_fixture.ts";

const OTHER_MAPPED = { address: ip4("192.0.2.77"), port: 1024 };

/** Time until the next solicitation, which is taken. */
function untilSolicitation(fixture: Fixture): number {
  const begin = fixture.now;
  fixture.take();
  while (fixture.solicitations().length === 0) {
    assert.ok(fixture.client.nextTimer() < Infinity);
    fixture.pass(Math.max(0, fixture.client.nextTimer() - fixture.now));
  }
  return fixture.now - begin;
}

Deno.test("[MNT-01 MNT-02 MNT-03 MNT-07 MNT-09] after a random 75 to 100 % of 30 s of silence the primary server is asked, cone bit clear", () => {
  assert.equal(OPTIONS.refreshInterval, 30_000);
  const waits: number[] = [];
  for (let seed = 1; seed <= 200; seed++) {
    const fixture = new Fixture({}, new SeededRandom(seed));
    fixture.qualify();
    const begin = fixture.now;
    fixture.pass(fixture.client.nextTimer() - fixture.now);
    const [asked] = fixture.solicitations();
    assert.deepEqual([asked.to, asked.socket, asked.source], [FROM_PRIMARY, 0, RS_SOURCE]);
    waits.push(fixture.now - begin);
  }
  assert.ok(waits.every((wait) => wait >= 22_500 && wait <= 30_000));
  assert.ok(Math.min(...waits) < 23_000 && Math.max(...waits) > 29_500, "the whole range is used");
});

Deno.test("[MNT-08] the refresh interval is an option", () => {
  const fixture = Fixture.qualified({ refreshInterval: 10_000 });
  const wait = untilSolicitation(fixture);
  assert.ok(wait >= 7_500 && wait <= 10_000);
});

Deno.test("[MNT-03] a client that qualified as cone asks with the cone bit, and takes the answer from the other address", () => {
  const fixture = new Fixture({ conePhase: true });
  fixture.client.start({ primary: PRIMARY, secondary: SECONDARY }, fixture.now);
  fixture.advertise(fixture.solicitation(), { from: FROM_SECONDARY });
  fixture.pass(30_000);
  const asked = fixture.solicitation();
  assert.deepEqual(asked.source, RS_SOURCE_CONE);
  fixture.advertise(asked, { from: FROM_SECONDARY });
  fixture.pass(20_000);
  assert.deepEqual(fixture.solicitations(), []);
});

Deno.test("[MNT-01 MNT-11] any packet from the server's primary address and port puts the next question off", () => {
  const forwarded = [
    packet(B, A), // an indirect bubble
    data(NATIVE, A), // the server is a relay too
  ];
  for (const datagram of forwarded) {
    const fixture = Fixture.qualified();
    fixture.pass(20_000);
    fixture.receive(datagram, FROM_PRIMARY);
    const wait = untilSolicitation(fixture);
    assert.ok(wait >= 22_500 && wait <= 30_000, `${wait}`);
  }
});

Deno.test("[MNT-01] packets from the secondary address, another port, or a peer do not", () => {
  for (const from of [FROM_SECONDARY, { address: PRIMARY, port: 3545 }, B_MAPPED]) {
    const fixture = Fixture.qualified();
    fixture.pass(20_000);
    fixture.receive(data(B, A), from);
    assert.ok(untilSolicitation(fixture) <= 10_000);
  }
});

Deno.test("[MNT-05 ADR-17] an answer with the same mapping changes nothing and tells nothing", () => {
  const fixture = Fixture.qualified();
  fixture.trustB();
  fixture.pass(30_000);
  const asked = fixture.solicitation();
  const before = fixture.client.state;
  fixture.advertise(asked);
  assert.deepEqual(fixture.take(), []);
  assert.deepEqual(fixture.client.state, before);
  const wait = untilSolicitation(fixture);
  assert.ok(wait >= 22_500 && wait <= 30_000);
});

Deno.test("[MNT-02] the NAT's time runs from question to question, whatever the answers take, and ends before the interval does", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const fixture = new Fixture({}, new SeededRandom(seed));
    fixture.qualify();
    fixture.pass(fixture.client.nextTimer() - fixture.now);
    for (let round = 0; round < 3; round++) {
      const asked = fixture.solicitation(), since = fixture.now;
      fixture.now += 900;
      fixture.advertise(asked);
      fixture.pass(fixture.client.nextTimer() - fixture.now);
      assert.ok(fixture.now - since >= 22_500 && fixture.now - since <= 29_700, `${fixture.now - since}`);
    }
  }
});

Deno.test("[MNT-01] behind a symmetric NAT what comes from the server does not keep the mapping: the next question is not put off", () => {
  const fixture = behind("symmetric", {}, { refreshInterval: 30_000 });
  fixture.pass(20_000);
  fixture.receive(packet(B, A), FROM_PRIMARY);
  assert.ok(untilSolicitation(fixture) <= 10_000);
});

Deno.test("[MNT-05 MNT-06 ADR-17] another mapping: the old address is lost, the new one has new flags, and peers are found anew", () => {
  const seen = new Set<number>();
  for (let seed = 1; seed <= 16; seed++) {
    const fixture = new Fixture({}, new SeededRandom(seed));
    fixture.qualify();
    fixture.trustB();
    fixture.send(data(A, B));
    assert.equal(fixture.udp()[0].address, B_MAPPED.address);
    fixture.pass(30_000);
    const asked = fixture.solicitation();
    fixture.now += 100;
    fixture.advertise(asked, { origin: OTHER_MAPPED });
    const [lost, qualified, ...rest] = fixture.events();
    assert.deepEqual(lost, { type: "lost", reason: "mapping-changed" });
    assert.ok(qualified.type === "qualified");
    assert.deepEqual(qualified.mapped, OTHER_MAPPED);
    assert.ok(qualified.elapsed >= 100);
    assert.deepEqual(rest, []);
    seen.add(flagsAt(qualified.address, 0));
    fixture.drops("not-own-destination", () => fixture.receive(data(B, A), B_MAPPED));
    fixture.send(data(qualified.address, B));
    assert.ok(fixture.udp().every(({ bytes }) => bytes.length === 40), "bubbles only");
    assert.equal(fixture.bench.count("mapping_changes"), 1);
  }
  assert.ok(seen.size > 12, "flags are drawn anew");
});

Deno.test("[MNT-04] a wrong advertisement is dropped in silence and the question repeated", () => {
  const fixture = Fixture.qualified();
  fixture.pass(30_000);
  const asked = fixture.solicitation();
  fixture.drops("bad-nonce", () => fixture.advertise(asked, { origin: OTHER_MAPPED, nonce: new Uint8Array(8) }));
  fixture.drops("bad-advertisement", () => fixture.advertise(asked, { origin: undefined }));
  fixture.drops("bad-advertisement", () => fixture.advertise(asked, { origin: OTHER_MAPPED, from: FROM_SECONDARY }));
  fixture.drops("not-global-ipv4", () => fixture.advertise(asked, { origin: { address: ip4("10.1.1.1"), port: 1 } }));
  fixture.pass(4000);
  assert.ok(fixture.solicitations().length >= 1);
  assert.equal(fixture.status(), "qualified");
});

Deno.test("[MNT-12] an advertisement whose nonce is not outstanding never changes the mapping", () => {
  const fixture = Fixture.qualified();
  fixture.pass(30_000);
  const answered = fixture.solicitation();
  fixture.advertise(answered);
  fixture.take();
  // Nothing outstanding: a repetition of what was right a moment ago.
  fixture.drops("bad-nonce", () => fixture.advertise(answered, { origin: OTHER_MAPPED }));
  fixture.pass(30_000);
  const asked = fixture.solicitation();
  // Something outstanding: an older nonce, and that of a question from elsewhere.
  fixture.drops("bad-nonce", () => fixture.advertise(asked, { nonce: answered.nonce, origin: OTHER_MAPPED }));
  fixture.drops(
    "bad-nonce",
    () => fixture.advertise(asked, { nonce: new Uint8Array(8).fill(9), origin: OTHER_MAPPED }),
  );
  const { state } = fixture.client;
  assert.ok(state.status === "qualified");
  assert.deepEqual(state.mapped, A_MAPPED);
});

Deno.test("[MNT-04 MNT-05] a late answer to an earlier question of the same round still shows the mapping", () => {
  const fixture = Fixture.qualified();
  fixture.pass(fixture.client.nextTimer() - fixture.now);
  const first = fixture.solicitation();
  fixture.pass(4000);
  assert.equal(fixture.solicitations().length, 1);
  fixture.advertise(first, { origin: OTHER_MAPPED });
  assert.deepEqual(fixture.events().map(({ type }) => type), ["lost", "qualified"]);
});

Deno.test("[MNT-02 QUA-03] no answer to three questions: lost, and qualification begins at once; the same mapping gives the same address", () => {
  const fixture = Fixture.qualified();
  fixture.trustB();
  untilSolicitation(fixture);
  fixture.pass(11_999);
  assert.equal(fixture.solicitations().length, 2);
  fixture.pass(1);
  const asked = fixture.solicitation();
  assert.deepEqual(fixture.events(), [
    { type: "lost", reason: "maintenance-lost" },
    { type: "starting", server: PRIMARY },
  ]);
  fixture.advertise(asked);
  fixture.advertise(fixture.solicitation());
  const [event] = fixture.events();
  assert.ok(event.type === "qualified");
  assert.deepEqual(event.address, A);
});

Deno.test("[MNT-11] while the server's other packets arrive, silence to questions is not taken for loss", () => {
  const fixture = Fixture.qualified();
  fixture.pass(fixture.client.nextTimer() - fixture.now);
  fixture.pass(5000);
  fixture.receive(packet(RELAY_LINK_LOCAL, A), FROM_PRIMARY);
  fixture.pass(10_000);
  assert.equal(fixture.status(), "qualified");
  assert.deepEqual(fixture.events(), []);
});

Deno.test("[MNT-10 ADR-17] asked to, a client solicits at any other time, and keeps its address when the mapping is the same", () => {
  const fixture = Fixture.qualified();
  fixture.pass(1000);
  fixture.client.start({ primary: PRIMARY, secondary: undefined }, fixture.now);
  fixture.advertise(fixture.solicitation());
  const event = fixture.events().at(-1);
  assert.ok(event?.type === "qualified");
  assert.deepEqual(event.address, A);
});

Deno.test("a client that is off-line tries again by itself and qualifies when the server is back", () => {
  const fixture = new Fixture();
  fixture.client.start({ primary: PRIMARY, secondary: undefined }, fixture.now);
  fixture.pass(12_000);
  const offline = fixture.events().at(-1);
  assert.ok(offline?.type === "offline");
  fixture.pass(offline.retryIn);
  fixture.advertise(fixture.solicitation());
  assert.deepEqual(fixture.events().map(({ type }) => type), ["qualified"]);
});
