import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addressAt,
  DESTINATION_AT,
  hopLimit,
  type Ipv6Header,
  nextHeader,
  parseIpv6Header,
  payloadLength,
  SOURCE_AT,
  writeIpv6Header,
} from "../../lib/wire/ipv6.ts";
import { anyIpv6, PLAIN, unsigned } from "./arbitraries.ts";
import { join, written } from "./octets.ts";
import { A, B, DIRECT_BUBBLE, ECHO_REQUEST, NATIVE } from "./worked_examples.ts";

Deno.test("the header of a worked bubble (addresses of RFC 6081 figure 3.1) reads and writes octet by octet", () => {
  const header = {
    trafficClass: 0,
    flowLabel: 0,
    payloadLength: 0,
    nextHeader: 59,
    hopLimit: 21,
    source: A,
    destination: B,
  };
  assert.deepEqual(parseIpv6Header(DIRECT_BUBBLE, 0, 40), header);
  assert.deepEqual(written((bytes, at) => writeIpv6Header(header, bytes, at)), DIRECT_BUBBLE);
});

Deno.test("fields are found where they stand, at any offset", () => {
  const bytes = join(new Uint8Array(7), ECHO_REQUEST);
  assert.deepEqual([payloadLength(bytes, 7), nextHeader(bytes, 7), hopLimit(bytes, 7)], [16, 58, 21]);
  assert.deepEqual(addressAt(bytes, 7 + SOURCE_AT), A);
  assert.deepEqual(addressAt(bytes, 7 + DESTINATION_AT), NATIVE);
});

Deno.test("an address taken from a packet is a copy", () => {
  const bytes = DIRECT_BUBBLE.slice();
  const source = addressAt(bytes, SOURCE_AT);
  bytes.fill(0);
  assert.deepEqual(source, A);
});

Deno.test("a header that was written reads back the same", () => {
  const anyHeader: fc.Arbitrary<Ipv6Header> = fc.record({
    trafficClass: unsigned(8),
    flowLabel: unsigned(20),
    payloadLength: unsigned(16),
    nextHeader: unsigned(8),
    hopLimit: unsigned(8),
    source: anyIpv6,
    destination: anyIpv6,
  }, PLAIN);
  fc.assert(
    fc.property(anyHeader, (header) => {
      const bytes = written((bytes, at) => writeIpv6Header(header, bytes, at));
      assert.equal(bytes.length, 40);
      assert.deepEqual(
        parseIpv6Header(join(bytes, new Uint8Array(header.payloadLength)), 0, 40 + header.payloadLength),
        header,
      );
    }),
    { numRuns: 50 },
  );
});

Deno.test("a packet that is cut short, or of another version, has no header to read", () => {
  assert.equal(parseIpv6Header(ECHO_REQUEST, 0, 39), undefined);
  assert.equal(parseIpv6Header(ECHO_REQUEST, 0, 55), undefined);
  assert.notEqual(parseIpv6Header(ECHO_REQUEST, 0, 56), undefined);
  for (const version of [0, 4, 5, 7, 15]) {
    assert.equal(parseIpv6Header(join(Uint8Array.of(version << 4), ECHO_REQUEST.subarray(1)), 0, 56), undefined);
  }
});
