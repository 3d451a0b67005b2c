/**
 * The bubbles a client sends (RFC 4380 5.2.6, 5.2.8). Who may send one, and when, is decided elsewhere.
 *
 * ```
 *   direct     service port, or a random one ─▶ an endpoint of the peer
 *   indirect   service port ─▶ the peer's server, port 3544 ─▶ the peer
 *   discovery  service port ─▶ 224.0.0.253:3544, IPv4 TTL 1 ─▶ everybody on this link
 * ```
 *
 * Trailers of RFC 6081 (nonce, alternate addresses, random port) stand behind the 40 octets.
 */

import { BUBBLE_HOP_LIMIT, writeBubble } from "../../wire/bubble.ts";
import { DISCOVERY_ADDRESS, type Ipv4 } from "../../wire/ipv4.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import { ALL_NODES } from "../../wire/ipv6_address.ts";
import { serverAt, TEREDO_PORT } from "../../wire/teredo_address.ts";
import { type Trailer, writeTrailers } from "../../wire/trailers.ts";
import type { Identity } from "../client/identity.ts";
import { type Environment, Socket } from "../machine.ts";

const NO_TRAILERS: readonly Trailer[] = [];

/** Hop limit of discovery bubbles (RFC 4380 5.2.8). */
const DISCOVERY_HOP_LIMIT = 1;

/** Writes and sends bubbles from the own address. */
export class Bubbles {
  readonly #environment: Environment;
  readonly #identity: Identity;

  constructor(environment: Environment, identity: Identity) {
    this.#environment = environment;
    this.#identity = identity;
  }

  /**
   * Sends a bubble for `destination` straight to `address`:`port`.
   * @param socket from where: the service port, or a random port (RFC 6081 5.4)
   */
  direct(
    destination: Ipv6,
    address: Ipv4,
    port: number,
    trailers: readonly Trailer[] = NO_TRAILERS,
    socket: number = Socket.service,
  ): void {
    this.#environment.counters.count("direct_bubbles_sent");
    this.#send(destination, BUBBLE_HOP_LIMIT, address, port, trailers, socket);
  }

  /** Sends a bubble for the Teredo address `destination` through its server. */
  indirect(destination: Ipv6, trailers: readonly Trailer[] = NO_TRAILERS): void {
    this.#environment.counters.count("indirect_bubbles_sent");
    this.#send(destination, BUBBLE_HOP_LIMIT, serverAt(destination, 0), TEREDO_PORT, trailers, Socket.service);
  }

  /** Sends a bubble for the Teredo address `destination` through its server, from another IPv6 address than our own. */
  challenge(destination: Ipv6, source: Ipv6, trailers: readonly Trailer[]): void {
    this.#environment.counters.count("indirect_bubbles_sent");
    const server = serverAt(destination, 0);
    this.#send(destination, BUBBLE_HOP_LIMIT, server, TEREDO_PORT, trailers, Socket.service, source);
  }

  /** Announces this client on the link. */
  discovery(): void {
    this.#environment.counters.count("discovery_bubbles_sent");
    this.#send(ALL_NODES, DISCOVERY_HOP_LIMIT, DISCOVERY_ADDRESS, TEREDO_PORT, NO_TRAILERS, Socket.service);
  }

  #send(
    destination: Ipv6,
    hopLimit: number,
    address: Ipv4,
    port: number,
    trailers: readonly Trailer[],
    socket: number,
    source: Ipv6 = this.#identity.address,
  ): void {
    const { memory, sink } = this.#environment;
    const length = writeBubble(source, destination, hopLimit, memory.bytes, memory.scratch);
    const trailing = writeTrailers(trailers, memory.bytes, memory.scratch + length);
    sink.sendUdp(socket, memory.scratch, length + trailing, address, port);
  }
}
