/** What may come out of each role, written down a second time and otherwise than the machines do it. */

import assert from "node:assert/strict";
import { DISCOVERY_ADDRESS, type Endpoint, type Ipv4, type Ipv4Subnet } from "../../lib/wire/ipv4.ts";

/** [first octets, bits that count] of the IPv4 addresses that are not global unicast (RFC 4380 5.2.4). */
const NOT_GLOBAL: readonly (readonly [number, number])[] = [
  [0x00000000, 8],
  [0x0a000000, 8],
  [0x7f000000, 8],
  [0xa9fe0000, 16],
  [0xac100000, 12],
  [0xc0a80000, 16],
  [0xc0586300, 24],
  [0xe0000000, 4],
  [0xffffffff, 32],
];

/** Those of them that are no single host either. */
const NO_HOST: readonly (readonly [number, number])[] = [[0, 8], [0x7f000000, 8], [0xe0000000, 4], [0xffffffff, 32]];

function isOneOf(address: Ipv4, list: readonly (readonly [number, number])[]): boolean {
  return list.some(([first, bits]) => Math.floor(address / 2 ** (32 - bits)) === Math.floor(first / 2 ** (32 - bits)));
}

function isBroadcast(address: Ipv4, subnets: readonly Ipv4Subnet[]): boolean {
  return subnets.some(({ address: own, prefixLength }) => {
    const size = 2 ** (32 - prefixLength);
    return address === Math.floor(own / size) * size + size - 1;
  });
}

/** Asserts that `address` is one host of the Internet. */
export function assertGlobal(address: Ipv4, subnets: readonly Ipv4Subnet[]): void {
  assert.ok(!isOneOf(address, NOT_GLOBAL), "sends to an IPv4 address that is not global unicast");
  assert.ok(!isBroadcast(address, subnets), "sends to a directed broadcast");
}

/** Asserts that `address` is one host, perhaps of a private network. */
export function assertHost(address: Ipv4, subnets: readonly Ipv4Subnet[]): void {
  assert.ok(!isOneOf(address, NO_HOST), "sends to an IPv4 address that is no host");
  assert.ok(!isBroadcast(address, subnets), "sends to a directed broadcast");
}

export function isDiscovery({ address, port }: Endpoint): boolean {
  return address === DISCOVERY_ADDRESS && port === 3544;
}

export function isPrivate(address: Ipv4): boolean {
  return isOneOf(address, NOT_GLOBAL) && !isOneOf(address, NO_HOST);
}

/** What an IPv6 packet of `length` octets at `at` carries behind all extension headers. */
export interface Carried {
  readonly protocol: number;
  /** Type of an ICMPv6 message, -1 where it is none or not here. */
  readonly icmpv6: number;
  readonly sourceRouted: boolean;
}

/** Looks behind the extension headers. */
export function carried(bytes: Uint8Array, at: number, length: number): Carried {
  let protocol = bytes[at + 6], sourceRouted = false;
  let rest = bytes.subarray(at + 40, at + length);
  for (;;) {
    const [next, size, third] = rest;
    switch (protocol) {
      case 0:
      case 43:
      case 60:
        sourceRouted ||= protocol === 43 && third === 0;
        if (rest.length < 8 * (size + 1)) return { protocol, icmpv6: -1, sourceRouted };
        rest = rest.subarray(8 * (size + 1));
        break;
      case 51:
        if (rest.length < 4 * (size + 2)) return { protocol, icmpv6: -1, sourceRouted };
        rest = rest.subarray(4 * (size + 2));
        break;
      case 44:
        if (rest.length < 8 || third !== 0 || rest[3] >= 8) return { protocol, icmpv6: -1, sourceRouted };
        rest = rest.subarray(8);
        break;
      default:
        return { protocol, icmpv6: protocol === 58 && rest.length > 0 ? rest[0] : -1, sourceRouted };
    }
    protocol = next;
  }
}

/** Asserts that a packet is none that would reconfigure the host that gets it. */
export function assertHarmless(bytes: Uint8Array, at: number, length: number): void {
  const { icmpv6, sourceRouted } = carried(bytes, at, length);
  assert.ok(
    !(bytes[at + 8] === 0xfe && (bytes[at + 9] & 0xc0) === 0x80),
    "hands on a packet from a link-local address",
  );
  assert.ok(bytes[at + 8] !== 0xff && bytes[at + 24] !== 0xff, "hands on multicast");
  assert.ok(icmpv6 < 133 || icmpv6 > 137, `hands on neighbour discovery, type ${icmpv6}`);
  assert.ok(!sourceRouted, "hands on a type 0 routing header");
}

/** Whether the packet at `at` is an ICMPv6 error about a packet of the node that it goes to. */
export function isErrorAboutOwn(bytes: Uint8Array, at: number, length: number): boolean {
  if (bytes[at + 6] !== 58 || length < 88 || ![1, 2, 3].includes(bytes[at + 40])) return false;
  return bytes.subarray(at + 24, at + 40).every((octet, i) => octet === bytes[at + 48 + 8 + i]);
}

/** Whether two addresses are the same. */
export function same(bytes: Uint8Array, at: number, address: Uint8Array): boolean {
  return address.every((octet, i) => octet === bytes[at + i]);
}

/** Whether the address at `at` begins with 2001:0. */
export function isTeredoAt(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0x20 && bytes[at + 1] === 0x01 && bytes[at + 2] === 0 && bytes[at + 3] === 0;
}
