/**
 * The IPv6 header (RFC 8200 3).
 *
 * ```
 *  0       4               12                                     32
 * +-------+---------------+---------------------------------------+
 * |Version| Traffic class |              Flow label               |   0
 * +-------+---------------+-------+---------------+---------------+
 * |        Payload length         |  Next header  |   Hop limit   |   4
 * +-------------------------------+---------------+---------------+
 * |                        Source, 16 octets                      |   8
 * |                      Destination, 16 octets                   |  24
 * +---------------------------------------------------------------+
 * ```
 *
 * The accessors take the offset of the header and trust that 40 octets are there.
 */

import { copyBytes, readU16, readU32, writeU16, writeU32 } from "./bytes.ts";

/** An IPv6 address: 16 octets in network order, treated as immutable. */
export type Ipv6 = Uint8Array;

/** Octets of the fixed header. */
export const IPV6_HEADER_LENGTH = 40;

/** Offset of the source address in the header. */
export const SOURCE_AT = 8;

/** Offset of the destination address in the header. */
export const DESTINATION_AT = 24;

export const NEXT_HEADER_HOP_BY_HOP = 0;
export const NEXT_HEADER_TCP = 6;
export const NEXT_HEADER_UDP = 17;
export const NEXT_HEADER_ROUTING = 43;
export const NEXT_HEADER_FRAGMENT = 44;
export const NEXT_HEADER_AUTHENTICATION = 51;
export const NEXT_HEADER_ICMPV6 = 58;
export const NEXT_HEADER_NONE = 59;
export const NEXT_HEADER_DESTINATION = 60;

/** The header as a value. */
export interface Ipv6Header {
  /** 0 to 255 */
  readonly trafficClass: number;
  /** 0 to 2^20 - 1 */
  readonly flowLabel: number;
  /** Octets after the header, 0 to 65535. */
  readonly payloadLength: number;
  readonly nextHeader: number;
  readonly hopLimit: number;
  readonly source: Ipv6;
  readonly destination: Ipv6;
}

/** Octets after the header, 0 to 65535. */
export function payloadLength(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + 4);
}

/** Protocol of what follows the header. */
export function nextHeader(bytes: Uint8Array, at: number): number {
  return bytes[at + 6];
}

/** Hop limit, 0 to 255. */
export function hopLimit(bytes: Uint8Array, at: number): number {
  return bytes[at + 7];
}

/** A copy of the 16 octets at `at`. */
export function addressAt(bytes: Uint8Array, at: number): Ipv6 {
  return bytes.slice(at, at + 16);
}

/** Whether `length` octets at `at` begin with a whole IPv6 packet: header and payload. Octets may follow. */
export function isIpv6Packet(bytes: Uint8Array, at: number, length: number): boolean {
  return length >= IPV6_HEADER_LENGTH && bytes[at] >>> 4 === 6 &&
    IPV6_HEADER_LENGTH + payloadLength(bytes, at) <= length;
}

/** Reads the header of the packet that `length` octets begin with; undefined unless {@link isIpv6Packet}. */
export function parseIpv6Header(bytes: Uint8Array, at: number, length: number): Ipv6Header | undefined {
  if (!isIpv6Packet(bytes, at, length)) return undefined;
  const word = readU32(bytes, at);
  return {
    trafficClass: (word >>> 20) & 0xff,
    flowLabel: word & 0xfffff,
    payloadLength: payloadLength(bytes, at),
    nextHeader: nextHeader(bytes, at),
    hopLimit: hopLimit(bytes, at),
    source: addressAt(bytes, at + SOURCE_AT),
    destination: addressAt(bytes, at + DESTINATION_AT),
  };
}

/** Writes the header at `at`. @returns octets written, 40 */
export function writeIpv6Header(header: Ipv6Header, bytes: Uint8Array, at: number): number {
  writeU32(0x60000000 | ((header.trafficClass & 0xff) << 20) | (header.flowLabel & 0xfffff), bytes, at);
  writeU16(header.payloadLength, bytes, at + 4);
  bytes[at + 6] = header.nextHeader;
  bytes[at + 7] = header.hopLimit;
  copyBytes(header.source, 0, bytes, at + SOURCE_AT, 16);
  copyBytes(header.destination, 0, bytes, at + DESTINATION_AT, 16);
  return IPV6_HEADER_LENGTH;
}
