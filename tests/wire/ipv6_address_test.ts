import assert from "node:assert/strict";
import fc from "fast-check";
import {
  ALL_NODES,
  ALL_ROUTERS,
  equalIpv6,
  formatIpv6,
  inPrefix,
  isGlobalScope,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  parseIpv6,
  parseIpv6Prefix,
  UNSPECIFIED,
} from "../../lib/wire/ipv6_address.ts";
import { anyIpv6 } from "./arbitraries.ts";
import { hex, ipv6, join } from "./octets.ts";

Deno.test("addresses read in every form of RFC 4291 2.2 and print as RFC 5952 wants them", () => {
  const texts: readonly (readonly [string, string])[] = [
    ["2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"], // RFC 5952 2.1, 4.2.3: the first of two runs
    ["2001:db8:aaaa:bbbb:cccc:dddd:0:1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"], // RFC 5952 4.2.2: one group is no run
    ["2001:DB8:0:0:1::1", "2001:db8::1:0:0:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"], // RFC 5952 4.2.3: the longest
    ["::", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["1::", "1::"],
    ["1:0:0:0:0:0:0:8", "1::8"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"], // RFC 5952 5
    ["1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"],
    ["fe80::ffff:ffff:fffe", "fe80::ffff:ffff:fffe"],
    ["0:0:1:0:0:0:0:0", "0:0:1::"],
  ];
  for (const [text, canonical] of texts) assert.equal(formatIpv6(ipv6(text)), canonical, text);
});

Deno.test("the octets of an address stand in network order", () => {
  assert.deepEqual(ipv6("2001:db8:1:2:3:4:5:abcd"), hex("2001 0db8 0001 0002 0003 0004 0005 abcd"));
  assert.deepEqual(ipv6("::ffff:203.0.113.7"), hex("0000 0000 0000 0000 0000 ffff cb00 7107"));
});

Deno.test("what RFC 4291 does not allow is no address", () => {
  const wrong = [
    "",
    ":",
    ":::",
    "1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1:2:3:4::5:6:7:8",
    "12345::",
    "g::",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "::1.2.3",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "::256.1.1.1",
    "1:2:3:4:5:6:7:1.2.3.4",
    "fe80::1%eth0",
    "::1 ",
    "[::1]",
    "::1/64",
    "+1::",
    "0x1::",
  ];
  for (const text of wrong) assert.equal(parseIpv6(text), undefined, JSON.stringify(text));
});

Deno.test("an address that was printed reads back the same, and the print is canonical", () => {
  fc.assert(
    fc.property(anyIpv6, (address) => {
      const text = formatIpv6(address);
      assert.deepEqual(parseIpv6(text), address);
      // An independent judge of the canonical text, but for the dotted form it does not know.
      if (!text.includes(".")) assert.equal(new URL(`http://[${text}]/`).hostname, `[${text}]`);
    }),
    { numRuns: 500 },
  );
});

Deno.test("no text makes the parser throw, and what it takes prints as an address again", () => {
  const anyText = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."0123456789abcdefF:.:::/%") }));
  fc.assert(
    fc.property(anyText, (text) => {
      const address = parseIpv6(text);
      if (address !== undefined) assert.deepEqual(parseIpv6(formatIpv6(address)), address);
      parseIpv6Prefix(text);
    }),
    { numRuns: 500 },
  );
});

Deno.test("well-known addresses are what their names say", () => {
  assert.deepEqual([UNSPECIFIED, ALL_NODES, ALL_ROUTERS].map(formatIpv6), ["::", "ff02::1", "ff02::2"]);
});

Deno.test("each special range is recognised at its edges, wherever the address stands", () => {
  const kinds = (text: string): string => {
    const bytes = join(new Uint8Array(3).fill(0xff), ipv6(text), new Uint8Array(3).fill(0xff));
    const names = [
      isMulticast(bytes, 3) && "multicast",
      isLinkLocal(bytes, 3) && "link-local",
      isUnspecified(bytes, 3) && "unspecified",
      isLoopback(bytes, 3) && "loopback",
      isGlobalScope(bytes, 3) && "global",
    ];
    return names.filter((name) => name !== false).join(" ");
  };
  const expected: Readonly<Record<string, string>> = {
    "::": "unspecified",
    "::1": "loopback",
    "::2": "",
    "::c000:201": "",
    "::ffff:192.0.2.1": "",
    "::1:0:0:1": "global",
    "64:ff9b::c000:201": "global",
    "2001:db8::1": "global",
    "2001:0:cb00:7178:0:efff:3fff:fdfe": "global",
    "fd00::1": "global",
    "fe7f:ffff::": "global",
    "fe80::": "link-local",
    "febf:ffff::1": "link-local",
    "fec0::1": "global",
    "feff::1": "global",
    "ff00::": "multicast",
    "ff0e::1": "multicast",
    "ffff::1": "multicast",
  };
  for (const [text, kind] of Object.entries(expected)) assert.equal(kinds(text), kind, text);
});

Deno.test("addresses are equal when all 128 bits are", () => {
  fc.assert(fc.property(anyIpv6, fc.nat(127), (address, bit) => {
    const other = address.slice();
    assert.equal(equalIpv6(address, other), true);
    other[bit >>> 3] ^= 0x80 >>> (bit & 7);
    assert.equal(equalIpv6(address, other), false);
  }));
});

Deno.test("a prefix holds exactly the addresses that share its leading bits", () => {
  fc.assert(
    fc.property(anyIpv6, fc.integer({ min: 0, max: 128 }), fc.nat(127), (address, length, bit) => {
      const prefix = parseIpv6Prefix(`${formatIpv6(address)}/${length}`);
      assert.ok(prefix);
      assert.equal(inPrefix(address, 0, prefix), true);
      const other = join(Uint8Array.of(0xff), address);
      other[1 + (bit >>> 3)] ^= 0x80 >>> (bit & 7);
      assert.equal(inPrefix(other, 1, prefix), bit >= length);
    }),
    { numRuns: 500 },
  );
});

Deno.test("a prefix reads as address and length, and bits behind the length are cleared", () => {
  assert.deepEqual(parseIpv6Prefix("2001:db8:1234:ffff::1/52"), { address: ipv6("2001:db8:1234:f000::"), length: 52 });
  assert.deepEqual(parseIpv6Prefix("::/0"), { address: UNSPECIFIED, length: 0 });
  assert.deepEqual(parseIpv6Prefix("2001:db8::1/128"), { address: ipv6("2001:db8::1"), length: 128 });
  for (
    const text of [
      "2001:db8::1",
      "2001:db8::/",
      "/64",
      "2001:db8::/129",
      "2001:db8::/064",
      "2001:db8::/-1",
      "2001:db8::/6 ",
      "x/64",
    ]
  ) {
    assert.equal(parseIpv6Prefix(text), undefined, JSON.stringify(text));
  }
});
