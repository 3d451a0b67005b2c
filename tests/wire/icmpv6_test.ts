import assert from "node:assert/strict";
import fc from "fast-check";
import { writeU16 } from "../../lib/wire/bytes.ts";
import { checksumIcmpv6, verifyIcmpv6 } from "../../lib/wire/checksum.ts";
import {
  type Echo,
  ICMPV6_DESTINATION_UNREACHABLE,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_PACKET_TOO_BIG,
  type Icmpv6Error,
  icmpv6Type,
  mayAnswerWithError,
  parseEcho,
  Unreachable,
  writeEcho,
  writeIcmpv6Error,
} from "../../lib/wire/icmpv6.ts";
import { parseIpv6Header } from "../../lib/wire/ipv6.ts";
import { anyIpv6, PLAIN, unsigned } from "./arbitraries.ts";
import { hex, ipv6, join, written } from "./octets.ts";
import { A, DESTINATION_UNREACHABLE, DIRECT_BUBBLE, ECHO_REPLY, ECHO_REQUEST, NATIVE } from "./worked_examples.ts";

const REQUEST: Echo = {
  source: A,
  destination: NATIVE,
  hopLimit: 21,
  reply: false,
  identifier: 0x1122,
  sequence: 0x3344,
  data: hex("55 66 77 88 99 aa bb cc"),
};
const REPLY: Echo = { ...REQUEST, source: NATIVE, destination: A, reply: true };

const ERROR: Icmpv6Error = {
  source: ipv6("2001:db8:1::ff"),
  destination: NATIVE,
  hopLimit: 64,
  type: ICMPV6_DESTINATION_UNREACHABLE,
  code: Unreachable.address,
  parameter: 0,
};

Deno.test("worked connectivity test (RFC 4443 4.1, 4.2): request and reply differ in addresses, type and checksum", () => {
  assert.deepEqual(written((bytes, at) => writeEcho(REQUEST, bytes, at)), ECHO_REQUEST);
  assert.deepEqual(written((bytes, at) => writeEcho(REPLY, bytes, at)), ECHO_REPLY);
  assert.deepEqual(parseEcho(ECHO_REQUEST, 0, 56), REQUEST);
  assert.deepEqual(parseEcho(join(new Uint8Array(9), ECHO_REPLY), 9, 56), REPLY);
});

Deno.test("an echo that was written reads back the same", () => {
  const anyEcho: fc.Arbitrary<Echo> = fc.record({
    source: anyIpv6,
    destination: anyIpv6,
    hopLimit: unsigned(8),
    reply: fc.boolean(),
    identifier: unsigned(16),
    sequence: unsigned(16),
    data: fc.uint8Array({ maxLength: 90 }),
  }, PLAIN);
  fc.assert(
    fc.property(anyEcho, (echo) => {
      const packet = written((bytes, at) => writeEcho(echo, bytes, at));
      assert.deepEqual(parseEcho(packet, 0, packet.length), echo);
    }),
    { numRuns: 60 },
  );
});

Deno.test("octets behind the packet are not part of the echo", () => {
  assert.deepEqual(parseEcho(join(ECHO_REQUEST, hex("01 04 a1 b2 c3 d4")), 0, 62), REQUEST);
});

Deno.test("[ICM-01] an echo with any wrong bit, but in traffic class, flow label and hop limit, is refused", () => {
  for (let bit = 0; bit < 8 * ECHO_REPLY.length; bit++) {
    const packet = ECHO_REPLY.slice();
    packet[bit >>> 3] ^= 0x80 >>> (bit & 7);
    const harmless = (bit >= 4 && bit < 32) || bit >>> 3 === 7;
    assert.equal(parseEcho(packet, 0, packet.length) !== undefined, harmless, `bit ${bit}`);
  }
});

Deno.test("an echo that is cut, of another code or of another type is refused", () => {
  assert.equal(parseEcho(ECHO_REQUEST, 0, 55), undefined);
  for (const [at, value] of [[41, 1], [40, 127], [40, 130], [5, 7]] as const) {
    const packet = ECHO_REQUEST.slice();
    packet[at] = value;
    writeU16(checksumIcmpv6(packet, 0, packet[5]), packet, 42);
    assert.equal(parseEcho(packet, 0, packet.length), undefined, `octet ${at}`);
  }
});

Deno.test("the type of a message is told without reading it, and a packet of something else has none", () => {
  assert.equal(icmpv6Type(ECHO_REQUEST, 0), ICMPV6_ECHO_REQUEST);
  assert.equal(icmpv6Type(DIRECT_BUBBLE, 0), -1);
  const empty = ECHO_REQUEST.slice();
  empty[5] = 0;
  assert.equal(icmpv6Type(empty, 0), -1);
});

