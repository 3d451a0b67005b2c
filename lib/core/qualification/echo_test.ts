/**
 * The Echo Test (RFC 6081 3.4, 5.5): behind a symmetric NAT that numbers its ports in sequence, three packets leave one new socket in a
 * row, to the server's two addresses and, between them, to the peer. The ports that the server saw tell the one that the peer will see.
 *
 * ```
 *   random port ─ 1 solicitation ─▶ primary      its answer says 1200 (lower)
 *               ─ 2 direct bubble ─▶ peer        hence 1201: the random port that the indirect bubble announces
 *               ─ 3 solicitation ─▶ secondary    its answer says 1202 (upper)
 *
 *   [none] ─▶ [testing 1: 1 s] ─▶ [testing 2: 2 s] ─▶ [spent]: the indirect bubble goes without a random port
 *                  └───── both answers ─────┴──▶ [measured]: it goes with one
 * ```
 *
 * The answers are measurements for one peer: maintenance never sees them, since the ports in them are not those of our address.
 */

import type { Datagram } from "../../wire/encapsulation.ts";
import type { Ipv4, Ipv4Subnet } from "../../wire/ipv4.ts";
import type { ServerAddresses } from "../client/client_options.ts";
import type { DropReason } from "../counters.ts";
import type { Environment, Millis } from "../machine.ts";
import { type Credentials, Solicitor } from "./solicitor.ts";
import { TimerHeap } from "../timers.ts";
import type { Measurement } from "./nat_behaviour.ts";

/** Failover timer: so long times the number of the test (RFC 6081 5.5.4.1.1). */
const FAILOVER_UNIT: Millis = 1_000;
/** Echo Tests for one peer before the indirect bubble goes anyhow (RFC 6081 5.5.2.2). */
const MOST_TESTS = 2;

/** The variables of RFC 6081 5.5.1 for one peer. */
interface EchoTest {
  readonly socket: number;
  readonly primary: Solicitor;
  readonly secondary: Solicitor;
  /** EchoTestLowerPort, EchoTestUpperPort. */
  lower: number;
  upper: number;
  /** EchoTestRetryCounter. */
  tests: number;
}

/** What came of an answer or of a failover timer. */
export type EchoOutcome =
  | { readonly kind: "pending" }
  | { readonly kind: "invalid"; readonly reason: DropReason }
  /** Send the test's direct bubble again: it is measured once more. */
  | { readonly kind: "again" }
  /** The indirect bubble may go; `port` is 0 when nothing could be foretold. */
  | { readonly kind: "done"; readonly port: number; readonly measurement: Measurement | undefined };

const PENDING: EchoOutcome = { kind: "pending" };

/** All Echo Tests under way. */
export class EchoTests {
  readonly #environment: Environment;
  readonly #credentials: Credentials | undefined;
  readonly #subnets: readonly Ipv4Subnet[];
  readonly #tests: Map<number, EchoTest> = new Map();
  readonly #timers = new TimerHeap();

  constructor(environment: Environment, credentials: Credentials | undefined, subnets: readonly Ipv4Subnet[]) {
    this.#environment = environment;
    this.#credentials = credentials;
    this.#subnets = subnets;
  }

  /** The earliest failover timer. */
  get deadline(): Millis {
    return this.#timers.next();
  }

  /** The next peer whose failover timer has run out, or -1. */
  pop(now: Millis): number {
    return this.#timers.pop(now);
  }

  /** Whether a test for `peer` is under way: a second wish for an indirect bubble is part of it. */
  isRunning(peer: number): boolean {
    return this.#timers.get(peer) !== undefined;
  }

  /** Whether `peer` has had all its tests. */
  isSpent(peer: number): boolean {
    return (this.#tests.get(peer)?.tests ?? 0) >= MOST_TESTS && !this.isRunning(peer);
  }

  /**
   * Sends the three packets.
   * @param bubble sends the second one, from the same socket
   */
  start(peer: number, socket: number, server: ServerAddresses, now: Millis, bubble: () => void): void {
    const known = this.#tests.get(peer);
    const test = known?.socket === socket ? known : this.#make(peer, socket);
    test.tests++;
    this.#timers.set(peer, now + test.tests * FAILOVER_UNIT);
    const secondary = server.secondary ?? server.primary;
    this.#ask(test.primary, server.primary, server.primary, now);
    bubble();
    this.#ask(test.secondary, secondary, server.primary, now);
  }

  /** A router advertisement on the test's socket; parameters as `Solicitor.read`. */
  onAdvertisement(peer: number, datagram: Datagram, address: Ipv4, port: number, now: Millis): EchoOutcome {
    const test = this.#tests.get(peer);
    if (test === undefined || !this.isRunning(peer)) return { kind: "invalid", reason: "bad-nonce" };
    const lower = test.primary.read(datagram, address, port, now);
    if (typeof lower !== "string") {
      if (test.lower === 0) test.lower = lower.origin.port;
    } else {
      const upper = test.secondary.read(datagram, address, port, now);
      if (typeof upper === "string") return { kind: "invalid", reason: lower === "bad-advertisement" ? upper : lower };
      if (test.upper === 0) test.upper = upper.origin.port;
    }
    if (test.lower === 0 || test.upper === 0) return PENDING;
    this.#timers.cancel(peer);
    const measurement = { lower: test.lower, upper: test.upper };
    return { kind: "done", port: Math.floor((test.lower + test.upper) / 2), measurement };
  }

  /** The failover timer of `peer` ran out (RFC 6081 5.5.2.2). */
  onFailover(peer: number): EchoOutcome {
    const test = this.#tests.get(peer);
    if (test === undefined) return PENDING;
    return test.tests < MOST_TESTS ? { kind: "again" } : { kind: "done", port: 0, measurement: undefined };
  }

  /** Ends the test for `peer` and forgets ports and count. */
  end(peer: number): void {
    this.#tests.delete(peer);
    this.#timers.cancel(peer);
  }

  /** Peer Refresh Timer: ports and counts are zero again (RFC 6081 5.5.2.1). Tests under way go on. */
  refresh(): void {
    for (const peer of this.#tests.keys()) if (!this.isRunning(peer)) this.#tests.delete(peer);
  }

  #make(peer: number, socket: number): EchoTest {
    const solicitor = () => new Solicitor(this.#environment, socket, this.#credentials, this.#subnets);
    const test = { socket, primary: solicitor(), secondary: solicitor(), lower: 0, upper: 0, tests: 0 };
    this.#tests.set(peer, test);
    return test;
  }

  /** Each test has a nonce of its own: an answer to an earlier one measured another moment. */
  #ask(solicitor: Solicitor, target: Ipv4, server: Ipv4, now: Millis): void {
    solicitor.begin(target, server, false);
    solicitor.solicit(now);
  }
}
