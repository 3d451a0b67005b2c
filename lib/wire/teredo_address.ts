/**
 * Teredo IPv6 addresses (RFC 4380 4, flags as updated by RFC 5991 3.1).
 *
 * ```
 *  0               4               8       10      12             16
 * +---------------+---------------+-------+-------+---------------+
 * |    Prefix     |  Server IPv4  | Flags | ~Port | ~Mapped IPv4  |
 * +---------------+---------------+-------+-------+---------------+
 *
 * Flags   C  z  Random1  U  G  Random2
 *         1  1     4     1  1     8      bits
 * ```
 *
 * Mapped port and mapped IPv4 are inverted, so that no NAT finds and rewrites them; the server's address is not.
 * A link-local Teredo address has fe80::/64 and the same last eight octets.
 *
 * A prefix is everywhere the unsigned number of its 32 bits. The hot accessors take the offset of the address, and 16 octets there.
 */

import { readU16, readU32, writeU16, writeU32 } from "./bytes.ts";
import { type Endpoint, type Ipv4, isGlobalUnicast } from "./ipv4.ts";
import type { Ipv6 } from "./ipv6.ts";

/** The Teredo service prefix 2001:0000::/32 (RFC 4380 2.6). */
export const TEREDO_PREFIX = 0x20010000;

/** UDP port of servers and of local discovery (RFC 4380 2.7). */
export const TEREDO_PORT = 3544;

/** The cone bit C: set by legacy clients behind cone NATs, and by servers in their own address. */
export const FLAG_CONE = 0x8000;

/** The bits Random1 and Random2; z, U and G stay zero in every address we form (RFC 5991 3.1, RFC 4380 4). */
const RANDOM_FLAGS = 0x3cff;

/** Source of Router Solicitations with cone bit 0, as deployed clients use it: fe80::ffff:ffff:fffe. */
export const RS_SOURCE_RESTRICTED: Ipv6 = linkLocal(0x0000ffff, 0xfffffffe);

/** Source of Router Solicitations with cone bit 1, as legacy clients use it: fe80::8000:ffff:ffff:fffd. */
export const RS_SOURCE_CONE: Ipv6 = linkLocal(0x8000ffff, 0xfffffffd);

/** What a Teredo address says. */
export interface TeredoAddress {
  readonly server: Ipv4;
  /** The 16 bits of the flags field. */
  readonly flags: number;
  /** The NAT's external address and port of the client, as its server saw them. */
  readonly mapped: Endpoint;
}

/** Whether the address at `at` has the Teredo prefix. */
export function isTeredo(bytes: Uint8Array, at: number, prefix: number = TEREDO_PREFIX): boolean {
  return readU32(bytes, at) === prefix;
}

/** IPv4 address of the client's server. */
export function serverAt(bytes: Uint8Array, at: number): Ipv4 {
  return readU32(bytes, at + 4);
}

/** The flags field. */
export function flagsAt(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + 8);
}

/** Whether the cone bit is set. Works for link-local addresses too. */
export function isConeAt(bytes: Uint8Array, at: number): boolean {
  return bytes[at + 8] >>> 7 === 1;
}

/** Mapped UDP port, 0 to 65535. */
export function mappedPortAt(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + 10) ^ 0xffff;
}

/** Mapped IPv4 address. */
export function mappedAddressAt(bytes: Uint8Array, at: number): Ipv4 {
  return ~readU32(bytes, at + 12) >>> 0;
}

/**
 * Whether a packet may ever be sent to the Teredo address at `at`: the prefix is right, server and mapped address are global unicast
 * (RFC 4380 5.2.4), and the mapped port is not 0. The flags do not matter.
 */
export function isWellFormedTeredo(bytes: Uint8Array, at: number, prefix: number = TEREDO_PREFIX): boolean {
  return isTeredo(bytes, at, prefix) && mappedPortAt(bytes, at) !== 0 && isGlobalUnicast(serverAt(bytes, at)) &&
    isGlobalUnicast(mappedAddressAt(bytes, at));
}

/** Takes an address apart; undefined when it has another prefix. Only the layout is looked at. */
export function parseTeredoAddress(address: Ipv6, prefix: number = TEREDO_PREFIX): TeredoAddress | undefined {
  if (address.length !== 16 || !isTeredo(address, 0, prefix)) return undefined;
  return {
    server: serverAt(address, 0),
    flags: flagsAt(address, 0),
    mapped: { address: mappedAddressAt(address, 0), port: mappedPortAt(address, 0) },
  };
}

/** Puts an address together. */
export function formTeredoAddress(parts: TeredoAddress, prefix: number = TEREDO_PREFIX): Ipv6 {
  const address = linkLocalFor(parts.mapped, parts.flags);
  writeU32(prefix, address, 0);
  writeU32(parts.server, address, 4);
  return address;
}

/** Flags for a new address from 16 random bits: random where RFC 5991 3.1 wants it, else zero. */
export function randomFlags(random: number): number {
  return random & RANDOM_FLAGS;
}

/** The link-local Teredo address of an endpoint (RFC 4380 4). */
export function linkLocalFor(endpoint: Endpoint, flags: number): Ipv6 {
  const address = linkLocal(0, ~endpoint.address);
  writeU16(flags, address, 8);
  writeU16(endpoint.port ^ 0xffff, address, 10);
  return address;
}

/** The link-local address of a server: its primary IPv4 address, port 3544, cone bit 1 (RFC 4380 5.3.2). */
export function serverLinkLocal(server: Ipv4): Ipv6 {
  return linkLocalFor({ address: server, port: TEREDO_PORT }, FLAG_CONE);
}

function linkLocal(third: number, fourth: number): Ipv6 {
  const address = new Uint8Array(16);
  writeU32(0xfe800000, address, 0);
  writeU32(third, address, 8);
  writeU32(fourth, address, 12);
  return address;
}
