/**
 * What a client does with a datagram (RFC 4380 5.2.3; order as merged with RFC 6081).
 *
 * ```
 *   decode ─▶ trailers ─▶ router advertisement? ─▶ qualified? ─▶ discovery bubble? ─▶ for us, from an honest address?
 *     ─▶ from our server: bubble? answer it
 *     ─▶ trusted entry at this endpoint ───────────────────────────▶ accept
 *     ─▶ reply to our connectivity test ───────────────────────────▶ trust the endpoint
 *     ─▶ Teredo, and sent from where its address says ─────────────▶ trust, accept
 *     ─▶ Teredo, and sent from where we know it on this link ──────▶ trust, accept
 *     ─▶ direct bubble with the nonce of our last indirect one ────▶ trust
 *     ─▶ Teredo, through a relay that we know ─────────────────────▶ queue, test, accept later
 *     ─▶ echo request of a Teredo peer through our server ─────────▶ answer it over a relay
 *     ─▶ native node through an unproven relay ────────────────────▶ queue, test, accept later
 *     ─▶ anything else ────────────────────────────────────────────▶ drop
 * ```
 *
 * A packet of a trusted peer takes one look-up in the peer table and no allocation.
 */

import { equalBytes } from "../../wire/bytes.ts";
import { isBubble } from "../../wire/bubble.ts";
import { Datagram } from "../../wire/encapsulation.ts";
import { DISCOVERY_ADDRESS, type Endpoint, type Ipv4, isDirectedBroadcast, isUnicast } from "../../wire/ipv4.ts";
import { addressAt, DESTINATION_AT, SOURCE_AT } from "../../wire/ipv6.ts";
import { isGlobalScope, isLinkLocal, isLoopback, isMulticast, isUnspecified } from "../../wire/ipv6_address.ts";
import { isTeredo, mappedAddressAt, mappedPortAt, serverAt, TEREDO_PORT } from "../../wire/teredo_address.ts";
import { parseTrailers, type Trailers } from "../../wire/trailers.ts";
import type { BubbleAnswers } from "../traversal/bubble_answers.ts";
import type { Bubbles } from "../traversal/bubbles.ts";
import type { ClientOptions } from "./client_options.ts";
import type { DropReason } from "../counters.ts";
import type { HolePunching } from "../traversal/hole_punching.ts";
import { hostFault } from "./host_filter.ts";
import type { Identity } from "./identity.ts";
import type { LocalDiscovery } from "../traversal/local_discovery.ts";
import type { LocalPeers } from "../traversal/local_peers.ts";
import { type Environment, type Millis, Socket } from "../machine.ts";
import type { Maintenance } from "../qualification/maintenance.ts";
import type { Negotiation } from "./negotiation.ts";
import type { PeerEntries } from "./peer_entries.ts";
import type { PeerTable } from "../peers.ts";
import type { PortMapping } from "../traversal/port_mapping.ts";
import type { RandomPorts } from "../traversal/random_ports.ts";
import type { RelayPaths } from "./relay_paths.ts";
import { isAdvertisement } from "../qualification/solicitor.ts";
import { targetFault } from "../targets.ts";
import type { Traversals } from "../traversal/traversal.ts";

/**
 * A peer that sends to us while this host sends nothing back gets a bubble after this long (RFC 4380 5.2.3, last paragraph: MAY). Its entry
 * for us would expire 30 s after our last packet, and its stream would stop for a new negotiation.
 */
const ONE_WAY_REFRESH: Millis = 15_000;

/** Bubbles of one volley arrive within this time; ours. */
const OVERTAKING: Millis = 2_000;

/** What the reception works with. */
export interface ReceptionParts {
  readonly environment: Environment;
  readonly options: ClientOptions;
  readonly identity: Identity;
  readonly entries: PeerEntries;
  readonly localPeers: LocalPeers;
  readonly bubbles: Bubbles;
  readonly answers: BubbleAnswers;
  readonly negotiation: Negotiation;
  readonly maintenance: Maintenance;
  readonly discovery: LocalDiscovery;
  readonly traversals: Traversals;
  readonly punching: HolePunching;
  readonly randomPorts: RandomPorts;
  readonly portMapping: PortMapping;
  readonly relayPaths: RelayPaths;
  /** Takes router advertisements that arrive on the service socket. */
  readonly onAdvertisement: (datagram: Datagram, address: Ipv4, port: number, now: Millis) => void;
}

