/**
 * Local client discovery (RFC 4380 5.2.8): clients on one link find each other by multicast, and then speak without their NAT.
 *
 * ```
 *   service port ── bubble to ff02::1, in UDP to 224.0.0.253:3544, TTL 1 ──▶ port 3544 of every client on the link
 *   the receiver notes IPv4 source and port, and answers with a bubble to them
 * ```
 *
 * A discovery bubble makes nobody trusted: anyone on the link can send one in any name. Trust follows from unicast bubbles.
 */

import { equalBytes } from "../../wire/bytes.ts";
import { isBubble } from "../../wire/bubble.ts";
import type { Datagram } from "../../wire/encapsulation.ts";
import { DISCOVERY_ADDRESS, inSubnet, type Ipv4, isDirectedBroadcast, isUnicast } from "../../wire/ipv4.ts";
import { DESTINATION_AT, SOURCE_AT } from "../../wire/ipv6.ts";
import { ALL_NODES } from "../../wire/ipv6_address.ts";
import { isWellFormedTeredo, mappedAddressAt, serverAt, TEREDO_PORT } from "../../wire/teredo_address.ts";
import type { BubbleAnswers } from "./bubble_answers.ts";
import type { Bubbles } from "./bubbles.ts";
import type { ClientOptions } from "../client/client_options.ts";
import type { DropReason } from "../counters.ts";
import type { Identity } from "../client/identity.ts";
import type { LocalPeers } from "./local_peers.ts";
import { type Environment, type Millis, uniform } from "../machine.ts";
import type { PeerEntries } from "../client/peer_entries.ts";
import { targetFault } from "../targets.ts";

/** Discovery bubbles are sent at random distances in this range (RFC 4380 5.2.8). */
const INTERVAL_MINIMUM: Millis = 200_000;
const INTERVAL_MAXIMUM: Millis = 300_000;

/** The first one comes this long after qualification at most, so that a newcomer is known before it is needed; ours. */
const FIRST_MAXIMUM: Millis = 2_000;

/** What discovery works with. */
export interface LocalDiscoveryParts {
  readonly environment: Environment;
  readonly options: Pick<ClientOptions, "localDiscovery" | "requireSameMappedAddress" | "subnets" | "localEndpoint">;
  readonly identity: Identity;
  readonly entries: PeerEntries;
  readonly localPeers: LocalPeers;
  readonly bubbles: Bubbles;
  readonly answers: BubbleAnswers;
}

/** Announces this client and listens to others. */
export class LocalDiscovery {
  readonly #parts: LocalDiscoveryParts;
  /** The next announcement. */
  #deadline: Millis = Infinity;

  constructor(parts: LocalDiscoveryParts) {
    this.#parts = parts;
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    return this.#deadline;
  }

  /** Begins: the client has just qualified. */
  start(now: Millis): void {
    if (!this.#parts.options.localDiscovery) return;
    this.#deadline = now + FIRST_MAXIMUM * uniform(this.#parts.environment.random);
  }

  stop(): void {
    this.#deadline = Infinity;
  }

  /** Announces this client when it is time. */
  onTimer(now: Millis): void {
    if (now < this.#deadline) return;
    const spread = (INTERVAL_MAXIMUM - INTERVAL_MINIMUM) * uniform(this.#parts.environment.random);
    this.#deadline = now + INTERVAL_MINIMUM + spread;
    this.#parts.bubbles.discovery();
  }

  /**
   * A datagram for the discovery socket or the discovery group.
   * @returns why it was dropped or not answered, or undefined
   */
  receive(
    datagram: Datagram,
    address: Ipv4,
    port: number,
    destination: Ipv4,
    now: Millis,
  ): DropReason | undefined {
    const { options, environment, identity, entries, localPeers, answers } = this.#parts;
    const { bytes } = environment.memory;
    const { ipv6At } = datagram;
    const source = ipv6At + SOURCE_AT;
    if (!options.localDiscovery) return "discovery-off";
    if (destination !== DISCOVERY_ADDRESS) return "bad-discovery";
    if (!isBubble(bytes, ipv6At) || !equalBytes(bytes, ipv6At + DESTINATION_AT, ALL_NODES, 0, 16)) {
      return "bad-discovery";
    }
    if (equalBytes(bytes, source, identity.address, 0, 16)) return "own-address";
    if (!isWellFormedTeredo(bytes, source)) return "bad-discovery";
    if (port === 0 || !options.subnets.some((subnet) => inSubnet(address, subnet))) return "bad-discovery";
    if (!isUnicast(address) || isDirectedBroadcast(address, options.subnets)) return "bad-discovery";
    if (targetFault(serverAt(bytes, source), TEREDO_PORT, options.subnets) !== undefined) return "bad-discovery";
    if (options.requireSameMappedAddress && mappedAddressAt(bytes, source) !== identity.mappedAddress) {
      return "bad-discovery";
    }
    const { localEndpoint } = options;
    if (address === localEndpoint.address && port === localEndpoint.port) return "loop";
    environment.counters.count("discovery_bubbles_received");
    if (entries.table.find(bytes, source) < 0) {
      const peer = entries.make(bytes, source, now);
      if (peer < 0) return "peer-table-full";
      entries.table.setLastReception(peer, now);
    }
    localPeers.learn(bytes, source, { address, port }, now);
    return answers.answer(source, address, port, now);
  }
}
