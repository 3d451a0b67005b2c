/**
 * Real IPv4 packets as a translator needs them: where they come from and go to, and how to change that in place.
 *
 * ```
 *    0                   1                   2                   3
 *   |Version|  IHL  |      TOS      |         Total length          |   0
 *   |        Identification         |Flags|    Fragment offset      |   4
 *   |      TTL      |   Protocol    |        Header checksum        |   8
 *   |                         Source address                        |  12
 *   |                      Destination address                      |  16
 *   | Source port / ICMP type, code |  Destination port / checksum  |  IHL
 *   | UDP length, checksum; TCP ... / ICMP identifier, sequence     |
 * ```
 *
 * Checksums are updated by the difference (RFC 1624), so that a first fragment can be changed without the others.
 */

import type { Endpoint, Ipv4 } from "../../lib/wire/ipv4.ts";
import { addToSum, foldSum } from "../../lib/wire/checksum.ts";
import { readU16, readU32, writeU16 } from "../../lib/wire/bytes.ts";
import { type Header, Protocol } from "../sim/nat.ts";

const MIN_HEADER_LENGTH = 20;
const SOURCE_AT = 12;
const DESTINATION_AT = 16;
/** Octets of the transport header that a translator needs: ports, UDP checksum, ICMP identifier. */
const LEAST_TRANSPORT = 8;
/** Octets of a TCP header. */
const TCP_HEADER_LENGTH = 20;

const ICMP_ECHO_REPLY = 0;
const ICMP_ECHO_REQUEST = 8;
/** Unreachable, source quench, redirect, time exceeded, parameter problem: all quote a packet 8 octets in. */
const ICMP_ERRORS: ReadonlySet<number> = new Set([3, 4, 5, 11, 12]);

/** What a packet is to a translator. */
export type PacketKind =
  /** It has ports, or an ICMP identifier. */
  | "whole"
  /** An ICMP error about another packet. */
  | "error"
  /** The first of several fragments: it has ports. */
  | "first-fragment"
  | "later-fragment"
  /** Nothing that could be translated. */
  | "other";

/** Offset of the transport header, octets. */
function headerLength(packet: Uint8Array): number {
  return (packet[0] & 0xf) * 4;
}

/** True when this is an IPv4 packet, whole in itself. */
export function isIpv4(packet: Uint8Array): boolean {
  return packet.length >= MIN_HEADER_LENGTH && packet[0] >>> 4 === 4 && headerLength(packet) >= MIN_HEADER_LENGTH &&
    packet.length >= headerLength(packet) && readU16(packet, 2) === packet.length;
}

export function sourceOf(packet: Uint8Array): Ipv4 {
  return readU32(packet, SOURCE_AT);
}

export function destinationOf(packet: Uint8Array): Ipv4 {
  return readU32(packet, DESTINATION_AT);
}

/** What a translator can do with a packet; `packet` may be the piece of one that an ICMP error quotes. */
export function kindOf(packet: Uint8Array): PacketKind {
  const offset = readU16(packet, 6) & 0x1fff;
  if (offset !== 0) return "later-fragment";
  const at = headerLength(packet);
  const protocol = packet[9];
  if (at < MIN_HEADER_LENGTH || packet.length < at + LEAST_TRANSPORT) return "other";
  if (protocol === Protocol.icmp) {
    const type = packet[at];
    if (ICMP_ERRORS.has(type)) return packet.length >= at + 8 + MIN_HEADER_LENGTH + LEAST_TRANSPORT ? "error" : "other";
    if (type !== ICMP_ECHO_REQUEST && type !== ICMP_ECHO_REPLY) return "other";
  } else if (protocol === Protocol.tcp) {
    if (packet.length < at + TCP_HEADER_LENGTH) return "other";
  } else if (protocol !== Protocol.udp) return "other";
  return (packet[6] & 0x20) !== 0 ? "first-fragment" : "whole";
}

/** Addresses and ports of a packet that has them. An ICMP identifier stands as port of the side that asks. */
export function headerOf(packet: Uint8Array): Header {
  const at = headerLength(packet);
  const protocol = packet[9];
  const icmp = protocol === Protocol.icmp;
  const asks = icmp && packet[at] === ICMP_ECHO_REQUEST;
  const identifier = icmp ? readU16(packet, at + 4) : 0;
  return {
    protocol,
    source: { address: sourceOf(packet), port: icmp ? (asks ? identifier : 0) : readU16(packet, at) },
    destination: { address: destinationOf(packet), port: icmp ? (asks ? 0 : identifier) : readU16(packet, at + 2) },
  };
}

