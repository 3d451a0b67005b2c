import assert from "node:assert/strict";
import fc from "fast-check";
import { writeU16 } from "../../lib/wire/bytes.ts";
import { checksumIcmpv6 } from "../../lib/wire/checksum.ts";
import { writeNeighborOptions } from "../../lib/wire/neighbor_options.ts";
import { ALL_ROUTERS } from "../../lib/wire/ipv6_address.ts";
import { parseRouterSolicitation, writeRouterSolicitation } from "../../lib/wire/router_solicitation.ts";
import { RS_SOURCE_CONE, RS_SOURCE_RESTRICTED } from "../../lib/wire/teredo_address.ts";
import { anyIpv6, anyOption } from "./arbitraries.ts";
import { hex, ipv6, join, written } from "./octets.ts";
import { ECHO_REQUEST, RA, RS_CONE, RS_RESTRICTED, RS_SECURE } from "./worked_examples.ts";

const RESTRICTED = RS_RESTRICTED.subarray(13);

/** A packet with some octets replaced, and then the checksum made right. */
function changed(packet: Uint8Array, ...changes: readonly (readonly [number, number])[]): Uint8Array {
  const bytes = packet.slice();
  for (const [at, value] of changes) bytes[at] = value;
  writeU16(checksumIcmpv6(bytes, 0, bytes.length - 40), bytes, 42);
  return bytes;
}

/** A solicitation with raw octets for options, its lengths and checksum right. */
function withOptions(source: Uint8Array, options: Uint8Array): Uint8Array {
  const bytes = join(RESTRICTED, options);
  bytes.set(source, 8);
  writeU16(8 + options.length, bytes, 4);
  return changed(bytes);
}

const parse = (packet: Uint8Array): unknown => parseRouterSolicitation(packet, 0, packet.length);

Deno.test("worked solicitations of both phases (RFC 4380 5.2.1) write and read octet by octet", () => {
  assert.deepEqual(written((bytes, at) => writeRouterSolicitation(RS_SOURCE_RESTRICTED, bytes, at)), RESTRICTED);
  assert.deepEqual(written((bytes, at) => writeRouterSolicitation(RS_SOURCE_CONE, bytes, at)), RS_CONE.subarray(13));
  assert.deepEqual(parse(RESTRICTED), { source: RS_SOURCE_RESTRICTED, destination: ALL_ROUTERS, options: [] });
  assert.deepEqual(parseRouterSolicitation(RS_SECURE, 38, 48)?.source, RS_SOURCE_RESTRICTED);
});

Deno.test("[ICM-01] checksums of solicitations from the sources of the original implementation are 7d37 and 125d", () => {
  for (const [source, checksum] of [["fe80::ffff:ffff:ffff", "7d37"], ["fe80::8000:5445:5245:444f", "125d"]]) {
    const packet = written((bytes, at) => writeRouterSolicitation(ipv6(source), bytes, at));
    assert.deepEqual(packet.subarray(42, 44), hex(checksum));
    assert.notEqual(parse(packet), undefined);
  }
});

Deno.test("a solicitation that was written reads back the same, options included", () => {
  const anySource = anyIpv6.map((address) => join(hex("fe80 0000 0000 0000"), address.subarray(8)));
  fc.assert(
    fc.property(anySource, fc.array(anyOption, { maxLength: 4 }), (source, options) => {
      const packet = written((bytes, at) => writeRouterSolicitation(source, bytes, at, options));
      assert.deepEqual(parse(packet), { source, destination: ALL_ROUTERS, options });
    }),
    { numRuns: 50 },
  );
});

Deno.test("[ICM-07] a solicitation whose hop limit is not 255 has been routed and is refused (RFC 4861 6.1.1)", () => {
  for (let hopLimit = 0; hopLimit < 255; hopLimit++) assert.equal(parse(changed(RESTRICTED, [7, hopLimit])), undefined);
});

Deno.test("[ICM-01] a solicitation with a wrong checksum is refused", () => {
  const packet = RESTRICTED.slice();
  packet[43] ^= 1;
  assert.equal(parse(packet), undefined);
});

Deno.test("a solicitation of another code or type, or too short, is refused (RFC 4861 6.1.1)", () => {
  assert.equal(parse(changed(RESTRICTED, [41, 1])), undefined);
  assert.equal(parse(changed(RESTRICTED, [40, 134])), undefined);
  assert.equal(parse(changed(RESTRICTED, [6, 59])), undefined);
  assert.equal(parse(changed(RESTRICTED.subarray(0, 47), [5, 7])), undefined);
  assert.equal(parse(ECHO_REQUEST), undefined);
  assert.equal(parseRouterSolicitation(RA, 21, 96), undefined);
});

Deno.test("reserved octets and options of unknown types mean nothing", () => {
  assert.notEqual(parse(changed(RESTRICTED, [44, 1], [47, 0xff])), undefined);
  assert.notEqual(parse(withOptions(RS_SOURCE_RESTRICTED, hex("fd 02 000000000000 0000000000000000"))), undefined);
});

Deno.test("an option of length 0, or longer than the message, condemns the solicitation (RFC 4861 6.1.1)", () => {
  for (
    const options of [
      "fd 00 000000000000",
      "fd 02 000000000000",
      "01 01 000000000000 00",
      "01 01 000000000000 01 01 00000000",
    ]
  ) {
    assert.equal(parse(withOptions(RS_SOURCE_RESTRICTED, hex(options))), undefined, options);
  }
});

Deno.test("an unspecified source is legal without a source link-layer option and not with one (RFC 4861 6.1.1)", () => {
  assert.notEqual(parse(withOptions(ipv6("::"), hex(""))), undefined);
  assert.notEqual(parse(withOptions(ipv6("::"), hex("05 01 000000000500"))), undefined);
  assert.equal(parse(withOptions(ipv6("::"), hex("01 01 000000000000"))), undefined);
});

Deno.test("an option body that does not fill units of eight octets cannot be written", () => {
  for (const length of [0, 5, 7, 13, 2046]) {
    assert.throws(
      () => writeNeighborOptions([{ type: 1, body: new Uint8Array(length) }], new Uint8Array(4000), 0),
      RangeError,
    );
  }
  assert.equal(writeNeighborOptions([{ type: 1, body: new Uint8Array(2038) }], new Uint8Array(4000), 0), 2040);
});
