/**
 * What a Teredo UDP payload is made of (RFC 4380 5.1.1, RFC 6081 4).
 *
 * ```
 * datagram        [ authentication ] [ origin ] IPv6-packet [ trailers ]
 *
 * authentication  00 01 | id length | value length | identifier | value | nonce (8) | confirmation (1)
 * origin          00 00 | ~port (2) | ~IPv4 (4)
 * ```
 *
 * The authentication value covers nonce, confirmation, origin and the IPv6 packet, which stand next to each other (RFC 4380 5.2.2).
 */

import { readU16, readU32, writeU16, writeU32 } from "./bytes.ts";
import type { Endpoint, Ipv4 } from "./ipv4.ts";
import { IPV6_HEADER_LENGTH, payloadLength } from "./ipv6.ts";

/** Octets of an origin indication. */
export const ORIGIN_LENGTH = 8;

/** Octets of an authentication element without identifier and value, as every client sends it. */
export const NULL_AUTHENTICATION_LENGTH = 13;

/** Octets of the nonce in an authentication element. */
export const AUTHENTICATION_NONCE_LENGTH = 8;

/** Indicators: the first two octets of an element. */
const ORIGIN = 0x0000;
const AUTHENTICATION = 0x0001;

const NO_OCTETS = new Uint8Array(0);

/** An authentication element (RFC 4380 5.1.1). Its arrays are copies and may be kept. */
export interface Authentication {
  /** Client identifier, 0 to 255 octets. */
  readonly identifier: Uint8Array;
  /** Message authentication code, 0 to 255 octets; 20 for HMAC-SHA1. */
  readonly value: Uint8Array;
  /** 8 octets that tie an answer to its question. */
  readonly nonce: Uint8Array;
  /** 0: the client's key is valid. Anything else: it should get a new one. */
  readonly confirmation: number;
}

/**
 * The parts of one datagram. Made once and used again for each: decoding a plain packet (no authentication) makes no object.
 * Fields are meaningful only after {@link decode} returned true, until the next call.
 */
export class Datagram {
  /** The authentication element, if there was one. */
  authentication: Authentication | undefined = undefined;
  /** Offset of the nonce of the authentication element; -1 when there was none. */
  nonceAt = -1;
  /** Whether there was an origin indication. */
  origin = false;
  /** IPv4 address of the origin indication, else 0. */
  originAddress: Ipv4 = 0;
  /** UDP port of the origin indication, else 0. */
  originPort = 0;
  /** Offset of the IPv6 header. */
  ipv6At = 0;
  /** Octets of the IPv6 packet: 40 and its payload length. */
  ipv6Length = 0;
  /** Offset of what follows the IPv6 packet. */
  trailersAt = 0;
  /** Octets from there to the end of the datagram; 0 for nearly every packet. */
  trailersLength = 0;
  readonly #copies: boolean;

  /** @param copies fill in {@link authentication}; else {@link nonceAt} is all that is known of it, and no datagram makes an object */
  constructor(copies: boolean = true) {
    this.#copies = copies;
  }

  /**
   * Takes a UDP payload of `length` octets at `at` apart.
   * @returns false when it is malformed: to be discarded silently
   */
  decode(bytes: Uint8Array, at: number, length: number): boolean {
    const end = at + length;
    this.nonceAt = -1;
    this.authentication = undefined;
    this.origin = false;
    this.originAddress = 0;
    this.originPort = 0;
    if (length >= IPV6_HEADER_LENGTH && bytes[at] === 0) {
      at = this.#decodeElements(bytes, at, end);
    }
    if (end - at < IPV6_HEADER_LENGTH || bytes[at] >>> 4 !== 6) return false;
    const size = IPV6_HEADER_LENGTH + payloadLength(bytes, at);
    if (size > end - at) return false;
    this.ipv6At = at;
    this.ipv6Length = size;
    this.trailersAt = at + size;
    this.trailersLength = end - at - size;
    return true;
  }

