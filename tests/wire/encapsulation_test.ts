import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import {
  type Authentication,
  authenticationInput,
  Datagram,
  NULL_AUTHENTICATION_LENGTH,
  ORIGIN_LENGTH,
  writeAuthentication,
  writeNullAuthentication,
  writeOrigin,
} from "../../lib/wire/encapsulation.ts";
import { splitTrailers } from "../../lib/wire/trailers.ts";
import { anyEndpoint, octets, PLAIN, unsigned } from "./arbitraries.ts";
import { guard, hex, ipv4, join, written } from "./octets.ts";
import {
  DATAGRAMS,
  DIRECT_BUBBLE,
  ECHO_REQUEST,
  INDIRECT_BUBBLE,
  NONCE,
  RA,
  RA_SECURE,
  RELAY_BUBBLE_FORWARDED,
  RS_RESTRICTED,
  RS_SECURE,
  SECURE_IDENTIFIER,
  SECURE_SECRET,
} from "./worked_examples.ts";

const ORIGIN = hex("00 00 fe ae fe fd fc fb");
const AUTHENTICATION = RS_RESTRICTED.subarray(0, 13);

/** The decoded datagram as a plain value, or undefined. */
function decode(payload: Uint8Array): unknown {
  const datagram = new Datagram();
  return datagram.decode(payload, 0, payload.length) ? { ...datagram } : undefined;
}

/** The same, written from expectations: elements before the packet, and where the packet and the trailers stand. */
function parts(
  authentication: Authentication | undefined,
  origin: { readonly address: number; readonly port: number } | undefined,
  ipv6At: number,
  ipv6Length: number,
  trailersLength: number,
): unknown {
  return {
    authentication,
    nonceAt: authentication === undefined ? -1 : 4 + authentication.identifier.length + authentication.value.length,
    origin: origin !== undefined,
    originAddress: origin?.address ?? 0,
    originPort: origin?.port ?? 0,
    ipv6At,
    ipv6Length,
    trailersAt: ipv6At + ipv6Length,
    trailersLength,
  };
}

const NULL_AUTHENTICATION: Authentication = {
  identifier: new Uint8Array(0),
  value: new Uint8Array(0),
  nonce: NONCE,
  confirmation: 0,
};

Deno.test("[ENC-03] an origin indication has port and address inverted: the example of RFC 4380 5.1.1, 1.2.3.4 port 337", () => {
  const origin = { address: ipv4("1.2.3.4"), port: 337 };
  assert.deepEqual(written((bytes, at) => writeOrigin(origin, bytes, at)), ORIGIN);
  assert.deepEqual(decode(join(ORIGIN, DIRECT_BUBBLE)), parts(undefined, origin, 8, 40, 0));
});

Deno.test("[ENC-08] a datagram is accepted plain, with origin, with authentication, and with both", () => {
  const origin = { address: ipv4("1.2.3.4"), port: 337 };
  assert.deepEqual(decode(ECHO_REQUEST), parts(undefined, undefined, 0, 56, 0));
  assert.deepEqual(decode(join(ORIGIN, ECHO_REQUEST)), parts(undefined, origin, 8, 56, 0));
  assert.deepEqual(decode(join(AUTHENTICATION, ECHO_REQUEST)), parts(NULL_AUTHENTICATION, undefined, 13, 56, 0));
  assert.deepEqual(decode(join(AUTHENTICATION, ORIGIN, ECHO_REQUEST)), parts(NULL_AUTHENTICATION, origin, 21, 56, 0));
});

Deno.test("worked advertisement of 203.0.113.120: authentication, origin 192.0.2.1:4096, packet", () => {
  assert.deepEqual(decode(RA), parts(NULL_AUTHENTICATION, { address: ipv4("192.0.2.1"), port: 4096 }, 21, 96, 0));
  assert.deepEqual(
    decode(RELAY_BUBBLE_FORWARDED),
    parts(undefined, { address: ipv4("192.0.2.200"), port: 40000 }, 8, 40, 0),
  );
});

Deno.test("[ENC-02] an authentication element has 13 octets and those of its identifier and value", () => {
  const authentication = {
    identifier: new TextEncoder().encode(SECURE_IDENTIFIER),
    value: hex("092f4172aea433fb2c7006f104823e42a67fd828"),
    nonce: NONCE,
    confirmation: 0,
  };
  assert.deepEqual(decode(RS_SECURE), parts(authentication, undefined, 38, 48, 0));
  assert.deepEqual(written((bytes, at) => writeAuthentication(authentication, bytes, at)), RS_SECURE.subarray(0, 38));
  assert.equal(AUTHENTICATION.length, NULL_AUTHENTICATION_LENGTH);
  assert.deepEqual(written((bytes, at) => writeAuthentication(NULL_AUTHENTICATION, bytes, at)), AUTHENTICATION);
});

