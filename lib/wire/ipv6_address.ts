/**
 * IPv6 addresses: their text (RFC 4291 2.2 in, RFC 5952 out), the scopes that Teredo treats specially, and prefixes.
 *
 * The tests take `(bytes, at)` so that they can look at addresses where they stand in a packet.
 */

import { equalBytes, readU16, readU32, writeU16, writeU32 } from "./bytes.ts";
import { formatIpv4, parseIpv4 } from "./ipv4.ts";
import type { Ipv6 } from "./ipv6.ts";

/** Leading `length` bits (0 to 128) of `address`; the bits behind them are zero. */
export interface Ipv6Prefix {
  readonly address: Ipv6;
  readonly length: number;
}

/** `::` */
export const UNSPECIFIED: Ipv6 = new Uint8Array(16);

/** Link-local all-nodes multicast, `ff02::1`. */
export const ALL_NODES: Ipv6 = new Uint8Array([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/** Link-local all-routers multicast, `ff02::2`. */
export const ALL_ROUTERS: Ipv6 = new Uint8Array([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);

const GROUP = /^[0-9a-f]{1,4}$/i;

/** The 16-bit groups of `a:b:...`, the last of which may be a dotted quad; undefined when one is wrong. */
function parseGroups(text: string, quadAllowed: boolean): readonly number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const quad = quadAllowed && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (quad === undefined) return undefined;
    groups.push(quad >>> 16, quad & 0xffff);
  }
  return groups;
}

/** Reads an address in any form of RFC 4291 2.2, without zone; undefined for anything else. */
export function parseIpv6(text: string): Ipv6 | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0], halves.length === 1);
  const tail = parseGroups(halves.length === 2 ? halves[1] : "", true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const address = new Uint8Array(16);
  head.forEach((group, i) => writeU16(group, address, 2 * i));
  tail.forEach((group, i) => writeU16(group, address, 2 * (head.length + missing + i)));
  return address;
}

/** Whether the address is an IPv4-mapped one, ::ffff:0:0/96. */
function isV4Mapped(bytes: Uint8Array, at: number): boolean {
  return readU32(bytes, at) === 0 && readU32(bytes, at + 4) === 0 && readU32(bytes, at + 8) === 0xffff;
}

/** The canonical text of an address (RFC 5952): lower case, the longest run of two or more zero groups as `::`. */
export function formatIpv6(address: Ipv6): string {
  if (isV4Mapped(address, 0)) return `::ffff:${formatIpv4(readU32(address, 12))}`;
  let runAt = 0;
  let runLength = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && readU16(address, 2 * end) === 0) end++;
    if (end - i > runLength) {
      runAt = i;
      runLength = end - i;
    }
    i = Math.max(i, end - 1);
  }
  const groups = Array.from({ length: 8 }, (_, i) => readU16(address, 2 * i).toString(16));
  if (runLength === 1) return groups.join(":");
  return `${groups.slice(0, runAt).join(":")}::${groups.slice(runAt + runLength).join(":")}`;
}

/** Whether two addresses are the same in all 128 bits. */
export function equalIpv6(a: Ipv6, b: Ipv6): boolean {
  return equalBytes(a, 0, b, 0, 16);
}

/** ff00::/8 */
export function isMulticast(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xff;
}

/** fe80::/10 */
export function isLinkLocal(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xfe && (bytes[at + 1] & 0xc0) === 0x80;
}

/** `::` */
export function isUnspecified(bytes: Uint8Array, at: number): boolean {
  return isLow(bytes, at) && readU32(bytes, at + 12) === 0;
}

/** `::1` */
export function isLoopback(bytes: Uint8Array, at: number): boolean {
  return isLow(bytes, at) && readU32(bytes, at + 12) === 1;
}

/** ::/96, where the unspecified, the loopback and the obsolete IPv4-compatible addresses live. */
function isLow(bytes: Uint8Array, at: number): boolean {
  return readU32(bytes, at) === 0 && readU32(bytes, at + 4) === 0 && readU32(bytes, at + 8) === 0;
}

/**
 * Whether an address may be routed beyond the link: not multicast, link-local, unspecified or loopback, and not an IPv4 address in
 * disguise (IPv4-mapped, IPv4-compatible), which no router should see. Unique local addresses have global scope (RFC 4193 3.3).
 */
export function isGlobalScope(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== 0) return !isMulticast(bytes, at) && !isLinkLocal(bytes, at);
  return !isLow(bytes, at) && !isV4Mapped(bytes, at);
}

/** Reads `address/length`, length 0 to 128; undefined for anything else. Bits behind the prefix are cleared. */
export function parseIpv6Prefix(text: string): Ipv6Prefix | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? undefined : parseIpv6(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > 128) return undefined;
  const length = Number(digits);
  for (let i = 0; i < 4; i++) {
    writeU32(readU32(address, 4 * i) & wordMask(length - 32 * i), address, 4 * i);
  }
  return { address, length };
}

/** The 32-bit mask of `bits` leading ones; out-of-range counts are taken as 0 or 32. */
function wordMask(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? 0xffffffff : -1 << (32 - bits);
}

/** Whether the address at `at` begins with the prefix. */
export function inPrefix(bytes: Uint8Array, at: number, prefix: Ipv6Prefix): boolean {
  for (let bit = 0; bit < prefix.length; bit += 32) {
    const difference = readU32(bytes, at + bit / 8) ^ readU32(prefix.address, bit / 8);
    if ((difference & wordMask(prefix.length - bit)) !== 0) return false;
  }
  return true;
}