  /** Reads the elements before the IPv6 packet. @returns the offset behind them, or `end` when they leave no room for a packet */
  #decodeElements(bytes: Uint8Array, at: number, end: number): number {
    if (readU16(bytes, at) === AUTHENTICATION) {
      const identifierAt = at + 4;
      const valueAt = identifierAt + bytes[at + 2];
      const nonceAt = valueAt + bytes[at + 3];
      const confirmationAt = nonceAt + AUTHENTICATION_NONCE_LENGTH;
      at = confirmationAt + 1;
      if (end - at < IPV6_HEADER_LENGTH) return end;
      this.nonceAt = nonceAt;
      if (this.#copies) {
        this.authentication = {
          identifier: valueAt === identifierAt ? NO_OCTETS : bytes.slice(identifierAt, valueAt),
          value: nonceAt === valueAt ? NO_OCTETS : bytes.slice(valueAt, nonceAt),
          nonce: bytes.slice(nonceAt, confirmationAt),
          confirmation: bytes[confirmationAt],
        };
      }
    }
    if (readU16(bytes, at) === ORIGIN) {
      this.origin = true;
      this.originPort = readU16(bytes, at + 2) ^ 0xffff;
      this.originAddress = ~readU32(bytes, at + 4) >>> 0;
      at += ORIGIN_LENGTH;
    }
    return at;
  }
}

/**
 * Writes an authentication element.
 * @returns octets written: 13 and the lengths of identifier and value
 * @throws {RangeError} identifier or value longer than 255 octets, or a nonce that has not 8
 */
export function writeAuthentication(authentication: Authentication, bytes: Uint8Array, at: number): number {
  const { identifier, value, nonce } = authentication;
  if (identifier.length > 255 || value.length > 255 || nonce.length !== AUTHENTICATION_NONCE_LENGTH) {
    throw new RangeError(
      `Cannot write authentication: identifier of ${identifier.length} octets (at most 255), value of ${value.length} (at most 255), nonce of ${nonce.length} (exactly 8)`,
    );
  }
  writeU16(AUTHENTICATION, bytes, at);
  bytes[at + 2] = identifier.length;
  bytes[at + 3] = value.length;
  bytes.set(identifier, at + 4);
  bytes.set(value, at + 4 + identifier.length);
  const nonceAt = at + 4 + identifier.length + value.length;
  bytes.set(nonce, nonceAt);
  bytes[nonceAt + AUTHENTICATION_NONCE_LENGTH] = authentication.confirmation;
  return NULL_AUTHENTICATION_LENGTH + identifier.length + value.length;
}

/** Writes an authentication element without identifier and value, around the nonce at `bytes[nonceAt]`. @returns octets written, 13 */
export function writeNullAuthentication(nonceAt: number, bytes: Uint8Array, at: number): number {
  writeU32(AUTHENTICATION << 16, bytes, at);
  for (let i = 0; i < AUTHENTICATION_NONCE_LENGTH; i++) bytes[at + 4 + i] = bytes[nonceAt + i];
  bytes[at + 4 + AUTHENTICATION_NONCE_LENGTH] = 0;
  return NULL_AUTHENTICATION_LENGTH;
}

/** Writes an origin indication. @returns octets written, 8 */
export function writeOrigin(origin: Endpoint, bytes: Uint8Array, at: number): number {
  writeU16(ORIGIN, bytes, at);
  writeU16(origin.port ^ 0xffff, bytes, at + 2);
  writeU32(~origin.address, bytes, at + 4);
  return ORIGIN_LENGTH;
}

/**
 * The octets that the authentication value of a datagram covers: nonce, confirmation, origin indication if present, and the IPv6 packet
 * without trailers (RFC 4380 5.2.2). Identifier, lengths and the value itself are not among them, so a sender writes the datagram with
 * a value of the right length, computes the code over this, and writes the element again.
 *
 * @returns a view into `bytes`, or undefined when the datagram is malformed or has no authentication element
 */
export function authenticationInput(bytes: Uint8Array, at: number, length: number): Uint8Array | undefined {
  const datagram = new Datagram();
  if (!datagram.decode(bytes, at, length) || datagram.authentication === undefined) return undefined;
  return bytes.subarray(at + 4 + bytes[at + 2] + bytes[at + 3], datagram.ipv6At + datagram.ipv6Length);
}