Deno.test("[ENC-01] an origin before the authentication is malformed", () => {
  assert.equal(decode(join(ORIGIN, AUTHENTICATION, ECHO_REQUEST)), undefined);
});

Deno.test("[ENC-14] a second authentication or a second origin is malformed", () => {
  assert.equal(decode(join(ORIGIN, ORIGIN, ECHO_REQUEST)), undefined);
  assert.equal(decode(join(AUTHENTICATION, AUTHENTICATION, ECHO_REQUEST)), undefined);
  assert.equal(decode(join(AUTHENTICATION, ORIGIN, ORIGIN, ECHO_REQUEST)), undefined);
  assert.equal(decode(join(AUTHENTICATION, AUTHENTICATION, ORIGIN, ECHO_REQUEST)), undefined);
});

Deno.test("[ENC-04] a head that is neither authentication, origin nor IPv6 is malformed", () => {
  for (let first = 0; first < 256; first++) {
    const payload = join(Uint8Array.of(first), DIRECT_BUBBLE.subarray(1));
    assert.equal(decode(payload) !== undefined, first >>> 4 === 6, `first octet ${first}`);
  }
  for (let second = 2; second < 256; second++) {
    assert.equal(decode(join(Uint8Array.of(0, second), ORIGIN.subarray(2), ECHO_REQUEST)), undefined);
  }
  for (const version of [0x00, 0x40, 0x50, 0x70]) {
    assert.equal(decode(join(ORIGIN, Uint8Array.of(version), DIRECT_BUBBLE.subarray(1))), undefined);
  }
});

Deno.test("[ENC-05] a datagram cut anywhere inside its elements, header or payload is malformed", () => {
  const whole = [RS_RESTRICTED, RS_SECURE, RA, RA_SECURE, RELAY_BUBBLE_FORWARDED, ECHO_REQUEST, DIRECT_BUBBLE];
  for (const payload of whole) {
    assert.notEqual(decode(payload), undefined);
    for (let length = 0; length < payload.length; length++) {
      assert.equal(decode(payload.subarray(0, length)), undefined, `cut to ${length}`);
    }
  }
  const longest = join(hex("00 01 ff ff"), new Uint8Array(510), NONCE, hex("00"), DIRECT_BUBBLE);
  assert.notEqual(decode(longest), undefined);
  assert.equal(decode(longest.subarray(0, longest.length - 1)), undefined);
});

Deno.test("[ENC-06] a payload length beyond the end of the datagram is malformed, one octet is enough", () => {
  const payload = ECHO_REQUEST.slice();
  payload[5] = 17;
  assert.equal(decode(payload), undefined);
  payload[4] = 0xff;
  assert.equal(decode(payload), undefined);
  assert.equal(decode(join(ORIGIN, ECHO_REQUEST.subarray(0, 55))), undefined);
});

Deno.test("[ENC-07] octets behind the payload length are the trailer area, not an error", () => {
  assert.deepEqual(decode(INDIRECT_BUBBLE), parts(undefined, undefined, 0, 40, 20));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (surplus) => {
    assert.deepEqual(
      decode(join(AUTHENTICATION, ECHO_REQUEST, surplus)),
      parts(NULL_AUTHENTICATION, undefined, 13, 56, surplus.length),
    );
  }));
});

Deno.test("a datagram object that is used again keeps nothing of the datagram before", () => {
  const datagram = new Datagram();
  assert.equal(datagram.decode(RA, 0, RA.length), true);
  assert.equal(datagram.decode(DIRECT_BUBBLE, 0, 40), true);
  assert.deepEqual({ ...datagram }, parts(undefined, undefined, 0, 40, 0));
});

Deno.test("identifier, value and nonce survive the buffer they came from", () => {
  const bytes = RS_SECURE.slice();
  const datagram = new Datagram();
  datagram.decode(bytes, 0, bytes.length);
  bytes.fill(0);
  assert.deepEqual(datagram.authentication?.nonce, NONCE);
  assert.deepEqual(datagram.authentication?.identifier, new TextEncoder().encode(SECURE_IDENTIFIER));
  assert.equal(datagram.authentication?.value[0], 0x09);
});

Deno.test("a plain data packet costs four octets of reading", () => {
  const guarded = guard(join(new Uint8Array(20), ECHO_REQUEST), 20, 56);
  assert.equal(new Datagram().decode(guarded.bytes, 20, 56), true);
  assert.ok(guarded.reads <= 4, `${guarded.reads} reads`);
});

