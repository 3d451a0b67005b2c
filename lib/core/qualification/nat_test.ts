/**
 * What a client finds out of its NAT by asking: how it filters, and whether it hairpins (RFC 4787 5, 6). Once after a qualification, by some
 * ten small datagrams to its own server and its own mapping, and not again while the NAT has the same address.
 *
 * ```
 *   [wait] ──▶ [mapping] ──────────────────────▶ [paths] ───────────────────────────────────────▶ [off]
 *                 │ a second socket asks the         │ the second socket asks so that the secondary address answers:
 *                 │ primary address, so that its     │   is it let in, though it was never written to?
 *                 │ mapping is known; the service    │ bubbles from either socket to the other's mapping:
 *                 │ socket asks so that the          │   do they come back inside?
 *                 │ secondary address answers
 * ```
 *
 * Silence says something only where an answer would have come otherwise: "not checked" stays where the server has one address or does not
 * answer for the other one (the service socket tells, which has written to both), and where each destination has a mapping of its own.
 */

import { Datagram } from "../../wire/encapsulation.ts";
import type { Endpoint, Ipv4, Ipv4Subnet } from "../../wire/ipv4.ts";
import type { ServerAddresses } from "../client/client_options.ts";
import type { DropReason } from "../counters.ts";
import { type Environment, type Millis, Socket, uniform } from "../machine.ts";
import { MOST_RANDOM_PORTS } from "../traversal/random_ports.ts";
import { Crossing } from "./crossing.ts";
import { Inquiry } from "./inquiry.ts";
import { type Credentials, isAdvertisement } from "./solicitor.ts";

/** The second port's socket: behind that of interval determination and the random ports. */
export const NAT_TEST_SOCKET = Socket.extra + 1 + MOST_RANDOM_PORTS;

/** The test begins this long after the qualification, and up to as long again: peers come first, and clients do not all ask at once. */
const PAUSE: Millis = 2_000;

/** What was found; undefined: nothing. */
export interface NatFindings {
  /** It lets in who was never written to: its filtering is endpoint-independent. */
  readonly filteringOpen: boolean | undefined;
  /** A packet to our own mapping comes back inside. */
  readonly hairpins: boolean | undefined;
}

const NOTHING: NatFindings = { filteringOpen: undefined, hairpins: undefined };

/** The client that tests. */
export interface Tested {
  readonly server: ServerAddresses;
  readonly mapped: Endpoint;
  /** Whether the mapping is the same for every destination; undefined: not known. */
  readonly independent: boolean | undefined;
}

type Stage =
  | { readonly kind: "off" }
  | { readonly kind: "wait"; readonly deadline: Millis }
  | { readonly kind: "mapping"; readonly second: Inquiry; readonly control: Inquiry | undefined }
  | { readonly kind: "paths"; readonly filter: Inquiry | undefined; readonly crossing: Crossing | undefined };

const OFF: Stage = { kind: "off" };

/** The test, run once for each NAT. */
export class NatTest {
  readonly #environment: Environment;
  readonly #credentials: Credentials | undefined;
  readonly #subnets: readonly Ipv4Subnet[];
  readonly #datagram = new Datagram();
  #stage: Stage = OFF;
  #tested: Tested | undefined;
  /** The NAT's address at the last test that came to its end. */
  #known: Ipv4 | undefined;
  #findings = NOTHING;

  /** @param subnets IPv4 subnets of this host: a mapping that is one of its own addresses is none */
  constructor(environment: Environment, credentials: Credentials | undefined, subnets: readonly Ipv4Subnet[]) {
    this.#environment = environment;
    this.#credentials = credentials;
    this.#subnets = subnets;
  }

  get findings(): NatFindings {
    return this.#findings;
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    const stage = this.#stage;
    if (stage.kind === "off") return Infinity;
    if (stage.kind === "wait") return stage.deadline;
    const waiting = stage.kind === "mapping" ? [stage.second, stage.control] : [stage.filter, stage.crossing];
    return Math.min(...waiting.map((each) => each?.deadline ?? Infinity));
  }

  /** Whether datagrams to the service socket may be for this test. */
  get listening(): boolean {
    return this.#stage.kind === "mapping" || this.#stage.kind === "paths";
  }

