import assert from "node:assert/strict";
import fc from "fast-check";
import { formatIpv6 } from "../../lib/wire/ipv6_address.ts";
import {
  FLAG_CONE,
  flagsAt,
  formTeredoAddress,
  isConeAt,
  isTeredo,
  isWellFormedTeredo,
  linkLocalFor,
  mappedAddressAt,
  mappedPortAt,
  parseTeredoAddress,
  randomFlags,
  RS_SOURCE_CONE,
  RS_SOURCE_RESTRICTED,
  serverAt,
  serverLinkLocal,
} from "../../lib/wire/teredo_address.ts";
import { anyEndpoint, anyIpv4, PLAIN, unsigned } from "./arbitraries.ts";
import { hex, ipv4, ipv6, join } from "./octets.ts";

/** Name, server, flags, mapped address and port, text, octets. */
const EXAMPLES: readonly (readonly [string, string, number, string, number, string, string])[] = [
  [
    "A of RFC 6081 figure 3.1",
    "203.0.113.120",
    0,
    "192.0.2.1",
    4096,
    "2001:0:cb00:7178:0:efff:3fff:fdfe",
    "20010000 cb007178 0000 efff 3ffffdfe",
  ],
  [
    "B of RFC 6081 figure 3.1",
    "198.51.100.118",
    0,
    "192.0.2.10",
    8192,
    "2001:0:c633:6476:0:dfff:3fff:fdf5",
    "20010000 c6336476 0000 dfff 3ffffdf5",
  ],
  [
    "B with random flags (RFC 5991 3.1)",
    "198.51.100.118",
    0x3c5a,
    "192.0.2.10",
    8192,
    "2001:0:c633:6476:3c5a:dfff:3fff:fdf5",
    "20010000 c6336476 3c5a dfff 3ffffdf5",
  ],
  [
    "A of RFC 6081 figure 3.5",
    "203.0.113.120",
    0,
    "198.51.100.118",
    4095,
    "2001:0:cb00:7178:0:f000:39cc:9b89",
    "20010000 cb007178 0000 f000 39cc9b89",
  ],
  [
    "legacy cone client, zeek Teredo.pcap frame 29",
    "65.55.158.80",
    0x8000,
    "70.55.215.234",
    3797,
    "2001:0:4137:9e50:8000:f12a:b9c8:2815",
    "20010000 41379e50 8000 f12a b9c82815",
  ],
  [
    "client with random flags, zeek gtp8_teredo.pcap frame 1",
    "94.245.121.253",
    0x3ca5,
    "212.200.65.104",
    38169,
    "2001:0:5ef5:79fd:3ca5:6ae6:2b37:be97",
    "20010000 5ef579fd 3ca5 6ae6 2b37be97",
  ],
];

for (const [name, server, flags, address, port, text, octets] of EXAMPLES) {
  Deno.test(`[ADR-01 ADR-02] server, flags, inverted port and inverted address make the address of ${name}`, () => {
    const parts = { server: ipv4(server), flags, mapped: { address: ipv4(address), port } };
    const formed = formTeredoAddress(parts);
    assert.deepEqual(formed, hex(octets));
    assert.equal(formatIpv6(formed), text);
    assert.deepEqual(parseTeredoAddress(ipv6(text)), parts);
    const packet = join(new Uint8Array(8), formed);
    assert.deepEqual(
      [
        serverAt(packet, 8),
        flagsAt(packet, 8),
        mappedAddressAt(packet, 8),
        mappedPortAt(packet, 8),
        isConeAt(packet, 8),
      ],
      [parts.server, flags, parts.mapped.address, port, flags === 0x8000],
    );
    assert.equal(isWellFormedTeredo(packet, 8), true);
  });
}

Deno.test("link-local addresses of servers: 65.55.158.80 (zeek Teredo.pcap frame 7) and 203.0.113.120", () => {
  assert.equal(formatIpv6(serverLinkLocal(ipv4("65.55.158.80"))), "fe80::8000:f227:bec8:61af");
  assert.equal(formatIpv6(serverLinkLocal(ipv4("203.0.113.120"))), "fe80::8000:f227:34ff:8e87");
});

Deno.test("a link-local address has the flags, port and address of its endpoint and nothing between", () => {
  assert.deepEqual(
    linkLocalFor({ address: ipv4("192.168.1.10"), port: 50000 }, 0x1c5f),
    hex("fe80000000000000 1c5f 3caf 3f57fef5"),
  );
});

Deno.test("sources of Router Solicitations are those of deployed clients, and their cone bit tells the phase", () => {
  assert.equal(formatIpv6(RS_SOURCE_RESTRICTED), "fe80::ffff:ffff:fffe");
  assert.equal(formatIpv6(RS_SOURCE_CONE), "fe80::8000:ffff:ffff:fffd");
  assert.deepEqual([isConeAt(RS_SOURCE_RESTRICTED, 0), isConeAt(RS_SOURCE_CONE, 0)], [false, true]);
});

