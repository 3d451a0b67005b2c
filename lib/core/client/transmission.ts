/**
 * What a client does with a packet of its host (RFC 4380 5.2.4 with RFC 5991).
 *
 * | case | destination | action |
 * |---|---|---|
 * | 1 | trusted entry, heard less than 30 s ago | send to its mapping |
 * | 2 | native node | queue, connectivity test |
 * | 3 | Teredo, seen on this link | queue, bubble to the local endpoint and discovery bubble |
 * | 4 | Teredo with the cone bit, believed by option | send to the embedded mapping |
 * | 5 | Teredo | queue, direct and indirect bubble |
 *
 * Case 1 takes one look-up in the peer table and no allocation.
 */

import { equalBytes } from "../../wire/bytes.ts";
import { DESTINATION_AT, IPV6_HEADER_LENGTH, payloadLength, SOURCE_AT } from "../../wire/ipv6.ts";
import { addressAt } from "../../wire/ipv6.ts";
import { isGlobalScope, isLinkLocal, isMulticast } from "../../wire/ipv6_address.ts";
import { isConeAt, isTeredo, mappedAddressAt, mappedPortAt, serverAt } from "../../wire/teredo_address.ts";
import type { ClientOptions } from "./client_options.ts";
import type { DropReason } from "../counters.ts";
import { type ErrorSender, NO_ROUTE, PROHIBITED } from "../errors.ts";
import type { HolePunching } from "../traversal/hole_punching.ts";
import type { Identity } from "./identity.ts";
import type { LocalPeers } from "../traversal/local_peers.ts";
import { type Environment, type Millis, Socket } from "../machine.ts";
import type { Negotiation } from "./negotiation.ts";
import type { PeerEntries } from "./peer_entries.ts";
import type { PeerTable } from "../peers.ts";
import { targetFault } from "../targets.ts";

/** What the transmission works with. */
export interface TransmissionParts {
  readonly environment: Environment;
  readonly options: Pick<ClientOptions, "subnets" | "mtu" | "honourCone">;
  readonly identity: Identity;
  readonly entries: PeerEntries;
  readonly localPeers: LocalPeers;
  readonly negotiation: Negotiation;
  readonly punching: HolePunching;
  readonly errors: ErrorSender;
}

/** Sends packets of the host, or has them wait, or refuses them. */
export class Transmission {
  readonly #parts: TransmissionParts;
  readonly #environment: Environment;
  readonly #identity: Identity;
  readonly #table: PeerTable;
  readonly #mtu: number;

  constructor(parts: TransmissionParts) {
    this.#parts = parts;
    this.#environment = parts.environment;
    this.#identity = parts.identity;
    this.#table = parts.entries.table;
    this.#mtu = parts.options.mtu;
  }

