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
 *     ─▶ native node through an unproven relay ────────────────────▶ queue, test, accept later
 *     ─▶ anything else ────────────────────────────────────────────▶ drop
 * ```
 *
 * A packet of a trusted peer takes one look-up in the peer table and no allocation.
 */

import { equalBytes } from "../wire/bytes.ts";
import { isBubble } from "../wire/bubble.ts";
import { Datagram } from "../wire/encapsulation.ts";
import { DISCOVERY_ADDRESS, type Ipv4 } from "../wire/ipv4.ts";
import { addressAt, DESTINATION_AT, SOURCE_AT } from "../wire/ipv6.ts";
import { isGlobalScope, isLinkLocal, isLoopback, isMulticast, isUnspecified } from "../wire/ipv6_address.ts";
import { isTeredo, mappedAddressAt, mappedPortAt, TEREDO_PORT } from "../wire/teredo_address.ts";
import { parseTrailers } from "../wire/trailers.ts";
import type { BubbleAnswers } from "./bubble_answers.ts";
import type { Bubbles } from "./bubbles.ts";
import type { ClientOptions } from "./client_options.ts";
import type { DropReason } from "./counters.ts";
import { hostFault } from "./host_filter.ts";
import type { Identity } from "./identity.ts";
import type { LocalDiscovery } from "./local_discovery.ts";
import type { LocalPeers } from "./local_peers.ts";
import { type Environment, type Millis, Socket } from "./machine.ts";
import type { Maintenance } from "./maintenance.ts";
import type { Negotiation } from "./negotiation.ts";
import type { PeerEntries } from "./peer_entries.ts";
import type { PeerTable } from "./peers.ts";
import { isAdvertisement } from "./solicitor.ts";
import { targetFault } from "./targets.ts";

/**
 * A peer that sends to us while this host sends nothing back gets a bubble after this long (RFC 4380 5.2.3, last paragraph: MAY). Its entry
 * for us would expire 30 s after our last packet, and its stream would stop for a new negotiation.
 */
const ONE_WAY_REFRESH: Millis = 15_000;

/** What the reception works with. */
export interface ReceptionParts {
  readonly environment: Environment;
  readonly options: Pick<ClientOptions, "subnets">;
  readonly identity: Identity;
  readonly entries: PeerEntries;
  readonly localPeers: LocalPeers;
  readonly bubbles: Bubbles;
  readonly answers: BubbleAnswers;
  readonly negotiation: Negotiation;
  readonly maintenance: Maintenance;
  readonly discovery: LocalDiscovery;
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
    if (trailersLength !== 0 && parseTrailers(bytes, trailersAt, trailersLength).discard) {
      return this.#drop("trailer-discard");
    }
    // Advertisements that answer an Echo Test (RFC 6081 5.5.4.4) are to be told apart here, by nonce, before all others.
    if (socket === Socket.service && isAdvertisement(bytes, datagram)) {
      return this.#parts.onAdvertisement(datagram, address, port, now);
    }
    const identity = this.#identity;
    if (!identity.qualified) return this.#drop("not-qualified");
    // Before the trusted entries, or a trusted local peer would never get an answer to its discovery bubble.
    if (socket === Socket.discovery || destination === DISCOVERY_ADDRESS) {
      return this.#dropIf(this.#parts.discovery.receive(datagram, address, port, destination, now));
    }
    const ipv6At = datagram.ipv6At;
    if (!equalBytes(bytes, ipv6At + DESTINATION_AT, identity.address, 0, 16)) return this.#drop("not-own-destination");
    const source = ipv6At + SOURCE_AT;
    if (isMulticast(bytes, source) || isUnspecified(bytes, source) || isLoopback(bytes, source)) {
      return this.#drop("bad-ipv6-source");
    }
    if (equalBytes(bytes, source, identity.address, 0, 16)) return this.#drop("own-address");
    const fromServer = address === identity.server && port === TEREDO_PORT;
    if (fromServer) {
      this.#parts.maintenance.heard(now);
      if (isBubble(bytes, ipv6At)) {
        this.#environment.counters.count("bubbles_received");
        return this.#dropIf(this.#parts.answers.answerIndirect(datagram, now));
      }
      // A server may be a relay too: go on with the other cases.
    }
    const table = this.#table;
    const peer = table.find(bytes, source);
    if (peer >= 0 && table.trusted(peer) && table.address(peer) === address && table.port(peer) === port) {
      this.#receiveTrusted(peer, datagram, address, port, now);
    } else {
      this.#receiveUnproven(peer, datagram, address, port, fromServer, now);
    }
  }

  /** Case 1: the entry is trusted and the packet came from its mapping. */
  #receiveTrusted(peer: number, datagram: Datagram, address: Ipv4, port: number, now: Millis): void {
    const { bytes } = this.#environment.memory;
    const { ipv6At, ipv6Length } = datagram;
    const table = this.#table;
    if (table.pinned(peer)) {
      const { negotiation } = this.#parts;
      const awaited = negotiation.isAwaitedReply(peer, ipv6At, ipv6Length);
      // A valid entry has a conversation only because another relay wants to be proved: that goes on.
      if (awaited || !table.valid(peer, now)) negotiation.establish(peer, address, port, now);
      if (awaited) return;
    }
    table.setLastReception(peer, now);
    // A server load reduction solicitation (RFC 6081 5.7.4.2) is answered inside this branch.
    if (isBubble(bytes, ipv6At)) return this.#environment.counters.count("bubbles_received");
    const accepted = this.#accept(datagram);
    if (accepted && now - table.lastTransmission(peer) >= ONE_WAY_REFRESH) this.#refreshSender(peer, datagram, now);
  }

  /** Cases 2, 3, 5 and 6: no trusted entry, or another mapping. */
  #receiveUnproven(
    peer: number,
    datagram: Datagram,
    address: Ipv4,
    port: number,
    fromServer: boolean,
    now: Millis,
  ): void {
    const { bytes } = this.#environment.memory;
    const { ipv6At, ipv6Length } = datagram;
    const { negotiation, options, localPeers, entries } = this.#parts;
    const source = ipv6At + SOURCE_AT;
    if (peer >= 0 && negotiation.isAwaitedReply(peer, ipv6At, ipv6Length)) {
      const fault = targetFault(address, port, options.subnets);
      if (fault !== undefined) return this.#drop(fault);
      return negotiation.establish(peer, address, port, now);
    }
    if (isTeredo(bytes, source)) {
      if (mappedAddressAt(bytes, source) === address && mappedPortAt(bytes, source) === port) {
        const fault = targetFault(address, port, options.subnets);
        if (fault !== undefined) return this.#drop(fault);
      } else {
        const local = localPeers.find(bytes, source, now);
        // A direct bubble of a symmetric peer, proved by its nonce trailer (RFC 6081 5.2.4.4), is accepted between these two.
        if (local === undefined || local.address !== address || local.port !== port) {
          return this.#drop("spoofed-source");
        }
      }
      const entry = peer >= 0 ? peer : entries.make(bytes, source, now);
      if (entry < 0) return this.#drop("peer-table-full");
      negotiation.establish(entry, address, port, now);
      if (isBubble(bytes, ipv6At)) this.#environment.counters.count("bubbles_received");
      else this.#accept(datagram);
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

  /** Hands the packet to the host. @returns false when it must not see it */
  #accept(datagram: Datagram): boolean {
    const fault = hostFault(this.#environment.memory.bytes, datagram.ipv6At, datagram.ipv6Length);
    if (fault !== undefined) {
      this.#drop(fault);
      return false;
    }
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
