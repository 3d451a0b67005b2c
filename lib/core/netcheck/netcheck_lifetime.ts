/**
 * How long does the NAT keep an idle mapping? Several sockets at once ask the server, are left alone for different times, and then a bubble
 * by way of the server shows which of them can still be reached.
 *
 * ```
 *   socket 1   RS RA ── 10 s ── bubble?
 *   socket 2   RS RA ────────── 20 s ────────── bubble?         alive at 20 s, dead at 45 s: between
 *   socket 3   RS RA ─────────────────── 45 s ───────────────────── bubble?
 *   main       RS, RS, RS ... : its own mapping must live, as the bubbles come from there
 * ```
 */

import { equalBytes } from "../../wire/bytes.ts";
import { BUBBLE_HOP_LIMIT, isBubble, writeBubble } from "../../wire/bubble.ts";
import type { Datagram } from "../../wire/encapsulation.ts";
import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import { DESTINATION_AT, type Ipv6 } from "../../wire/ipv6.ts";
import { formTeredoAddress, randomFlags, TEREDO_PORT } from "../../wire/teredo_address.ts";
import type { Environment, Millis } from "../machine.ts";
import type { Inquiry } from "../qualification/inquiry.ts";
import type { LifetimeFinding } from "./netcheck_report.ts";

/** Idle times that are tried, milliseconds. Around those of real NATs; 2 minutes is the least RFC 4787 (REQ-5) allows. */
export const IDLE_TIMES: readonly Millis[] = [
  10_000,
  20_000,
  30_000,
  45_000,
  60_000,
  90_000,
  120_000,
  180_000,
  300_000,
];

/** Bubbles to each socket, and the wait after each. Ours. */
const ATTEMPTS = 3;
const WAIT: Millis = 1_000;

/** One idle socket. */
interface Sleeper {
  readonly inquiry: Inquiry;
  readonly idle: Millis;
  sent: number;
  deadline: Millis;
  ipv6: Ipv6 | undefined;
  state: "asking" | "idle" | "alive" | "dead";
  /** How long the mapping had been idle when it was found dead, milliseconds. */
  deadAfter: Millis;
}

/** The measurement. The main socket has to be kept alive by somebody else. */
export class LifetimeMeasurement {
  readonly #environment: Environment;
  readonly #server: Ipv4;
  readonly #main: { readonly socket: number; readonly mapped: () => Endpoint };
  readonly #sleepers: readonly Sleeper[];

  /**
   * @param main where bubbles are sent from, and its mapping as it is at that moment
   * @param inquiries one for each of {@link IDLE_TIMES}, on sockets that nobody else uses
   */
  constructor(
    environment: Environment,
    server: Ipv4,
    main: { readonly socket: number; readonly mapped: () => Endpoint },
    inquiries: readonly Inquiry[],
  ) {
    this.#environment = environment;
    this.#server = server;
    this.#main = main;
    this.#sleepers = inquiries.map((inquiry, i) => ({
      inquiry,
      idle: IDLE_TIMES[i],
      sent: 0,
      deadline: Infinity,
      ipv6: undefined,
      state: "asking",
      deadAfter: 0,
    }));
  }

  /** True when all is known that will be: two deaths in a row end it. */
  get over(): boolean {
    const known = this.#sleepers.filter(({ state }) => state === "alive" || state === "dead");
    const ends = known.length >= 2 && known.slice(-2).every(({ state }) => state === "dead");
    return ends || this.deadline === Infinity;
  }

  get deadline(): Millis {
    return Math.min(...this.#sleepers.map(({ deadline, inquiry }) => Math.min(deadline, inquiry.deadline)));
  }

  /** What was found; undefined when not even the first bubble came through, nor any was found dead. */
  get finding(): LifetimeFinding | undefined {
    const alive = Math.max(0, ...this.#sleepers.filter(({ state }) => state === "alive").map(({ idle }) => idle));
    const dead = this.#sleepers.filter(({ state, idle }) => state === "dead" && idle > alive).map((each) =>
      each.deadAfter
    );
    if (alive === 0 && dead.length === 0) return undefined;
    return { alive, dead: dead.length === 0 ? undefined : Math.min(...dead) };
  }

  start(now: Millis): void {
    for (const { inquiry } of this.#sleepers) inquiry.start(now);
  }

  onTimer(now: Millis): void {
    for (const sleeper of this.#sleepers) {
      sleeper.inquiry.onTimer(now);
      if (now < sleeper.deadline) continue;
      if (sleeper.sent < ATTEMPTS) this.#bubble(sleeper, now);
      else this.#declareDead(sleeper, now);
    }
  }

  /** A datagram that came to `socket`. @returns true when it was for this measurement */
  receive(socket: number, datagram: Datagram, address: Ipv4, port: number, now: Millis): boolean {
    const sleeper = this.#sleepers.find(({ inquiry }) => inquiry.question.socket === socket);
    if (sleeper === undefined) return false;
    const { bytes } = this.#environment.memory;
    if (isBubble(bytes, datagram.ipv6At)) {
      if (sleeper.ipv6 === undefined || sleeper.sent === 0 || address !== this.#server || port !== TEREDO_PORT) {
        return false;
      }
      if (!equalBytes(bytes, datagram.ipv6At + DESTINATION_AT, sleeper.ipv6, 0, 16)) return false;
      sleeper.state = "alive";
      sleeper.deadline = Infinity;
      return true;
    }
    if (!sleeper.inquiry.receive(datagram, address, port, now)) return false;
    const mapped = sleeper.inquiry.answer?.origin;
    if (sleeper.sent > 0 || mapped === undefined) return true;
    // Every answer that comes late is traffic as well: the idle time begins anew.
    sleeper.ipv6 = this.#addressOf(mapped);
    sleeper.state = "idle";
    sleeper.deadline = now + sleeper.idle;
    return true;
  }

  #bubble(sleeper: Sleeper, now: Millis): void {
    if (sleeper.ipv6 === undefined) return;
    const { memory, sink } = this.#environment;
    sleeper.sent++;
    sleeper.deadline = now + WAIT;
    const source = this.#addressOf(this.#main.mapped());
    const length = writeBubble(source, sleeper.ipv6, BUBBLE_HOP_LIMIT, memory.bytes, memory.scratch);
    sink.sendUdp(this.#main.socket, memory.scratch, length, this.#server, TEREDO_PORT);
  }

  #declareDead(sleeper: Sleeper, now: Millis): void {
    sleeper.state = "dead";
    sleeper.deadline = Infinity;
    sleeper.deadAfter = now - sleeper.inquiry.sentAt;
  }

  #addressOf(mapped: Endpoint): Ipv6 {
    const flags = randomFlags(this.#environment.random.u32() >>> 16);
    return formTeredoAddress({ server: this.#server, flags, mapped });
  }
}
