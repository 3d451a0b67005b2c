/**
 * A check of the network between this host and Teredo servers, without a tunnel: what kind of NAT is there, and can Teredo work?
 *
 * ```
 *   [servers] ──▶ [ports] ──▶ [paths] ──▶ [lifetime] ──▶ [done]
 *       │             │          │            └ if asked
 *       │             │          └ filtering, bubbles through the server, hairpinning; at the same time
 *       │             └ a few more sockets, one after the other
 *       └ one socket asks every address of every server; nobody answers: done
 * ```
 *
 * Nothing is asked of anybody but the servers, at a few datagrams a second.
 */

import { Datagram } from "../../wire/encapsulation.ts";
import { type Endpoint, type Ipv4, type Ipv4Subnet, isGlobalUnicast } from "../../wire/ipv4.ts";
import { type Environment, type Machine, type Millis, Socket } from "../machine.ts";
import { Crossing } from "../qualification/crossing.ts";
import { Inquiry, type Question } from "../qualification/inquiry.ts";
import { IDLE_TIMES, LifetimeMeasurement } from "./netcheck_lifetime.ts";
import {
  type AddressReport,
  type FilteringFinding,
  judgeMapping,
  judgePorts,
  type NetcheckReport,
  type YesNo,
} from "./netcheck_report.ts";
import { type Credentials, isAdvertisement } from "../qualification/solicitor.ts";

/** Sockets from whose external ports the numbering is read. Ours. */
const PORT_SOCKETS = 5;

/** How often the main socket asks while the lifetime of others is measured. Ours: less than any NAT's lifetime. */
const KEEP_ALIVE: Millis = 5_000;

/** The sockets, in the order in which they are opened. */
const MAIN = Socket.service;
const FIRST_EXTRA = Socket.extra;
const FILTER_SOCKET = FIRST_EXTRA + PORT_SOCKETS;
const FIRST_SLEEPER = FILTER_SOCKET + 1;

/** A server to ask. */
export interface CheckedServer {
  /** How people call it. */
  readonly name: string;
  readonly primary: Ipv4;
  /** Undefined: it has one address. */
  readonly secondary: Ipv4 | undefined;
}

export interface NetcheckOptions {
  readonly servers: readonly CheckedServer[];
  readonly credentials: Credentials | undefined;
  /** IPv4 addresses of this host with their subnets. */
  readonly subnets: readonly Ipv4Subnet[];
  /** The address this host sends from; 0 when it is not known. */
  readonly localAddress: Ipv4;
  /** Measure how long mappings live, which takes minutes. */
  readonly lifetime: boolean;
}

/** Where a check is. */
export type NetcheckStage = "servers" | "ports" | "paths" | "lifetime" | "done";

/** One server with its two questions. */
interface Asked {
  readonly server: CheckedServer;
  readonly primary: Inquiry;
  readonly secondary: Inquiry | undefined;
}

/** One check, from {@link start} until {@link stage} is "done". */
export class Netcheck implements Machine {
  readonly #options: NetcheckOptions;
  readonly #environment: Environment;
  readonly #datagram = new Datagram();
  readonly #faults = new Map<Ipv4, { readonly words: string; readonly local: boolean }>();
  readonly #localPorts = new Map<number, number>();
  #stage: NetcheckStage = "servers";
  #asked: readonly Asked[] = [];
  /** The first server that answered from its primary address: all later questions go there. */
  #reference: Asked | undefined;
  #ports: readonly Inquiry[] = [];
  #filter: Inquiry | undefined;
  /** The same question from a socket that both addresses may answer: shows that the server does. */
  #control: Inquiry | undefined;
  #crossing: Crossing | undefined;
  #hairpinTried = false;
  #lifetime: LifetimeMeasurement | undefined;
  #keepAlive: Inquiry | undefined;
  #keepAliveAt: Millis = Infinity;
  /** How the reference sees the main socket now. */
  #mainMapped: Endpoint = { address: 0, port: 0 };

  constructor(options: NetcheckOptions, environment: Environment) {
    this.#options = options;
    this.#environment = environment;
  }

  get stage(): NetcheckStage {
    return this.#stage;
  }

