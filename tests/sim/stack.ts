/**
 * The IPv6 side of a simulated host: answers echo requests, sends pings and numbered data, and keeps what it received.
 *
 * Data is UDP over IPv6 whose payload is a 32-bit number and filling, so that order and completeness can be checked.
 */

import { verifyIcmpv6 } from "../../lib/wire/checksum.ts";
import { readU32, writeU16, writeU32 } from "../../lib/wire/bytes.ts";
import { ICMPV6_ECHO_REQUEST, icmpv6Type, parseEcho, writeEcho } from "../../lib/wire/icmpv6.ts";
import {
  addressAt,
  DESTINATION_AT,
  type Ipv6,
  IPV6_HEADER_LENGTH,
  NEXT_HEADER_ICMPV6,
  NEXT_HEADER_UDP,
  nextHeader,
  SOURCE_AT,
  writeIpv6Header,
} from "../../lib/wire/ipv6.ts";
import { equalIpv6 } from "../../lib/wire/ipv6_address.ts";
import type { Millis } from "../../lib/core/machine.ts";
import type { VirtualClock } from "./clock.ts";

const HOP_LIMIT = 64;
const UDP_HEADER_LENGTH = 8;
/** Discard port, for numbered data. */
const DATA_PORT = 9;

/** One echo request and what came of it. */
export interface Ping {
  readonly destination: Ipv6;
  readonly sequence: number;
  readonly sentAt: Millis;
  /** When the reply came. */
  repliedAt: Millis | undefined;
  /** Replies beyond the first. */
  duplicates: number;
  /** The ICMPv6 error that came back about it. */
  error: { readonly type: number; readonly code: number; readonly at: Millis } | undefined;
}

/** A packet of numbered data that arrived. */
export interface Data {
  readonly source: Ipv6;
  readonly number: number;
  readonly length: number;
  readonly at: Millis;
}

/** A small IPv6 host. */
export class Stack {
  /** Own address; undefined: not connected, nothing goes out. */
  address: Ipv6 | undefined;
  readonly pings: Ping[] = [];
  readonly data: Data[] = [];
  /** Packets that came in for another address than our own. */
  strays = 0;
  readonly #clock: VirtualClock;
  readonly #output: (packet: Uint8Array) => void;
  readonly #identifier: number;

  constructor(clock: VirtualClock, identifier: number, output: (packet: Uint8Array) => void) {
    this.#clock = clock;
    this.#identifier = identifier & 0xffff;
    this.#output = output;
  }

  /** Sends an echo request. `octets` of data. */
  ping(destination: Ipv6, octets: number = 56): Ping {
    const sequence = this.pings.length + 1;
    const ping: Ping = {
      destination,
      sequence,
      sentAt: this.#clock.now,
      repliedAt: undefined,
      duplicates: 0,
      error: undefined,
    };
    this.pings.push(ping);
    const data = Uint8Array.from({ length: octets }, (_, i) => i);
    this.#echo(destination, false, this.#identifier, sequence, data);
    return ping;
  }

  /** Sends one packet of numbered data, `octets` long in all (at least 52). */
  send(destination: Ipv6, number: number, octets: number = 100): void {
    if (this.address === undefined) return;
    const packet = new Uint8Array(octets);
    writeIpv6Header(
      {
        trafficClass: 0,
        flowLabel: 0,
        payloadLength: octets - IPV6_HEADER_LENGTH,
        nextHeader: NEXT_HEADER_UDP,
        hopLimit: HOP_LIMIT,
        source: this.address,
        destination,
      },
      packet,
      0,
    );
    writeU16(DATA_PORT, packet, IPV6_HEADER_LENGTH);
    writeU16(DATA_PORT, packet, IPV6_HEADER_LENGTH + 2);
    writeU16(octets - IPV6_HEADER_LENGTH, packet, IPV6_HEADER_LENGTH + 4);
    writeU32(number, packet, IPV6_HEADER_LENGTH + UDP_HEADER_LENGTH);
    this.#output(packet);
  }

  /** Takes one packet off the network. */
  receive(packet: Uint8Array): void {
    if (this.address === undefined || !equalIpv6(addressAt(packet, DESTINATION_AT), this.address)) {
      this.strays++;
      return;
    }
    if (nextHeader(packet, 0) === NEXT_HEADER_UDP) {
      this.data.push({
        source: addressAt(packet, SOURCE_AT),
        number: readU32(packet, IPV6_HEADER_LENGTH + UDP_HEADER_LENGTH),
        length: packet.length,
        at: this.#clock.now,
      });
      return;
    }
    const echo = parseEcho(packet, 0, packet.length);
    if (echo !== undefined && !echo.reply) {
      return this.#echo(echo.source, true, echo.identifier, echo.sequence, echo.data);
    }
    if (echo?.identifier === this.#identifier) {
      const ping = this.pings[echo.sequence - 1];
      if (ping === undefined || !equalIpv6(ping.destination, echo.source)) return;
      if (ping.repliedAt === undefined) ping.repliedAt = this.#clock.now;
      else ping.duplicates++;
      return;
    }
    if (echo === undefined) this.#receiveError(packet);
  }

  /** An ICMPv6 error: the ping it quotes learns of it. */
  #receiveError(packet: Uint8Array): void {
    const type = icmpv6Type(packet, 0);
    const size = packet.length - IPV6_HEADER_LENGTH;
    const quoted = packet.subarray(IPV6_HEADER_LENGTH + 8);
    if (type < 1 || type > 4 || !verifyIcmpv6(packet, 0, size)) return;
    if (quoted.length < IPV6_HEADER_LENGTH + 8 || nextHeader(quoted, 0) !== NEXT_HEADER_ICMPV6) return;
    if (quoted[IPV6_HEADER_LENGTH] !== ICMPV6_ECHO_REQUEST) return;
    const ping = this.pings[quoted[IPV6_HEADER_LENGTH + 6] * 256 + quoted[IPV6_HEADER_LENGTH + 7] - 1];
    if (ping !== undefined) ping.error = { type, code: packet[IPV6_HEADER_LENGTH + 1], at: this.#clock.now };
  }

  #echo(destination: Ipv6, reply: boolean, identifier: number, sequence: number, data: Uint8Array): void {
    if (this.address === undefined) return;
    const packet = new Uint8Array(IPV6_HEADER_LENGTH + 8 + data.length);
    writeEcho({ source: this.address, destination, hopLimit: HOP_LIMIT, reply, identifier, sequence, data }, packet, 0);
    this.#output(packet);
  }
}
