import assert from "node:assert/strict";
import { findUpperLayer, isSourceRouted } from "../../lib/wire/extension_headers.ts";
import { writeU16 } from "../../lib/wire/bytes.ts";
import { hex, ipv6, join } from "./octets.ts";

/** A packet of `payload`, given in hex. */
function packet(nextHeader: number, payload: string): Uint8Array {
  const octets = hex(payload);
  const bytes = join(
    hex("60000000 0000"),
    Uint8Array.of(nextHeader, 64),
    ipv6("2001:db8::1"),
    ipv6("2001:db8::2"),
    octets,
  );
  writeU16(octets.length, bytes, 4);
  return bytes;
}

const TYPE_0 = "06 02 00 01 00000000 20010db8000000000000000000000003";
const TYPE_2 = "06 02 02 01 00000000 20010db8000000000000000000000003";

Deno.test("a packet without extension headers has its upper layer behind the header", () => {
  assert.deepEqual(findUpperLayer(packet(6, "0001"), 0, 42), { protocol: 6, at: 40, length: 2, sourceRouted: false });
  assert.deepEqual(findUpperLayer(packet(59, ""), 0, 40), { protocol: 59, at: 40, length: 0, sourceRouted: false });
});

Deno.test("every kind of extension header is stepped over by its own measure (RFC 8200 4, RFC 4302 2.2)", () => {
  const chain = packet(
    0,
    "2b 00 000000000000" + // hop-by-hop, then routing
      "2c 00 0300 00000000" + // routing type 3, then fragment
      "33 ff 0001 12345678" + // first fragment (its length field is reserved), then authentication
      "3c 04 0000 00000000 00000000 00000000 00000000 00000000" + // authentication of 24 octets, then destination options
      "11 01 0000 000000000000000000000000" + // 16 octets, then UDP
      "0bad",
  );
  const at = 40 + 8 + 8 + 8 + 24 + 16;
  assert.deepEqual(findUpperLayer(chain, 0, chain.length), { protocol: 17, at, length: 2, sourceRouted: false });
  const shifted = join(new Uint8Array(5), chain);
  assert.equal(findUpperLayer(shifted, 5, chain.length)?.at, at + 5);
});

Deno.test("a later fragment and a chain that is cut have no upper layer to look at", () => {
  assert.deepEqual(findUpperLayer(packet(44, "3a 00 0008 00000001 0102"), 0, 50), {
    protocol: 58,
    at: -1,
    length: 0,
    sourceRouted: false,
  });
  assert.deepEqual(findUpperLayer(packet(44, "3a 00 0100 00000001 0102"), 0, 50)?.at, -1);
  assert.deepEqual(findUpperLayer(packet(60, "3a 01 0000 00000000"), 0, 48), {
    protocol: 58,
    at: -1,
    length: 0,
    sourceRouted: false,
  });
  assert.deepEqual(findUpperLayer(packet(60, "3a 00 0000 0000"), 0, 46), {
    protocol: 60,
    at: -1,
    length: 0,
    sourceRouted: false,
  });
  assert.equal(findUpperLayer(packet(6, "0001"), 0, 41), undefined);
});

Deno.test("octets behind the packet are not taken for its headers", () => {
  const bytes = join(packet(60, ""), hex("3a 00 0000 00000000 8000"));
  assert.deepEqual(findUpperLayer(bytes, 0, bytes.length), { protocol: 60, at: -1, length: 0, sourceRouted: false });
});

Deno.test("only a type 0 routing header makes a packet source-routed (RFC 5095), also behind other headers and when cut", () => {
  const routed = (bytes: Uint8Array): boolean => isSourceRouted(bytes, 0, bytes.length);
  assert.equal(routed(packet(43, TYPE_0)), true);
  assert.equal(routed(packet(43, TYPE_2)), false);
  assert.equal(routed(packet(0, `2b 00 000000000000 ${TYPE_0}`)), true);
  assert.equal(routed(packet(43, `2b 00 0200 00000000 ${TYPE_0}`)), true);
  assert.equal(routed(packet(43, TYPE_0.slice(0, 25))), true);
  assert.equal(routed(packet(6, TYPE_0)), false);
  assert.equal(routed(packet(44, `2b 00 0008 00000001 ${TYPE_0}`)), false);
});