Deno.test("what was written before a packet decodes to the same, at any offset", () => {
  const anyAuthentication: fc.Arbitrary<Authentication> = fc.record({
    identifier: fc.uint8Array({ maxLength: 255 }),
    value: fc.oneof(fc.constant(new Uint8Array(0)), octets(20), octets(255)),
    nonce: octets(8),
    confirmation: unsigned(8),
  }, PLAIN);
  fc.assert(
    fc.property(
      fc.option(anyAuthentication, { nil: undefined }),
      fc.option(anyEndpoint, { nil: undefined }),
      fc.uint8Array({ maxLength: 40 }),
      (authentication, origin, trailers) => {
        const head = written((bytes, at) => {
          let next = at;
          if (authentication !== undefined) next += writeAuthentication(authentication, bytes, next);
          if (origin !== undefined) next += writeOrigin(origin, bytes, next);
          return next - at;
        });
        assert.deepEqual(
          decode(join(head, ECHO_REQUEST, trailers)),
          parts(authentication, origin, head.length, 56, trailers.length),
        );
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("what an authentication element cannot hold is refused: long identifiers and values, nonces that are not 8 octets", () => {
  const write = (change: Partial<Authentication>): number =>
    writeAuthentication({ ...NULL_AUTHENTICATION, ...change }, new Uint8Array(1000), 0);
  assert.throws(() => write({ identifier: new Uint8Array(256) }), RangeError);
  assert.throws(() => write({ value: new Uint8Array(256) }), RangeError);
  assert.throws(() => write({ nonce: new Uint8Array(7) }), RangeError);
  assert.equal(write({ identifier: new Uint8Array(255), value: new Uint8Array(255) }), 523);
  assert.equal(ORIGIN_LENGTH, ORIGIN.length);
});

/** HMAC-SHA1 with the secret of the worked examples. */
function mac(input: Uint8Array | undefined): Uint8Array {
  assert.ok(input);
  return new Uint8Array(createHmac("sha1", SECURE_SECRET).update(input).digest());
}

Deno.test("the authentication value covers nonce, confirmation, origin and packet: solicitation and advertisement of RFC 4380 5.2.2", () => {
  for (
    const [payload, value] of [
      [RS_SECURE, "092f4172aea433fb2c7006f104823e42a67fd828"],
      [RA_SECURE, "73b67266c6aca584a83416f5313fc6474fabce97"],
    ] as const
  ) {
    const input = authenticationInput(payload, 0, payload.length);
    assert.deepEqual(input, payload.subarray(29));
    assert.deepEqual(mac(input), hex(value));
  }
});

Deno.test("the authentication value covers neither identifier, lengths, the value itself nor trailers", () => {
  const expected = mac(authenticationInput(RS_SECURE, 0, RS_SECURE.length));
  const other = join(hex("00 01 02 03 41 42 00 00 00"), RS_SECURE.subarray(29), hex("01 04 a1 b2 c3 d4"));
  assert.deepEqual(mac(authenticationInput(other, 0, other.length)), expected);
  const shifted = join(new Uint8Array(9), other);
  assert.deepEqual(mac(authenticationInput(shifted, 9, other.length)), expected);
});

Deno.test("every covered octet changes the authentication value", () => {
  const expected = mac(authenticationInput(RA_SECURE, 0, RA_SECURE.length));
  for (let at = 29; at < RA_SECURE.length; at++) {
    const payload = RA_SECURE.slice();
    payload[at] ^= 0x02;
    const input = authenticationInput(payload, 0, payload.length);
    if (input !== undefined) assert.notDeepEqual(mac(input), expected, `octet ${at}`);
  }
});

Deno.test("without authentication, or malformed, there is nothing to authenticate", () => {
  assert.equal(authenticationInput(DIRECT_BUBBLE, 0, 40), undefined);
  assert.equal(authenticationInput(RS_SECURE, 0, RS_SECURE.length - 1), undefined);
});

Deno.test("every worked example is a well-formed datagram, and what follows its packet are trailers to the last octet", () => {
  const datagram = new Datagram();
  for (const payload of DATAGRAMS) {
    assert.equal(datagram.decode(payload, 0, payload.length), true);
    assert.equal(splitTrailers(payload, datagram.trailersAt, datagram.trailersLength).remainder.length, 0);
  }
});

Deno.test("a datagram that copies no authentication still says where its nonce is, for an answer without identifier", () => {
  const payload = join(AUTHENTICATION, ECHO_REQUEST), datagram = new Datagram(false);
  assert.equal(datagram.decode(payload, 0, payload.length), true);
  assert.equal(datagram.authentication, undefined);
  const bytes = new Uint8Array(100);
  bytes.set(payload);
  assert.equal(writeNullAuthentication(datagram.nonceAt, bytes, 80), AUTHENTICATION.length);
  assert.deepEqual(bytes.slice(80, 93), AUTHENTICATION);
});
