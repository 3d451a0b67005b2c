/**
 * Router solicitations to a Teredo server, and the answers to them (RFC 4380 5.2.1, 5.2.2).
 *
 * ```
 *   RS:  authentication(nonce, 0)         IPv6 fe80::ffff:ffff:fffe -> ff02::2     ICMPv6 133
 *   RA:  authentication(nonce, c) origin  IPv6 fe80::8000:f227:...  -> RS source   ICMPv6 134, one prefix 2001:0:<server>::/64
 * ```
 *
 * An exchange is a series of solicitations to one address of one server. Each carries a nonce of its own; an answer to any of them
 * counts, however late, until the exchange is over. With the exchange its nonces are forgotten, so that a replayed or delayed
 * advertisement changes nothing.
 */

import { equalBytes, readU32 } from "../../wire/bytes.ts";
import {
  type Authentication,
  AUTHENTICATION_NONCE_LENGTH,
  type Datagram,
  writeAuthentication,
} from "../../wire/encapsulation.ts";
import { ICMPV6_ROUTER_ADVERTISEMENT, icmpv6Type } from "../../wire/icmpv6.ts";
import type { Endpoint, Ipv4, Ipv4Subnet } from "../../wire/ipv4.ts";
import { DESTINATION_AT, type Ipv6 } from "../../wire/ipv6.ts";
import { isLinkLocal } from "../../wire/ipv6_address.ts";
import { parseRouterAdvertisement } from "../../wire/router_advertisement.ts";
import { writeRouterSolicitation } from "../../wire/router_solicitation.ts";
import { RS_SOURCE_CONE, RS_SOURCE_RESTRICTED, TEREDO_PORT, TEREDO_PREFIX } from "../../wire/teredo_address.ts";
import type { DropReason } from "../counters.ts";
import type { Environment, Millis } from "../machine.ts";
import { secureAuthenticationLength, verifyAuthentication, writeSecureAuthentication } from "./secure.ts";
import { targetFault } from "../targets.ts";

/** Length of the client prefix in the prefix option, bits (RFC 4380 2.12). */
const CLIENT_PREFIX_LENGTH = 64;

/** Most nonces remembered in an exchange; older ones make room. */
const NONCES_KEPT = 16;

const NO_OCTETS = new Uint8Array(0);

/** A valid answer. */
export interface Answer {
  /** How the server saw us: the mapped endpoint. */
  readonly origin: Endpoint;
  /** MTU of the link, octets; undefined when none, or none usable, was advertised. */
  readonly mtu: number | undefined;
  /** Whether the server wants us to get a new secret (RFC 4380 5.2.2). */
  readonly keyExpired: boolean;
}

/** Key and identifier for secure qualification. */
export interface Credentials {
  readonly identifier: Uint8Array;
  readonly secret: Uint8Array;
}

/** Whom an exchange is with. */
interface Exchange {
  /** Address asked: primary or secondary. */
  readonly target: Ipv4;
  /** Primary address: the one in the advertised prefix, whichever address was asked. */
  readonly server: Ipv4;
  readonly cone: boolean;
  /** With the moment each was sent. */
  readonly nonces: { readonly octets: Uint8Array; readonly sentAt: Millis }[];
}

/** Whether a decoded datagram is a router advertisement to a link-local address: for a solicitor, whatever it is worth. */
export function isAdvertisement(bytes: Uint8Array, datagram: Datagram): boolean {
  return isLinkLocal(bytes, datagram.ipv6At + DESTINATION_AT) &&
    icmpv6Type(bytes, datagram.ipv6At) === ICMPV6_ROUTER_ADVERTISEMENT;
}

/** Asks for advertisements from one UDP socket and checks them. */
export class Solicitor {
  readonly #environment: Environment;
  readonly #socket: number;
  readonly #credentials: Credentials | undefined;
  readonly #subnets: readonly Ipv4Subnet[];
  #exchange: Exchange | undefined;
  #roundTrip: Millis | undefined;
  #primaryAskedAt: Millis = -Infinity;

  /** @param credentials undefined: no secure qualification; nonces are checked all the same */
  constructor(
    environment: Environment,
    socket: number,
    credentials: Credentials | undefined,
    subnets: readonly Ipv4Subnet[],
  ) {
    this.#environment = environment;
    this.#socket = socket;
    this.#credentials = credentials;
    this.#subnets = subnets;
  }

  /** How long the last valid answer took; exact even where solicitations were repeated, because each has a nonce of its own. */
  get roundTrip(): Millis | undefined {
    return this.#roundTrip;
  }

  /** When the last solicitation left for a server's primary address: so long the NAT has kept the mapping for it. */
  get primaryAskedAt(): Millis {
    return this.#primaryAskedAt;
  }

