import assert from "node:assert/strict";
import { Socket } from "../../../lib/core/machine.ts";
import { Datagram, writeAuthentication } from "../../../lib/wire/encapsulation.ts";
import { parseRouterAdvertisement } from "../../../lib/wire/router_advertisement.ts";
import { RS_SOURCE_CONE, RS_SOURCE_RESTRICTED } from "../../../lib/wire/teredo_address.ts";
import { concat, hex, ip4, ip6, toHex } from "../harness.ts";
import {
  A,
  A_MAPPED,
  altered,
  B,
  B_MAPPED,
  bubble,
  Fixture,
  LINK_LOCAL,
  NONCE,
  NULL_AUTHENTICATION,
  RA_COVERED,
  RA_SECURE,
  RS_CONE_PACKET,
  RS_PACKET,
  RS_SECURE,
  SECRETS,
} from "./server_fixture.ts";

// ---- Router solicitations

Deno.test("[SRV-04 SRV-08 SRV-14 SRV-15 SRV-16 SRV-18 SRV-20 ENC-10 ADR-14 SEC-11 ICM-01] a solicitation gets the worked advertisement, octet for octet", () => {
  const { bench, server } = new Fixture();
  bench.udp(server, concat(NULL_AUTHENTICATION, RS_PACKET), A_MAPPED, 0);
  const outputs = bench.takeUdp();
  assert.equal(outputs.length, 1);
  const [{ socket, bytes, address, port }] = outputs;
  assert.deepEqual({ socket, address, port }, { socket: Socket.service, ...A_MAPPED });
  assert.equal(toHex(bytes), toHex(concat(NULL_AUTHENTICATION, RA_COVERED)));
  assert.equal(bench.count("rs_received"), 1);
  assert.equal(bench.count("ra_sent"), 1);
});

Deno.test("[SEC-11] no authentication in, none out: nothing of another client's question shows in an answer", () => {
  const fixture = new Fixture();
  const other = concat(hex("00 01 00 00 4e4f4e4345363738 00"), RS_PACKET);
  assert.equal(fixture.udp(other, B_MAPPED).length, 1);
  const [{ bytes }] = fixture.udp(RS_PACKET, A_MAPPED);
  assert.equal(toHex(bytes), toHex(RA_COVERED));
});

Deno.test("[SEC-11] a server without secrets takes an identifier and value for a bare nonce", () => {
  const fixture = new Fixture();
  const authentication = new Uint8Array(13 + 5 + 20);
  writeAuthentication(
    { identifier: hex("616c696365"), value: new Uint8Array(20).fill(9), nonce: NONCE, confirmation: 7 },
    authentication,
    0,
  );
  const [{ bytes }] = fixture.udp(concat(authentication, RS_PACKET), A_MAPPED);
  assert.equal(toHex(bytes), toHex(concat(NULL_AUTHENTICATION, RA_COVERED)));
});

Deno.test("[ADR-13 SRV-17 SRV-18] cone bit set: from the other address; clear: from the same, on either socket", () => {
  const fixture = new Fixture();
  const { service, secondary } = Socket;
  for (
    const [question, arrived, leaves] of [
      [RS_PACKET, service, service],
      [RS_PACKET, secondary, secondary],
      [RS_CONE_PACKET, service, secondary],
      [RS_CONE_PACKET, secondary, service],
    ] as const
  ) {
    const outputs = fixture.udp(concat(NULL_AUTHENTICATION, question), A_MAPPED, arrived);
    assert.deepEqual(outputs.map(({ socket }) => socket), [leaves]);
    const ra = parseRouterAdvertisement(outputs[0].bytes, 21, outputs[0].bytes.length - 21);
    assert.deepEqual(ra?.source, LINK_LOCAL, "always the primary address");
    assert.deepEqual(ra?.destination, question.slice(8, 24));
    assert.deepEqual(ra?.prefixes.map(({ prefix }) => prefix), [ip6("2001:0:cb00:7178::")]);
  }
});

Deno.test("[ADR-13] with one address only, a solicitation with the cone bit stays without answer", () => {
  const fixture = new Fixture({ secondary: undefined });
  fixture.drops("no-secondary-address", concat(NULL_AUTHENTICATION, RS_CONE_PACKET));
  const [{ socket }] = fixture.udp(concat(NULL_AUTHENTICATION, RS_PACKET), A_MAPPED);
  assert.equal(socket, Socket.service);
});

Deno.test("[SRV-04] any link-local source is answered, with options that mean nothing to us skipped", () => {
  const fixture = new Fixture();
  for (const source of ["fe80::ffff:ffff:ffff", "fe80::1:2:3:4", "fe80::7fff:0:0:1"]) {
    const question = altered((bytes) => bytes.set(ip6(source), 8));
    assert.deepEqual(fixture.udp(question, A_MAPPED).map(({ bytes }) => toHex(bytes.subarray(32, 48))), [
      toHex(ip6(source)),
    ]);
  }
  const option = hex("01 02 000000000000 0123456789abcdef");
  const old = altered((bytes) => bytes[5] = 24, concat(RS_CONE_PACKET, option));
  assert.equal(fixture.udp(old, A_MAPPED).length, 1);
});

