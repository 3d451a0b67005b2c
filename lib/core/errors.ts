/**
 * ICMPv6 errors towards the IPv6 side of this host (RFC 4443), about packets that the tunnel could not carry.
 *
 * ```
 *   packet ─▶ may it be answered? (RFC 4443 2.4 e) ─▶ token bucket (2.4 f) ─▶ error with as much of it as fits (2.4 c) ─▶ writeIpv6
 * ```
 *
 * What the Teredo RFCs discard silently never comes here.
 */

import {
  ICMPV6_DESTINATION_UNREACHABLE,
  ICMPV6_PACKET_TOO_BIG,
  ICMPV6_TIME_EXCEEDED,
  mayAnswerWithError,
  Unreachable,
  writeIcmpv6Error,
} from "../wire/icmpv6.ts";
import { addressAt, type Ipv6, SOURCE_AT } from "../wire/ipv6.ts";
import { TokenBucket } from "./limits.ts";
import type { Environment, Millis } from "./machine.ts";

/** Codes of Destination Unreachable that a Teredo node sends (RFC 4443 3.1). */
export const NO_ROUTE = Unreachable.noRoute;
export const PROHIBITED = Unreachable.prohibited;
export const ADDRESS_UNREACHABLE = Unreachable.address;

/** Hop limit of the errors. */
const ERROR_HOP_LIMIT = 64;

/** Makes errors, no more than a bucket allows. */
export class ErrorSender {
  readonly #environment: Environment;
  readonly #bucket: TokenBucket;

  /** @param perSecond errors a second in the long run @param burst errors at once */
  constructor(environment: Environment, perSecond: number, burst: number) {
    this.#environment = environment;
    this.#bucket = new TokenBucket(perSecond, burst);
  }

  /**
   * Destination Unreachable about the IPv6 packet of `length` octets at `bytes[at]`, back to its source.
   * @param code for example {@link ADDRESS_UNREACHABLE}
   * @param source source address of the error
   * @returns whether one was sent
   */
  unreachable(code: number, source: Ipv6, bytes: Uint8Array, at: number, length: number, now: Millis): boolean {
    return this.#send(ICMPV6_DESTINATION_UNREACHABLE, code, 0, source, bytes, at, length, now);
  }

  /** Packet Too Big: the largest packet that could be carried has `mtu` octets. @returns whether one was sent */
  packetTooBig(mtu: number, source: Ipv6, bytes: Uint8Array, at: number, length: number, now: Millis): boolean {
    return this.#send(ICMPV6_PACKET_TOO_BIG, 0, mtu, source, bytes, at, length, now);
  }

  /** Time Exceeded, hop limit ran out. @returns whether one was sent */
  timeExceeded(source: Ipv6, bytes: Uint8Array, at: number, length: number, now: Millis): boolean {
    return this.#send(ICMPV6_TIME_EXCEEDED, 0, 0, source, bytes, at, length, now);
  }

  #send(
    type: number,
    code: number,
    parameter: number,
    source: Ipv6,
    bytes: Uint8Array,
    at: number,
    length: number,
    now: Millis,
  ): boolean {
    if (!mayAnswerWithError(bytes, at, length) || !this.#bucket.take(now)) return false;
    const { memory, sink, counters } = this.#environment;
    const destination = addressAt(bytes, at + SOURCE_AT);
    const error = { type, code, parameter, source, destination, hopLimit: ERROR_HOP_LIMIT };
    const size = writeIcmpv6Error(error, bytes, at, length, memory.bytes, memory.scratch);
    counters.count("icmpv6_errors_sent");
    sink.writeIpv6(memory.scratch, size);
    return true;
  }
}
