/**
 * Tests that keep relay and server out of routing loops (RFC 6324 3.3) and keep neighbour discovery inside its link.
 *
 * ```
 *   6to4    2002:WWXX:YYZZ::/48                    IPv4 in octets 2 to 5
 *   ISATAP  ::0:5efe:WWXX:YYZZ, ::200:5efe:...     IPv4 in octets 12 to 15
 * ```
 */

import { readU16, readU32 } from "../wire/bytes.ts";
import { findUpperLayer } from "../wire/extension_headers.ts";
import { ICMPV6_REDIRECT, ICMPV6_ROUTER_SOLICITATION } from "../wire/icmpv6.ts";
import type { Ipv4 } from "../wire/ipv4.ts";
import { IPV6_HEADER_LENGTH, NEXT_HEADER_ICMPV6, NEXT_HEADER_TCP, NEXT_HEADER_UDP, nextHeader } from "../wire/ipv6.ts";

const SIX_TO_FOUR = 0x2002;
const ISATAP = 0x00005efe;
/** The universal/local bit of an ISATAP identifier may be either way. */
const ISATAP_MASK = 0xfdffffff;

/** Whether the IPv6 address at `at` belongs to a 6to4 or ISATAP tunnel that ends at one of `own`: a packet there would come back. */
export function embedsOwnIpv4(bytes: Uint8Array, at: number, own: readonly Ipv4[]): boolean {
  if (readU16(bytes, at) === SIX_TO_FOUR && own.includes(readU32(bytes, at + 2))) return true;
  return (readU32(bytes, at + 8) & ISATAP_MASK) === ISATAP && own.includes(readU32(bytes, at + 12));
}

/**
 * Whether the IPv6 packet at `at` is a router or neighbour message or a redirect, which never cross a router, behind whatever extension
 * headers. Allocates nothing for TCP, UDP and ICMPv6 without such.
 */
export function isNeighborDiscovery(bytes: Uint8Array, at: number, length: number): boolean {
  switch (nextHeader(bytes, at)) {
    case NEXT_HEADER_TCP:
    case NEXT_HEADER_UDP:
      return false;
    case NEXT_HEADER_ICMPV6:
      return length > IPV6_HEADER_LENGTH && isDiscoveryType(bytes[at + IPV6_HEADER_LENGTH]);
  }
  const upper = findUpperLayer(bytes, at, length);
  return upper?.protocol === NEXT_HEADER_ICMPV6 && upper.length > 0 && isDiscoveryType(bytes[upper.at]);
}

/** Types 133 to 137 (RFC 4861 4). */
function isDiscoveryType(type: number): boolean {
  return type >= ICMPV6_ROUTER_SOLICITATION && type <= ICMPV6_REDIRECT;
}
