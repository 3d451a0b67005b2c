import assert from "node:assert/strict";
import type { DropReason } from "../../../lib/core/counters.ts";
import { A, Fixture, FROM_PRIMARY, PRIMARY } from "./client_fixture.ts";
import { hex } from "../harness.ts";

// Worked examples "RS-secure" and "RA-secure": identifier "alice", secret "teredo-secret".
const RS_SECURE = hex(`
  00 01 05 14 61 6c 69 63 65
  09 2f 41 72 ae a4 33 fb 2c 70 06 f1 04 82 3e 42 a6 7f d8 28
  01 23 45 67 89 ab cd ef 00
  60 00 00 00 00 08 3a ff
  fe 80 00 00 00 00 00 00 00 00 ff ff ff ff ff fe
  ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 02
  85 00 7d 38 00 00 00 00`);
const RA_SECURE = hex(`
  00 01 05 14 61 6c 69 63 65
  73 b6 72 66 c6 ac a5 84 a8 34 16 f5 31 3f c6 47 4f ab ce 97
  01 23 45 67 89 ab cd ef 00
  00 00 ef ff 3f ff fd fe
  60 00 00 00 00 38 3a ff
  fe 80 00 00 00 00 00 00 80 00 f2 27 34 ff 8e 87
  fe 80 00 00 00 00 00 00 00 00 ff ff ff ff ff fe
  86 00 95 4d 00 00 00 00 00 00 00 00 00 00 07 d0
  03 04 40 40 ff ff ff ff ff ff ff ff 00 00 00 00
  20 01 00 00 cb 00 71 78 00 00 00 00 00 00 00 00
  05 01 00 00 00 00 05 00`);

const SERVER_OF_ONE = { primary: PRIMARY, secondary: undefined };

/** A client with the worked example's credentials, nonces included, that has just asked. */
function asking(): Fixture {
  const text = new TextEncoder();
  const random = { u32: () => 0, fill: (bytes: Uint8Array) => bytes.set(hex("01 23 45 67 89 ab cd ef")) };
  const fixture = new Fixture({ identifier: text.encode("alice"), secret: text.encode("teredo-secret") }, random);
  fixture.client.start(SERVER_OF_ONE, fixture.now);
  return fixture;
}

Deno.test("[SEC-03 SEC-04] the solicitation carries identifier, HMAC-SHA1 and confirmation 0 as in the worked example", () => {
  assert.deepEqual(asking().udp(), [{ kind: "udp", socket: 0, bytes: RS_SECURE, address: PRIMARY, port: 3544 }]);
});

Deno.test("[SEC-02 SEC-03] the advertisement of the worked example is authentic", () => {
  const fixture = asking();
  fixture.receive(RA_SECURE, FROM_PRIMARY);
  const { state } = fixture.client;
  assert.ok(state.status === "qualified");
  assert.deepEqual(state.address, A);
});

Deno.test("[SEC-01 SEC-02 SEC-03] one changed octet anywhere in what the code covers, or in the code, and the answer is dropped", () => {
  // Offset and what is there: identifier, code, nonce, confirmation, origin; the IPv6 packet has a checksum and checks of its own.
  const places: readonly (readonly [number, DropReason])[] = [
    [4, "bad-authentication"],
    [9, "bad-authentication"],
    [28, "bad-authentication"],
    [29, "bad-nonce"],
    [36, "bad-nonce"],
    [37, "bad-authentication"],
    [41, "bad-authentication"],
    [46, "bad-authentication"], // flow label: neither checksum nor rule of Neighbor Discovery looks at it
  ];
  for (const [at, reason] of places) {
    const fixture = asking();
    const wrong = RA_SECURE.slice();
    wrong[at] ^= 1;
    fixture.drops(reason, () => fixture.receive(wrong, FROM_PRIMARY));
    fixture.receive(RA_SECURE, FROM_PRIMARY);
    assert.equal(fixture.status(), "qualified", "the right one still counts");
  }
});

Deno.test("[SEC-02] an answer without a code, or without authentication, is no answer to a secure client", () => {
  const fixture = asking();
  const asked = fixture.solicitation();
  fixture.events();
  fixture.drops("bad-authentication", () => fixture.advertise(asked));
  fixture.drops("bad-nonce", () => fixture.advertise(asked, { withoutAuthentication: true }));
});

Deno.test("[SEC-06] without a secret both lengths are 0 and the nonce is checked all the same", () => {
  const fixture = new Fixture();
  fixture.client.start(SERVER_OF_ONE, fixture.now);
  const asked = fixture.solicitation();
  assert.deepEqual(asked.bytes.slice(0, 4), hex("00 01 00 00"));
  assert.equal(asked.bytes[12], 0);
  fixture.events();
  fixture.drops("bad-nonce", () => fixture.advertise(asked, { nonce: new Uint8Array(8).fill(1) }));
  fixture.advertise(asked);
  assert.equal(fixture.status(), "qualified");
});

Deno.test("[SEC-05] a confirmation that is not 0 asks for a new key: told once, and the answer counts", () => {
  const fixture = new Fixture();
  fixture.client.start(SERVER_OF_ONE, fixture.now);
  fixture.advertise(fixture.solicitation(), { confirmation: 1 });
  assert.deepEqual(fixture.events().map(({ type }) => type), ["starting", "key-expired", "qualified"]);
  fixture.pass(30_000);
  fixture.advertise(fixture.solicitation(), { confirmation: 1 });
  assert.deepEqual(fixture.events(), []);
  fixture.pass(30_000);
  fixture.advertise(fixture.solicitation(), { confirmation: 0 });
  fixture.pass(30_000);
  fixture.advertise(fixture.solicitation(), { confirmation: 7 });
  assert.deepEqual(fixture.events(), [{ type: "key-expired", server: PRIMARY }]);
});
