/**
 * Interval determination (RFC 4380 5.2.7): how long does the NAT keep an idle mapping? A second UDP port is left alone for longer and
 * longer, and a bubble through the server shows whether it can still be reached.
 *
 * ```
 *   [qualifying] ─▶ [idle for candidate] ─▶ [probing: bubble, 2 s, 3 repeats] ─┬─ heard:  refresh = candidate
 *        │                   ▲                                                └─ silent: maximum = candidate
 *        │ fails             │   refresh < 75 % of maximum: next candidate         │
 *        ▼                   └──────────── [refreshing: RS, RA] ◀──────────────────┤
 *       end ◀──────────────────────────────── refresh >= 75 % of maximum ──────────┘
 * ```
 *
 * candidate after success: min(2 refresh, (refresh + maximum) / 2); after failure: (refresh + maximum) / 2. The second port serves
 * nothing else and is closed at the end.
 */

import { equalBytes } from "../../wire/bytes.ts";
import { BUBBLE_HOP_LIMIT, isBubble, writeBubble } from "../../wire/bubble.ts";
import { Datagram } from "../../wire/encapsulation.ts";
import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import { DESTINATION_AT, type Ipv6, SOURCE_AT } from "../../wire/ipv6.ts";
import { formTeredoAddress, randomFlags, TEREDO_PORT } from "../../wire/teredo_address.ts";
import type { ClientOptions, ServerAddresses } from "../client/client_options.ts";
import type { DropReason } from "../counters.ts";
import type { Identity } from "../client/identity.ts";
import { type Environment, type Millis, Socket } from "../machine.ts";
import { Qualification, type QualificationResult } from "./qualification.ts";
import { type Credentials, isAdvertisement, Solicitor } from "./solicitor.ts";

/** The second port's socket. */
export const INTERVAL_SOCKET = Socket.extra;

/** Largest interval tried (RFC 4380 5.2.7). */
const MAXIMUM: Millis = 120_000;

/** Wait for a bubble, and sends per candidate: one and three repeats (RFC 4380 5.2.7). */
const PROBE_WAIT: Millis = 2_000;
const PROBES = 4;

/** The search ends when the interval known to work is this part of the one known not to. */
const CLOSE_ENOUGH = 0.75;

type Stage =
  | { readonly kind: "off" }
  /** Also while refreshing: a qualification on the second port finds its mapping, or finds that again. */
  | { readonly kind: "qualifying" }
  | { readonly kind: "idle"; readonly address: Ipv6; readonly deadline: Millis }
  | { readonly kind: "probing"; readonly address: Ipv6; readonly sent: number; readonly deadline: Millis };

const OFF: Stage = { kind: "off" };

/** The procedure, run once after each qualification. */
export class IntervalDetermination {
  readonly #environment: Environment;
  readonly #options: ClientOptions;
  readonly #identity: Identity;
  readonly #onInterval: (interval: Millis) => void;
  readonly #qualification: Qualification;
  readonly #datagram = new Datagram();
  #stage: Stage = OFF;
  #server: ServerAddresses | undefined;
  #refresh: Millis = 0;
  #maximum: Millis = 0;
  #candidate: Millis = 0;

  /** @param onInterval called with each longer interval that was found to work */
  constructor(
    environment: Environment,
    options: ClientOptions,
    identity: Identity,
    credentials: Credentials | undefined,
    onInterval: (interval: Millis) => void,
  ) {
    this.#environment = environment;
    this.#options = options;
    this.#identity = identity;
    this.#onInterval = onInterval;
    const solicitor = new Solicitor(environment, INTERVAL_SOCKET, credentials, options.subnets);
    this.#qualification = new Qualification({ ...options, conePhase: false }, solicitor);
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    const stage = this.#stage;
    if (stage.kind === "qualifying") return this.#qualification.deadline;
    return stage.kind === "off" ? Infinity : stage.deadline;
  }

