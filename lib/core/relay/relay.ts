/**
 * The Teredo relay (RFC 4380 5.4): carries packets between the IPv6 Internet, or just this host, and Teredo clients.
 *
 * ```
 *              packet for a client                         any packet from it
 *   (no entry) ───────────────────▶ negotiating ─────────────────────────────▶ trusted ──┐
 *        ▲                          queue, bubble at 0, 2, 4, 6 s                 ▲  │    │ 30 s without
 *        │                              │ 8 s                                     │  └────┘ reception: the next
 *        │ 300 s                        ▼                                         │         packet negotiates again
 *        └────────────────────────── out of reach ────────────────────────────────┘
 *                                    "address unreachable", no bubbles
 * ```
 *
 * The entry of a client out of reach has lost its queue and is good for nothing but remembering that its four bubbles are spent
 * (RFC 4380 5.2.6: 4 in 300 s).
 *
 * Hop limits are the business of the kernel: it decrements them where it forwards to and from the tunnel interface. Only between two
 * clients, who may meet here when no direct way leads from one to the other, the relay forwards by itself, see {@link BetweenClients}.
 */

import { BUBBLE_HOP_LIMIT, isBubble, writeBubble } from "../../wire/bubble.ts";
import { Datagram } from "../../wire/encapsulation.ts";
import { isSourceRouted } from "../../wire/extension_headers.ts";
import { type Ipv4, type Ipv4Subnet, isDirectedBroadcast, isGlobalUnicast } from "../../wire/ipv4.ts";
import {
  DESTINATION_AT,
  type Ipv6,
  IPV6_HEADER_LENGTH,
  isIpv6Packet,
  payloadLength,
  SOURCE_AT,
} from "../../wire/ipv6.ts";
import { inPrefix, type Ipv6Prefix, isGlobalScope } from "../../wire/ipv6_address.ts";
import { isConeAt, isTeredo, mappedAddressAt, mappedPortAt, serverAt, TEREDO_PORT } from "../../wire/teredo_address.ts";
import { BetweenClients } from "./between_clients.ts";
import { BubbleSource } from "./bubble_source.ts";
import { counterIndex, type DropReason } from "../counters.ts";
import { ADDRESS_UNREACHABLE, ErrorSender, NO_ROUTE } from "../errors.ts";
import { embedsOwnIpv4, isNeighborDiscovery } from "../guards.ts";
import { type Environment, type Machine, type Millis, Socket } from "../machine.ts";
import { PacketQueue, QueueBudget } from "../packet_queue.ts";
import { EXPIRY_STEP, PEER_LIFETIME, PeerTable } from "../peers.ts";
import { TimerHeap } from "../timers.ts";

/** Wait for an answer to a bubble, and least distance of a bubble from the packet before it, milliseconds (RFC 4380 5.4.1, 5.2.6). */
const BUBBLE_WAIT: Millis = 2_000;

/** Bubbles sent in vain before a client is out of reach (RFC 4380 5.4.1: one, repeated up to three times). */
const MAX_BUBBLES = 4;

/** Spent bubbles count again after this long (RFC 4380 5.2.6: 4 in 300 s). */
const BUBBLE_WINDOW: Millis = 300_000;

/**
 * How often idle entries are looked for, and within which time the whole table is looked at, milliseconds. A large table is looked at in
 * smaller bites, more often.
 */
const SWEEP_INTERVAL: Millis = 1_000;
const SWEEP_ROUND: Millis = PEER_LIFETIME / 5;

const PEERS_EXPIRED = counterIndex("peers_expired");

