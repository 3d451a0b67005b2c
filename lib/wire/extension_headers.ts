/**
 * The chain of IPv6 extension headers (RFC 8200 4): what lies behind them, and whether a packet is source-routed.
 *
 * ```
 * +-------------+-------------+----------------------
 * | Next header |   Length    | ... 8 * (Length + 1) octets in all; authentication 4 * (Length + 2); fragment always 8
 * +-------------+-------------+----------------------
 * ```
 */

import {
  IPV6_HEADER_LENGTH,
  isIpv6Packet,
  NEXT_HEADER_AUTHENTICATION,
  NEXT_HEADER_DESTINATION,
  NEXT_HEADER_FRAGMENT,
  NEXT_HEADER_HOP_BY_HOP,
  NEXT_HEADER_ROUTING,
  nextHeader,
  payloadLength,
} from "./ipv6.ts";

/** Where a chain ends. */
export interface UpperLayer {
  /** Protocol behind the extension headers. */
  readonly protocol: number;
  /** Offset of its first octet, or -1 when it is not in this packet: a later fragment, or headers cut short. */
  readonly at: number;
  /** Octets from there to the end of the packet. */
  readonly length: number;
  /** The chain has a type 0 routing header (deprecated, RFC 5095). */
  readonly sourceRouted: boolean;
}

function isExtension(protocol: number): boolean {
  return protocol === NEXT_HEADER_HOP_BY_HOP || protocol === NEXT_HEADER_ROUTING || protocol === NEXT_HEADER_FRAGMENT ||
    protocol === NEXT_HEADER_DESTINATION || protocol === NEXT_HEADER_AUTHENTICATION;
}

function extensionLength(protocol: number, lengthField: number): number {
  if (protocol === NEXT_HEADER_FRAGMENT) return 8;
  return protocol === NEXT_HEADER_AUTHENTICATION ? 4 * (lengthField + 2) : 8 * (lengthField + 1);
}

/** Follows the chain of the IPv6 packet at `at`; undefined unless `length` octets hold a whole packet. */
export function findUpperLayer(bytes: Uint8Array, at: number, length: number): UpperLayer | undefined {
  if (!isIpv6Packet(bytes, at, length)) return undefined;
  const end = at + IPV6_HEADER_LENGTH + payloadLength(bytes, at);
  let protocol = nextHeader(bytes, at);
  let next = at + IPV6_HEADER_LENGTH;
  let sourceRouted = false;
  while (isExtension(protocol)) {
    if (protocol === NEXT_HEADER_ROUTING && end - next >= 3 && bytes[next + 2] === 0) sourceRouted = true;
    if (end - next < 8) return { protocol, at: -1, length: 0, sourceRouted };
    const laterFragment = protocol === NEXT_HEADER_FRAGMENT && (bytes[next + 2] !== 0 || bytes[next + 3] >>> 3 !== 0);
    const size = extensionLength(protocol, bytes[next + 1]);
    protocol = bytes[next];
    if (laterFragment || size > end - next) return { protocol, at: -1, length: 0, sourceRouted };
    next += size;
  }
  return { protocol, at: next, length: end - next, sourceRouted };
}

/**
 * Whether the packet has a type 0 routing header. Costs one comparison for a packet without extension headers.
 * @param length octets at `at`, which hold a whole IPv6 packet
 */
export function isSourceRouted(bytes: Uint8Array, at: number, length: number): boolean {
  if (!isExtension(nextHeader(bytes, at))) return false;
  return findUpperLayer(bytes, at, length)?.sourceRouted ?? false;
}
