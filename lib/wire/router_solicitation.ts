/**
 * Router Solicitation, the question a client asks its server (RFC 4380 5.2.1, RFC 4861 4.1). The whole packet:
 *
 * ```
 * IPv6 header: next header 58, hop limit 255, link-local source (its cone bit says the phase), destination ff02::2
 * +--------+--------+-----------------+
 * |  133   |   0    |    Checksum     |
 * +--------+--------+-----------------+
 * |             Reserved              | options ...
 * +-----------------------------------+
 * ```
 */

import { writeU32 } from "./bytes.ts";
import { checkedIcmpv6Length, ICMPV6_ROUTER_SOLICITATION, sealIcmpv6 } from "./icmpv6.ts";
import { addressAt, DESTINATION_AT, hopLimit, type Ipv6, IPV6_HEADER_LENGTH, SOURCE_AT } from "./ipv6.ts";
import { ALL_ROUTERS, isUnspecified } from "./ipv6_address.ts";
import {
  type NeighborOption,
  OPTION_SOURCE_LINK_LAYER,
  parseNeighborOptions,
  writeNeighborOptions,
} from "./neighbor_options.ts";

/** Octets of the message before its options. */
const HEADER_LENGTH = 8;

/** Hop limit of every Neighbor Discovery message: it has not been routed (RFC 4861 6.1). */
const HOP_LIMIT = 255;

/** A valid Router Solicitation. */
export interface RouterSolicitation {
  readonly source: Ipv6;
  readonly destination: Ipv6;
  /** Old clients send a source link-layer address; none is needed. */
  readonly options: readonly NeighborOption[];
}

/**
 * Whether {@link parseRouterSolicitation} would take this packet, without making an object of one that has no options, as those of clients.
 */
export function isRouterSolicitation(bytes: Uint8Array, at: number, length: number): boolean {
  const size = checkedIcmpv6Length(bytes, at, length, HEADER_LENGTH);
  const message = at + IPV6_HEADER_LENGTH;
  if (size === 0 || hopLimit(bytes, at) !== HOP_LIMIT) return false;
  if (bytes[message] !== ICMPV6_ROUTER_SOLICITATION || bytes[message + 1] !== 0) return false;
  return size === HEADER_LENGTH || parseRouterSolicitation(bytes, at, length) !== undefined;
}

/** Reads a Router Solicitation; undefined unless every check of RFC 4861 6.1.1 holds. */
export function parseRouterSolicitation(bytes: Uint8Array, at: number, length: number): RouterSolicitation | undefined {
  const size = checkedIcmpv6Length(bytes, at, length, HEADER_LENGTH);
  const message = at + IPV6_HEADER_LENGTH;
  if (size === 0 || hopLimit(bytes, at) !== HOP_LIMIT) return undefined;
  if (bytes[message] !== ICMPV6_ROUTER_SOLICITATION || bytes[message + 1] !== 0) return undefined;
  const options = parseNeighborOptions(bytes, message + HEADER_LENGTH, size - HEADER_LENGTH);
  if (options === undefined) return undefined;
  if (isUnspecified(bytes, at + SOURCE_AT) && options.some(({ type }) => type === OPTION_SOURCE_LINK_LAYER)) {
    return undefined;
  }
  return { source: addressAt(bytes, at + SOURCE_AT), destination: addressAt(bytes, at + DESTINATION_AT), options };
}

/** Writes a Router Solicitation to all routers, with its IPv6 header. @returns octets of the whole packet; 48 without options */
export function writeRouterSolicitation(
  source: Ipv6,
  bytes: Uint8Array,
  at: number,
  options: readonly NeighborOption[] = [],
): number {
  const message = at + IPV6_HEADER_LENGTH;
  bytes[message] = ICMPV6_ROUTER_SOLICITATION;
  bytes[message + 1] = 0;
  writeU32(0, bytes, message + 4);
  const size = HEADER_LENGTH + writeNeighborOptions(options, bytes, message + HEADER_LENGTH);
  return sealIcmpv6(source, ALL_ROUTERS, HOP_LIMIT, size, bytes, at);
}
