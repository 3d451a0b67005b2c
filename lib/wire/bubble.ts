/**
 * Bubbles (RFC 4380 2.8): an IPv6 header with nothing behind it (payload length 0, next header 59), which opens a NAT's mapping.
 * Trailers may follow; hop limits mean nothing (relays of the original implementation send 0).
 */

import { type Ipv6, NEXT_HEADER_NONE, nextHeader, payloadLength, writeIpv6Header } from "./ipv6.ts";

/** Hop limit of the bubbles we send, as deployed clients do. */
export const BUBBLE_HOP_LIMIT = 21;

/** Whether the IPv6 packet at `at` is a bubble. */
export function isBubble(bytes: Uint8Array, at: number): boolean {
  return nextHeader(bytes, at) === NEXT_HEADER_NONE && payloadLength(bytes, at) === 0;
}

/** Writes a bubble. @returns octets written, 40 */
export function writeBubble(source: Ipv6, destination: Ipv6, hopLimit: number, bytes: Uint8Array, at: number): number {
  return writeIpv6Header(
    { trafficClass: 0, flowLabel: 0, payloadLength: 0, nextHeader: NEXT_HEADER_NONE, hopLimit, source, destination },
    bytes,
    at,
  );
}
