/**
 * Trailers: what may follow the IPv6 packet in a Teredo datagram (RFC 6081 4).
 *
 * ```
 * +--------+--------+----------------------+
 * |  Type  | Length | Value, Length octets | ... up to the end of the datagram
 * +--------+--------+----------------------+
 *
 * 1  Nonce               nonce (4)
 * 3  Alternate Address   reserved (2), then 1 to 4 times IPv4 (4) port (2); not inverted
 * 4  Neighbor Discovery  discovery type (1) reserved (3)
 * 5  Random Port         port (2); not inverted
 * ```
 *
 * A malformed trailer ends the walk; the packet and the trailers before it stay valid (RFC 6081 5.1.2).
 */

import { readU16, readU32, writeU16, writeU32 } from "./bytes.ts";
import { type Endpoint, isUnicast } from "./ipv4.ts";

/** Nonce Trailer (RFC 6081 4.2). */
export const TRAILER_NONCE = 1;
/** Alternate Address Trailer (RFC 6081 4.3). */
export const TRAILER_ALTERNATE_ADDRESS = 3;
/** Neighbor Discovery Option Trailer (RFC 6081 4.4). */
export const TRAILER_NEIGHBOR_DISCOVERY = 4;
/** Random Port Trailer: 5 in the text and on the wire, although the registry of the RFC says 2 (RFC 6081 4.5, 9). */
export const TRAILER_RANDOM_PORT = 5;

/** An unknown type with these top two bits discards the whole packet (RFC 6081 4.1). */
const DISCARD_CLASS = 0b01;

/** Endpoints an Alternate Address Trailer may have, and should have at most (RFC 6081 4.3). */
const MAX_ALTERNATES = 4;
const MAX_ALTERNATES_SENT = 2;

/** One trailer as it stands in the packet. */
export interface Trailer {
  /** 0 to 255 */
  readonly type: number;
  /** 0 to 255 octets. */
  readonly value: Uint8Array;
}

/** What the trailers of a packet say. Of several of one type the first good one counts. */
export interface Trailers {
  /** An unknown trailer demands that the packet be discarded. */
  readonly discard: boolean;
  /** Nonce, unsigned 32 bits. 0 stands for none and matches nothing. */
  readonly nonce?: number;
  /** Further endpoints of the sender: one to four unicast addresses with ports that are not 0. */
  readonly alternates?: readonly Endpoint[];
  /** An Alternate Address Trailer came and is wrong in length, address or port: an indirect bubble with it is dropped. */
  readonly alternateMalformed?: boolean;
  /** Server load reduction: a wish for an answer, or the answer. */
  readonly discovery?: "solicitation" | "advertisement";
  /** The sender's external port for this peer, 0 to 65535. */
  readonly randomPort?: number;
  /** Trailers of unknown types that do not discard the packet, in packet order. */
  readonly unknown: readonly Trailer[];
}

/** Trailers in packet order, and what follows the last well-formed one. */
export interface TrailerArea {
  readonly trailers: readonly Trailer[];
  /** Octets from the first malformed trailer on; empty when there is none. */
  readonly remainder: Uint8Array;
}

const NO_TRAILERS: Trailers = Object.freeze({ discard: false, unknown: Object.freeze([]) });

/** Cuts the trailer area, `length` octets at `at`, into trailers, whatever they mean. */
export function splitTrailers(bytes: Uint8Array, at: number, length: number): TrailerArea {
  const end = at + length;
  const trailers: Trailer[] = [];
  while (end - at >= 2 && end - at >= 2 + bytes[at + 1]) {
    const next = at + 2 + bytes[at + 1];
    trailers.push({ type: bytes[at], value: bytes.slice(at + 2, next) });
    at = next;
  }
  return { trailers, remainder: bytes.slice(at, end) };
}

