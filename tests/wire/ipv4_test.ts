import assert from "node:assert/strict";
import fc from "fast-check";
import {
  DISCOVERY_ADDRESS,
  formatEndpoint,
  formatIpv4,
  inSubnet,
  isDirectedBroadcast,
  isGlobalUnicast,
  isUnicast,
  parseIpv4,
} from "../../lib/wire/ipv4.ts";
import { anyIpv4 } from "./arbitraries.ts";
import { ipv4 } from "./octets.ts";

Deno.test("a dotted quad reads as an unsigned number and comes back as it was", () => {
  assert.equal(parseIpv4("192.0.2.1"), 0xc0000201);
  assert.equal(formatIpv4(0xc0000201), "192.0.2.1");
  assert.equal(formatEndpoint({ address: 0xffffffff, port: 65535 }), "255.255.255.255:65535");
  fc.assert(fc.property(anyIpv4, (address) => assert.equal(parseIpv4(formatIpv4(address)), address)));
});

Deno.test("nothing but four decimal octets is an IPv4 address", () => {
  const wrong = [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "1.2.3.04",
    "0x1.2.3.4",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1..3.4",
    "-1.2.3.4",
    "1.2.3.4\n",
    "1e1.2.3.4",
    "٣.2.3.4",
  ];
  for (const text of wrong) assert.equal(parseIpv4(text), undefined, JSON.stringify(text));
  fc.assert(fc.property(fc.string(), (text) => {
    const address = parseIpv4(text);
    if (address !== undefined) assert.equal(formatIpv4(address), text);
  }));
});

Deno.test("the discovery address is 224.0.0.253 (RFC 4380 2.17)", () => {
  assert.equal(formatIpv4(DISCOVERY_ADDRESS), "224.0.0.253");
});

Deno.test("[ADR-15] first and last neighbours of every refused block tell global unicast from the rest", () => {
  const global = [
    "1.2.3.4",
    "9.255.255.255",
    "11.0.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "223.255.255.255",
    "240.0.0.1",
  ];
  const refused = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.0",
    "10.255.255.255",
    "127.0.0.1",
    "169.254.0.1",
    "172.16.0.0",
    "172.31.255.255",
    "192.168.0.1",
    "192.88.99.1",
    "224.0.0.253",
    "239.255.255.255",
    "255.255.255.255",
  ];
  for (const text of global) assert.equal(isGlobalUnicast(ipv4(text)), true, text);
  for (const text of refused) assert.equal(isGlobalUnicast(ipv4(text)), false, text);
});

/** The list of RFC 4380 5.2.4, as prefixes. */
const REFUSED = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "224.0.0.0/4",
  "255.255.255.255/32",
]
  .map((text) => ({ address: ipv4(text.split("/")[0]), prefixLength: Number(text.split("/")[1]) }));

Deno.test("[ADR-15] the global unicast test is exactly the list of RFC 4380 5.2.4: shared and documentation ranges pass", () => {
  for (
    const text of ["100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "254.1.2.3"]
  ) {
    assert.equal(isGlobalUnicast(ipv4(text)), true, text);
  }
  const edges = REFUSED.flatMap(({ address, prefixLength }) => {
    const last = address + 2 ** (32 - prefixLength) - 1;
    return [address - 1, address, last, last + 1].filter((edge) => edge >= 0 && edge <= 0xffffffff);
  });
  for (const address of edges) check(address);
  fc.assert(fc.property(anyIpv4, check), { numRuns: 2000 });

  function check(address: number): void {
    assert.equal(isGlobalUnicast(address), !REFUSED.some((block) => inSubnet(address, block)), formatIpv4(address));
  }
});

Deno.test("an address that names one host is unicast: private ones too, but no multicast, loopback, 0/8 or broadcast (RFC 6081 4.3)", () => {
  for (const text of ["10.0.0.1", "192.168.1.10", "169.254.1.1", "192.0.2.1", "223.255.255.255", "240.0.0.1"]) {
    assert.equal(isUnicast(ipv4(text)), true, text);
  }
  for (
    const text of [
      "0.0.0.0",
      "0.255.255.255",
      "127.0.0.1",
      "127.255.255.255",
      "224.0.0.1",
      "239.255.255.255",
      "255.255.255.255",
    ]
  ) {
    assert.equal(isUnicast(ipv4(text)), false, text);
  }
});

Deno.test("a subnet holds its first and last address and not their neighbours, for every prefix length", () => {
  assert.equal(inSubnet(ipv4("255.255.255.255"), { address: 0, prefixLength: 0 }), true);
  for (let prefixLength = 1; prefixLength <= 32; prefixLength++) {
    const size = 2 ** (32 - prefixLength);
    const first = Math.floor(ipv4("198.51.100.77") / size) * size;
    const subnet = { address: ipv4("198.51.100.77"), prefixLength };
    assert.deepEqual([first, first + size - 1].map((address) => inSubnet(address, subnet)), [true, true]);
    for (const outside of [first - 1, first + size]) {
      if (outside >= 0 && outside <= 0xffffffff) assert.equal(inSubnet(outside, subnet), false, `/${prefixLength}`);
    }
  }
});

Deno.test("[ADR-16] the directed broadcast of an attached subnet is recognised, and no other address of it", () => {
  const subnets = [{ address: ipv4("198.51.100.17"), prefixLength: 28 }, {
    address: ipv4("203.0.113.1"),
    prefixLength: 24,
  }];
  assert.equal(isDirectedBroadcast(ipv4("198.51.100.31"), subnets), true);
  assert.equal(isDirectedBroadcast(ipv4("203.0.113.255"), subnets), true);
  for (
    const text of [
      "198.51.100.30",
      "198.51.100.16",
      "198.51.100.47",
      "198.51.100.255",
      "203.0.113.254",
      "203.0.112.255",
    ]
  ) {
    assert.equal(isDirectedBroadcast(ipv4(text), subnets), false, text);
  }
  assert.equal(isDirectedBroadcast(ipv4("198.51.100.31"), []), false);
});

Deno.test("[ADR-16] point-to-point subnets have no broadcast; the widest ones have theirs", () => {
  for (const prefixLength of [31, 32]) {
    assert.equal(isDirectedBroadcast(ipv4("203.0.113.1"), [{ address: ipv4("203.0.113.1"), prefixLength }]), false);
  }
  assert.equal(isDirectedBroadcast(0xffffffff, [{ address: 0, prefixLength: 0 }]), true);
  assert.equal(isDirectedBroadcast(0x7fffffff, [{ address: 0, prefixLength: 1 }]), true);
  assert.equal(isDirectedBroadcast(0x7ffffffe, [{ address: 0, prefixLength: 1 }]), false);
});
