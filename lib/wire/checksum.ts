/**
 * The Internet checksum (RFC 1071) with the pseudo-header of IPv6 (RFC 8200 8.1), and its use in ICMPv6 (RFC 4443 2.3).
 *
 * Sums are plain numbers, not yet folded: 64 KiB of octets stay far below 2^53. A sum covers big-endian 16-bit words; an odd last
 * octet counts as the high half of a word.
 */

import { readU16 } from "./bytes.ts";
import { IPV6_HEADER_LENGTH, NEXT_HEADER_ICMPV6, SOURCE_AT } from "./ipv6.ts";

/** Offset of the checksum in an ICMPv6 message. */
const CHECKSUM_AT = 2;

/** Adds `length` octets at `at` to `sum`. */
export function addToSum(sum: number, bytes: Uint8Array, at: number, length: number): number {
  const end = at + length - 1;
  let i = at;
  for (; i < end; i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  return i === end ? sum + (bytes[i] << 8) : sum;
}

/** The sum folded to 16 bits with end-around carry. */
export function foldSum(sum: number): number {
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

/** Sum of the pseudo-header: the addresses of the IPv6 header at `at`, upper-layer `length` in octets, and `protocol`. */
export function pseudoHeaderSum(bytes: Uint8Array, at: number, length: number, protocol: number): number {
  return addToSum((length >>> 16) + (length & 0xffff) + protocol, bytes, at + SOURCE_AT, 32);
}

/**
 * The checksum of an ICMPv6 message that follows its IPv6 header at once. The present content of the checksum field does not matter.
 * @param at offset of the IPv6 header
 * @param length octets of the message, at least 4
 */
export function checksumIcmpv6(bytes: Uint8Array, at: number, length: number): number {
  const message = at + IPV6_HEADER_LENGTH;
  const sum = addToSum(pseudoHeaderSum(bytes, at, length, NEXT_HEADER_ICMPV6), bytes, message, length);
  return 0xffff - foldSum(sum - readU16(bytes, message + CHECKSUM_AT));
}

/** Whether the ICMPv6 message of `length` octets behind the IPv6 header at `at` carries the right checksum. */
export function verifyIcmpv6(bytes: Uint8Array, at: number, length: number): boolean {
  const sum = pseudoHeaderSum(bytes, at, length, NEXT_HEADER_ICMPV6);
  return foldSum(addToSum(sum, bytes, at + IPV6_HEADER_LENGTH, length)) === 0xffff;
}