/** Settings of a relay. */
export interface RelayOptions {
  /** The 32 bits of the Teredo prefix. */
  readonly prefix: number;
  /** Largest IPv6 packet that is carried, octets. */
  readonly mtu: number;
  /** Send each bubble to the client's mapping too: needed behind a NAT (RFC 4380 5.4.1). */
  readonly directBubbles: boolean;
  /** Send at once to clients whose cone bit is set (RFC 4380 5.4.1 case 2); RFC 5991 3.2 says not to. */
  readonly honourCone: boolean;
  /** Accept answers from another mapping than the address embeds, if they prove that our bubble arrived. */
  readonly symmetricClients: boolean;
  /** IPv6 destinations that clients may reach through this relay. */
  readonly served: "any" | readonly Ipv6Prefix[];
  /** IPv4 addresses of this host. */
  readonly ownAddresses: readonly Ipv4[];
  /** Source of ICMPv6 errors; undefined: none are sent. */
  readonly errorSource: Ipv6 | undefined;
  /** IPv4 subnets of this host, whose broadcast addresses are no targets. */
  readonly subnets: readonly Ipv4Subnet[];
  readonly maxPeers: number;
  /** Clients that are negotiated with at one time. */
  readonly maxPending: number;
  readonly queueOctetsPerPeer: number;
  readonly queueOctetsTotal: number;
  /** ICMPv6 errors a second. */
  readonly errorsPerSecond: number;
  /** Pass packets from one client to another, once both have answered our bubbles. */
  readonly betweenClients: boolean;
  /** Packets a second that one client may send to others, at most. */
  readonly betweenClientsRate: number;
}

/** What a client costs beyond its entry while we wait for its answer. */
interface Negotiation {
  readonly queue: PacketQueue;
  /** Packets of the client for other clients, which wait for its own answer; made for the first of them. */
  held: PacketQueue | undefined;
  /** Nothing waits for the client: it gets one bubble for each packet of its own, so that nobody can make us send more than he sends. */
  verifyOnly: boolean;
  /** Packets of other clients wait for it: only an answer to our bubble counts. */
  between: boolean;
  /** When the first packet came that waits in it. */
  readonly since: Millis;
}

export class Relay implements Machine {
  readonly #options: RelayOptions;
  readonly #environment: Environment;
  readonly #peers: PeerTable;
  readonly #negotiations: Map<number, Negotiation> = new Map();
  readonly #timers = new TimerHeap();
  readonly #budget: QueueBudget;
  readonly #errors: ErrorSender;
  readonly #bubbleSource: BubbleSource;
  readonly #between: BetweenClients;
  readonly #datagram = new Datagram();
  /** An address of the table, for as long as it is looked at. */
  readonly #client = new Uint8Array(16);
  #nextSweep: Millis = Infinity;

  constructor(options: RelayOptions, environment: Environment) {
    this.#options = options;
    this.#environment = environment;
    this.#peers = new PeerTable({ maxPeers: options.maxPeers, random: environment.random });
    this.#budget = new QueueBudget(options.queueOctetsTotal);
    this.#errors = new ErrorSender(environment, options.errorsPerSecond, options.errorsPerSecond);
    this.#bubbleSource = new BubbleSource(environment.random);
    this.#between = new BetweenClients(options, environment);
  }

  /** Clients in the peer list. */
  get peers(): number {
    return this.#peers.size;
  }

  /** The peer list, for looking only. */
  get table(): PeerTable {
    return this.#peers;
  }

