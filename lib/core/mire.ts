/**
 * The test responder: a peer that answers whoever can reach it, for trying clients and relays. It has no state and no tunnel.
 *
 * ```
 *   port 3544   bubble (from a client, or a relay)    ─▶  the bubble back, from port 3545
 *   port 3545   ICMPv6 echo request                   ─▶  echo reply
 *               another protocol (TCP, UDP ...)       ─▶  parameter problem: unrecognised next header
 *               anything else                         ─▶  nothing
 *
 *   its address:  2001:0 : own IPv4 : 0 : ~3545 : ~own IPv4      (it is its own server)
 * ```
 *
 * Answers go to where the question came from and nowhere else, from an address that proves to be its own, and are never longer than the
 * question but for the header of an error. Nothing it sends is ever answered by another responder, so there are no loops.
 */

import { BUBBLE_HOP_LIMIT, isBubble, writeBubble } from "../wire/bubble.ts";
import { Datagram } from "../wire/encapsulation.ts";
import { findUpperLayer, isSourceRouted } from "../wire/extension_headers.ts";
import {
  ICMPV6_PARAMETER_PROBLEM,
  mayAnswerWithError,
  parseEcho,
  writeEcho,
  writeIcmpv6Error,
} from "../wire/icmpv6.ts";
import { type Ipv4, type Ipv4Subnet, isDirectedBroadcast, isGlobalUnicast } from "../wire/ipv4.ts";
import {
  addressAt,
  DESTINATION_AT,
  type Ipv6,
  NEXT_HEADER_ICMPV6,
  NEXT_HEADER_NONE,
  NEXT_HEADER_ROUTING,
  nextHeader,
  SOURCE_AT,
} from "../wire/ipv6.ts";
import { isMulticast, isUnspecified } from "../wire/ipv6_address.ts";
import {
  formTeredoAddress,
  isTeredo,
  mappedAddressAt,
  mappedPortAt,
  serverAt,
  TEREDO_PORT,
} from "../wire/teredo_address.ts";
import { SourceLimiter, TokenBucket } from "./limits.ts";
import { type Environment, type Machine, type Millis, Socket } from "./machine.ts";

/** Port of the peer that is played; the server's is 3544. */
export const MIRE_PORT = 3545;

/** The responder's sockets. */
export const MireSocket = { server: Socket.service, peer: Socket.secondary } as const;

/** Hop limit of answers. */
const HOP_LIMIT = 255;

/** Code of a parameter problem: unrecognised next header (RFC 4443 3.4); the pointer says where it stands. */
const UNRECOGNISED_NEXT_HEADER = 1;
const NEXT_HEADER_POINTER = 6;

/** Answers to one IPv4 address, and errors to all together, per second. Ours; RFC 4443 2.4 (f) wants a limit on errors. */
const RATE_PER_SOURCE = 100;
const ERROR_RATE = 100;
const LIMITED_SOURCES = 4_096;

/** The address to try a responder by. */
export function mireAddress(own: Ipv4): Ipv6 {
  return formTeredoAddress({ server: own, flags: 0, mapped: { address: own, port: MIRE_PORT } });
}

/** The responder. */
export class Mire implements Machine {
  readonly #environment: Environment;
  readonly #subnets: readonly Ipv4Subnet[];
  readonly #datagram = new Datagram();
  readonly #perSource: SourceLimiter;
  readonly #errors = new TokenBucket(ERROR_RATE, ERROR_RATE);
  #answered = 0;

