/**
 * Maintenance of a qualified client's mapping (RFC 4380 5.2.5, RFC 6081 5.1.1).
 *
 * ```
 *              75-100 % of the refresh interval without a packet from the server
 *   [waiting] ──────────────────────────────────────────────────────────────────▶ [asking]
 *      ▲ ▲        RA with the same mapping; or N silent, but other packets came       │
 *      │ └───────────────────────────────────────────────────────────────────────────┤
 *   packet from server:3544                     RA with another mapping: changed      │
 *                                               N silent: lost                        ▼
 * ```
 *
 * The exchange stays open after an answer was overdue, so that a late one still shows the mapping. After an answer the interval runs
 * from its question on; behind a symmetric NAT nothing but an answer puts the next question off.
 */

import type { Datagram } from "../../wire/encapsulation.ts";
import type { Ipv4 } from "../../wire/ipv4.ts";
import type { ClientOptions } from "../client/client_options.ts";
import type { DropReason } from "../counters.ts";
import type { Identity } from "../client/identity.ts";
import { type Millis, type Random, uniform } from "../machine.ts";
import type { Answer, Solicitor } from "./solicitor.ts";

/**
 * Parts of the refresh interval between which a randomised one lies (RFC 4380 5.2: 75 to 100 %). The last hundredth is left to lines that
 * are now slower, now faster: a NAT that forgets after the whole interval must see the question before.
 */
const LEAST_PART = 0.75, MOST_PART = 0.99;

/** Least part that is left after an answer, however long it took; ours. */
const LEAST_PAUSE_PART = 0.5;

/** The options that matter here. */
export type MaintenanceOptions = Pick<ClientOptions, "maintenanceTimeout" | "solicitationAttempts">;

/** What an advertisement came to. */
export type MaintenanceResult =
  | { readonly kind: "same"; readonly answer: Answer }
  | { readonly kind: "changed"; readonly answer: Answer; readonly elapsed: Millis }
  | { readonly kind: "invalid"; readonly reason: DropReason };

/** Keeps the mapping of the service port alive and watches it. */
export class Maintenance {
  /** Present refresh interval. */
  refreshInterval: Millis;

  readonly #options: MaintenanceOptions;
  readonly #solicitor: Solicitor;
  readonly #identity: Identity;
  readonly #random: Random;
  /** Next moment to act; `Infinity` while not qualified. */
  #deadline: Millis = Infinity;
  /** Solicitations sent since the server was last heard in time; 0 while waiting. */
  #sent = 0;
  #askedSince: Millis = 0;
  #lastHeard: Millis = 0;

  constructor(
    options: MaintenanceOptions,
    refreshInterval: Millis,
    solicitor: Solicitor,
    identity: Identity,
    random: Random,
  ) {
    this.#options = options;
    this.refreshInterval = refreshInterval;
    this.#solicitor = solicitor;
    this.#identity = identity;
    this.#random = random;
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    return this.#deadline;
  }

  /** When the server was last heard. */
  get lastHeard(): Millis {
    return this.#lastHeard;
  }

  /** Begins: the client has just qualified. */
  start(now: Millis): void {
    this.#wait(now);
  }

  stop(): void {
    this.#deadline = Infinity;
    this.#sent = 0;
  }

  /** A packet of any kind came from the server's primary address, port 3544. */
  heard(now: Millis): void {
    this.#lastHeard = now;
    // A symmetric NAT has a mapping for the server alone, and need not keep it for what only comes in (RFC 4787 4.3).
    if (this.#identity.symmetric) return;
    // While asking, only the answer shows the mapping: the questions go on.
    if (this.#sent === 0 && this.#deadline !== Infinity) this.#deadline = now + this.#randomised();
  }

  /** Asks the server when it is time. @returns true when it is lost */
  onTimer(now: Millis): boolean {
    if (now < this.#deadline) return false;
    if (this.#sent === 0) {
      this.#askedSince = now;
      const { server, cone } = this.#identity;
      this.#solicitor.begin(server, server, cone);
    } else if (this.#sent >= this.#options.solicitationAttempts) {
      if (this.#lastHeard <= this.#askedSince) return true;
      this.#wait(now);
      return false;
    }
    this.#sent++;
    this.#deadline = now + this.#options.maintenanceTimeout;
    this.#solicitor.solicit(now);
    return false;
  }

  /** Takes in a router advertisement; parameters as {@link Solicitor.read}. */
  onAdvertisement(datagram: Datagram, address: Ipv4, port: number, now: Millis): MaintenanceResult {
    const answer = this.#solicitor.read(datagram, address, port, now);
    if (typeof answer === "string") return { kind: "invalid", reason: answer };
    this.#solicitor.end();
    const elapsed = now - this.#askedSince;
    this.#wait(now);
    const same = this.#identity.isOwnMapping(answer.origin.address, answer.origin.port);
    return same ? { kind: "same", answer } : { kind: "changed", answer, elapsed };
  }

  /** The NAT's time runs since the question, not since its answer. */
  #wait(now: Millis): void {
    this.#sent = 0;
    this.#lastHeard = now;
    const soonest = now + LEAST_PAUSE_PART * this.refreshInterval;
    this.#deadline = Math.max(soonest, this.#solicitor.primaryAskedAt + this.#randomised());
  }

  #randomised(): Millis {
    return this.refreshInterval * (LEAST_PART + (MOST_PART - LEAST_PART) * uniform(this.#random));
  }
}
