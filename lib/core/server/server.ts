/**
 * The Teredo server (RFC 4380 5.3, RFC 5991 3.2): tells clients how the world sees them, and carries bubbles and echoes to them.
 *
 * ```
 *   client ── RS ──▶ server ── RA (origin = the client's mapping) ──▶ client
 *   peer, relay ── bubble ──▶ server ── origin + the same bubble ──▶ client
 *   client ── echo request ──▶ server ── IPv6 Internet ──▶ node
 * ```
 *
 * It is stateless: what comes out follows from the one datagram that came in. Everything it refuses, it refuses in silence.
 */

import { AdvertisementTemplate } from "../../wire/advertisement_template.ts";
import {
  type Authentication,
  Datagram,
  NULL_AUTHENTICATION_LENGTH,
  ORIGIN_LENGTH,
  writeNullAuthentication,
  writeOrigin,
} from "../../wire/encapsulation.ts";
import { isBubble } from "../../wire/bubble.ts";
import {
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_ROUTER_SOLICITATION,
  icmpv6Type,
  parseEcho,
  writeEcho,
} from "../../wire/icmpv6.ts";
import { equalBytes } from "../../wire/bytes.ts";
import { type Ipv4, type Ipv4Subnet, isDirectedBroadcast, isGlobalUnicast } from "../../wire/ipv4.ts";
import { DESTINATION_AT, hopLimit, type Ipv6, IPV6_HEADER_LENGTH, SOURCE_AT } from "../../wire/ipv6.ts";
import { ALL_ROUTERS, isGlobalScope, isLinkLocal } from "../../wire/ipv6_address.ts";
import { isRouterSolicitation } from "../../wire/router_solicitation.ts";
import {
  isConeAt,
  isTeredo,
  mappedAddressAt,
  mappedPortAt,
  serverAt,
  serverLinkLocal,
  TEREDO_PORT,
} from "../../wire/teredo_address.ts";
import { counterIndex, type DropReason } from "../counters.ts";
import { embedsOwnIpv4 } from "../guards.ts";
import { SourceLimiter, TokenBucket } from "../limits.ts";
import { type Environment, type Machine, type Millis, Socket } from "../machine.ts";
import {
  secureAuthenticationLength,
  verifyAuthentication,
  writeSecureAuthentication,
} from "../qualification/secure.ts";

/** Sources whose rate is remembered; 12 octets each. */
const LIMITED_SOURCES = 65_536;

/** Offset of the hop limit in the IPv6 header. */
const HOP_LIMIT_AT = 7;

/** Hop limit of echo replies from the server itself. */
const ECHO_HOP_LIMIT = 64;

const RS_RECEIVED = counterIndex("rs_received");
const RA_SENT = counterIndex("ra_sent");

/** Settings of a server. */
export interface ServerOptions {
  /** IPv4 address that names this server in Teredo addresses. */
  readonly primary: Ipv4;
  /** The other address, from which cone clients are answered; undefined: there is one address only. */
  readonly secondary: Ipv4 | undefined;
  /** The 32 bits of the Teredo prefix. */
  readonly prefix: number;
  /** MTU that is advertised, octets (RFC 4380 5.1.2: 1280). */
  readonly mtu: number;
  /** Largest ICMPv6 message that is forwarded, octets. */
  readonly maxIcmpv6Payload: number;
  /** Forward bubbles and echoes of clients to the IPv6 Internet. */
  readonly nativeForwarding: boolean;
  /** Forward to clients of other servers. */
  readonly forwardForeign: boolean;
  /** Secrets by client identifier (its octets as latin1). With any, every client has to authenticate (RFC 4380 5.2.2). */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** Identifiers whose secret still counts but should be renewed: their answers say so in the confirmation octet. */
  readonly expiring?: ReadonlySet<string>;
  /** Datagrams a second from one IPv4 source, 0 = no limit. */
  readonly ratePerSource: number;
  /** Datagrams a second in all, 0 = no limit. */
  readonly rateTotal: number;
  /** IPv4 subnets of this host, whose broadcast addresses are no targets. */
  readonly subnets: readonly Ipv4Subnet[];
}

export class Server implements Machine {
  readonly #options: ServerOptions;
  readonly #environment: Environment;
  readonly #own: readonly Ipv4[];
  readonly #linkLocal: Ipv6;
  readonly #advertisement: AdvertisementTemplate;
  /** Where the client that is being answered is: one object for all. */
  readonly #origin = { address: 0, port: 0 };
  readonly #datagram: Datagram;
  readonly #perSource: SourceLimiter | undefined;
  readonly #total: TokenBucket | undefined;

