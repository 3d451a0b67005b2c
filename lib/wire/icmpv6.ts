/**
 * ICMPv6 (RFC 4443): echo, and errors about packets that cannot be delivered.
 *
 * ```
 *              0        8        16                32
 *             +--------+--------+-----------------+
 * every       |  Type  |  Code  |    Checksum     |   after the IPv6 header
 *             +--------+--------+-----------------+
 * echo        |   Identifier    |    Sequence     | data ...
 * error       |  unused, MTU or pointer           | as much of the offending packet as fits in 1280 octets
 *             +-----------------+-----------------+
 * ```
 */

import { copyBytes, readU16, writeU16, writeU32 } from "./bytes.ts";
import { checksumIcmpv6, verifyIcmpv6 } from "./checksum.ts";
import { findUpperLayer } from "./extension_headers.ts";
import {
  addressAt,
  DESTINATION_AT,
  hopLimit,
  type Ipv6,
  IPV6_HEADER_LENGTH,
  isIpv6Packet,
  NEXT_HEADER_ICMPV6,
  nextHeader,
  payloadLength,
  SOURCE_AT,
  writeIpv6Header,
} from "./ipv6.ts";
import { isMulticast, isUnspecified } from "./ipv6_address.ts";

export const ICMPV6_DESTINATION_UNREACHABLE = 1;
export const ICMPV6_PACKET_TOO_BIG = 2;
export const ICMPV6_TIME_EXCEEDED = 3;
export const ICMPV6_PARAMETER_PROBLEM = 4;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;
export const ICMPV6_ROUTER_SOLICITATION = 133;
export const ICMPV6_ROUTER_ADVERTISEMENT = 134;
export const ICMPV6_NEIGHBOR_SOLICITATION = 135;
export const ICMPV6_NEIGHBOR_ADVERTISEMENT = 136;
export const ICMPV6_REDIRECT = 137;

/** Codes of Destination Unreachable (RFC 4443 3.1). */
export const Unreachable = {
  noRoute: 0,
  prohibited: 1,
  beyondScope: 2,
  address: 3,
  port: 4,
  sourcePolicy: 5,
  rejectRoute: 6,
} as const;

/** Octets of the ICMPv6 header of echo and errors. */
const HEADER_LENGTH = 8;

/** Most octets of a whole error packet: the minimum IPv6 MTU (RFC 4443 2.4 c). */
const MAX_ERROR_LENGTH = 1280;