  /** @param subnets IPv4 addresses of this host with their subnets */
  constructor(subnets: readonly Ipv4Subnet[], environment: Environment) {
    this.#environment = environment;
    this.#subnets = subnets;
    this.#perSource = new SourceLimiter({
      perSecond: RATE_PER_SOURCE,
      burst: RATE_PER_SOURCE,
      slots: LIMITED_SOURCES,
      random: environment.random,
    });
  }

  /** How many questions were answered. */
  get answered(): number {
    return this.#answered;
  }

  fromTun(_at: number, _length: number, _now: Millis): void {}

  fromTunSuper(_at: number, _length: number, _largest: number, _now: Millis): boolean {
    return false;
  }

  onTimer(_now: Millis): void {}

  nextTimer(): Millis {
    return Infinity;
  }

  fromUdp(
    socket: number,
    at: number,
    length: number,
    address: Ipv4,
    port: number,
    destination: Ipv4,
    now: Millis,
  ): void {
    const { bytes } = this.#environment.memory;
    if (!this.#datagram.decode(bytes, at, length)) return;
    if (!this.#isFair(address, port, destination) || !this.#perSource.take(address, now)) return;
    if (socket === MireSocket.server) this.#bubble(address, port);
    else this.#packet(address, port, now);
  }

  /** Whether a datagram may be answered: its addresses are what they have to be, in IPv4 and in IPv6. */
  #isFair(address: Ipv4, port: number, destination: Ipv4): boolean {
    const { bytes } = this.#environment.memory;
    const source = this.#datagram.ipv6At + SOURCE_AT, target = this.#datagram.ipv6At + DESTINATION_AT;
    if (port === 0 || !isGlobalUnicast(address) || isDirectedBroadcast(address, this.#subnets)) return false;
    // Of our own ports nobody but another responder, or a liar, sends.
    const own = address === destination || this.#subnets.some((subnet) => subnet.address === address);
    if (own && (port === TEREDO_PORT || port === MIRE_PORT)) return false;
    if (isUnspecified(bytes, source) || isMulticast(bytes, source)) return false;
    // A client's address has to be its own.
    const client = isTeredo(bytes, source);
    if (client && (mappedAddressAt(bytes, source) !== address || mappedPortAt(bytes, source) !== port)) return false;
    const asked = mappedAddressAt(bytes, target);
    if (!isTeredo(bytes, target) || mappedPortAt(bytes, target) !== MIRE_PORT || serverAt(bytes, target) !== asked) {
      return false;
    }
    // Behind a NAT that forwards the ports, the address inside is another one.
    return !isGlobalUnicast(destination) || asked === destination;
  }

  /** A bubble to the server: the peer answers, so that the other side knows its mapping. */
  #bubble(address: Ipv4, port: number): void {
    const { memory: { bytes, scratch }, sink } = this.#environment;
    const { ipv6At } = this.#datagram;
    if (!isBubble(bytes, ipv6At)) return;
    const source = addressAt(bytes, ipv6At + DESTINATION_AT), destination = addressAt(bytes, ipv6At + SOURCE_AT);
    const length = writeBubble(source, destination, BUBBLE_HOP_LIMIT, bytes, scratch);
    sink.sendUdp(MireSocket.peer, scratch, length, address, port);
    this.#answered++;
  }

  /** A packet to the peer. */
  #packet(address: Ipv4, port: number, now: Millis): void {
    const { memory: { bytes, scratch }, sink } = this.#environment;
    const { ipv6At, ipv6Length } = this.#datagram;
    const source = addressAt(bytes, ipv6At + DESTINATION_AT), destination = addressAt(bytes, ipv6At + SOURCE_AT);
    const swapped = { source, destination, hopLimit: HOP_LIMIT };
    const protocol = nextHeader(bytes, ipv6At);
    let length: number;
    if (protocol === NEXT_HEADER_ICMPV6) {
      const request = parseEcho(bytes, ipv6At, ipv6Length);
      if (request === undefined || request.reply) return;
      length = writeEcho({ ...request, ...swapped, reply: true }, bytes, scratch);
    } else {
      if (!this.#isRefused(ipv6At, ipv6Length) || !this.#errors.take(now)) return;
      const problem = {
        type: ICMPV6_PARAMETER_PROBLEM,
        code: UNRECOGNISED_NEXT_HEADER,
        parameter: NEXT_HEADER_POINTER,
      };
      length = writeIcmpv6Error({ ...swapped, ...problem }, bytes, ipv6At, ipv6Length, bytes, scratch);
    }
    sink.sendUdp(MireSocket.peer, scratch, length, address, port);
    this.#answered++;
  }

  /** Whether a packet of another protocol is told that nobody speaks that here: not bubbles, not routed ones, not errors. */
  #isRefused(at: number, length: number): boolean {
    const { bytes } = this.#environment.memory;
    const next = nextHeader(bytes, at);
    if (next === NEXT_HEADER_NONE || next === NEXT_HEADER_ROUTING || isSourceRouted(bytes, at, length)) return false;
    const upper = findUpperLayer(bytes, at, length);
    // Behind extension headers there may be one of the others after all.
    if (upper === undefined || upper.protocol === NEXT_HEADER_NONE || upper.protocol === NEXT_HEADER_ICMPV6) {
      return false;
    }
    return mayAnswerWithError(bytes, at, length);
  }
}