  nextTimer(): Millis {
    return Math.min(this.#timers.next(), this.#nextSweep);
  }

  onTimer(now: Millis): void {
    for (let peer = this.#timers.pop(now); peer >= 0; peer = this.#timers.pop(now)) this.#bubble(peer, now);
    if (now < this.#nextSweep) return;
    const peers = this.#peers;
    const interval = Math.max(1, Math.min(SWEEP_INTERVAL, Math.floor(SWEEP_ROUND * EXPIRY_STEP / peers.occupied)));
    this.#environment.counters.add(
      PEERS_EXPIRED,
      peers.expire(now, Math.ceil(peers.occupied * interval / SWEEP_ROUND)),
    );
    this.#nextSweep = peers.size === 0 ? Infinity : now + interval;
  }

  /** RFC 4380 5.4.1. */
  fromTun(at: number, length: number, now: Millis): void {
    const { memory, sink } = this.#environment;
    const { bytes } = memory;
    if (!isIpv6Packet(bytes, at, length)) return this.#drop("malformed");
    const size = IPV6_HEADER_LENGTH + payloadLength(bytes, at);
    const { prefix, ownAddresses, mtu } = this.#options;
    if (!isTeredo(bytes, at + DESTINATION_AT, prefix)) {
      this.#drop("not-teredo-destination");
      return this.#unreachable(NO_ROUTE, bytes, at, size, now);
    }
    const source = at + SOURCE_AT;
    if (!isGlobalScope(bytes, source) || isTeredo(bytes, source, prefix)) return this.#drop("bad-ipv6-source");
    if (embedsOwnIpv4(bytes, source, ownAddresses)) return this.#drop("loop");
    if (isSourceRouted(bytes, at, size)) return this.#drop("routing-header");
    const peers = this.#peers, peer = peers.find(bytes, at + DESTINATION_AT);
    if (peer < 0 || !peers.trusted(peer) || !peers.valid(peer, now)) return this.#fromTunUntrusted(at, size, peer, now);
    if (size > mtu) return this.#tooBig(at, size, now);
    peers.setLastTransmission(peer, now);
    peers.countSent(peer, 1);
    sink.sendUdp(Socket.service, at, size, peers.address(peer), peers.port(peer));
  }

  fromTunSuper(at: number, length: number, largest: number, now: Millis, packets: number): boolean {
    const { memory, sink } = this.#environment;
    const { bytes } = memory;
    const { prefix, ownAddresses, mtu } = this.#options;
    const source = at + SOURCE_AT;
    if (largest > mtu || !isTeredo(bytes, at + DESTINATION_AT, prefix)) return false;
    if (!isGlobalScope(bytes, source) || isTeredo(bytes, source, prefix)) return false;
    if (embedsOwnIpv4(bytes, source, ownAddresses) || isSourceRouted(bytes, at, length)) return false;
    const peers = this.#peers, peer = peers.find(bytes, at + DESTINATION_AT);
    if (peer < 0 || !peers.trusted(peer) || !peers.valid(peer, now)) return false;
    peers.setLastTransmission(peer, now);
    peers.countSent(peer, packets);
    sink.sendUdp(Socket.service, at, length, peers.address(peer), peers.port(peer));
    return true;
  }

  /** A packet for a client without a valid entry. @param between it comes from another client */
  #fromTunUntrusted(at: number, size: number, known: number, now: Millis, between: boolean = false): void {
    const { memory, sink } = this.#environment;
    const { bytes } = memory;
    const { honourCone, mtu, ownAddresses, maxPending } = this.#options;
    const destination = at + DESTINATION_AT;
    const address = mappedAddressAt(bytes, destination), port = mappedPortAt(bytes, destination);
    if (!this.#isGlobal(address) || !this.#isGlobal(serverAt(bytes, destination))) return this.#drop("not-global-ipv4");
    if (ownAddresses.includes(address)) return this.#drop("loop");
    if (port === 0) return this.#drop("port-zero");
    if (size > mtu) return this.#tooBig(at, size, now);

    const peers = this.#peers, waiting = this.#negotiations.get(known);
    if (waiting !== undefined) return this.#enqueue(waiting, at, size, between);
    const cone = !between && honourCone && isConeAt(bytes, destination);
    const peer = cone || this.#negotiations.size < maxPending ? this.#entry(known, destination, now) : -1;
    if (peer < 0) {
      this.#drop("peer-table-full");
      return this.#unreachable(ADDRESS_UNREACHABLE, bytes, at, size, now);
    }
    if (cone) {
      peers.setMapping(peer, address, port);
      peers.setTrusted(peer, true);
      peers.setLastTransmission(peer, now);
      peers.countSent(peer, 1);
      return sink.sendUdp(Socket.service, at, size, address, port);
    }
    const sinceLast = now - peers.lastTransmission(peer);
    if (sinceLast >= BUBBLE_WINDOW) peers.setBubbles(peer, 0);
    if (peers.bubbles(peer) >= MAX_BUBBLES) {
      this.#drop("bubble-limit");
      return this.#unreachable(ADDRESS_UNREACHABLE, bytes, at, size, now);
    }
    this.#enqueue(this.#negotiate(peer, false, now), at, size, between);
    if (sinceLast >= BUBBLE_WAIT) this.#bubble(peer, now);
    else this.#timers.set(peer, now + BUBBLE_WAIT - sinceLast);
  }

  /** The record of a client, made if need be; -1 when the table is full. */
  #entry(known: number, at: number, now: Millis): number {
    if (known >= 0) return known;
    const { memory, counters } = this.#environment;
    const before = this.#peers.evicted;
    const peer = this.#peers.insert(memory.bytes, at, now);
    if (peer < 0) return -1;
    counters.count("peers_created");
    if (this.#peers.evicted !== before) counters.count("peers_evicted");
    if (this.#nextSweep === Infinity) this.#nextSweep = now + SWEEP_INTERVAL;
    return peer;
  }

  #negotiate(peer: number, verifyOnly: boolean, now: Millis): Negotiation {
    const negotiation: Negotiation = {
      queue: this.#makeQueue(),
      held: undefined,
      verifyOnly,
      between: false,
      since: now,
    };
    this.#negotiations.set(peer, negotiation);
    this.#peers.setTrusted(peer, false);
    this.#peers.setSteered(peer, false);
    this.#peers.setPinned(peer, true);
    return negotiation;
  }

  #makeQueue(): PacketQueue {
    return new PacketQueue(this.#budget, this.#options.queueOctetsPerPeer);
  }

  #enqueue(negotiation: Negotiation, at: number, size: number, between: boolean): void {
    const { memory, counters } = this.#environment;
    negotiation.verifyOnly = false;
    negotiation.between ||= between;
    if (negotiation.queue.push(memory.bytes, at, size)) counters.count("packets_queued");
    else this.#drop("queue-full");
  }

  /** Sends the next bubble to a client under negotiation, or gives up. */
  #bubble(peer: number, now: Millis): void {
    const negotiation = this.#negotiations.get(peer);
    if (negotiation === undefined) return;
    const peers = this.#peers;
    const over = negotiation.verifyOnly && peers.lastTransmission(peer) >= negotiation.since;
    if (over || peers.bubbles(peer) >= MAX_BUBBLES) return this.#giveUp(peer, negotiation, now);
    const { memory, counters, sink } = this.#environment;
    const client = this.#client;
    peers.keyInto(peer, client, 0);
    const length = writeBubble(this.#bubbleSource.of(client), client, BUBBLE_HOP_LIMIT, memory.bytes, memory.scratch);
    if (this.#options.directBubbles && !negotiation.verifyOnly) {
      sink.sendUdp(Socket.service, memory.scratch, length, mappedAddressAt(client, 0), mappedPortAt(client, 0));
      counters.count("direct_bubbles_sent");
    }
    sink.sendUdp(Socket.service, memory.scratch, length, serverAt(client, 0), TEREDO_PORT);
    counters.count("indirect_bubbles_sent");
    peers.setBubbles(peer, peers.bubbles(peer) + 1);
    peers.setLastTransmission(peer, now);
    this.#timers.set(peer, now + BUBBLE_WAIT);
  }

  /** The last bubble was in vain: what waited is answered with errors and forgotten. */
  #giveUp(peer: number, negotiation: Negotiation, now: Millis): void {
    const { counters, sink } = this.#environment;
    this.#close(peer);
    negotiation.queue.drain((packet) => {
      this.#drop("expired-in-queue");
      this.#unreachable(ADDRESS_UNREACHABLE, packet, 0, packet.length, now);
    });
    for (let thrown = negotiation.held?.clear() ?? 0; thrown > 0; thrown--) this.#drop("unproven-peer");
    if (negotiation.verifyOnly) return;
    counters.count("peers_unreachable");
    sink.event({ type: "peer-unreachable", peer: this.#peers.key(peer) });
  }

  #close(peer: number): void {
    this.#negotiations.delete(peer);
    this.#timers.cancel(peer);
    this.#peers.setPinned(peer, false);
  }

  /** RFC 4380 5.4.2. */
  fromUdp(
    _socket: number,
    at: number,
    length: number,
    address: Ipv4,
    port: number,
    _destination: Ipv4,
    now: Millis,
  ): void {
    const { memory, counters, sink } = this.#environment;
    const { bytes } = memory;
    const datagram = this.#datagram;
    if (!datagram.decode(bytes, at, length)) return this.#drop("malformed");
    const { ipv6At, ipv6Length } = datagram;
    const source = ipv6At + SOURCE_AT, peers = this.#peers;
    if (!isTeredo(bytes, source, this.#options.prefix)) return this.#drop("bad-ipv6-source");
    const peer = peers.find(bytes, source);
    const bubble = isBubble(bytes, ipv6At);
    const between = !bubble && this.#options.betweenClients &&
      isTeredo(bytes, ipv6At + DESTINATION_AT, this.#options.prefix);
    if (peer >= 0 && peers.trustedAt(peer, address, port)) {
      peers.setLastReception(peer, now);
      if (bubble && !peers.steered(peer)) peers.setSteered(peer, this.#provesArrival(peer, address, port));
    } else {
      const embedded = mappedAddressAt(bytes, source) === address && mappedPortAt(bytes, source) === port;
      if (between) return this.#verify(peer, embedded, address, port, now);
      if (peer < 0) return this.#drop(embedded ? "unknown-peer" : "spoofed-source");
      const proved = this.#provesArrival(peer, address, port);
      if (!embedded && !(proved && this.#options.symmetricClients)) return this.#drop("spoofed-source");
      if (!proved && this.#negotiations.get(peer)?.between === true) return this.#drop("unproven-peer");
      this.#trust(peer, address, port, proved, now);
    }
    if (bubble) return counters.count("bubbles_received");
    if (between) {
      if (peers.steered(peer)) {
        peers.countReceived(peer);
        return this.#carry(ipv6At, ipv6Length, address, now);
      }
      return this.#verify(peer, true, address, port, now);
    }
    if (!this.#isServed(ipv6At + DESTINATION_AT)) return this.#drop("not-served");
    if (embedsOwnIpv4(bytes, ipv6At + DESTINATION_AT, this.#options.ownAddresses)) return this.#drop("loop");
    if (isSourceRouted(bytes, ipv6At, ipv6Length)) return this.#drop("routing-header");
    if (isNeighborDiscovery(bytes, ipv6At, ipv6Length)) return this.#drop("icmpv6-type");
    peers.countReceived(peer);
    sink.writeIpv6(ipv6At, ipv6Length);
  }

  /** Whether the datagram just decoded is a bubble to the address from which only `peer` got one, so that its mapping may be believed. */
  #provesArrival(peer: number, address: Ipv4, port: number): boolean {
    const { bytes } = this.#environment.memory;
    const { ipv6At } = this.#datagram;
    if (!isBubble(bytes, ipv6At)) return false;
    if (port === 0 || !this.#isGlobal(address) || this.#options.ownAddresses.includes(address)) return false;
    this.#peers.keyInto(peer, this.#client, 0);
    return this.#bubbleSource.matches(this.#client, bytes, ipv6At + DESTINATION_AT);
  }

  /** A client answered from `address`:`port`: it is trusted there, and what waited for it goes. */
  #trust(peer: number, address: Ipv4, port: number, proved: boolean, now: Millis): void {
    const { counters, sink, memory } = this.#environment;
    const peers = this.#peers, negotiation = this.#negotiations.get(peer);
    peers.setMapping(peer, address, port);
    peers.setTrusted(peer, true);
    peers.setSteered(peer, proved);
    peers.setBubbles(peer, 0);
    peers.setLastReception(peer, now);
    counters.count("peers_trusted");
    if (negotiation === undefined) return;
    this.#close(peer);
    sink.event({ type: "peer-up", peer: peers.key(peer), endpoint: { address, port }, path: "direct" });
    if (negotiation.queue.length > 0) counters.observe("first_packet_seconds", now - negotiation.since);
    negotiation.queue.drain((packet) => {
      memory.bytes.set(packet, memory.scratch);
      sink.sendUdp(Socket.service, memory.scratch, packet.length, address, port);
      peers.setLastTransmission(peer, now);
      peers.countSent(peer, 1);
      counters.count("packets_flushed");
    });
    negotiation.held?.drain((packet) => {
      memory.bytes.set(packet, memory.scratch);
      peers.countReceived(peer);
      this.#carry(memory.scratch, packet.length, address, now);
    });
  }

  /**
   * A packet for another client came from one that has not answered a bubble yet: it waits, and one bubble asks for the answer, through
   * the client's own server. It is smaller than the packet, and there is no other for it: nothing is amplified.
   */
  #verify(known: number, embedded: boolean, address: Ipv4, port: number, now: Millis): void {
    const { memory, counters } = this.#environment;
    const { bytes } = memory;
    const { ipv6At, ipv6Length } = this.#datagram;
    const { symmetricClients, maxPending, ownAddresses } = this.#options;
    const peers = this.#peers, source = ipv6At + SOURCE_AT;
    // A NAT gives one client one IPv4 address: only the port may be another than the address says.
    if (!embedded && !(symmetricClients && mappedAddressAt(bytes, source) === address)) {
      return this.#drop("spoofed-source");
    }
    if (!this.#isGlobal(address) || port === 0 || mappedPortAt(bytes, source) === 0) {
      return this.#drop("bad-ipv6-source");
    }
    if (!this.#isGlobal(serverAt(bytes, source))) return this.#drop("not-global-ipv4");
    if (ownAddresses.includes(address) || ownAddresses.includes(serverAt(bytes, source))) return this.#drop("loop");
    if (!this.#between.mayVerify(address, now)) return this.#drop("rate-limited");
    let negotiation = this.#negotiations.get(known);
    if (negotiation === undefined) {
      const peer = this.#negotiations.size < maxPending ? this.#entry(known, source, now) : -1;
      if (peer < 0) return this.#drop("peer-table-full");
      const sinceLast = now - peers.lastTransmission(peer);
      if (sinceLast >= BUBBLE_WINDOW) peers.setBubbles(peer, 0);
      if (peers.bubbles(peer) >= MAX_BUBBLES) return this.#drop("bubble-limit");
      negotiation = this.#negotiate(peer, true, now);
      if (sinceLast >= BUBBLE_WAIT) this.#bubble(peer, now);
      else this.#timers.set(peer, now + BUBBLE_WAIT - sinceLast);
    }
    negotiation.held ??= this.#makeQueue();
    if (negotiation.held.push(bytes, ipv6At, ipv6Length)) counters.count("packets_queued");
    else this.#drop("queue-full");
  }

  /** A packet of `size` octets at `at` from a client that has answered our bubble, for another client: on to it, or it is asked first. */
  #carry(at: number, size: number, address: Ipv4, now: Millis): void {
    const { memory, sink } = this.#environment;
    const { bytes } = memory;
    const fault = this.#between.fault(bytes, at, size, address, now);
    if (fault !== undefined) return this.#drop(fault);
    const peers = this.#peers, peer = peers.find(bytes, at + DESTINATION_AT);
    if (peer < 0 || !peers.trusted(peer) || !peers.steered(peer) || !peers.valid(peer, now)) {
      return this.#fromTunUntrusted(at, size, peer, now, true);
    }
    if (size > this.#options.mtu) return this.#tooBig(at, size, now);
    peers.setLastTransmission(peer, now);
    peers.countSent(peer, 1);
    this.#between.count();
    sink.sendUdp(Socket.service, at, size, peers.address(peer), peers.port(peer));
  }

  /** Whether clients may reach the IPv6 address at `at` through this relay. */
  #isServed(at: number): boolean {
    const { bytes } = this.#environment.memory;
    const { served, prefix } = this.#options;
    if (!isGlobalScope(bytes, at) || isTeredo(bytes, at, prefix)) return false;
    return served === "any" || served.some((each) => inPrefix(bytes, at, each));
  }

  #isGlobal(address: Ipv4): boolean {
    return isGlobalUnicast(address) && !isDirectedBroadcast(address, this.#options.subnets);
  }

  #tooBig(at: number, size: number, now: Millis): void {
    const { errorSource, mtu } = this.#options;
    this.#drop("too-big");
    if (errorSource === undefined) return;
    this.#errors.packetTooBig(mtu, errorSource, this.#environment.memory.bytes, at, size, now);
  }

  #unreachable(code: number, bytes: Uint8Array, at: number, size: number, now: Millis): void {
    const { errorSource } = this.#options;
    if (errorSource === undefined) return;
    this.#errors.unreachable(code, errorSource, bytes, at, size, now);
  }

  #drop(reason: DropReason): void {
    this.#environment.counters.count(reason);
  }
}