  /** Begins an exchange with `target`, an address of the server whose primary address is `server`. Nonces before it are forgotten. */
  begin(target: Ipv4, server: Ipv4, cone: boolean): void {
    this.#exchange = { target, server, cone, nonces: [] };
  }

  /** Forgets every outstanding nonce. */
  end(): void {
    this.#exchange = undefined;
  }

  /** Sends one solicitation of the present exchange, with a new nonce. */
  solicit(now: Millis): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const { memory, random, sink, counters } = this.#environment;
    const nonce = new Uint8Array(AUTHENTICATION_NONCE_LENGTH);
    random.fill(nonce);
    if (exchange.nonces.length === NONCES_KEPT) exchange.nonces.shift();
    exchange.nonces.push({ octets: nonce, sentAt: now });
    const length = this.#write(exchange, nonce, memory.bytes, memory.scratch);
    counters.count("rs_sent");
    if (exchange.target === exchange.server) this.#primaryAskedAt = now;
    sink.sendUdp(this.#socket, memory.scratch, length, exchange.target, TEREDO_PORT);
  }

  /**
   * Checks an advertisement (RFC 4380 5.2.1, 5.2.2; RFC 4861 6.1.2). The exchange stays open: the caller ends it.
   * @param address IPv4 source
   * @param port UDP source port
   * @returns the answer, or why it is none
   */
  read(datagram: Datagram, address: Ipv4, port: number, now: Millis): Answer | DropReason {
    const exchange = this.#exchange;
    if (exchange === undefined) return "bad-nonce";
    const { bytes } = this.#environment.memory;
    // With the cone bit the server answers from its other address, to see whether the NAT lets it in.
    if (port !== TEREDO_PORT || (!exchange.cone && address !== exchange.target)) return "bad-advertisement";
    const ra = parseRouterAdvertisement(bytes, datagram.ipv6At, datagram.ipv6Length);
    if (ra === undefined || !datagram.origin) return "bad-advertisement";
    if (!equalBytes(ra.destination, 0, solicitationSource(exchange.cone), 0, 16)) return "bad-advertisement";
    const { authentication } = datagram;
    const asked = authentication === undefined
      ? undefined
      : exchange.nonces.find(({ octets }) => equalBytes(octets, 0, authentication.nonce, 0, octets.length));
    if (authentication === undefined || asked === undefined) return "bad-nonce";
    if (!this.#isAuthentic(datagram, authentication)) return "bad-authentication";
    // Real servers leave rubbish behind the 64 bits of the prefix.
    if (
      ra.prefixes.length !== 1 || ra.prefixes[0].length !== CLIENT_PREFIX_LENGTH ||
      readU32(ra.prefixes[0].prefix, 0) !== TEREDO_PREFIX || readU32(ra.prefixes[0].prefix, 4) !== exchange.server
    ) {
      return "bad-advertisement";
    }
    const origin = { address: datagram.originAddress, port: datagram.originPort };
    // A global Teredo address holds a global IPv4 address (RFC 4380 4).
    const fault = targetFault(origin.address, origin.port, this.#subnets);
    if (fault !== undefined) return fault;
    this.#roundTrip = now - asked.sentAt;
    return { origin, mtu: ra.mtu, keyExpired: authentication.confirmation !== 0 };
  }

  #write(exchange: Exchange, nonce: Uint8Array, bytes: Uint8Array, at: number): number {
    const source = solicitationSource(exchange.cone);
    if (this.#credentials === undefined) {
      const none = { identifier: NO_OCTETS, value: NO_OCTETS, nonce, confirmation: 0 };
      const head = writeAuthentication(none, bytes, at);
      return head + writeRouterSolicitation(source, bytes, at + head);
    }
    const { identifier, secret } = this.#credentials;
    const packet = writeRouterSolicitation(source, bytes, at + secureAuthenticationLength(identifier.length));
    return packet + writeSecureAuthentication(identifier, secret, nonce, 0, bytes, at, packet);
  }

  #isAuthentic(datagram: Datagram, authentication: Authentication): boolean {
    if (this.#credentials === undefined) return true;
    const { identifier, secret } = this.#credentials;
    return authentication.identifier.length === identifier.length &&
      equalBytes(authentication.identifier, 0, identifier, 0, identifier.length) &&
      verifyAuthentication(secret, datagram, this.#environment.memory.bytes);
  }
}

/** Source of solicitations: its cone bit is the question (RFC 4380 5.2.1). */
function solicitationSource(cone: boolean): Ipv6 {
  return cone ? RS_SOURCE_CONE : RS_SOURCE_RESTRICTED;
}