/** Reads the trailer area, `length` octets at `at`. Without trailers no object is made. */
export function parseTrailers(bytes: Uint8Array, at: number, length: number): Trailers {
  if (length === 0) return NO_TRAILERS;
  let nonce: number | undefined;
  let alternates: readonly Endpoint[] | undefined;
  let alternateMalformed = false;
  let discovery: Trailers["discovery"];
  let randomPort: number | undefined;
  const unknown: Trailer[] = [];
  let discard = false;
  for (const trailer of splitTrailers(bytes, at, length).trailers) {
    const { type, value } = trailer;
    switch (type) {
      case TRAILER_NONCE:
        if (value.length === 4) nonce ??= readU32(value, 0);
        break;
      case TRAILER_ALTERNATE_ADDRESS:
        if (alternates !== undefined) break;
        alternates = parseAlternates(value);
        alternateMalformed ||= alternates === undefined;
        break;
      case TRAILER_NEIGHBOR_DISCOVERY:
        if (value.length === 4) discovery ??= discoveryType(value[0]);
        break;
      case TRAILER_RANDOM_PORT:
        if (value.length === 2) randomPort ??= readU16(value, 0);
        break;
      default:
        if (type >>> 6 === DISCARD_CLASS) discard = true;
        else unknown.push(trailer);
    }
    if (discard) break;
  }
  return {
    discard,
    ...(nonce === undefined ? {} : { nonce }),
    ...(alternates === undefined || alternateMalformed ? {} : { alternates }),
    ...(alternateMalformed ? { alternateMalformed } : {}),
    ...(discovery === undefined ? {} : { discovery }),
    ...(randomPort === undefined ? {} : { randomPort }),
    unknown,
  };
}

function discoveryType(octet: number): Trailers["discovery"] {
  return octet === 0 ? "solicitation" : octet === 1 ? "advertisement" : undefined;
}

/** The endpoints of an Alternate Address Trailer; undefined when its form is wrong (RFC 6081 4.3). */
function parseAlternates(value: Uint8Array): readonly Endpoint[] | undefined {
  const count = (value.length - 2) / 6;
  if (!Number.isInteger(count) || count < 1 || count > MAX_ALTERNATES) return undefined;
  const alternates = Array.from({ length: count }, (_, i) => ({
    address: readU32(value, 2 + 6 * i),
    port: readU16(value, 6 + 6 * i),
  }));
  return alternates.every(({ address, port }) => port !== 0 && isUnicast(address)) ? alternates : undefined;
}

/**
 * Writes trailers in the given order.
 * @returns octets written
 * @throws {RangeError} a value longer than 255 octets
 */
export function writeTrailers(trailers: readonly Trailer[], bytes: Uint8Array, at: number): number {
  let next = at;
  for (const { type, value } of trailers) {
    if (value.length > 255) throw new RangeError(`Cannot write trailer ${type}: ${value.length} octets, at most 255`);
    bytes[next] = type;
    bytes[next + 1] = value.length;
    bytes.set(value, next + 2);
    next += 2 + value.length;
  }
  return next - at;
}

/** A Nonce Trailer (RFC 6081 4.2). @param nonce unsigned 32 bits, not 0 */
export function nonceTrailer(nonce: number): Trailer {
  const value = new Uint8Array(4);
  writeU32(nonce, value, 0);
  return { type: TRAILER_NONCE, value };
}

/**
 * An Alternate Address Trailer (RFC 6081 4.3) with the first two endpoints: more can be read, but should not be sent.
 * @param alternates unicast addresses with ports that are not 0
 */
export function alternateAddressTrailer(alternates: readonly [Endpoint, ...Endpoint[]]): Trailer {
  const sent = alternates.slice(0, MAX_ALTERNATES_SENT);
  const value = new Uint8Array(2 + 6 * sent.length);
  sent.forEach(({ address, port }, i) => {
    writeU32(address, value, 2 + 6 * i);
    writeU16(port, value, 6 + 6 * i);
  });
  return { type: TRAILER_ALTERNATE_ADDRESS, value };
}

/** A Neighbor Discovery Option Trailer (RFC 6081 4.4). */
export function discoveryTrailer(kind: "solicitation" | "advertisement"): Trailer {
  return { type: TRAILER_NEIGHBOR_DISCOVERY, value: new Uint8Array([kind === "solicitation" ? 0 : 1, 0, 0, 0]) };
}

/** A Random Port Trailer (RFC 6081 4.5). */
export function randomPortTrailer(port: number): Trailer {
  const value = new Uint8Array(2);
  writeU16(port, value, 0);
  return { type: TRAILER_RANDOM_PORT, value };
}