Deno.test("worked Destination Unreachable (RFC 4443 3.1) quotes the whole request", () => {
  const offending = DESTINATION_UNREACHABLE.subarray(48);
  assert.deepEqual(
    written((bytes, at) => writeIcmpv6Error(ERROR, offending, 0, 56, bytes, at)),
    DESTINATION_UNREACHABLE,
  );
});

Deno.test("[ICM-04] an error quotes as much as fits in 1280 octets, not one octet more or less", () => {
  const offending = Uint8Array.from({ length: 2000 }, (_, i) => i);
  for (const length of [0, 1, 40, 1231, 1232, 1233, 1500, 2000]) {
    const packet = written((bytes, at) => writeIcmpv6Error(ERROR, offending, 0, length, bytes, at));
    assert.equal(packet.length, Math.min(48 + length, 1280));
    assert.deepEqual(packet.subarray(48), offending.subarray(0, Math.min(length, 1232)));
    assert.equal(parseIpv6Header(packet, 0, packet.length)?.payloadLength, packet.length - 40);
    assert.equal(verifyIcmpv6(packet, 0, packet.length - 40), true);
  }
});

Deno.test("[ICM-04] an error may be written over the very packet it is about", () => {
  const offending = Uint8Array.from({ length: 1500 }, (_, i) => 7 * i);
  const expected = written((bytes, at) => writeIcmpv6Error(ERROR, offending, 0, 1500, bytes, at));
  for (const distance of [0, 1, 47, 48, 49, 200]) {
    const bytes = new Uint8Array(3000);
    bytes.set(offending, 300);
    assert.equal(writeIcmpv6Error(ERROR, bytes, 300, 1500, bytes, 300 - distance), 1280);
    assert.deepEqual(bytes.slice(300 - distance, 1580 - distance), expected, `${distance} octets before`);
  }
});

Deno.test("Packet Too Big carries the MTU in 32 bits", () => {
  const error = { ...ERROR, type: ICMPV6_PACKET_TOO_BIG, code: 0, parameter: 0xfedcba98 };
  const packet = written((bytes, at) => writeIcmpv6Error(error, ECHO_REQUEST, 0, 56, bytes, at));
  assert.deepEqual([packet[40], packet[41]], [2, 0]);
  assert.deepEqual(packet.subarray(44, 48), hex("fedcba98"));
});

/** A packet of `payload` behind a header with these addresses. */
function packet(
  nextHeader: number,
  payload: Uint8Array,
  source: string = "2001:db8::1",
  destination: string = "2001:db8::2",
): Uint8Array {
  const bytes = join(hex("60000000 0000"), Uint8Array.of(nextHeader, 64), ipv6(source), ipv6(destination), payload);
  writeU16(payload.length, bytes, 4);
  return bytes;
}

const may = (bytes: Uint8Array): boolean => mayAnswerWithError(bytes, 0, bytes.length);

Deno.test("[ICM-02] no error answers an ICMPv6 error or a redirect; everything else of ICMPv6 may be answered", () => {
  for (let type = 0; type < 256; type++) {
    assert.equal(
      may(packet(58, Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0))),
      type >= 128 && type !== 137,
      `type ${type}`,
    );
  }
  assert.equal(may(packet(58, new Uint8Array(0))), false);
});

Deno.test("[ICM-02] extension headers do not hide an ICMPv6 error, and a later fragment of ICMPv6 is not answered", () => {
  const error = hex("01 03 0000 00000000");
  const request = hex("80 00 0000 00000000");
  const options = hex("3a 00 0104 00000000");
  const firstFragment = hex("3a 00 0001 00000001");
  const laterFragment = hex("3a 00 0008 00000001");
  for (const [header, extension] of [[0, options], [60, options], [43, options], [44, firstFragment]] as const) {
    assert.equal(may(packet(header, join(extension, error))), false, `error behind ${header}`);
    assert.equal(may(packet(header, join(extension, request))), true, `request behind ${header}`);
  }
  assert.equal(may(packet(44, join(laterFragment, request))), false);
  assert.equal(may(packet(0, hex("3a 05 0104 00000000"))), false);
});

Deno.test("[ICM-02] no error goes to a source that names no single node, or about a multicast", () => {
  const segment = new Uint8Array(20);
  assert.equal(may(packet(6, segment)), true);
  assert.equal(may(packet(6, segment, "::")), false);
  assert.equal(may(packet(6, segment, "ff02::1")), false);
  assert.equal(may(packet(6, segment, "2001:db8::1", "ff02::1")), false);
  assert.equal(may(packet(6, segment, "2001:db8::1", "ff0e::1")), false);
});

Deno.test("[ICM-02] what is no whole IPv6 packet is not answered", () => {
  const whole = packet(17, new Uint8Array(8));
  assert.equal(mayAnswerWithError(whole, 0, 48), true);
  assert.equal(mayAnswerWithError(whole, 0, 47), false);
  assert.equal(mayAnswerWithError(whole, 0, 39), false);
  whole[0] = 0x45;
  assert.equal(may(whole), false);
});