  /** One packet; parameters as `Machine.fromTun`. */
  send(at: number, length: number, now: Millis): void {
    const { memory, sink } = this.#environment;
    const { bytes } = memory;
    if (
      length < IPV6_HEADER_LENGTH || bytes[at] >>> 4 !== 6 || length !== IPV6_HEADER_LENGTH + payloadLength(bytes, at)
    ) {
      return this.#drop("malformed");
    }
    const identity = this.#identity;
    if (!identity.qualified || !equalBytes(bytes, at + SOURCE_AT, identity.address, 0, 16)) {
      return this.#refuseSource(at, length, now);
    }
    if (length > this.#mtu) return this.#refuseTooBig(at, length, now);
    // An entry exists for none of the destinations that may not be sent to: reception and this class make no such entries.
    const table = this.#table;
    const peer = table.find(bytes, at + DESTINATION_AT);
    if (peer >= 0 && table.trusted(peer) && table.valid(peer, now)) {
      table.setLastTransmission(peer, now);
      if (table.steered(peer)) return this.#sendSteered(peer, at, length, now);
      table.countSent(peer, 1);
      sink.sendUdp(Socket.service, at, length, table.address(peer), table.port(peer));
      return;
    }
    this.#sendUnproven(peer, at, length, now);
  }

  /** A super-packet, in case 1 only; parameters and result as `Machine.fromTunSuper`. */
  sendSuper(at: number, length: number, largest: number, now: Millis, packets: number): boolean {
    const { memory, sink } = this.#environment;
    const { bytes } = memory;
    const identity = this.#identity;
    if (largest > this.#mtu || !identity.qualified) return false;
    if (!equalBytes(bytes, at + SOURCE_AT, identity.address, 0, 16)) return false;
    const table = this.#table;
    const peer = table.find(bytes, at + DESTINATION_AT);
    if (peer < 0 || !table.trusted(peer) || !table.valid(peer, now)) return false;
    table.setLastTransmission(peer, now);
    if (table.steered(peer) && this.#parts.negotiation.holds(peer)) return false;
    table.countSent(peer, packets);
    if (table.steered(peer)) this.#parts.punching.send(peer, at, length, now);
    else sink.sendUdp(Socket.service, at, length, table.address(peer), table.port(peer));
    return true;
  }

  /** Case 1 of the few peers whose packets leave another way (RFC 6081), or wait for the peer's nonce. */
  #sendSteered(peer: number, at: number, length: number, now: Millis): void {
    const { punching, negotiation } = this.#parts;
    if (negotiation.holds(peer)) return negotiation.send(peer, at, length, now);
    this.#table.countSent(peer, 1);
    punching.send(peer, at, length, now);
  }

  /** Cases 2 to 5. */
  #sendUnproven(peer: number, at: number, length: number, now: Millis): void {
    const { bytes } = this.#environment.memory;
    const { entries, negotiation, localPeers, options } = this.#parts;
    const destination = at + DESTINATION_AT;
    if (!isGlobalScope(bytes, destination)) return this.#drop("bad-ipv6-destination");
    if (equalBytes(bytes, destination, this.#identity.address, 0, 16)) return this.#drop("own-address");
    if (isTeredo(bytes, destination)) {
      const address = mappedAddressAt(bytes, destination), port = mappedPortAt(bytes, destination);
      // Behind a hairpinning NAT this would come straight back.
      if (this.#identity.isOwnMapping(address, port)) return this.#drop("loop");
      if (localPeers.find(bytes, destination, now) === undefined) {
        const fault = targetFault(address, port, options.subnets) ??
          targetFault(serverAt(bytes, destination), 1, options.subnets);
        if (fault !== undefined) return this.#drop(fault);
        if (options.honourCone && isConeAt(bytes, destination)) {
          if (peer >= 0) {
            entries.table.setLastTransmission(peer, now);
            entries.table.countSent(peer, 1);
          }
          return this.#environment.sink.sendUdp(Socket.service, at, length, address, port);
        }
      }
    }
    const entry = peer >= 0 ? peer : entries.make(bytes, destination, now);
    if (entry < 0) return this.#drop("peer-table-full");
    negotiation.send(entry, at, length, now);
  }

  /** The host uses an address that is not, or not yet, or no longer ours. Its own link-local chatter deserves no answer. */
  #refuseSource(at: number, length: number, now: Millis): void {
    const { qualified } = this.#identity;
    this.#drop(qualified ? "not-own-source" : "not-qualified");
    const { bytes } = this.#environment.memory;
    if (isLinkLocal(bytes, at + SOURCE_AT) || !isGlobalScope(bytes, at + DESTINATION_AT)) return;
    const destination = addressAt(bytes, at + DESTINATION_AT);
    this.#parts.errors.unreachable(qualified ? PROHIBITED : NO_ROUTE, destination, bytes, at, length, now);
  }

  #refuseTooBig(at: number, length: number, now: Millis): void {
    this.#drop("too-big");
    const { bytes } = this.#environment.memory;
    if (isMulticast(bytes, at + DESTINATION_AT)) return;
    this.#parts.errors.packetTooBig(this.#mtu, addressAt(bytes, at + DESTINATION_AT), bytes, at, length, now);
  }

  #drop(reason: DropReason): void {
    this.#environment.counters.count(reason);
  }
}
