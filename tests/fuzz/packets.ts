/**
 * IPv6 packets and Teredo datagrams of every kind, whole and damaged.
 *
 * ```
 *   [authentication]* [origin]* │ IPv6 │ [extension headers]* │ UDP, TCP, any ICMPv6, bubble, another datagram ... │ [trailers]*
 *                               └───────────────────── IPv6 in IPv6 ──────────────────────────────────────────────┘
 * ```
 */

import { writeU16, writeU32 } from "../../lib/wire/bytes.ts";
import { checksumIcmpv6 } from "../../lib/wire/checksum.ts";
import { writeAuthentication, writeOrigin } from "../../lib/wire/encapsulation.ts";
import { sealIcmpv6, writeIcmpv6Error } from "../../lib/wire/icmpv6.ts";
import type { Endpoint } from "../../lib/wire/ipv4.ts";
import type { Ipv6 } from "../../lib/wire/ipv6.ts";
import { teredoAdvertisement, writeRouterAdvertisement } from "../../lib/wire/router_advertisement.ts";
import { writeRouterSolicitation } from "../../lib/wire/router_solicitation.ts";
import {
  alternateAddressTrailer,
  discoveryTrailer,
  nonceTrailer,
  randomPortTrailer,
  type Trailer,
  writeTrailers,
} from "../../lib/wire/trailers.ts";
import type { SeededRandom } from "../sim/random.ts";
import { mutate, octets, pick } from "./mutation.ts";
import type { Cast } from "./cast.ts";

/** Room for a datagram with everything that may be put into it. */
export const ROOM = 4_096;

const EXTENSIONS = [0, 43, 44, 51, 60] as const;
const HOP_LIMITS = [0, 1, 2, 21, 64, 254, 255] as const;

/** How deep packets are put into packets. */
const MAX_DEPTH = 3;

/** How likely a packet or datagram is damaged after it was written. */
const DAMAGED = 0.35;

/** Makes packets out of the addresses of a cast. */
export class Packets {
  readonly #random: SeededRandom;
  readonly #cast: Cast;
  /** Nonces, identifiers and the like that were seen lately. */
  readonly seen: Uint8Array[] = [];
  /** Nonces of trailers that were seen lately. */
  readonly seenNonces: number[] = [];

  constructor(random: SeededRandom, cast: Cast) {
    this.#random = random;
    this.#cast = cast;
  }

  /** An IPv6 packet, mostly whole, at `bytes[at]`. @returns its octets */
  packet(bytes: Uint8Array, at: number, source: Ipv6, destination: Ipv6, depth: number = 0): number {
    const random = this.#random;
    const hopLimit = random.chance(0.5) ? 255 : pick(random, HOP_LIMITS);
    const start = at + 40;
    let end = start, first = -1, last = -1;
    while (random.chance(0.12)) { // extension headers
      const kind = pick(random, EXTENSIONS);
      const size = 8 * random.integer(1, random.chance(0.9) ? 2 : 9);
      random.fill(bytes.subarray(end, end + size));
      bytes[end + 1] = kind === 51 ? size / 4 - 2 : kind === 44 ? 0 : size / 8 - 1;
      if (kind === 43) bytes[end + 2] = pick(random, [0, 0, 2, 3, 4]);
      if (kind === 44) writeU16(random.chance(0.6) ? random.integer(0, 1) : random.u32(), bytes, end + 2);
      if (last < 0) first = kind;
      else bytes[last] = kind;
      last = end;
      end += kind === 44 ? 8 : size;
    }
    const upper = this.#upper(bytes, end, source, destination, depth);
    const length = end + upper.length - start;
    if (last >= 0) bytes[last] = upper.protocol;
    writeU32(0x6000_0000 + (random.chance(0.8) ? 0 : random.u32() >>> 4), bytes, at);
    writeU16(length, bytes, at + 4);
    bytes[at + 6] = last < 0 ? upper.protocol : first;
    bytes[at + 7] = hopLimit;
    bytes.set(source, at + 8);
    bytes.set(destination, at + 24);
    if (upper.protocol === 58 && last < 0 && upper.length >= 4 && random.chance(0.9)) {
      writeU16(0, bytes, start + 2);
      writeU16(checksumIcmpv6(bytes, at, upper.length), bytes, start + 2);
    }
    return 40 + length;
  }