  /** Begins: the client has just qualified with `server` on its service port. */
  start(server: ServerAddresses, now: Millis): void {
    this.stop();
    const refresh = this.#options.refreshInterval;
    if (!this.#options.intervalDetermination || refresh >= CLOSE_ENOUGH * MAXIMUM) return;
    if (this.#environment.sink.openSocket(INTERVAL_SOCKET) === 0) return;
    this.#server = server;
    this.#refresh = refresh;
    this.#maximum = MAXIMUM;
    this.#candidate = Math.min(2 * refresh, (refresh + MAXIMUM) / 2);
    this.#stage = { kind: "qualifying" };
    this.#qualification.start(server, now);
  }

  /** Ends the procedure and closes the second port. */
  stop(): void {
    if (this.#stage.kind === "off") return;
    this.#stage = OFF;
    this.#qualification.stop();
    this.#environment.sink.closeSocket(INTERVAL_SOCKET);
  }

  /** Takes the next step when it is time. */
  onTimer(now: Millis): void {
    const stage = this.#stage;
    if (now < this.deadline) return;
    switch (stage.kind) {
      case "off":
        return;
      case "qualifying":
        this.#onQualification(this.#qualification.onTimer(now), now);
        return;
      case "idle":
        this.#probe(stage.address, 1, now);
        return;
      case "probing":
        if (stage.sent < PROBES) this.#probe(stage.address, stage.sent + 1, now);
        else this.#onOutcome(false, now);
        return;
    }
  }

  /** A datagram on the second port; parameters as `Machine.fromUdp`. @returns why it was dropped, or undefined */
  receive(at: number, length: number, address: Ipv4, port: number, now: Millis): DropReason | undefined {
    const { bytes } = this.#environment.memory;
    const datagram = this.#datagram;
    if (!datagram.decode(bytes, at, length)) return "malformed";
    const stage = this.#stage;
    if (isAdvertisement(bytes, datagram)) {
      if (stage.kind !== "qualifying") return "bad-nonce";
      const result = this.#qualification.onAdvertisement(datagram, address, port, now);
      if (result.kind === "invalid") return result.reason;
      this.#onQualification(result, now);
      return undefined;
    }
    if (stage.kind !== "probing" || address !== this.#identity.server || port !== TEREDO_PORT) return "unknown-peer";
    if (!isBubble(bytes, datagram.ipv6At)) return "unknown-peer";
    if (!equalBytes(bytes, datagram.ipv6At + DESTINATION_AT, stage.address, 0, 16)) return "not-own-destination";
    if (!equalBytes(bytes, datagram.ipv6At + SOURCE_AT, this.#identity.address, 0, 16)) return "spoofed-source";
    this.#environment.counters.count("bubbles_received");
    this.#onOutcome(true, now);
    return undefined;
  }

  #onQualification(result: QualificationResult, now: Millis): void {
    switch (result.kind) {
      case "pending":
      case "invalid":
        return;
      case "failed":
        this.stop();
        return;
      case "done":
        this.#stage = { kind: "idle", address: this.#addressFor(result.mapped), deadline: now + this.#candidate };
        return;
    }
  }

  /** A bubble from the service port to the second one, by way of the server: that needs neither hairpinning nor open filters. */
  #probe(address: Ipv6, sent: number, now: Millis): void {
    const { memory, sink, counters } = this.#environment;
    this.#stage = { kind: "probing", address, sent, deadline: now + PROBE_WAIT };
    const length = writeBubble(this.#identity.address, address, BUBBLE_HOP_LIMIT, memory.bytes, memory.scratch);
    counters.count("indirect_bubbles_sent");
    sink.sendUdp(Socket.service, memory.scratch, length, this.#identity.server, TEREDO_PORT);
  }

  #onOutcome(reached: boolean, now: Millis): void {
    if (reached) {
      this.#refresh = this.#candidate;
      this.#onInterval(this.#refresh);
    } else {
      this.#maximum = this.#candidate;
    }
    const server = this.#server;
    if (server === undefined || this.#refresh >= CLOSE_ENOUGH * this.#maximum) return this.stop();
    const middle = (this.#refresh + this.#maximum) / 2;
    this.#candidate = reached ? Math.min(2 * this.#refresh, middle) : middle;
    // The mapping may be gone: the primary server's answer tells which one there is now.
    this.#stage = { kind: "qualifying" };
    this.#qualification.start({ primary: server.primary, secondary: undefined }, now);
  }

  #addressFor(mapped: Endpoint): Ipv6 {
    const flags = randomFlags(this.#environment.random.u32() >>> 16);
    return formTeredoAddress({ server: this.#identity.server, flags, mapped });
  }
}
