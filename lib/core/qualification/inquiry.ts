/**
 * One question of a network check: how does this address of a server see that socket of ours? A router solicitation, repeated a few times.
 *
 * ```
 *   0      0.5 s      1.5 s            3 s                   4.5 s
 *   RS      RS         RS              RS                    silent
 *   └──────────┴──────────┴── RA to any of them: answered ────┘
 * ```
 */

import type { Datagram } from "../../wire/encapsulation.ts";
import type { Ipv4, Ipv4Subnet } from "../../wire/ipv4.ts";
import type { DropReason } from "../counters.ts";
import type { Environment, Millis } from "../machine.ts";
import { type Answer, type Credentials, Solicitor } from "./solicitor.ts";

/** Waits after each solicitation; the answer to an earlier one counts too, so that a long round trip is no loss. Ours. */
const WAITS: readonly Millis[] = [500, 1_000, 1_500, 1_500];

/** Who is asked by whom. */
export interface Question {
  readonly socket: number;
  /** Address asked. */
  readonly target: Ipv4;
  /** Primary address of the server, which stands in the prefix it advertises. */
  readonly server: Ipv4;
  /** With the cone bit: the answer comes from the server's other address, if anything lets it in (RFC 4380 5.2.1). */
  readonly cone: boolean;
}

/** A question, its repetitions, and the answer. */
export class Inquiry {
  readonly question: Question;
  readonly #solicitor: Solicitor;
  #sent = 0;
  #deadline: Millis = Infinity;
  #sentAt: Millis = -Infinity;
  #answer: Answer | undefined;
  #answeredAt: Millis = Infinity;
  #invalid: DropReason | undefined;

  constructor(
    question: Question,
    environment: Environment,
    credentials: Credentials | undefined,
    subnets: readonly Ipv4Subnet[],
  ) {
    this.question = question;
    this.#solicitor = new Solicitor(environment, question.socket, credentials, subnets);
  }

  /** The first valid answer; undefined while there is none. */
  get answer(): Answer | undefined {
    return this.#answer;
  }

  /** When the answer came. */
  get answeredAt(): Millis {
    return this.#answeredAt;
  }

  /** When the last solicitation left. */
  get sentAt(): Millis {
    return this.#sentAt;
  }

  get roundTrip(): Millis | undefined {
    return this.#answer === undefined ? undefined : this.#solicitor.roundTrip;
  }

  /** Why an answer that came did not count; undefined when none came, or a good one. */
  get invalid(): DropReason | undefined {
    return this.#answer === undefined ? this.#invalid : undefined;
  }

  /** True when it is answered, or nobody answered any of the repetitions. */
  get over(): boolean {
    return this.#answer !== undefined || this.#deadline === Infinity;
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    return this.over ? Infinity : this.#deadline;
  }

  /** Asks for the first time. */
  start(now: Millis): void {
    const { target, server, cone } = this.question;
    this.#solicitor.begin(target, server, cone);
    this.#ask(now);
  }

  /** Asks again, or gives up, when that is due. */
  onTimer(now: Millis): void {
    if (now < this.deadline) return;
    if (this.#sent < WAITS.length) this.#ask(now);
    else this.#deadline = Infinity;
  }

  /** No answer is waited for any longer. */
  giveUp(): void {
    this.#deadline = Infinity;
  }

  /**
   * Takes in a router advertisement that came to the socket of the question, even a late one.
   * @returns true when it was the answer
   */
  receive(datagram: Datagram, address: Ipv4, port: number, now: Millis): boolean {
    const { target, cone } = this.question;
    // The question with the cone bit is about the other address; from the one that was asked the answer tells nothing.
    if (cone === (address === target)) return false;
    const answer = this.#solicitor.read(datagram, address, port, now);
    if (typeof answer === "string") {
      if (answer !== "bad-nonce") this.#invalid = answer;
      return false;
    }
    if (this.#answer !== undefined) return true;
    this.#answer = answer;
    this.#answeredAt = now;
    return true;
  }

  #ask(now: Millis): void {
    this.#deadline = now + WAITS[this.#sent++];
    this.#sentAt = now;
    this.#solicitor.solicit(now);
  }
}