  #upper(bytes: Uint8Array, at: number, source: Ipv6, destination: Ipv6, depth: number): {
    readonly protocol: number;
    readonly length: number;
  } {
    const random = this.#random;
    const roll = random.float();
    if (roll < 0.3) return { protocol: 59, length: random.chance(0.9) ? 0 : random.integer(1, 20) }; // bubble
    if (roll < 0.45) { // UDP or TCP
      const length = random.integer(8, random.chance(0.9) ? 64 : 1_300);
      random.fill(bytes.subarray(at, at + Math.min(length, 24)));
      return { protocol: random.chance(0.7) ? 17 : 6, length };
    }
    if (roll < 0.75) { // echo
      const length = 8 + random.integer(0, random.chance(0.9) ? 24 : 100);
      random.fill(bytes.subarray(at, at + length));
      bytes[at] = random.chance(0.6) ? 128 : 129;
      bytes[at + 1] = 0;
      return { protocol: 58, length };
    }
    if (roll < 0.85) { // any ICMPv6
      const length = random.integer(0, 120);
      random.fill(bytes.subarray(at, at + length));
      bytes[at] = random.chance(0.6) ? random.integer(128, 140) : random.u32();
      if (random.chance(0.8)) bytes[at + 1] = 0;
      return { protocol: 58, length };
    }
    if (depth >= MAX_DEPTH) return { protocol: 59, length: 0 };
    if (roll < 0.9) { // an error about a packet
      const inner = new Uint8Array(ROOM);
      const length = this.packet(inner, 0, destination, source, depth + 1);
      const error = {
        source,
        destination,
        hopLimit: 64,
        type: random.integer(1, 4),
        code: random.integer(0, 6),
        parameter: random.u32(),
      };
      const whole = new Uint8Array(1_280);
      const size = writeIcmpv6Error(error, inner, 0, length, whole, 0) - 40;
      const fits = Math.min(size, bytes.length - at);
      bytes.set(whole.subarray(40, 40 + fits), at);
      return { protocol: 58, length: fits };
    }
    // A packet in a packet, or a datagram in a packet.
    const inner = new Uint8Array(ROOM);
    const tunnel = random.chance(0.5);
    const length = tunnel
      ? this.packet(inner, 0, this.#cast.ipv6(), this.#cast.ipv6(), depth + 1)
      : this.datagram(inner, this.#cast.ipv6(), this.#cast.ipv6(), depth + 1);
    const room = bytes.length - at - 8;
    if (length > room) return { protocol: 59, length: 0 };
    if (tunnel) {
      bytes.set(inner.subarray(0, length), at);
      return { protocol: 41, length };
    }
    writeU16(3544, bytes, at);
    writeU16(3544, bytes, at + 2);
    writeU16(8 + length, bytes, at + 4);
    writeU16(random.u32() & 0xffff, bytes, at + 6);
    bytes.set(inner.subarray(0, length), at + 8);
    return { protocol: 17, length: 8 + length };
  }

  /** A datagram around a packet, at the start of `bytes`. @returns its octets */
  datagram(bytes: Uint8Array, source: Ipv6, destination: Ipv6, depth: number = 0): number {
    const random = this.#random;
    let at = 0;
    while (random.chance(0.15)) at += this.authentication(bytes, at);
    while (random.chance(0.2)) at += writeOrigin(this.#cast.endpoint(), bytes, at);
    if (random.chance(0.04)) at += this.advertisement(bytes, at, source, destination);
    else if (random.chance(0.05)) at += writeRouterSolicitation(source, bytes, at);
    else {at += this.packet(
        bytes.subarray(0, Math.max(at + 600, bytes.length - 600 * (depth + 1))),
        at,
        source,
        destination,
        depth,
      );}
    while (random.chance(0.3) && at + 300 < bytes.length) at += writeTrailers([this.trailer()], bytes, at);
    return random.chance(DAMAGED) ? mutate(random, bytes, at) : at;
  }

  /** A packet as a host routes it into the tunnel, mostly whole. @returns its octets */
  hostPacket(bytes: Uint8Array, source: Ipv6, destination: Ipv6): number {
    const length = this.packet(bytes, 0, source, destination, 1);
    return this.#random.chance(0.15) ? mutate(this.#random, bytes, length) : length;
  }

  authentication(bytes: Uint8Array, at: number): number {
    const random = this.#random;
    const nonce = this.seen.length > 0 && random.chance(0.7) ? pick(random, this.seen) : octets(random, 8);
    const identifier = random.chance(0.7) ? new Uint8Array(0) : octets(random, random.integer(0, 40));
    const value = random.chance(0.7) ? new Uint8Array(0) : octets(random, random.integer(0, 40));
    return writeAuthentication({ identifier, value, nonce, confirmation: random.integer(0, 2) }, bytes, at);
  }

  advertisement(bytes: Uint8Array, at: number, source: Ipv6, destination: Ipv6): number {
    const random = this.#random;
    const mtu = pick(random, [undefined, 0, 1279, 1280, 1500, 0xffffffff]);
    const right = teredoAdvertisement(
      source,
      destination,
      random.chance(0.9) ? 0x20010000 : random.u32(),
      this.#cast.ipv4(),
      mtu,
    );
    const length = writeRouterAdvertisement(right, bytes, at);
    if (random.chance(0.7)) return length;
    mutate(random, bytes.subarray(at + 40, at + length), length - 40);
    return sealIcmpv6(source, destination, 255, length - 40, bytes, at);
  }

  trailer(): Trailer {
    const random = this.#random;
    switch (random.integer(0, 5)) {
      case 0:
        return nonceTrailer(
          this.seenNonces.length > 0 && random.chance(0.7) ? pick(random, this.seenNonces) : random.u32(),
        );
      case 1: {
        const endpoints: [Endpoint, ...Endpoint[]] = [this.#cast.endpoint()];
        while (random.chance(0.4)) endpoints.push(this.#cast.endpoint());
        return alternateAddressTrailer(endpoints);
      }
      case 2:
        return discoveryTrailer(random.chance(0.5) ? "solicitation" : "advertisement");
      case 3:
        return randomPortTrailer(random.chance(0.8) ? random.integer(1, 65535) : 0);
      case 4:
        return { type: random.integer(0, 255), value: octets(random, random.integer(0, 12)) };
      default:
        return { type: random.integer(0, 8), value: octets(random, pick(random, [0, 1, 2, 4, 8, 14, 255])) };
    }
  }
}