/** Sorts datagrams of the service and the discovery socket. */
export class Reception {
  readonly #parts: ReceptionParts;
  readonly #environment: Environment;
  readonly #identity: Identity;
  readonly #table: PeerTable;
  readonly #datagram = new Datagram();

  constructor(parts: ReceptionParts) {
    this.#parts = parts;
    this.#environment = parts.environment;
    this.#identity = parts.identity;
    this.#table = parts.entries.table;
  }

  /** One datagram; parameters as `Machine.fromUdp`. */
  receive(
    socket: number,
    at: number,
    length: number,
    address: Ipv4,
    port: number,
    destination: Ipv4,
    now: Millis,
  ): void {
    const { bytes } = this.#environment.memory;
    const datagram = this.#datagram;
    if (!datagram.decode(bytes, at, length)) return this.#drop("malformed");
    const { trailersAt, trailersLength } = datagram;
    const trailers = parseTrailers(bytes, trailersAt, trailersLength);
    if (trailers.discard) return this.#drop("trailer-discard");
    const advertisement = socket !== Socket.discovery && isAdvertisement(bytes, datagram);
    if (advertisement && socket === Socket.service) {
      return this.#parts.onAdvertisement(datagram, address, port, now);
    }
    const identity = this.#identity;
    if (!identity.qualified) return this.#drop("not-qualified");
    // An answer to an Echo Test (RFC 6081 5.5.4.4) measures the way to a peer: no maintenance must see it.
    if (advertisement) return this.#dropIf(this.#parts.punching.onAdvertisement(socket, datagram, address, port, now));
    // Before the trusted entries, or a trusted local peer would never get an answer to its discovery bubble.
    if (socket === Socket.discovery || destination === DISCOVERY_ADDRESS) {
      return this.#dropIf(this.#parts.discovery.receive(datagram, address, port, destination, now));
    }
    const ipv6At = datagram.ipv6At;
    if (!equalBytes(bytes, ipv6At + DESTINATION_AT, identity.address, 0, 16)) {
      return this.#receiveAnswer(socket, datagram, trailers, address, port, now);
    }
    const source = ipv6At + SOURCE_AT;
    if (isMulticast(bytes, source) || isUnspecified(bytes, source) || isLoopback(bytes, source)) {
      return this.#drop("bad-ipv6-source");
    }
    if (equalBytes(bytes, source, identity.address, 0, 16)) return this.#drop("own-address");
    // Forged, or from another client of our NAT by way of it: nobody may lead us to send to ourselves.
    if (identity.isOwnMapping(address, port)) return this.#drop("loop");
    const fromServer = address === identity.server && port === TEREDO_PORT && socket === Socket.service;
    if (fromServer) {
      this.#parts.maintenance.heard(now);
      if (isBubble(bytes, ipv6At)) {
        this.#environment.counters.count("bubbles_received");
        return this.#dropIf(this.#parts.answers.answerIndirect(datagram, trailers, now));
      }
      // A server may be a relay too: go on with the other cases.
    }
    const table = this.#table;
    const peer = table.find(bytes, source);
    // A random port serves one peer only.
    if (socket !== Socket.service && this.#parts.randomPorts.owner(socket) !== peer) return this.#drop("unknown-peer");
    if (peer >= 0 && table.trusted(peer) && table.address(peer) === address && table.port(peer) === port) {
      this.#receiveTrusted(peer, socket, datagram, trailers, address, port, now);
    } else {
      this.#receiveUnproven(peer, socket, datagram, trailers, address, port, fromServer, now);
    }
  }

  /** A bubble to the address of a challenge comes from the peer that got it, from whatever mapping. */
  #receiveAnswer(
    socket: number,
    datagram: Datagram,
    trailers: Trailers,
    address: Ipv4,
    port: number,
    now: Millis,
  ): void {
    const { bytes } = this.#environment.memory;
    const { punching, negotiation, options } = this.#parts;
    const table = this.#table;
    const source = datagram.ipv6At + SOURCE_AT, destination = datagram.ipv6At + DESTINATION_AT;
    const bubble = socket === Socket.service && isBubble(bytes, datagram.ipv6At) && isLinkLocal(bytes, destination);
    const peer = bubble && isTeredo(bytes, source) ? table.find(bytes, source) : -1;
    if (peer < 0 || !punching.answersChallenge(bytes, destination, table.key(peer))) {
      return this.#drop("not-own-destination");
    }
    if (this.#identity.isOwnMapping(address, port)) return this.#drop("loop");
    const fault = targetFault(address, port, options.subnets);
    if (fault !== undefined) return this.#drop(fault);
    // Only a negotiation asks: later on it would be a copy that somebody kept.
    if (!table.pinned(peer) || this.#isDeaf(peer, now) || (table.trusted(peer) && table.valid(peer, now))) {
      return this.#drop("unproven-peer");
    }
    negotiation.establish(peer, address, port, false, now);
    this.#consumeBubble(peer, trailers, now);
  }

  /** Case 1: the entry is trusted and the packet came from its mapping. */
  #receiveTrusted(
    peer: number,
    socket: number,
    datagram: Datagram,
    trailers: Trailers,
    address: Ipv4,
    port: number,
    now: Millis,
  ): void {
    const { bytes } = this.#environment.memory;
    const { ipv6At, ipv6Length } = datagram;
    const table = this.#table;
    const bubble = isBubble(bytes, ipv6At);
    if (bubble) this.#arrive(peer, socket, true, now);
    if (table.pinned(peer)) {
      const { negotiation, traversals } = this.#parts;
      const awaited = negotiation.isAwaitedReply(peer, ipv6At, ipv6Length);
      // A valid entry has a conversation only because another relay wants to be proved: that goes on.
      const tested = awaited || traversals.find(peer)?.viaRelay === true;
      if (awaited || !table.valid(peer, now)) negotiation.establish(peer, address, port, tested, now);
      if (awaited) return;
    }
    table.setLastReception(peer, now);
    if (bubble) return this.#consumeBubble(peer, trailers, now);
    const accepted = this.#accept(peer, datagram);
    if (accepted && now - table.lastTransmission(peer) >= ONE_WAY_REFRESH) this.#refreshSender(peer, datagram, now);
  }

