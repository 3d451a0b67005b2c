/**
 * Meeting at a relay: the answering side. Where no direct way leads to a Teredo peer, it sends an echo request through our server; we
 * answer over a relay that we know, and the relay passes the answer on because both of us have answered its bubbles.
 *
 * ```
 *   peer ─ echo request, nonce ─▶ our server ─▶ we
 *   peer ◀── relay ◀─────────────────────────── we     the nonce proves to the peer that this relay leads to us
 * ```
 *
 * The relay is the configured one, else the one through which a native node answered last, else a test towards a native node finds one.
 * Only packets from such relays can make us prove a Teredo peer in turn.
 */

import type { Datagram } from "../../wire/encapsulation.ts";
import { BUBBLE_HOP_LIMIT } from "../../wire/bubble.ts";
import { type Echo, ICMPV6_ECHO_REQUEST, icmpv6Type, parseEcho, writeEcho } from "../../wire/icmpv6.ts";
import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import { isTeredo, mappedAddressAt } from "../../wire/teredo_address.ts";
import type { TraversalOptions } from "./client_options.ts";
import type { DropReason } from "../counters.ts";
import type { Identity } from "./identity.ts";
import { SourceLimiter, TokenBucket } from "../limits.ts";
import { type Environment, type Millis, Socket } from "../machine.ts";

/** Echo requests of one IPv4 address that are answered: 4 in 2 s, as many as one attempt has. */
const ANSWERS_PER_SOURCE = { perSecond: 2, burst: 8, slots: 256 } as const;

/** Echo requests that are answered in all, per second. */
const ANSWERS_TOTAL = 50;

/** Relays that are remembered. */
const MOST_RELAYS = 8;

/** A relay is tried for so long after a native node answered through it. */
const RELAY_LIFETIME: Millis = 600_000;

/** Requests that wait for a relay to be found, and how long: their sender repeats them every 2 s. */
const MOST_WAITING = 8;
const WAITING_LIFETIME: Millis = 2_000;

/** After so long it is looked for anew, where we know whom to ask. */
const RELAY_FRESH: Millis = 60_000;

/** Knows relays, and answers over them. */
export class RelayPaths {
  readonly #environment: Environment;
  readonly #options: TraversalOptions;
  readonly #identity: Identity;
  readonly #probe: (now: Millis) => void;
  readonly #perSource: SourceLimiter;
  readonly #total = new TokenBucket(ANSWERS_TOTAL, ANSWERS_TOTAL);
  /** Requests that came before a relay was found. */
  #waiting: { readonly request: Echo; readonly since: Millis }[] = [];
  /** The last one is the newest. */
  #relays: readonly { readonly endpoint: Endpoint; readonly heard: Millis }[] = [];

  /** @param probe tests the way to the native node of `relayProbe` */
  constructor(
    environment: Environment,
    options: TraversalOptions,
    identity: Identity,
    probe: (now: Millis) => void,
  ) {
    this.#environment = environment;
    this.#options = options;
    this.#identity = identity;
    this.#probe = probe;
    this.#perSource = new SourceLimiter({ ...ANSWERS_PER_SOURCE, random: environment.random });
  }

  /** A native node answered through the relay at `address`:`port`. */
  remember(address: Ipv4, port: number, now: Millis): void {
    if (!this.#options.relayPaths) return;
    const others = this.#relays.filter(({ endpoint }) => endpoint.address !== address || endpoint.port !== port);
    this.#relays = [...others, { endpoint: { address, port }, heard: now }].slice(-MOST_RELAYS);
    const { counters } = this.#environment;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { request, since } of waiting) {
      if (now - since >= WAITING_LIFETIME) {
        counters.count("expired-in-queue");
        continue;
      }
      counters.count("packets_flushed");
      this.#reply(request, { address, port });
    }
  }

  /** Whether packets of Teredo peers may come from there. */
  isKnown(address: Ipv4, port: number): boolean {
    const { relayPaths, relay } = this.#options;
    if (!relayPaths) return false;
    if (relay?.address === address && relay.port === port) return true;
    return this.#relays.some(({ endpoint }) => endpoint.address === address && endpoint.port === port);
  }

  /** Whether a packet is for {@link answer}: an echo request of a Teredo peer by way of our server. */
  isRequest(bytes: Uint8Array, datagram: Datagram): boolean {
    return this.#options.relayPaths && icmpv6Type(bytes, datagram.ipv6At) === ICMPV6_ECHO_REQUEST;
  }

  /**
   * Answers an echo request of a Teredo peer that came through our server.
   * @param reached the relay over which we reach the peer already
   * @returns why not, or undefined
   */
  answer(datagram: Datagram, reached: Endpoint | undefined, now: Millis): DropReason | undefined {
    const { memory } = this.#environment;
    const request = parseEcho(memory.bytes, datagram.ipv6At, datagram.ipv6Length);
    if (request === undefined || request.reply || !isTeredo(request.source, 0)) return "malformed";
    if (!this.#perSource.take(mappedAddressAt(request.source, 0), now) || !this.#total.take(now)) return "rate-limited";
    const relay = reached ?? this.#current(now);
    if (relay !== undefined) this.#reply(request, relay);
    else if (this.#options.relayProbe === undefined) return "unproven-peer";
    else this.#wait(request, now);
    return undefined;
  }

  /** Keeps a request until a relay is found; the oldest gives way. */
  #wait(request: Echo, now: Millis): void {
    const { counters } = this.#environment;
    counters.count("packets_queued");
    this.#waiting.push({ request, since: now });
    if (this.#waiting.length <= MOST_WAITING) return;
    this.#waiting.shift();
    counters.count("queue-full");
  }

  /** Forgets the relays that were found: the own address is another. */
  clear(): void {
    this.#relays = [];
    this.#waiting = [];
  }

  #reply(request: Echo, relay: Endpoint): void {
    const { memory, sink } = this.#environment;
    const reply = {
      ...request,
      source: this.#identity.address,
      destination: request.source,
      hopLimit: BUBBLE_HOP_LIMIT,
      reply: true,
    };
    const length = writeEcho(reply, memory.bytes, memory.scratch);
    sink.sendUdp(Socket.service, memory.scratch, length, relay.address, relay.port);
  }

  /** The relay to answer over; a search is begun where that helps. */
  #current(now: Millis): Endpoint | undefined {
    if (this.#options.relay !== undefined) return this.#options.relay;
    const newest = this.#relays.at(-1);
    if (newest === undefined || now - newest.heard >= RELAY_FRESH) this.#probe(now);
    return newest !== undefined && now - newest.heard < RELAY_LIFETIME ? newest.endpoint : undefined;
  }
}
