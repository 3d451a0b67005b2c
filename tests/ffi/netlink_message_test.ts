import assert from "node:assert/strict";
import fc from "fast-check";
import { Attributes, NetlinkRequest, splitMessages } from "../../ffi/netlink_message.ts";
import { parseAddress, parseLink, parseRoute } from "../../ffi/netlink_objects.ts";

Deno.test("a request has the kernel's layout, octet by octet", () => {
  const request = new NetlinkRequest(16, 0x400, 16)
    .header32(4, 3)
    .attribute(3, Uint8Array.of(0x61, 0))
    .nested(26, (all) => all.nested(10, (inet6) => inet6.attribute8(8, 1)));
  // rtnetlink(7): RTM_NEWLINK with IFLA_IFNAME "a" and IFLA_AF_SPEC { AF_INET6 { IFLA_INET6_ADDR_GEN_MODE none } }.
  assert.deepEqual([...request.finish(7, 0x5)], [
    ...[56, 0, 0, 0, 16, 0, 5, 4, 7, 0, 0, 0, 0, 0, 0, 0],
    ...[0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ...[6, 0, 3, 0, 0x61, 0, 0, 0],
    ...[16, 0, 26, 0, 12, 0, 10, 0, 5, 0, 8, 0, 1, 0, 0, 0],
  ]);
});

Deno.test("what a request holds is read back", () => {
  fc.assert(fc.property(
    fc.uint8Array({ maxLength: 40 }),
    fc.nat({ max: 0xffff_ffff }),
    fc.integer({ min: 0, max: 0xffff_ffff }),
    (octets, number, sequence) => {
      const bytes = new NetlinkRequest(24, 0, 12).header8(1, 64).attribute(1, octets).attribute32(6, number)
        .finish(sequence, 1);
      const [message, ...more] = splitMessages(bytes);
      assert.deepEqual(more, []);
      assert.deepEqual([message.type, message.flags, message.sequence, message.header8(1)], [24, 1, sequence, 64]);
      const attributes = message.attributes(12);
      assert.deepEqual(attributes.bytes(1), octets);
      assert.equal(attributes.u32(6), number);
      assert.equal(attributes.bytes(2), undefined);
    },
  ));
});

Deno.test("any octets are read without an exception and without reading past their end", () => {
  const header = fc.record({ length: fc.nat({ max: 80 }), rest: fc.uint8Array({ minLength: 12, maxLength: 80 }) })
    .map(({ length, rest }) => Uint8Array.of(length, 0, 0, 0, ...rest));
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), header), (octets) => {
    const around = new Uint8Array(octets.length + 64).fill(0xff);
    around.set(octets, 32);
    const bytes = around.subarray(32, 32 + octets.length);
    let total = 0;
    for (const message of splitMessages(bytes)) {
      total += message.bytes.length;
      assert.ok(parseLink(message).name.length <= bytes.length);
      assert.ok(parseAddress(message).address.length <= bytes.length);
      assert.ok(parseRoute(message).destination.length <= Math.max(16, bytes.length));
    }
    assert.ok(total <= bytes.length);
    const attributes = new Attributes(bytes);
    assert.ok((attributes.bytes(0xff)?.length ?? 0) <= bytes.length);
  }));
});