Deno.test("[ADR-01 ADR-02] an address that was formed comes apart into the same parts, under any prefix", () => {
  const anyParts = fc.record({ server: anyIpv4, flags: unsigned(16), mapped: anyEndpoint }, PLAIN);
  fc.assert(fc.property(anyParts, unsigned(32), (parts, prefix) => {
    assert.deepEqual(parseTeredoAddress(formTeredoAddress(parts, prefix), prefix), parts);
    assert.equal(isTeredo(formTeredoAddress(parts, prefix), 0, prefix), true);
  }));
});

Deno.test("[ADR-03] only 2001:0000::/32 is Teredo, all 32 bits of it", () => {
  assert.equal(isTeredo(ipv6("2001::"), 0), true);
  for (
    const text of [
      "2001:1::",
      "2001:8000::",
      "2000::",
      "2003::",
      "2001:db8::1",
      "2002:c000:201::1",
      "fe80::8000:f227:bec8:61af",
    ]
  ) {
    assert.equal(isTeredo(ipv6(text), 0), false, text);
    assert.equal(isWellFormedTeredo(ipv6(text), 0), false, text);
    assert.equal(parseTeredoAddress(ipv6(text)), undefined, text);
  }
});

Deno.test("[ADR-20] 3ffe:831f::/32 is not Teredo, and is not what an address is formed with", () => {
  const old = join(hex("3ffe831f"), ipv6("2001:0:cb00:7178:0:efff:3fff:fdfe").subarray(4));
  assert.equal(isTeredo(old, 0), false);
  assert.equal(isWellFormedTeredo(old, 0), false);
  assert.equal(parseTeredoAddress(old), undefined);
  const parts = { server: ipv4("203.0.113.120"), flags: 0, mapped: { address: ipv4("192.0.2.1"), port: 4096 } };
  assert.deepEqual(formTeredoAddress(parts).subarray(0, 4), hex("20010000"));
});

Deno.test("[ADR-04 ADR-07] new flags have z, U, G and the cone bit zero, and the twelve others as random as their source", () => {
  fc.assert(fc.property(unsigned(16), (random) => {
    assert.equal(randomFlags(random) & 0xc300, 0);
    assert.equal(randomFlags(random), random & 0x3cff);
    assert.equal(randomFlags(random | 0xc300), randomFlags(random));
  }));
  assert.equal(randomFlags(0xffff), 0x3cff);
  assert.equal(randomFlags(0xffff) | FLAG_CONE, 0xbcff);
});

Deno.test("[ADR-08 ADR-19] no flag bit makes an address worse: U, G, z and the random ones are all accepted", () => {
  const parts = { server: ipv4("203.0.113.120"), mapped: { address: ipv4("192.0.2.1"), port: 4096 } };
  for (let bit = 0; bit < 16; bit++) {
    const address = formTeredoAddress({ ...parts, flags: 1 << bit });
    assert.equal(isWellFormedTeredo(address, 0), true, `bit ${bit}`);
    assert.deepEqual(parseTeredoAddress(address), { ...parts, flags: 1 << bit });
  }
});

Deno.test("server and mapped address of a well-formed address are global, and its port is not 0", () => {
  const form = (server: string, address: string, port: number): boolean =>
    isWellFormedTeredo(
      formTeredoAddress({ server: ipv4(server), flags: 0, mapped: { address: ipv4(address), port } }),
      0,
    );
  assert.equal(form("203.0.113.120", "192.0.2.1", 1), true);
  assert.equal(form("203.0.113.120", "192.0.2.1", 65535), true);
  assert.equal(form("203.0.113.120", "192.0.2.1", 0), false);
  assert.equal(form("10.0.0.1", "192.0.2.1", 4096), false);
  assert.equal(form("224.0.0.253", "192.0.2.1", 4096), false);
  assert.equal(form("203.0.113.120", "192.168.1.1", 4096), false);
  assert.equal(form("203.0.113.120", "255.255.255.255", 4096), false);
});

Deno.test("a test with another prefix follows that prefix only", () => {
  const parts = { server: ipv4("203.0.113.120"), flags: 0, mapped: { address: ipv4("192.0.2.1"), port: 4096 } };
  const address = formTeredoAddress(parts, 0x20010db8);
  assert.equal(isWellFormedTeredo(address, 0, 0x20010db8), true);
  assert.equal(isWellFormedTeredo(address, 0), false);
  assert.equal(parseTeredoAddress(address), undefined);
});

Deno.test("octets that are not sixteen are no address", () => {
  assert.equal(parseTeredoAddress(hex("20010000 cb007178 0000 efff 3ffffd")), undefined);
});
