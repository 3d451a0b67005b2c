/**
 * Secure qualification (RFC 4380 5.2.2): HMAC-SHA1 with a secret shared by client and server.
 *
 * ```
 *   00 01 | idlen | 20 | identifier | value | nonce | confirmation | origin | IPv6 packet
 *                                     |       \________________ covered _______________/
 *                                     └─ HMAC-SHA1(secret, covered)
 * ```
 *
 * Origin and IPv6 packet are neighbours in a datagram; trailers are not covered.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import {
  type Datagram,
  NULL_AUTHENTICATION_LENGTH,
  ORIGIN_LENGTH,
  writeAuthentication,
} from "../../wire/encapsulation.ts";

/** Octets of an authentication value: those of SHA-1. */
export const AUTHENTICATION_VALUE_LENGTH = 20;

/** Octets of the whole authentication element for an identifier of `identifierLength` octets. */
export function secureAuthenticationLength(identifierLength: number): number {
  return NULL_AUTHENTICATION_LENGTH + identifierLength + AUTHENTICATION_VALUE_LENGTH;
}

/**
 * The authentication value, 20 octets.
 * @param at offset of the origin indication if there is one, else of the IPv6 packet
 * @param length octets from there to the end of the IPv6 packet
 */
export function authenticationValue(
  secret: Uint8Array,
  nonce: Uint8Array,
  confirmation: number,
  bytes: Uint8Array,
  at: number,
  length: number,
): Uint8Array {
  return createHmac("sha1", secret)
    .update(nonce)
    .update(Uint8Array.of(confirmation))
    .update(bytes.subarray(at, at + length))
    .digest();
}

/**
 * Writes an authentication element with its value in front of octets that already stand behind it.
 * @param coveredLength octets of origin (if any) and IPv6 packet, which begin {@link secureAuthenticationLength} octets behind `at`
 * @returns octets written
 */
export function writeSecureAuthentication(
  identifier: Uint8Array,
  secret: Uint8Array,
  nonce: Uint8Array,
  confirmation: number,
  bytes: Uint8Array,
  at: number,
  coveredLength: number,
): number {
  const coveredAt = at + secureAuthenticationLength(identifier.length);
  const value = authenticationValue(secret, nonce, confirmation, bytes, coveredAt, coveredLength);
  return writeAuthentication({ identifier, value, nonce, confirmation }, bytes, at);
}

/**
 * Whether a decoded datagram carries the authentication value that `secret` makes. Takes the same time wherever a wrong value differs.
 * @param bytes what the datagram was decoded from
 */
export function verifyAuthentication(secret: Uint8Array, datagram: Datagram, bytes: Uint8Array): boolean {
  const { authentication, ipv6At, ipv6Length } = datagram;
  if (authentication === undefined || authentication.value.length !== AUTHENTICATION_VALUE_LENGTH) return false;
  const origin = datagram.origin ? ORIGIN_LENGTH : 0;
  const { nonce, confirmation, value } = authentication;
  return timingSafeEqual(
    authenticationValue(secret, nonce, confirmation, bytes, ipv6At - origin, origin + ipv6Length),
    value,
  );
}
