/**
 * Answers to bubbles that came through the own server, and to local discovery (RFC 4380 5.2.3, 5.2.6). They open our NAT for the sender.
 *
 * | IPv6 source | answer to |
 * |---|---|
 * | Teredo, reached | the entry's mapping |
 * | Teredo otherwise | the mapping in its address, and wherever else hole punching finds it worth trying |
 * | another (a relay: link-local or native) | the origin indication |
 *
 * An answer is one direct bubble per bubble received. It is not held back by the 2 s rule, but by two limits of its own: per target
 * and in total. A received indirect bubble proves nothing about its sender and makes no peer trusted.
 *
 * A Teredo peer that is not reached gets an indirect bubble back as well (RFC 6081 3.1), under the rules for those that we begin with.
 */

import type { Datagram } from "../../wire/encapsulation.ts";
import type { Ipv4 } from "../../wire/ipv4.ts";
import { addressAt, SOURCE_AT } from "../../wire/ipv6.ts";
import { isTeredo, mappedAddressAt, mappedPortAt, serverAt, TEREDO_PORT } from "../../wire/teredo_address.ts";
import type { Trailers } from "../../wire/trailers.ts";
import type { Bubbles } from "./bubbles.ts";
import type { ClientOptions } from "../client/client_options.ts";
import type { DropReason } from "../counters.ts";
import type { HolePunching } from "./hole_punching.ts";
import type { Identity } from "../client/identity.ts";
import { SourceLimiter, TokenBucket } from "../limits.ts";
import type { Environment, Millis } from "../machine.ts";
import type { Negotiation } from "../client/negotiation.ts";
import type { PeerEntries } from "../client/peer_entries.ts";
import { targetFault } from "../targets.ts";
import type { Traversals } from "./traversal.ts";

/** Answers to one endpoint: 4 in 2 s. */
const ANSWERS_PER_TARGET = { perSecond: 2, burst: 4, slots: 1024 } as const;

/** Answers to all endpoints together, per second and at once. */
const ANSWERS_TOTAL = 500;

/** Multiplier that spreads ports over the key of the limit per target. */
const PORT_SPREAD = 0x9e3779b1;

/** What the answers work with. */
export interface BubbleAnswersParts {
  readonly environment: Environment;
  readonly options: Pick<ClientOptions, "subnets" | "traversal">;
  readonly identity: Identity;
  readonly entries: PeerEntries;
  readonly bubbles: Bubbles;
  readonly traversals: Traversals;
  readonly punching: HolePunching;
  readonly negotiation: Negotiation;
}

/** Answers bubbles, within limits. */
export class BubbleAnswers {
  readonly #parts: BubbleAnswersParts;
  readonly #perTarget: SourceLimiter;
  readonly #total = new TokenBucket(ANSWERS_TOTAL, ANSWERS_TOTAL);

  constructor(parts: BubbleAnswersParts) {
    this.#parts = parts;
    this.#perTarget = new SourceLimiter({ ...ANSWERS_PER_TARGET, random: parts.environment.random });
  }

  /**
   * Answers an indirect bubble.
   * @returns why there was no answer, or undefined
   */
  answerIndirect(datagram: Datagram, trailers: Trailers, now: Millis): DropReason | undefined {
    const { environment, options } = this.#parts;
    const { bytes } = environment.memory;
    const source = datagram.ipv6At + SOURCE_AT;
    if (isTeredo(bytes, source)) return this.#answerTeredo(source, trailers, now);
    // Without an origin indication there is no telling where a relay is.
    if (!datagram.origin) return "unknown-peer";
    return targetFault(datagram.originAddress, datagram.originPort, options.subnets) ??
      this.answer(source, datagram.originAddress, datagram.originPort, now);
  }

  /**
   * Sends a bubble for the address at `source` to an endpoint, if the limits allow.
   * @returns why not, or undefined
   */
  answer(source: number, address: Ipv4, port: number, now: Millis): DropReason | undefined {
    const { environment, bubbles, entries, identity } = this.#parts;
    if (identity.isOwnMapping(address, port)) return "loop";
    if (!this.#mayAnswer(address, port, now)) return "rate-limited";
    const destination = addressAt(environment.memory.bytes, source);
    bubbles.direct(destination, address, port);
    if (isTeredo(destination, 0)) {
      const peer = entries.make(destination, 0, now);
      if (peer >= 0) entries.table.setLastTransmission(peer, now);
    }
    return undefined;
  }

  /** A solicitation came straight from a peer that is reached: the advertisement goes back (RFC 6081 5.7.4.2). */
  advertise(peer: number, now: Millis): DropReason | undefined {
    const { entries, traversals, punching } = this.#parts;
    if (!this.#mayAnswer(entries.table.address(peer), entries.table.port(peer), now)) return "rate-limited";
    punching.reached(traversals.of(peer), now, "advertisement");
    return undefined;
  }

  #answerTeredo(source: number, trailers: Trailers, now: Millis): DropReason | undefined {
    const { environment, options, identity, entries, traversals, negotiation } = this.#parts;
    const { bytes } = environment.memory;
    const { table } = entries;
    if (trailers.alternateMalformed === true && options.traversal.hairpinning) return "malformed";
    const known = table.find(bytes, source);
    if (known >= 0 && table.trusted(known) && table.valid(known, now) && traversals.find(known)?.viaRelay !== true) {
      if (!this.#mayAnswer(table.address(known), table.port(known), now)) return "rate-limited";
      negotiation.respondReached(known, trailers, now);
      return undefined;
    }
    const address = mappedAddressAt(bytes, source), port = mappedPortAt(bytes, source);
    if (identity.isOwnMapping(address, port)) return "loop";
    const fault = targetFault(address, port, options.subnets) ??
      targetFault(serverAt(bytes, source), TEREDO_PORT, options.subnets);
    if (fault !== undefined) return fault;
    const peer = entries.make(bytes, source, now);
    if (peer < 0) return this.answer(source, address, port, now);
    if (!this.#mayAnswer(address, port, now)) return "rate-limited";
    negotiation.respond(peer, trailers, now);
    return undefined;
  }

  #mayAnswer(address: Ipv4, port: number, now: Millis): boolean {
    return this.#perTarget.take((address ^ Math.imul(port, PORT_SPREAD)) >>> 0, now) && this.#total.take(now);
  }
}