/** An Echo Request or Echo Reply (RFC 4443 4.1, 4.2). */
export interface Echo {
  readonly source: Ipv6;
  readonly destination: Ipv6;
  readonly hopLimit: number;
  readonly reply: boolean;
  readonly identifier: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** An error message without the packet it is about. */
export interface Icmpv6Error {
  readonly source: Ipv6;
  readonly destination: Ipv6;
  readonly hopLimit: number;
  readonly type: number;
  readonly code: number;
  /** Octets 4 to 7 of the message: MTU of Packet Too Big, pointer of Parameter Problem, else 0. */
  readonly parameter: number;
}

/** Type of the ICMPv6 message right behind the IPv6 header, or -1 when it is something else. The packet must be whole. */
export function icmpv6Type(bytes: Uint8Array, at: number): number {
  return nextHeader(bytes, at) === NEXT_HEADER_ICMPV6 && payloadLength(bytes, at) > 0
    ? bytes[at + IPV6_HEADER_LENGTH]
    : -1;
}

/**
 * Octets of the ICMPv6 message that follows the IPv6 header at once, when it has at least `least` of them and its checksum is right;
 * otherwise 0.
 */
export function checkedIcmpv6Length(bytes: Uint8Array, at: number, length: number, least: number): number {
  if (!isIpv6Packet(bytes, at, length) || nextHeader(bytes, at) !== NEXT_HEADER_ICMPV6) return 0;
  const size = payloadLength(bytes, at);
  return size >= least && verifyIcmpv6(bytes, at, size) ? size : 0;
}

/**
 * Writes the IPv6 header before, and the checksum into, an ICMPv6 message of `length` octets that stands at `at` + 40.
 * @returns octets of the whole packet
 */
export function sealIcmpv6(
  source: Ipv6,
  destination: Ipv6,
  hopLimit: number,
  length: number,
  bytes: Uint8Array,
  at: number,
): number {
  writeIpv6Header(
    {
      trafficClass: 0,
      flowLabel: 0,
      payloadLength: length,
      nextHeader: NEXT_HEADER_ICMPV6,
      hopLimit,
      source,
      destination,
    },
    bytes,
    at,
  );
  writeU16(checksumIcmpv6(bytes, at, length), bytes, at + IPV6_HEADER_LENGTH + 2);
  return IPV6_HEADER_LENGTH + length;
}

/** Reads an Echo Request or Reply; undefined unless lengths, code and checksum are right. */
export function parseEcho(bytes: Uint8Array, at: number, length: number): Echo | undefined {
  const size = checkedIcmpv6Length(bytes, at, length, HEADER_LENGTH);
  const message = at + IPV6_HEADER_LENGTH;
  if (size === 0 || bytes[message + 1] !== 0) return undefined;
  if (bytes[message] !== ICMPV6_ECHO_REQUEST && bytes[message] !== ICMPV6_ECHO_REPLY) return undefined;
  return {
    source: addressAt(bytes, at + SOURCE_AT),
    destination: addressAt(bytes, at + DESTINATION_AT),
    hopLimit: hopLimit(bytes, at),
    reply: bytes[message] === ICMPV6_ECHO_REPLY,
    identifier: readU16(bytes, message + 4),
    sequence: readU16(bytes, message + 6),
    data: bytes.slice(message + HEADER_LENGTH, message + size),
  };
}

/** Writes an Echo Request or Reply with its IPv6 header. @returns octets of the whole packet */
export function writeEcho(echo: Echo, bytes: Uint8Array, at: number): number {
  const message = at + IPV6_HEADER_LENGTH;
  bytes[message] = echo.reply ? ICMPV6_ECHO_REPLY : ICMPV6_ECHO_REQUEST;
  bytes[message + 1] = 0;
  writeU16(echo.identifier, bytes, message + 4);
  writeU16(echo.sequence, bytes, message + 6);
  bytes.set(echo.data, message + HEADER_LENGTH);
  return sealIcmpv6(echo.source, echo.destination, echo.hopLimit, HEADER_LENGTH + echo.data.length, bytes, at);
}

/**
 * Writes an error about the offending packet, which may stand in the same memory, even overlapping. As much of it is quoted as fits in
 * 1280 octets (RFC 4443 2.4 c).
 * @returns octets of the whole packet, at most 1280
 */
export function writeIcmpv6Error(
  error: Icmpv6Error,
  offending: Uint8Array,
  offendingAt: number,
  offendingLength: number,
  bytes: Uint8Array,
  at: number,
): number {
  const message = at + IPV6_HEADER_LENGTH;
  const quoted = Math.min(offendingLength, MAX_ERROR_LENGTH - IPV6_HEADER_LENGTH - HEADER_LENGTH);
  copyBytes(offending, offendingAt, bytes, message + HEADER_LENGTH, quoted);
  bytes[message] = error.type;
  bytes[message + 1] = error.code;
  writeU32(error.parameter, bytes, message + 4);
  return sealIcmpv6(error.source, error.destination, error.hopLimit, HEADER_LENGTH + quoted, bytes, at);
}

/**
 * Whether a packet may be answered with an error (RFC 4443 2.4 e): it is whole, neither an ICMPv6 error nor a redirect, its source names
 * one node and its destination is no multicast. ICMPv6 whose type is not in the packet may be an error and is not answered. (The
 * exceptions for multicast do not matter: a tunnel carries none.)
 */
export function mayAnswerWithError(bytes: Uint8Array, at: number, length: number): boolean {
  const upper = findUpperLayer(bytes, at, length);
  if (upper === undefined) return false;
  if (isUnspecified(bytes, at + SOURCE_AT) || isMulticast(bytes, at + SOURCE_AT)) return false;
  if (isMulticast(bytes, at + DESTINATION_AT)) return false;
  if (upper.protocol !== NEXT_HEADER_ICMPV6) return true;
  if (upper.length < 1) return false;
  const type = bytes[upper.at];
  return type >= 128 && type !== ICMPV6_REDIRECT;
}