Deno.test("[ICM-07 ICM-01] a solicitation that breaks a rule of neighbor discovery gets no answer", () => {
  const fixture = new Fixture();
  const wrong: readonly [string, Uint8Array][] = [
    ["hop limit 254", altered((bytes) => bytes[7] = 254)],
    ["hop limit 1", altered((bytes) => bytes[7] = 1)],
    ["code 1", altered((bytes) => bytes[41] = 1)],
    ["too short", altered((bytes) => bytes[5] = 7).subarray(0, 47)],
    ["option of length 0", altered((bytes) => bytes[5] = 16, concat(RS_PACKET, hex("01 00 000000000000")))],
    ["option beyond the end", altered((bytes) => bytes[5] = 16, concat(RS_PACKET, hex("01 02 000000000000")))],
  ];
  for (const [name, question] of wrong) {
    assert.doesNotThrow(() => fixture.drops("bad-solicitation", question), name);
  }
  const checksum = RS_PACKET.slice();
  checksum[43] ^= 1;
  fixture.drops("bad-solicitation", checksum);
  assert.equal(fixture.bench.count("ra_sent"), 0);
});

Deno.test("[SRV-03 SRV-19] a solicitation from an address that is not global is never answered", () => {
  const fixture = new Fixture();
  for (
    const address of [
      "10.0.0.1",
      "192.168.1.1",
      "127.0.0.1",
      "0.0.0.0",
      "224.0.0.1",
      "255.255.255.255",
      "198.51.100.255",
    ]
  ) {
    fixture.drops("not-global-ipv4", RS_PACKET, { address: ip4(address), port: 4096 });
  }
});

Deno.test("[ADR-18] a datagram from port 0 is dropped: nothing could be sent back", () => {
  new Fixture().drops("port-zero", RS_PACKET, { ...A_MAPPED, port: 0 });
});

// ---- Secure qualification

Deno.test("[SEC-03 SEC-07 SEC-08 SEC-09] a secure solicitation gets the worked secure advertisement, octet for octet", () => {
  const fixture = new Fixture({ secrets: SECRETS });
  assert.deepEqual(fixture.udp(RS_SECURE, A_MAPPED).map(({ bytes }) => toHex(bytes)), [toHex(RA_SECURE)]);
});

Deno.test("[SEC-02 SEC-10] with secrets, a solicitation without authentication, of a stranger or with a wrong code is dropped", () => {
  const fixture = new Fixture({ secrets: SECRETS });
  fixture.drops("unauthenticated", RS_PACKET);
  fixture.drops("unauthenticated", concat(NULL_AUTHENTICATION, RS_PACKET));
  const stranger = RS_SECURE.slice();
  stranger[4] ^= 1;
  fixture.drops("unauthenticated", stranger);
  const bob = concat(hex("00 01 03 14 626f62"), RS_SECURE.subarray(9));
  fixture.drops("unauthenticated", bob);
  for (const i of [9, 28, 29, 36, 37]) {
    const forged = RS_SECURE.slice();
    forged[i] ^= 0x80;
    fixture.drops("unauthenticated", forged);
  }
  const short = concat(hex("00 01 05 13 61 6c 69 63 65"), RS_SECURE.subarray(9, 28), RS_SECURE.subarray(29));
  fixture.drops("unauthenticated", short);
});

Deno.test("[SEC-08] an identifier on its way out is answered with confirmation 1 under a right code", () => {
  const fixture = new Fixture({ secrets: SECRETS, expiring: new Set(["alice"]) });
  const [{ bytes }] = fixture.udp(RS_SECURE, A_MAPPED);
  const datagram = new Datagram();
  assert.ok(datagram.decode(bytes, 0, bytes.length));
  assert.equal(datagram.authentication?.confirmation, 1);
  assert.deepEqual(datagram.authentication?.nonce, NONCE);
  assert.notEqual(toHex(datagram.authentication?.value ?? NONCE), toHex(RA_SECURE.subarray(9, 29)));
});

Deno.test("[SEC-10] bubbles and echoes need no authentication", () => {
  const fixture = new Fixture({ secrets: SECRETS });
  assert.equal(fixture.udp(bubble(A, B), A_MAPPED).length, 1);
});

Deno.test("the sources of deployed clients carry the cone bit that they mean", () => {
  const fixture = new Fixture();
  for (
    const [source, socket] of [[RS_SOURCE_RESTRICTED, Socket.service], [RS_SOURCE_CONE, Socket.secondary]] as const
  ) {
    const outputs = fixture.udp(altered((bytes) => bytes.set(source, 8)), A_MAPPED);
    assert.deepEqual(outputs.map((output) => output.socket), [socket]);
  }
});
