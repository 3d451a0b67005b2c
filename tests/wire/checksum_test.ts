import assert from "node:assert/strict";
import fc from "fast-check";
import { addToSum, checksumIcmpv6, foldSum, verifyIcmpv6 } from "../../lib/wire/checksum.ts";
import { writeU16 } from "../../lib/wire/bytes.ts";
import { hex, join } from "./octets.ts";
import { DESTINATION_UNREACHABLE, ECHO_REPLY, ECHO_REQUEST, RA, RS_CONE, RS_RESTRICTED } from "./worked_examples.ts";

Deno.test("the example of RFC 1071 3 sums to ddf2", () => {
  assert.equal(foldSum(addToSum(0, hex("00 01 f2 03 f4 f5 f6 f7"), 0, 8)), 0xddf2);
});

Deno.test("an odd last octet counts as the high half of a word, and the octet behind it does not count", () => {
  assert.equal(addToSum(1, hex("ff 12 34 56 99"), 1, 3), 1 + 0x1234 + 0x5600);
  assert.equal(addToSum(7, hex("ff"), 0, 0), 7);
});

Deno.test("folding adds carries until 16 bits are left, for sums beyond 32 bits too", () => {
  assert.equal(foldSum(0xffff), 0xffff);
  assert.equal(foldSum(0x10000), 1);
  assert.equal(foldSum(0x1fffe), 0xffff);
  assert.equal(foldSum(0x1_2345_6789), foldSum(1 + 0x2345 + 0x6789));
  assert.equal(foldSum(addToSum(0, new Uint8Array(65535).fill(0xff), 0, 65535)), foldSum(0xffff * 32767 + 0xff00));
});

/** An IPv6 packet, and the ICMPv6 checksum it carries. */
const PACKETS: readonly (readonly [string, Uint8Array, number])[] = [
  ["RS from fe80::ffff:ffff:fffe", RS_RESTRICTED.subarray(13), 0x7d38],
  ["RS from fe80::8000:ffff:ffff:fffd", RS_CONE.subarray(13), 0xfd38],
  ["RA with MTU option", RA.subarray(21), 0x954d],
  ["echo request", ECHO_REQUEST, 0x60b5],
  ["echo reply", ECHO_REPLY, 0x5fb5],
  ["address unreachable", DESTINATION_UNREACHABLE, 0x0833],
];

for (const [name, packet, checksum] of PACKETS) {
  Deno.test(`[ICM-01] the checksum of ${name} is ${checksum.toString(16).padStart(4, "0")}, whatever its field holds before`, () => {
    const length = packet.length - 40;
    const bytes = join(new Uint8Array(5), packet);
    assert.equal(verifyIcmpv6(bytes, 5, length), true);
    for (const stale of [0, 0xffff, 0x1234, checksum]) {
      writeU16(stale, bytes, 5 + 42);
      assert.equal(checksumIcmpv6(bytes, 5, length), checksum);
      assert.equal(verifyIcmpv6(bytes, 5, length), stale === checksum);
    }
  });
}

Deno.test("[ICM-01] a message of any length with its checksum set verifies, and with one bit changed does not", () => {
  const anyPacket = fc.uint8Array({ minLength: 44, maxLength: 130 });
  fc.assert(
    fc.property(anyPacket, fc.nat(), (packet, where) => {
      const length = packet.length - 40;
      writeU16(checksumIcmpv6(packet, 0, length), packet, 42);
      assert.equal(verifyIcmpv6(packet, 0, length), true);
      const bit = where % (8 * (packet.length - 8));
      packet[8 + (bit >>> 3)] ^= 1 << (bit & 7);
      assert.equal(verifyIcmpv6(packet, 0, length), false);
    }),
    { numRuns: 300 },
  );
});