  /** The client has just qualified. */
  start(tested: Tested, now: Millis): void {
    this.stop();
    if (tested.mapped.address === this.#known) return;
    this.#findings = NOTHING;
    this.#tested = tested;
    this.#stage = { kind: "wait", deadline: now + PAUSE * (1 + uniform(this.#environment.random)) };
  }

  /** Ends the test and closes the second port. What was found stays. */
  stop(): void {
    if (this.listening) this.#environment.sink.closeSocket(NAT_TEST_SOCKET);
    this.#stage = OFF;
  }

  onTimer(now: Millis): void {
    if (now < this.deadline) return;
    const stage = this.#stage, tested = this.#tested;
    if (tested === undefined) return;
    switch (stage.kind) {
      case "off":
        return;
      case "wait":
        return this.#askMapping(tested, now);
      case "mapping":
        stage.second.onTimer(now);
        stage.control?.onTimer(now);
        break;
      case "paths":
        stage.filter?.onTimer(now);
        stage.crossing?.onTimer(now);
        break;
    }
    this.#proceed(tested, now);
  }

  /**
   * A datagram on the second port; parameters as `Machine.fromUdp`.
   * @returns why it was dropped, or undefined
   */
  receive(at: number, length: number, address: Ipv4, port: number, now: Millis): DropReason | undefined {
    return this.take(NAT_TEST_SOCKET, at, length, address, port, now) ? undefined : "unknown-peer";
  }

  /** A datagram on the service or the second socket. @returns true when it was for this test */
  take(socket: number, at: number, length: number, address: Ipv4, port: number, now: Millis): boolean {
    const stage = this.#stage, tested = this.#tested, datagram = this.#datagram;
    const { bytes } = this.#environment.memory;
    if (tested === undefined || !datagram.decode(bytes, at, length)) return false;
    const own = (inquiry: Inquiry | undefined): boolean =>
      inquiry?.question.socket === socket && inquiry.receive(datagram, address, port, now);
    const advertised = isAdvertisement(bytes, datagram);
    let taken = false;
    if (stage.kind === "mapping") taken = advertised && (own(stage.second) || own(stage.control));
    else if (stage.kind === "paths" && advertised) taken = own(stage.filter);
    else if (stage.kind === "paths") taken = stage.crossing?.receive(socket, datagram, address, port) === true;
    if (!taken) return false;
    this.#environment.counters.count(advertised ? "ra_received" : "bubbles_received");
    this.#proceed(tested, now);
    return true;
  }

  #askMapping({ server: { primary, secondary }, independent }: Tested, now: Millis): void {
    if (this.#environment.sink.openSocket(NAT_TEST_SOCKET) === 0) {
      this.#stage = OFF;
      return;
    }
    const ask = (socket: number, cone: boolean) => this.#ask(socket, primary, cone, now);
    // Without an answer from the secondary address in the qualification there would be none now.
    const both = secondary !== undefined && independent !== undefined;
    this.#stage = {
      kind: "mapping",
      second: ask(NAT_TEST_SOCKET, false),
      control: both ? ask(Socket.service, true) : undefined,
    };
  }

  #proceed(tested: Tested, now: Millis): void {
    const stage = this.#stage;
    if (stage.kind === "mapping" && stage.second.over && stage.control?.over !== false) {
      this.#tryPaths(tested, stage.second.answer?.origin, stage.control?.answer !== undefined, now);
    } else if (stage.kind === "paths" && stage.filter?.over !== false && stage.crossing?.over !== false) {
      const { filter, crossing } = stage;
      const returned = crossing?.straightFrom !== undefined;
      this.#findings = {
        filteringOpen: filter === undefined ? undefined : filter.answer !== undefined,
        // With another mapping for each destination a strict filter looks the same as a NAT that does not hairpin.
        hairpins: returned || (crossing !== undefined && tested.independent === true) ? returned : undefined,
      };
      this.#known = tested.mapped.address;
      this.stop();
    }
  }

  #tryPaths({ server, mapped }: Tested, second: Endpoint | undefined, answering: boolean, now: Millis): void {
    // Without a NAT such a bubble never leaves this host.
    const behind = !this.#subnets.some(({ address }) => address === mapped.address);
    const ends = [{ socket: Socket.service, mapped }, { socket: NAT_TEST_SOCKET, mapped: second ?? mapped }] as const;
    const apart = second !== undefined && (second.address !== mapped.address || second.port !== mapped.port);
    const crossing = !apart || !behind
      ? undefined
      : new Crossing(this.#environment, server.primary, ...ends, { straight: true, throughServer: false });
    this.#stage = {
      kind: "paths",
      filter: answering && second !== undefined ? this.#ask(NAT_TEST_SOCKET, server.primary, true, now) : undefined,
      crossing,
    };
    crossing?.start(now);
    if (this.#stage.filter === undefined && crossing === undefined) this.stop();
  }

  #ask(socket: number, server: Ipv4, cone: boolean, now: Millis): Inquiry {
    const question = { socket, target: server, server, cone };
    const inquiry = new Inquiry(question, this.#environment, this.#credentials, this.#subnets);
    inquiry.start(now);
    return inquiry;
  }
}
