/**
 * Answers to bubbles that came through the own server, and to local discovery (RFC 4380 5.2.3, 5.2.6). They open our NAT for the sender.
 *
 * | IPv6 source | answer to |
 * |---|---|
 * | Teredo, trusted and valid entry | the entry's mapping |
 * | Teredo otherwise | the mapping embedded in it |
 * | another (a relay: link-local or native) | the origin indication |
 *
 * An answer is one direct bubble per bubble received. It is not held back by the 2 s rule, but by two limits of its own: per target
 * and in total. A received indirect bubble proves nothing about its sender and makes no peer trusted.
 *
 * The indirect answer of RFC 6081 3.1 belongs beside the direct one to an untrusted Teredo peer.
 */

import type { Datagram } from "../wire/encapsulation.ts";
import type { Ipv4 } from "../wire/ipv4.ts";
import { addressAt, SOURCE_AT } from "../wire/ipv6.ts";
import { isTeredo, mappedAddressAt, mappedPortAt } from "../wire/teredo_address.ts";
import type { Bubbles } from "./bubbles.ts";
import type { ClientOptions } from "./client_options.ts";
import type { DropReason } from "./counters.ts";
import type { Identity } from "./identity.ts";
import { SourceLimiter, TokenBucket } from "./limits.ts";
import type { Environment, Millis } from "./machine.ts";
import type { PeerEntries } from "./peer_entries.ts";
import { targetFault } from "./targets.ts";

/** Answers to one endpoint: 4 in 2 s. */
const ANSWERS_PER_TARGET = { perSecond: 2, burst: 4, slots: 1024 } as const;

/** Answers to all endpoints together, per second and at once. */
const ANSWERS_TOTAL = 500;

/** Multiplier that spreads ports over the key of the limit per target. */
const PORT_SPREAD = 0x9e3779b1;

/** Answers bubbles, within limits. */
export class BubbleAnswers {
  readonly #environment: Environment;
  readonly #options: Pick<ClientOptions, "subnets">;
  readonly #identity: Identity;
  readonly #entries: PeerEntries;
  readonly #bubbles: Bubbles;
  readonly #perTarget: SourceLimiter;
  readonly #total = new TokenBucket(ANSWERS_TOTAL, ANSWERS_TOTAL);

  constructor(
    environment: Environment,
    options: Pick<ClientOptions, "subnets">,
    identity: Identity,
    entries: PeerEntries,
    bubbles: Bubbles,
  ) {
    this.#environment = environment;
    this.#options = options;
    this.#identity = identity;
    this.#entries = entries;
    this.#bubbles = bubbles;
    this.#perTarget = new SourceLimiter({ ...ANSWERS_PER_TARGET, random: environment.random });
  }

  /**
   * Answers an indirect bubble.
   * @returns why there was no answer, or undefined
   */
  answerIndirect(datagram: Datagram, now: Millis): DropReason | undefined {
    const { bytes } = this.#environment.memory;
    const source = datagram.ipv6At + SOURCE_AT;
    if (!isTeredo(bytes, source)) {
      // Without an origin indication there is no telling where a relay is.
      if (!datagram.origin) return "unknown-peer";
      return targetFault(datagram.originAddress, datagram.originPort, this.#options.subnets) ??
        this.answer(source, datagram.originAddress, datagram.originPort, now);
    }
    const { table } = this.#entries;
    const peer = table.find(bytes, source);
    if (peer >= 0 && table.trusted(peer) && table.valid(peer, now)) {
      return this.answer(source, table.address(peer), table.port(peer), now);
    }
    const address = mappedAddressAt(bytes, source), port = mappedPortAt(bytes, source);
    if (this.#identity.isOwnMapping(address, port)) return "loop";
    return targetFault(address, port, this.#options.subnets) ?? this.answer(source, address, port, now);
  }

  /**
   * Sends a bubble for the address at `source` to an endpoint, if the limits allow.
   * @returns why not, or undefined
   */
  answer(source: number, address: Ipv4, port: number, now: Millis): DropReason | undefined {
    const { bytes } = this.#environment.memory;
    const target = (address ^ Math.imul(port, PORT_SPREAD)) >>> 0;
    if (!this.#perTarget.take(target, now) || !this.#total.take(now)) return "rate-limited";
    const destination = addressAt(bytes, source);
    this.#bubbles.direct(destination, address, port);
    if (isTeredo(destination, 0)) {
      const peer = this.#entries.make(destination, 0, now);
      if (peer >= 0) this.#entries.table.setLastTransmission(peer, now);
    }
    return undefined;
  }
}