  constructor(options: ServerOptions, environment: Environment) {
    this.#options = options;
    this.#environment = environment;
    this.#datagram = new Datagram(options.secrets.size > 0);
    this.#own = options.secondary === undefined ? [options.primary] : [options.primary, options.secondary];
    this.#linkLocal = serverLinkLocal(options.primary);
    const { primary, prefix, mtu } = options;
    this.#advertisement = new AdvertisementTemplate(this.#linkLocal, prefix, primary, mtu);
    const { ratePerSource, rateTotal } = options;
    this.#perSource = ratePerSource === 0 ? undefined : new SourceLimiter({
      perSecond: ratePerSource,
      burst: Math.max(1, ratePerSource),
      slots: LIMITED_SOURCES,
      random: environment.random,
    });
    this.#total = rateTotal === 0 ? undefined : new TokenBucket(rateTotal, Math.max(1, rateTotal));
  }

  /** A server has no tunnel interface. */
  fromTun(_at: number, _length: number, _now: Millis): void {}

  fromTunSuper(_at: number, _length: number, _largest: number, _now: Millis): boolean {
    return false;
  }

  /** A server waits for nothing. */
  onTimer(_now: Millis): void {}

  nextTimer(): Millis {
    return Infinity;
  }

  /** The acceptance tests of RFC 4380 5.3.1, in its order. */
  fromUdp(
    socket: number,
    at: number,
    length: number,
    address: Ipv4,
    port: number,
    _destination: Ipv4,
    now: Millis,
  ): void {
    const { bytes } = this.#environment.memory;
    const datagram = this.#datagram;
    if (!datagram.decode(bytes, at, length)) return this.#drop("malformed");
    const { ipv6At } = datagram;
    const type = icmpv6Type(bytes, ipv6At);
    if (type < 0 && !isBubble(bytes, ipv6At)) return this.#drop("not-bubble-nor-icmpv6");
    if (!this.#isGlobal(address)) return this.#drop("not-global-ipv4");
    if (port === 0) return this.#drop("port-zero");
    const ownSource = this.#own.includes(address);
    if (ownSource && port === TEREDO_PORT) return this.#drop("loop");
    if (this.#perSource?.take(address, now) === false) return this.#drop("rate-limited");
    if (this.#total?.take(now) === false) return this.#drop("rate-limited");

    const source = ipv6At + SOURCE_AT, destination = ipv6At + DESTINATION_AT;
    const { prefix, primary } = this.#options;
    if (!isTeredo(bytes, source, prefix) && isTeredo(bytes, destination, prefix)) {
      if (serverAt(bytes, destination) !== primary) return this.#drop("foreign-client");
      return this.#forward(type, address, port);
    }
    // On our own address another port than 3544 can only be a relay of this host, which sends nothing but what was just taken.
    if (ownSource) return this.#drop("loop");
    if (type === ICMPV6_ROUTER_SOLICITATION && isLinkLocal(bytes, source) && this.#isAllRouters(destination)) {
      return this.#solicitation(socket, address, port);
    }
    if (!isTeredo(bytes, source, prefix)) return this.#drop("bad-ipv6-source");
    if (mappedAddressAt(bytes, source) !== address || mappedPortAt(bytes, source) !== port) {
      return this.#drop("spoofed-source");
    }
    if (isTeredo(bytes, destination, prefix)) return this.#forward(type, address, port);
    if (this.#isAllRouters(destination) || equalBytes(bytes, destination, this.#linkLocal, 0, 16)) {
      return this.#echo(socket, type, address, port);
    }
    return this.#forwardNative(type);
  }

  /** A Router Solicitation from `address`:`port` (RFC 4380 5.3.2). */
  #solicitation(socket: number, address: Ipv4, port: number): void {
    const { memory, counters, sink } = this.#environment;
    const { bytes, scratch } = memory;
    const { ipv6At, ipv6Length, nonceAt } = this.#datagram;
    const { secrets, secondary } = this.#options;
    counters.add(RS_RECEIVED);
    if (!isRouterSolicitation(bytes, ipv6At, ipv6Length)) return this.#drop("bad-solicitation");
    // Undefined where there are no secrets: what it says would not matter.
    const { authentication } = this.#datagram;
    const secret = authentication === undefined ? undefined : secrets.get(latin1(authentication.identifier));
    if (secrets.size > 0 && (secret === undefined || !verifyAuthentication(secret, this.#datagram, bytes))) {
      return this.#drop("unauthenticated");
    }
    // A client that asks with the cone bit wants to know whether an address it never sent to gets through (RFC 5991 3.2).
    const source = ipv6At + SOURCE_AT;
    const cone = isConeAt(bytes, source);
    if (cone && secondary === undefined) return this.#drop("no-secondary-address");
    const from = cone === (socket === Socket.service) ? Socket.secondary : Socket.service;

    const nullLength = nonceAt < 0 ? 0 : NULL_AUTHENTICATION_LENGTH;
    const secure = secret !== undefined && authentication !== undefined;
    const coveredAt = scratch + (secure ? secureAuthenticationLength(authentication.identifier.length) : nullLength);
    this.#origin.address = address;
    this.#origin.port = port;
    const origin = writeOrigin(this.#origin, bytes, coveredAt);
    const covered = origin + this.#advertisement.write(bytes, source, coveredAt + origin);
    if (secure) this.#authenticate(authentication, secret, covered);
    else if (nonceAt >= 0) writeNullAuthentication(nonceAt, bytes, scratch);
    sink.sendUdp(from, scratch, coveredAt - scratch + covered, address, port);
    counters.add(RA_SENT);
  }

  /** Writes the authentication element of an answer at the start of scratch, before `covered` octets that stand there already. */
  #authenticate(asked: Authentication, secret: Uint8Array, covered: number): void {
    const { bytes, scratch } = this.#environment.memory;
    const { identifier, nonce } = asked;
    const confirmation = this.#options.expiring?.has(latin1(identifier)) === true ? 1 : 0;
    writeSecureAuthentication(identifier, secret, nonce, confirmation, bytes, scratch, covered);
  }

  /** An accepted packet to the server itself: an echo request is answered, from the socket it came to. */
  #echo(socket: number, type: number, address: Ipv4, port: number): void {
    const { memory, sink } = this.#environment;
    const { ipv6At, ipv6Length } = this.#datagram;
    if (type < 0) return this.#drop("bad-ipv6-destination");
    if (type !== ICMPV6_ECHO_REQUEST) return this.#drop("icmpv6-type");
    if (ipv6Length - IPV6_HEADER_LENGTH > this.#options.maxIcmpv6Payload) return this.#drop("oversize-icmpv6");
    const request = parseEcho(memory.bytes, ipv6At, ipv6Length);
    if (request === undefined) return this.#drop("malformed");
    const { source, identifier, sequence, data } = request;
    const reply = {
      source: this.#linkLocal,
      destination: source,
      hopLimit: ECHO_HOP_LIMIT,
      reply: true,
      identifier,
      sequence,
      data,
    };
    sink.sendUdp(socket, memory.scratch, writeEcho(reply, memory.bytes, memory.scratch), address, port);
  }

  /** An accepted packet to a Teredo address: on to the client, trailers included, hop limit untouched. */
  #forward(type: number, address: Ipv4, port: number): void {
    const { memory, sink } = this.#environment;
    const { bytes } = memory;
    const { ipv6At, ipv6Length, trailersLength } = this.#datagram;
    if (!this.#mayForward(type)) return;
    const destination = ipv6At + DESTINATION_AT;
    const mapped = mappedAddressAt(bytes, destination), mappedPort = mappedPortAt(bytes, destination);
    if (!this.#isGlobal(mapped)) return this.#drop("not-global-ipv4");
    if (this.#own.includes(mapped)) return this.#drop("loop");
    if (mappedPort === 0) return this.#drop("port-zero");
    const ours = serverAt(bytes, destination) === this.#options.primary;
    if (!ours && !this.#options.forwardForeign) return this.#drop("foreign-client");
    // The origin goes into the octets before the packet: headroom, or an element that came in and goes no further.
    const origin = ours ? writeOrigin({ address, port }, bytes, ipv6At - ORIGIN_LENGTH) : 0;
    sink.sendUdp(Socket.service, ipv6At - origin, origin + ipv6Length + trailersLength, mapped, mappedPort);
    this.#countForwarded(type);
  }

  /** An accepted packet of a client to an address that is not Teredo: out to the IPv6 Internet, without trailers. */
  #forwardNative(type: number): void {
    const { memory, sink } = this.#environment;
    const { bytes } = memory;
    const { ipv6At, ipv6Length } = this.#datagram;
    const destination = ipv6At + DESTINATION_AT;
    if (!isGlobalScope(bytes, destination)) return this.#drop("bad-ipv6-destination");
    if (!this.#mayForward(type)) return;
    if (embedsOwnIpv4(bytes, destination, this.#own)) return this.#drop("loop");
    if (!this.#options.nativeForwarding) return this.#drop("no-ipv6");
    if (hopLimit(bytes, ipv6At) <= 1) return this.#drop("hop-limit");
    bytes[ipv6At + HOP_LIMIT_AT]--;
    sink.writeIpv6(ipv6At, ipv6Length);
    this.#countForwarded(type);
  }

  /** Whether the packet is of a kind and size that is forwarded (RFC 4380 5.3); counts it as dropped if not. */
  #mayForward(type: number): boolean {
    if (type < 0) return true;
    if (type !== ICMPV6_ECHO_REQUEST && type !== ICMPV6_ECHO_REPLY) {
      this.#drop("icmpv6-type");
      return false;
    }
    if (this.#datagram.ipv6Length - IPV6_HEADER_LENGTH > this.#options.maxIcmpv6Payload) {
      this.#drop("oversize-icmpv6");
      return false;
    }
    return true;
  }

  #countForwarded(type: number): void {
    this.#environment.counters.count(type < 0 ? "bubbles_forwarded" : "echo_forwarded");
  }

  #isGlobal(address: Ipv4): boolean {
    return isGlobalUnicast(address) && !isDirectedBroadcast(address, this.#options.subnets);
  }

  #isAllRouters(at: number): boolean {
    return equalBytes(this.#environment.memory.bytes, at, ALL_ROUTERS, 0, 16);
  }

  #drop(reason: DropReason): void {
    this.#environment.counters.count(reason);
  }
}

/** Octets as a string of the same length, to look them up. */
function latin1(octets: Uint8Array): string {
  return String.fromCharCode(...octets);
}
