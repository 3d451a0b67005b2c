/**
 * Qualification: which address do we have, and what kind of NAT is before us (RFC 4380 5.2.1 with RFC 5991 3.2).
 *
 * ```
 *            RA: cone NAT                          RA: M1            RA: M2
 *   [cone] ───────────────▶ done         [primary] ─────▶ [secondary] ─────▶ M1 == M2: done
 *      │ N silent                           ▲   │ N silent     │ N silent    M1 != M2: symmetric NAT, done or failed
 *      └────────────────────────────────────┘   ▼              ▼
 *   (legacy, by option)                      failed         failed
 * ```
 *
 * N = 3 solicitations, T = 4 s apart, in each phase. Without a secondary address the primary's answer is all there is. An invalid
 * advertisement is as good as none: the wait goes on. A valid one that comes after the phase has failed is used nevertheless, and
 * after the primary phase the client may ask on for it.
 */

import type { Datagram } from "../../wire/encapsulation.ts";
import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import type { ClientOptions, QualificationPhase, ServerAddresses } from "../client/client_options.ts";
import type { DropReason } from "../counters.ts";
import type { OfflineReason } from "../events.ts";
import type { Millis } from "../machine.ts";
import type { Answer, Solicitor } from "./solicitor.ts";

/** What a step of a qualification came to. */
export type QualificationResult =
  /** Going on: nothing to tell. */
  | { readonly kind: "pending" }
  /** An advertisement that does not count. */
  | { readonly kind: "invalid"; readonly reason: DropReason }
  | { readonly kind: "failed"; readonly reason: OfflineReason }
  | {
    readonly kind: "done";
    readonly server: Ipv4;
    readonly mapped: Endpoint;
    /** What the secondary address saw, where it was asked. */
    readonly second: Endpoint | undefined;
    readonly mtu: number | undefined;
    readonly cone: boolean;
    readonly symmetric: boolean;
    readonly keyExpired: boolean;
  };

/** The options that matter here. */
export type QualificationOptions = Pick<
  ClientOptions,
  "solicitationTimeout" | "solicitationAttempts" | "conePhase" | "symmetricNatSupport"
>;

type Stage =
  | { readonly kind: "idle" }
  | {
    readonly kind: "asking";
    readonly phase: QualificationPhase;
    readonly server: ServerAddresses;
    /** The primary's answer, once it came. */
    readonly first: Answer | undefined;
    /** Solicitations sent in this phase. */
    readonly sent: number;
    /** Next solicitation, or the end of the phase; `Infinity` once it has failed and only a late answer can help. */
    readonly deadline: Millis;
  };

const IDLE: Stage = { kind: "idle" };
const PENDING: QualificationResult = { kind: "pending" };

/** One run of the procedure, on the socket of the solicitor it is given. */
export class Qualification {
  readonly #options: QualificationOptions;
  readonly #solicitor: Solicitor;
  #stage: Stage = IDLE;

  constructor(options: QualificationOptions, solicitor: Solicitor) {
    this.#options = options;
    this.#solicitor = solicitor;
  }

  /** The present phase; undefined when nothing is asked. */
  get phase(): QualificationPhase | undefined {
    return this.#stage.kind === "asking" ? this.#stage.phase : undefined;
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    return this.#stage.kind === "asking" ? this.#stage.deadline : Infinity;
  }

  /** Begins, whatever was going on before. */
  start(server: ServerAddresses, now: Millis): void {
    this.#enter(this.#options.conePhase ? "cone" : "primary", server, undefined, now);
  }

  /** Ends without result. */
  stop(): void {
    this.#stage = IDLE;
    this.#solicitor.end();
  }

  /** Repeats a solicitation or ends a phase, when that is due. */
  onTimer(now: Millis): QualificationResult {
    const stage = this.#stage;
    if (stage.kind === "idle" || now < stage.deadline) return PENDING;
    if (stage.sent < this.#options.solicitationAttempts) {
      this.#stage = { ...stage, sent: stage.sent + 1, deadline: now + this.#options.solicitationTimeout };
      this.#solicitor.solicit(now);
      return PENDING;
    }
    switch (stage.phase) {
      case "cone":
        this.#enter("primary", stage.server, undefined, now);
        return PENDING;
      case "primary":
        this.#stage = { ...stage, deadline: Infinity };
        return { kind: "failed", reason: "no-answer-primary" };
      case "secondary":
        this.#stage = { ...stage, deadline: Infinity };
        return { kind: "failed", reason: "no-answer-secondary" };
    }
  }

  /** Asks once more after the primary phase has failed. @returns false when that is no use: the procedure has to begin anew */
  askOn(now: Millis): boolean {
    const stage = this.#stage;
    if (stage.kind === "idle" || stage.phase !== "primary" || stage.deadline !== Infinity) return false;
    if (this.#options.conePhase) return false; // the kind of NAT is asked for first
    this.#solicitor.solicit(now);
    return true;
  }

  /** Takes in a router advertisement; parameters as {@link Solicitor.read}. */
  onAdvertisement(datagram: Datagram, address: Ipv4, port: number, now: Millis): QualificationResult {
    const stage = this.#stage;
    const answer = this.#solicitor.read(datagram, address, port, now);
    if (typeof answer === "string") return { kind: "invalid", reason: answer };
    if (stage.kind === "idle") return { kind: "invalid", reason: "bad-nonce" };
    const { server } = stage;
    switch (stage.phase) {
      case "cone":
        return this.#done(server, answer, true, undefined);
      case "primary":
        if (server.secondary === undefined) return this.#done(server, answer, false, undefined);
        this.#enter("secondary", server, answer, now);
        return PENDING;
      case "secondary": {
        const first = stage.first ?? answer;
        if (sameEndpoint(first.origin, answer.origin) || this.#options.symmetricNatSupport) {
          const keyExpired = first.keyExpired || answer.keyExpired;
          return this.#done(server, { ...first, keyExpired }, false, answer.origin);
        }
        this.stop();
        return { kind: "failed", reason: "symmetric-nat" };
      }
    }
  }

  #enter(phase: QualificationPhase, server: ServerAddresses, first: Answer | undefined, now: Millis): void {
    const target = phase === "secondary" ? server.secondary ?? server.primary : server.primary;
    this.#solicitor.begin(target, server.primary, phase === "cone");
    this.#stage = { kind: "asking", phase, server, first, sent: 1, deadline: now + this.#options.solicitationTimeout };
    this.#solicitor.solicit(now);
  }

  #done(server: ServerAddresses, answer: Answer, cone: boolean, second: Endpoint | undefined): QualificationResult {
    this.stop();
    const { origin, mtu, keyExpired } = answer;
    const symmetric = second !== undefined && !sameEndpoint(origin, second);
    return { kind: "done", server: server.primary, mapped: origin, second, mtu, cone, symmetric, keyExpired };
  }
}

function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}