  /** Begins. To be called once. */
  start(now: Millis): void {
    this.#open(MAIN);
    const ask = (server: Ipv4, target: Ipv4) => this.#inquire({ socket: MAIN, target, server, cone: false }, now);
    this.#asked = this.#options.servers.map((server) => ({
      server,
      primary: ask(server.primary, server.primary),
      secondary: server.secondary === undefined ? undefined : ask(server.primary, server.secondary),
    }));
    this.#proceed(now);
  }

  fromTun(_at: number, _length: number, _now: Millis): void {}

  fromTunSuper(_at: number, _length: number, _largest: number, _now: Millis): boolean {
    return false;
  }

  fromUdp(
    socket: number,
    at: number,
    length: number,
    address: Ipv4,
    port: number,
    _destination: Ipv4,
    now: Millis,
  ): void {
    const { bytes } = this.#environment.memory;
    const datagram = this.#datagram;
    if (!datagram.decode(bytes, at, length)) return;
    if (isAdvertisement(bytes, datagram)) {
      const asking = this.#inquiries().filter(({ question }) => question.socket === socket);
      const answered = asking.find((inquiry) => inquiry.receive(datagram, address, port, now));
      if (answered === this.#keepAlive && answered?.answer !== undefined) this.#mainMapped = answered.answer.origin;
      if (answered === undefined) this.#lifetime?.receive(socket, datagram, address, port, now);
    } else if (this.#crossing?.receive(socket, datagram, address, port) !== true) {
      this.#lifetime?.receive(socket, datagram, address, port, now);
    }
    this.#proceed(now);
  }

  /**
   * The kernel said that datagrams to an address do not arrive.
   * @param words why, without period
   * @param local this host itself did not send it
   */
  onFault(address: Ipv4, words: string, local: boolean): void {
    if (!this.#faults.has(address)) this.#faults.set(address, { words, local });
  }

  onTimer(now: Millis): void {
    if (this.#stage === "done") return;
    for (const inquiry of this.#inquiries()) inquiry.onTimer(now);
    this.#crossing?.onTimer(now);
    this.#lifetime?.onTimer(now);
    if (now >= this.#keepAliveAt) this.#keepMainAlive(now);
    this.#proceed(now);
  }

  nextTimer(): Millis {
    if (this.#stage === "done") return Infinity;
    const inquiries = this.#inquiries().map(({ deadline }) => deadline);
    const others = [this.#crossing?.deadline ?? Infinity, this.#lifetime?.deadline ?? Infinity, this.#keepAliveAt];
    return Math.min(...inquiries, ...others);
  }

  /** What has been found so far. */
  get report(): NetcheckReport {
    const mains = this.#asked.flatMap(({ primary, secondary }) =>
      secondary === undefined ? [primary] : [primary, secondary]
    );
    const seen = mains.flatMap(({ question, answer }) =>
      answer === undefined ? [] : [{ address: question.target, mapped: answer.origin }]
    );
    const local = { address: this.#options.localAddress, port: this.#localPorts.get(MAIN) ?? 0 };
    const faults = mains.map(({ question }) => this.#faults.get(question.target));
    const refused = faults.length > 0 && faults.every((fault) => fault?.local === true);
    const mapping = judgeMapping(seen);
    return {
      local,
      servers: this.#asked.map(({ server, primary, secondary }) => ({
        name: server.name,
        primary: this.#addressReport(primary),
        secondary: secondary === undefined ? undefined : this.#addressReport(secondary),
        mtu: primary.answer?.mtu ?? secondary?.answer?.mtu,
      })),
      udp: seen.length > 0 ? "yes" : refused ? "no" : "not-checked",
      nat: this.#natFinding(seen.map(({ mapped }) => mapped)),
      mapping,
      ports: judgePorts(
        this.#ports.flatMap(({ question, answer }) =>
          answer === undefined
            ? []
            : [{ local: this.#localPorts.get(question.socket) ?? 0, external: answer.origin.port }]
        ),
      ),
      filtering: this.#filteringFinding(),
      hairpin: this.#hairpinFinding(mapping === "endpoint-independent"),
      hairpinSource: this.#hairpinSource(),
      bubbles: this.#crossing === undefined || (!this.#crossing.over && !this.#crossing.throughServer)
        ? "not-checked"
        : this.#crossing.throughServer
        ? "yes"
        : "no",
      lifetime: this.#lifetime?.finding,
    };
  }

  #addressReport(inquiry: Inquiry): AddressReport {
    const { question, answer, roundTrip, invalid } = inquiry;
    const fault = answer === undefined ? this.#faults.get(question.target)?.words : undefined;
    const keyExpired = answer?.keyExpired === true;
    return { address: question.target, mapped: answer?.origin, roundTrip, invalid, fault, keyExpired };
  }

  /** A mapping that is one of this host's own endpoints is none. */
  #natFinding(mapped: readonly Endpoint[]): YesNo {
    if (mapped.length === 0) return "not-checked";
    const own = this.#options.subnets.map(({ address }) => address);
    const port = this.#localPorts.get(MAIN);
    return mapped.every((each) => own.includes(each.address) && each.port === port) ? "no" : "yes";
  }

  #filteringFinding(): FilteringFinding {
    if (this.#filter?.answer !== undefined) return "endpoint-independent";
    // Silence tells something only where the server is known to answer such a question.
    if (this.#filter?.over !== true || this.#control?.answer === undefined) return "not-checked";
    return "address-dependent-or-stricter";
  }

  /** @param independent with any other mapping a strict filter cannot be told from a NAT that does not hairpin */
  #hairpinFinding(independent: boolean): YesNo {
    if (this.#crossing?.straightFrom !== undefined) return "yes";
    if (this.#crossing?.over !== true || !independent || !this.#hairpinTried) return "not-checked";
    return "no";
  }

  /** An address of this host as source: the NAT did not translate it (RFC 4787 6). */
  #hairpinSource(): "internal" | "external" | undefined {
    const source = this.#crossing?.straightFrom;
    if (source === undefined) return undefined;
    return this.#options.subnets.some(({ address }) => address === source.address) ? "internal" : "external";
  }

  #open(socket: number): boolean {
    const port = this.#environment.sink.openSocket(socket);
    if (port === 0) return false;
    this.#localPorts.set(socket, port);
    return true;
  }

  #inquire(question: Question, now: Millis): Inquiry {
    const { credentials, subnets } = this.#options;
    const inquiry = new Inquiry(question, this.#environment, credentials, subnets);
    inquiry.start(now);
    return inquiry;
  }

  /** All that may be waiting for an advertisement, those of the lifetime apart. */
  #inquiries(): readonly Inquiry[] {
    const mains = this.#asked.flatMap(({ primary, secondary }) => [primary, secondary]);
    return [...mains, ...this.#ports, this.#filter, this.#control, this.#keepAlive].filter((each) =>
      each !== undefined
    );
  }

  /** Goes to the next stage as long as the present one is over. */
  #proceed(now: Millis): void {
    switch (this.#stage) {
      case "servers":
        if (!this.#inquiries().every(({ over }) => over)) return;
        this.#reference = this.#asked.find(({ primary }) => primary.answer !== undefined);
        if (this.#reference?.primary.answer === undefined) return this.#finish();
        this.#mainMapped = this.#reference.primary.answer.origin;
        this.#stage = "ports";
        return this.#nextPort(this.#reference, now);
      case "ports":
        if (this.#reference !== undefined && this.#ports.at(-1)?.over === true) this.#nextPort(this.#reference, now);
        return;
      case "paths":
        // The control is not needed any more when the answer was let in.
        if (this.#filter?.answer !== undefined) this.#control?.giveUp();
        if (this.#filter?.over === false || this.#control?.over === false || this.#crossing?.over === false) return;
        if (this.#reference === undefined || !this.#options.lifetime || this.report.nat !== "yes") {
          return this.#finish();
        }
        return this.#measureLifetime(this.#reference, now);
      case "lifetime":
        if (this.#lifetime?.over !== false) this.#finish();
        return;
      case "done":
        return;
    }
  }

  /** Opens the next socket whose external port is looked at, or ends that. */
  #nextPort(reference: Asked, now: Millis): void {
    const socket = FIRST_EXTRA + this.#ports.length;
    if (this.#ports.length === PORT_SOCKETS || !this.#open(socket)) return this.#tryPaths(reference, now);
    const { primary } = reference.server;
    this.#ports = [...this.#ports, this.#inquire({ socket, target: primary, server: primary, cone: false }, now)];
  }

  #tryPaths({ server, secondary }: Asked, now: Millis): void {
    this.#stage = "paths";
    const { primary } = server;
    if (secondary?.answer !== undefined && this.#open(FILTER_SOCKET)) {
      this.#filter = this.#inquire({ socket: FILTER_SOCKET, target: primary, server: primary, cone: true }, now);
      this.#control = this.#inquire({ socket: MAIN, target: primary, server: primary, cone: true }, now);
    }
    const [first, second] = this.#ports.flatMap(({ question, answer }) =>
      answer === undefined ? [] : [{ socket: question.socket, mapped: answer.origin }]
    );
    if (second !== undefined) {
      // Without a NAT such a bubble never leaves this host.
      this.#hairpinTried = this.report.nat === "yes" && isGlobalUnicast(first.mapped.address);
      const ways = { straight: this.#hairpinTried, throughServer: true };
      this.#crossing = new Crossing(this.#environment, primary, first, second, ways);
      this.#crossing.start(now);
    }
    this.#proceed(now);
  }

  #measureLifetime({ server: { primary } }: Asked, now: Millis): void {
    this.#stage = "lifetime";
    const { credentials, subnets } = this.#options;
    const sockets = IDLE_TIMES.map((_, i) => FIRST_SLEEPER + i).filter((socket) => this.#open(socket));
    const inquiries = sockets.map((socket) =>
      new Inquiry({ socket, target: primary, server: primary, cone: false }, this.#environment, credentials, subnets)
    );
    const main = { socket: MAIN, mapped: () => this.#mainMapped };
    this.#lifetime = new LifetimeMeasurement(this.#environment, primary, main, inquiries);
    this.#lifetime.start(now);
    this.#keepMainAlive(now);
  }

  #keepMainAlive(now: Millis): void {
    const primary = this.#reference?.server.primary;
    if (primary === undefined) return;
    this.#keepAlive = this.#inquire({ socket: MAIN, target: primary, server: primary, cone: false }, now);
    this.#keepAliveAt = now + KEEP_ALIVE;
  }

  #finish(): void {
    this.#stage = "done";
    for (const socket of this.#localPorts.keys()) this.#environment.sink.closeSocket(socket);
  }
}