  /** Cases 2, 3, 5 and 6: no trusted entry, or another mapping. */
  #receiveUnproven(
    peer: number,
    socket: number,
    datagram: Datagram,
    trailers: Trailers,
    address: Ipv4,
    port: number,
    fromServer: boolean,
    now: Millis,
  ): void {
    const { bytes } = this.#environment.memory;
    const { ipv6At, ipv6Length } = datagram;
    const { negotiation, options, entries } = this.#parts;
    const source = ipv6At + SOURCE_AT;
    if (peer >= 0 && negotiation.isAwaitedReply(peer, ipv6At, ipv6Length)) {
      const fault = targetFault(address, port, options.subnets);
      if (fault !== undefined) return this.#drop(fault);
      return negotiation.establish(peer, address, port, true, now);
    }
    if (isTeredo(bytes, source)) {
      const bubble = isBubble(bytes, ipv6At);
      const embedded = mappedAddressAt(bytes, source) === address && mappedPortAt(bytes, source) === port;
      if (embedded) {
        const fault = targetFault(address, port, options.subnets);
        if (fault !== undefined) return this.#drop(fault);
      } else {
        if (bubble) this.#noteSymmetricPeer(peer, source, now);
        if (!this.#isLocal(source, address, port, now) && !(bubble && this.#isProved(peer, trailers, address, port))) {
          return this.#receiveElsewhere(peer, datagram, address, port, fromServer, now);
        }
      }
      const entry = peer >= 0 ? peer : entries.make(bytes, source, now);
      if (entry < 0) return this.#drop("peer-table-full");
      if (bubble && (this.#isDeaf(entry, now) || this.#isOvertaken(entry, trailers, now))) {
        return this.#drop("unproven-peer");
      }
      if (!bubble) this.#noteHearing(entry);
      if (!this.#arrive(entry, socket, false, now)) return;
      negotiation.establish(entry, address, port, false, now);
      if (bubble) this.#consumeBubble(entry, trailers, now);
      else this.#accept(entry, datagram);
      return;
    }
    if (isLinkLocal(bytes, source)) return this.#drop("link-local-source");
    if (!isGlobalScope(bytes, source)) return this.#drop("bad-ipv6-source");
    if (isBubble(bytes, ipv6At)) return this.#drop("unproven-peer");
    const fault = hostFault(bytes, ipv6At, ipv6Length);
    if (fault !== undefined) return this.#drop(fault);
    // A packet that the server passed on with an origin indication came from the relay named there.
    if (fromServer && datagram.origin) {
      negotiation.prove(ipv6At, ipv6Length, datagram.originAddress, datagram.originPort, now);
    } else {
      negotiation.prove(ipv6At, ipv6Length, address, port, now);
    }
  }

  /** Whether we know the Teredo peer at `source` by local discovery to be at this endpoint of our link. */
  #isLocal(source: number, address: Ipv4, port: number, now: Millis): boolean {
    const local = this.#parts.localPeers.find(this.#environment.memory.bytes, source, now);
    return local !== undefined && local.address === address && local.port === port;
  }

  /** Whether a direct bubble has the nonce of our last indirect one to the peer (RFC 6081 5.2.4.4): it may come from anywhere. */
  #isProved(peer: number, trailers: Trailers, address: Ipv4, port: number): boolean {
    const { punching, traversals, options } = this.#parts;
    if (!punching.nonces || peer < 0 || trailers.nonce === undefined || trailers.nonce === 0) return false;
    if (traversals.find(peer)?.nonceSent !== trailers.nonce) return false;
    if (targetFault(address, port, options.subnets) === undefined) return true;
    // From inside our own NAT the source is a private one.
    return options.traversal.hairpinning && port !== 0 && isUnicast(address) &&
      !isDirectedBroadcast(address, options.subnets);
  }

  /**
   * Whether a bubble with this nonce has just shown another mapping of the peer: it sends from several ports, and goes on with the one at
   * which our first answer arrives.
   */
  #isOvertaken(peer: number, trailers: Trailers, now: Millis): boolean {
    const table = this.#table;
    const traversal = this.#parts.traversals.find(peer);
    if (traversal === undefined || trailers.nonce === undefined || trailers.nonce !== traversal.nonceSent) return false;
    if (table.trusted(peer) && table.valid(peer, now) && now - traversal.provedAt < OVERTAKING) return true;
    traversal.provedAt = now;
    return false;
  }

  /** Whether the peer was found not to hear us: its bubbles say nothing new, only data would. */
  #isDeaf(peer: number, now: Millis): boolean {
    const traversal = this.#parts.traversals.find(peer);
    return traversal !== undefined && now < traversal.deafUntil;
  }

  /** A peer that sends data hears us. */
  #noteHearing(peer: number): void {
    const traversal = this.#parts.traversals.find(peer);
    if (traversal === undefined) return;
    traversal.asked = true;
    traversal.deafUntil = -Infinity;
  }

  /** A direct bubble came from elsewhere than its address says (RFC 6081 5.3.4.1). That alone proves nothing. */
  #noteSymmetricPeer(peer: number, source: number, now: Millis): void {
    const { traversals, portMapping, entries } = this.#parts;
    let traversal = peer < 0 ? undefined : traversals.find(peer);
    if (traversal === undefined && portMapping.answersEmbedded) {
      const entry = entries.make(this.#environment.memory.bytes, source, now);
      if (entry >= 0) traversal = traversals.of(entry);
    }
    if (traversal !== undefined) traversal.symmetricPeer = true;
  }

  /**
   * Ports and flags of a peer that is known to be where a packet of its came from (RFC 6081 5.4.4.5).
   * @returns whether the packet counts
   */
  #arrive(peer: number, socket: number, same: boolean, now: Millis): boolean {
    const { traversals, randomPorts, negotiation, identity, punching } = this.#parts;
    const table = this.#table;
    const traversal = traversals.find(peer);
    if (traversal === undefined || !identity.symmetric || traversal.viaRelay) return true;
    const recent = table.valid(peer, now);
    // While it is negotiated with, a peer that was reached long ago is not.
    const trusted = table.trusted(peer) && (recent || !table.pinned(peer));
    switch (randomPorts.arrive(traversal, socket, trusted, same, recent)) {
      case "accept":
        if (traversal.onPrimary) punching.endTest(traversal);
        punching.steer(traversal);
        return true;
      case "ignore":
        this.#drop("spoofed-source");
        return false;
      case "restart":
        this.#drop("unproven-peer");
        negotiation.restart(peer, now);
        return false;
    }
  }

  /** A direct bubble of a peer that is reached goes no further; a solicitation among them is answered (RFC 6081 5.7.4.2). */
  #consumeBubble(peer: number, trailers: Trailers, now: Millis): void {
    this.#environment.counters.count("bubbles_received");
    if (trailers.discovery === "solicitation") this.#dropIf(this.#parts.answers.advertise(peer, now));
  }

  /** A packet of a Teredo peer that neither its address nor a nonce vouches for: it may have come over a relay. */
  #receiveElsewhere(
    peer: number,
    datagram: Datagram,
    address: Ipv4,
    port: number,
    fromServer: boolean,
    now: Millis,
  ): void {
    const { relayPaths, negotiation, options } = this.#parts;
    const { bytes } = this.#environment.memory;
    const { ipv6At, ipv6Length } = datagram;
    if (isBubble(bytes, ipv6At)) return this.#drop("spoofed-source");
    if (fromServer && relayPaths.isRequest(bytes, datagram)) {
      return this.#dropIf(relayPaths.answer(datagram, this.#relayTo(peer, now), now));
    }
    if (!relayPaths.isKnown(address, port) || !this.#wantsRelay(peer, address, port, now)) {
      return this.#drop("spoofed-source");
    }
    const source = ipv6At + SOURCE_AT;
    const fault = targetFault(serverAt(bytes, source), 1, options.subnets) ??
      targetFault(mappedAddressAt(bytes, source), mappedPortAt(bytes, source), options.subnets) ??
      hostFault(bytes, ipv6At, ipv6Length);
    if (fault !== undefined) return this.#drop(fault);
    negotiation.prove(ipv6At, ipv6Length, address, port, now);
  }

  /** The relay over which we reach the peer already. */
  #relayTo(peer: number, now: Millis): Endpoint | undefined {
    const table = this.#table;
    if (peer < 0 || !table.trusted(peer) || !table.valid(peer, now)) return undefined;
    if (this.#parts.traversals.find(peer)?.viaRelay !== true) return undefined;
    return { address: table.address(peer), port: table.port(peer) };
  }

  /** A direct way is better than any relay; of two relays both sides take the one with the lower endpoint, so that they agree. */
  #wantsRelay(peer: number, address: Ipv4, port: number, now: Millis): boolean {
    const table = this.#table;
    if (peer < 0 || !table.trusted(peer) || !table.valid(peer, now)) return true;
    if (this.#parts.traversals.find(peer)?.viaRelay !== true) return false;
    return address < table.address(peer) || (address === table.address(peer) && port < table.port(peer));
  }

  /** Hands the packet to the host. @returns false when it must not see it */
  #accept(peer: number, datagram: Datagram): boolean {
    const fault = hostFault(this.#environment.memory.bytes, datagram.ipv6At, datagram.ipv6Length);
    if (fault !== undefined) {
      this.#drop(fault);
      return false;
    }
    this.#table.countReceived(peer);
    this.#environment.sink.writeIpv6(datagram.ipv6At, datagram.ipv6Length);
    return true;
  }

  #refreshSender(peer: number, datagram: Datagram, now: Millis): void {
    const { memory } = this.#environment;
    const table = this.#table;
    table.setLastTransmission(peer, now);
    // The packet just received is a direct response: the count begins anew with this bubble.
    table.setBubbles(peer, 1);
    const sender = addressAt(memory.bytes, datagram.ipv6At + SOURCE_AT);
    this.#parts.bubbles.direct(sender, table.address(peer), table.port(peer));
  }

  #dropIf(reason: DropReason | undefined): void {
    if (reason !== undefined) this.#drop(reason);
  }

  #drop(reason: DropReason): void {
    this.#environment.counters.count(reason);
  }
}