/** Identifies the fragments of one packet (RFC 791 3.2). */
export function fragmentKey(packet: Uint8Array): string {
  return `${sourceOf(packet)} ${destinationOf(packet)} ${packet[9]} ${readU16(packet, 4)}`;
}

/** The packet that an ICMP error quotes: a view, usually cut short. */
export function quotedBy(packet: Uint8Array): Uint8Array {
  return packet.subarray(headerLength(packet) + 8);
}

/** Updates the checksum at `at` for one 16-bit word that changes (RFC 1624 3). */
function adjust(packet: Uint8Array, at: number, before: number, after: number): void {
  let sum = (~readU16(packet, at) & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  writeU16(~sum & 0xffff, packet, at);
}

/** Where the transport checksum is, or -1 when the packet has none, and whether it covers the addresses. */
function transportChecksum(packet: Uint8Array): { readonly at: number; readonly pseudo: boolean } {
  const at = headerLength(packet);
  switch (packet[9]) {
    case Protocol.icmp:
      return { at: at + 2, pseudo: false };
    case Protocol.tcp:
      return { at: packet.length >= at + 18 ? at + 16 : -1, pseudo: true };
    default:
      return { at: readU16(packet, at + 6) === 0 ? -1 : at + 6, pseudo: true };
  }
}

function setAddress(packet: Uint8Array, at: number, address: Ipv4, checksum: number): void {
  for (const [half, value] of [[at, address >>> 16], [at + 2, address & 0xffff]]) {
    const before = readU16(packet, half);
    adjust(packet, 10, before, value);
    if (checksum >= 0) adjust(packet, checksum, before, value);
    writeU16(value, packet, half);
  }
}

function setEndpoint(packet: Uint8Array, addressAt: number, portAt: number, endpoint: Endpoint): void {
  const { at, pseudo } = transportChecksum(packet);
  setAddress(packet, addressAt, endpoint.address, pseudo ? at : -1);
  if (portAt < 0) return;
  if (at >= 0) adjust(packet, at, readU16(packet, portAt), endpoint.port);
  writeU16(endpoint.port, packet, portAt);
}

/** Changes source address and port (or ICMP identifier of an Echo Request). */
export function setSource(packet: Uint8Array, endpoint: Endpoint): void {
  const at = headerLength(packet);
  const icmp = packet[9] === Protocol.icmp;
  const portAt = !icmp ? at : packet[at] === ICMP_ECHO_REQUEST ? at + 4 : -1;
  setEndpoint(packet, SOURCE_AT, portAt, endpoint);
}

/** Changes destination address and port (or ICMP identifier of an Echo Reply). */
export function setDestination(packet: Uint8Array, endpoint: Endpoint): void {
  const at = headerLength(packet);
  const icmp = packet[9] === Protocol.icmp;
  const portAt = !icmp ? at + 2 : packet[at] === ICMP_ECHO_REPLY ? at + 4 : -1;
  setEndpoint(packet, DESTINATION_AT, portAt, endpoint);
}

/** Changes the addresses of a packet that has no ports: a later fragment, or an ICMP error. */
export function setAddresses(packet: Uint8Array, source: Ipv4, destination: Ipv4): void {
  setAddress(packet, SOURCE_AT, source, -1);
  setAddress(packet, DESTINATION_AT, destination, -1);
}

/** Writes the checksum of an ICMP message anew. */
export function sealIcmp(packet: Uint8Array): void {
  const at = headerLength(packet);
  writeU16(0, packet, at + 2);
  writeU16(~foldSum(addToSum(0, packet, at, packet.length - at)) & 0xffff, packet, at + 2);
}

/** One hop more. @returns false when its time to live is over */
export function countHop(packet: Uint8Array): boolean {
  if (packet[8] <= 1) return false;
  adjust(packet, 10, readU16(packet, 8), readU16(packet, 8) - 0x100);
  packet[8]--;
  return true;
}
