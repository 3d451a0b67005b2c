/**
 * The Teredo client (RFC 4380 5.2, RFC 5991), composed of its parts.
 *
 * ```
 *                          start
 *   [initial] ────────────────────────────▶ [starting] ──── qualified ────▶ [qualified]
 *       ▲                                     ▲  │  ▲                          │  │ mapping changed: lost, qualified
 *       │ stop (from everywhere)      back-off│  │  └──── lost: no answer ─────┘  ▼
 *       │                                     │  ▼                             (same state)
 *                                          [offline]
 *
 *   Identity        own address, mapping, server             Negotiation      bubbles, connectivity tests, queues
 *   Qualification   which address                            Reception        what to do with a datagram
 *   Maintenance     still that address?                      Transmission     what to do with a packet
 *   HolePunching    which bubbles (RFC 6081)                 RelayPaths       where no direct way leads
 *   LocalDiscovery  who is on this link                      IntervalDetermination   how often to refresh
 * ```
 */

import type { Datagram } from "../../wire/encapsulation.ts";
import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import { equalIpv6 } from "../../wire/ipv6_address.ts";
import { isTeredo, TEREDO_PORT } from "../../wire/teredo_address.ts";
import { BubbleAnswers } from "../traversal/bubble_answers.ts";
import { Bubbles } from "../traversal/bubbles.ts";
import type { ClientOptions, ClientState, ServerAddresses } from "./client_options.ts";
import { EchoTests } from "../qualification/echo_test.ts";
import { ErrorSender } from "../errors.ts";
import type { MachineEvent, OfflineReason } from "../events.ts";
import { HolePunching } from "../traversal/hole_punching.ts";
import { Identity } from "./identity.ts";
import { INTERVAL_SOCKET, IntervalDetermination } from "../qualification/interval_determination.ts";
import { LocalDiscovery } from "../traversal/local_discovery.ts";
import { LocalPeers } from "../traversal/local_peers.ts";
import { type Environment, type Machine, type Millis, Socket, uniform } from "../machine.ts";
import { Maintenance } from "../qualification/maintenance.ts";
import { NatBehaviour } from "../qualification/nat_behaviour.ts";
import { NAT_TEST_SOCKET, NatTest } from "../qualification/nat_test.ts";
import { Negotiation } from "./negotiation.ts";
import { PeerEntries } from "./peer_entries.ts";
import type { PeerTable } from "../peers.ts";
import { PortMapping } from "../traversal/port_mapping.ts";
import { Qualification, type QualificationResult } from "../qualification/qualification.ts";
import { RandomPorts } from "../traversal/random_ports.ts";
import { Reception } from "./reception.ts";
import { RelayPaths } from "./relay_paths.ts";
import { pathTo, type PeerPath } from "./release.ts";
import { Solicitor } from "../qualification/solicitor.ts";
import { Transmission } from "./transmission.ts";
import { Traversals } from "../traversal/traversal.ts";

export type { ClientOptions, ClientState, QualificationPhase, ServerAddresses } from "./client_options.ts";

/**
 * A silent server is asked on every 75 to 100 % of the solicitation time-out, first after a random part of this: often enough to be
 * heard within 5 s of its return, spread so that its clients do not all ask at once.
 */
const SILENT_PART = 0.75;
const SILENT_JITTER: Millis = 500;

/** Traversal states for each conversation that may be under way. */
const TRAVERSALS_PER_PENDING = 4;

/** Most octets of an identifier: its length is one octet on the wire. */
const MAX_IDENTIFIER_LENGTH = 255;

/** A client. Does nothing until {@link start}. */
export class Client implements Machine {
  readonly #options: ClientOptions;
  readonly #environment: Environment;
  readonly #identity: Identity;
  readonly #entries: PeerEntries;
  readonly #localPeers = new LocalPeers();
  readonly #traversals: Traversals;
  readonly #portMapping: PortMapping;
  readonly #punching: HolePunching;
  readonly #relayPaths: RelayPaths;
  readonly #behaviour = new NatBehaviour();
  readonly #solicitor: Solicitor;
  readonly #qualification: Qualification;
  readonly #maintenance: Maintenance;
  readonly #negotiation: Negotiation;
  readonly #discovery: LocalDiscovery;
  readonly #determination: IntervalDetermination;
  readonly #natTest: NatTest;
  readonly #reception: Reception;
  readonly #transmission: Transmission;

  #server: ServerAddresses | undefined;
  /** When the present state began. */
  #since: Millis = 0;
  #offline: { readonly reason: OfflineReason; readonly retryAt: Millis } | undefined;
  /** Failed qualifications in a row, without those where the server was silent. */
  #failures = 0;
  #mtu: number | undefined;
  #keyExpired = false;
  /** The address that the entries of the peer table belong to: peers know us by it. */
  #peersOf: Ipv6 | undefined;

  /** @throws {RangeError} an identifier longer than 255 octets, or a table size out of range */
  constructor(options: ClientOptions, environment: Environment) {
    const { identifier, secret, subnets } = options;
    if (identifier !== undefined && identifier.length > MAX_IDENTIFIER_LENGTH) {
      throw new RangeError(`Cannot use an identifier of ${identifier.length} octets: at most ${MAX_IDENTIFIER_LENGTH}`);
    }
    const credentials = secret === undefined ? undefined : { identifier: identifier ?? new Uint8Array(0), secret };
    const { random, counters } = environment;
    this.#options = options;
    this.#environment = environment;
    this.#identity = new Identity(random, options.remembered);
    const onRemove = (peer: number) => this.#traversals.drop(peer);
    this.#entries = new PeerEntries({ maxPeers: options.maxPeers, random, onRemove }, counters);
    const { table } = this.#entries;
    const solicitor = this.#solicitor = new Solicitor(environment, Socket.service, credentials, subnets);
    this.#qualification = new Qualification(options, solicitor);
    this.#maintenance = new Maintenance(options, options.refreshInterval, solicitor, this.#identity, random);
    const bubbles = new Bubbles(environment, this.#identity);
    const errors = new ErrorSender(environment, options.errorsPerSecond, options.errorsPerSecond);
    this.#portMapping = new PortMapping(this.#identity);
    const randomPorts = new RandomPorts(environment, table, () => this.#traversals);
    const echoTests = new EchoTests(environment, credentials, subnets);
    const traversals = this.#traversals = new Traversals(
      table,
      options.maxPending * TRAVERSALS_PER_PENDING,
      (traversal) => this.#punching.end(traversal),
    );
    const tools = {
      environment,
      options,
      identity: this.#identity,
      table,
      entries: this.#entries,
      localPeers: this.#localPeers,
      bubbles,
      errors,
      maintenance: this.#maintenance,
      traversals,
      randomPorts,
      echoTests,
      portMapping: this.#portMapping,
      behaviour: this.#behaviour,
    };
    const punching = this.#punching = new HolePunching(tools);
    const relayPaths = this.#relayPaths = new RelayPaths(environment, options.traversal, this.#identity, (now) => {
      const node = options.traversal.relayProbe;
      if (node !== undefined) this.#negotiation.probe(node, now);
    });
    const negotiation = this.#negotiation = new Negotiation({
      ...tools,
      punching,
      onRelay: (address, port, now) => relayPaths.remember(address, port, now),
    });
    const answers = new BubbleAnswers({ ...tools, punching, negotiation });
    const shared = { ...tools, punching, relayPaths, negotiation, answers };
    const discovery = this.#discovery = new LocalDiscovery(shared);
    this.#determination = new IntervalDetermination(
      environment,
      options,
      this.#identity,
      credentials,
      (interval) => this.#onInterval(interval),
    );
    this.#natTest = new NatTest(environment, credentials, subnets);
    this.#reception = new Reception({
      ...shared,
      discovery,
      onAdvertisement: (datagram, address, port, now) => this.#onAdvertisement(datagram, address, port, now),
    });
    this.#transmission = new Transmission(shared);
  }

  /** Where this client stands. Made anew at each call. */
  get state(): ClientState {
    const server = this.#server;
    if (server === undefined) return { status: "initial" };
    const { primary } = server;
    if (this.#identity.qualified) {
      const { address, symmetric } = this.#identity;
      const mapped = this.#mapped();
      return {
        status: "qualified",
        server: primary,
        address: address.slice(),
        mapped,
        symmetric,
        portPreserving: this.#identity.portPreserving,
        nat: { ...this.#behaviour.report, ...this.#natTest.findings },
        since: this.#since,
        refreshInterval: this.#maintenance.refreshInterval,
      };
    }
    if (this.#offline !== undefined) return { status: "offline", server: primary, ...this.#offline };
    return {
      status: "starting",
      server: primary,
      phase: this.#qualification.phase ?? "primary",
      since: this.#since,
    };
  }

  /** The peer list, for looking only. */
  get table(): PeerTable {
    return this.#entries.table;
  }

  /** The way by which a peer of the list is reached; that of one with no mapping yet is still to be found: directly, if at all. */
  pathOf(peer: number, now: Millis): PeerPath {
    const { table } = this.#entries;
    const key = table.key(peer), endpoint = { address: table.address(peer), port: table.port(peer) };
    if (this.#traversals.find(peer)?.viaRelay === true) return "relay";
    if (endpoint.port === 0) return isTeredo(key, 0) ? "direct" : "relay";
    return pathTo(key, endpoint, this.#options.subnets, this.#localPeers.find(key, 0, now) !== undefined);
  }

  /** How long the server's last answer took; undefined when there was none. */
  get roundTrip(): Millis | undefined {
    return this.#solicitor.roundTrip;
  }

  /** When the server was last heard; undefined while not qualified. */
  get serverHeard(): Millis | undefined {
    return this.#identity.qualified ? this.#maintenance.lastHeard : undefined;
  }

  /** Qualifies with `server`, whatever went on before: nothing of an earlier server is kept. */
  start(server: ServerAddresses, now: Millis): void {
    this.#withdraw("stopped");
    this.#failures = 0;
    this.#keyExpired = false;
    this.#server = server;
    this.#begin(server, now);
  }

  /** Ends the service. */
  stop(_now: Millis): void {
    this.#withdraw("stopped");
    this.#server = undefined;
    this.#offline = undefined;
    this.#qualification.stop();
    // Random ports are of no use without an address: they close with the entries that they serve.
    this.#entries.clear();
  }

  /**
   * The host has, or has not any more, a port mapping on its NAT for the service port (RFC 6081 5.3).
   * @param endpoint its external address and port; undefined: none
   */
  portMapping(endpoint: Endpoint | undefined, _now: Millis): void {
    this.#portMapping.endpoint = endpoint;
  }

  fromTun(at: number, length: number, now: Millis): void {
    this.#transmission.send(at, length, now);
  }

  fromTunSuper(at: number, length: number, largest: number, now: Millis, packets: number): boolean {
    return this.#transmission.sendSuper(at, length, largest, now, packets);
  }

  fromUdp(
    socket: number,
    at: number,
    length: number,
    address: Ipv4,
    port: number,
    destination: Ipv4,
    now: Millis,
  ): void {
    if (socket !== INTERVAL_SOCKET && socket !== NAT_TEST_SOCKET) {
      const test = this.#natTest;
      if (test.listening && test.take(socket, at, length, address, port, now)) return;
      this.#reception.receive(socket, at, length, address, port, destination, now);
      return;
    }
    const receiver = socket === INTERVAL_SOCKET ? this.#determination : this.#natTest;
    const fault = receiver.receive(at, length, address, port, now);
    if (fault !== undefined) this.#environment.counters.count(fault);
  }

  onTimer(now: Millis): void {
    if (this.#offline !== undefined && this.#server !== undefined && now >= this.#offline.retryAt) {
      this.#retry(this.#server, this.#offline.reason, now);
    }
    this.#onQualification(this.#qualification.onTimer(now), now);
    if (this.#maintenance.onTimer(now)) this.#onServerLost(now);
    this.#negotiation.onTimer(now);
    if (this.#identity.qualified) this.#punching.onTimer(now);
    this.#discovery.onTimer(now);
    this.#determination.onTimer(now);
    this.#natTest.onTimer(now);
    this.#entries.onTimer(now);
  }

  nextTimer(): Millis {
    return Math.min(
      this.#offline?.retryAt ?? Infinity,
      this.#qualification.deadline,
      this.#maintenance.deadline,
      this.#negotiation.deadline,
      this.#identity.qualified ? this.#punching.deadline : Infinity,
      this.#discovery.deadline,
      this.#determination.deadline,
      this.#natTest.deadline,
      this.#entries.deadline,
    );
  }

  #begin(server: ServerAddresses, now: Millis): void {
    this.#offline = undefined;
    this.#since = now;
    this.#tell({ type: "starting", server: server.primary });
    this.#qualification.start(server, now);
  }

  /** Asks a silent server on, so that it is heard soon after its return; begins anew after any other failure. */
  #retry(server: ServerAddresses, reason: OfflineReason, now: Millis): void {
    if (!this.#qualification.askOn(now)) {
      this.#begin(server, now);
      return;
    }
    this.#since = now;
    const part = SILENT_PART + (1 - SILENT_PART) * uniform(this.#environment.random);
    this.#offline = { reason, retryAt: now + this.#options.solicitationTimeout * part };
  }

  /** Takes the address back, if there is one. The solicitor's nonces stay until the next exchange. */
  #withdraw(reason: Extract<MachineEvent, { type: "lost" }>["reason"]): void {
    this.#maintenance.stop();
    this.#discovery.stop();
    this.#determination.stop();
    this.#natTest.stop();
    this.#negotiation.clear();
    if (!this.#identity.qualified) return;
    this.#identity.forget();
    this.#tell({ type: "lost", reason });
  }

  #onAdvertisement(datagram: Datagram, address: Ipv4, port: number, now: Millis): void {
    const { counters } = this.#environment;
    counters.count("ra_received");
    if (!this.#identity.qualified) {
      const result = this.#qualification.onAdvertisement(datagram, address, port, now);
      if (result.kind === "invalid") counters.count(result.reason);
      this.#onQualification(result, now);
      return;
    }
    if (address === this.#identity.server && port === TEREDO_PORT) this.#maintenance.heard(now);
    const result = this.#maintenance.onAdvertisement(datagram, address, port, now);
    switch (result.kind) {
      case "invalid":
        counters.count(result.reason);
        return;
      case "same":
        this.#onKey(result.answer.keyExpired);
        return;
      case "changed":
        this.#onKey(result.answer.keyExpired);
        this.#onMappingChange(result.answer.origin, result.elapsed, now);
        return;
    }
  }

  #onQualification(result: QualificationResult, now: Millis): void {
    switch (result.kind) {
      case "invalid":
        return;
      case "pending":
        // A late answer after the failure of a phase sets the procedure going again.
        if (this.#offline !== undefined && this.#qualification.deadline !== Infinity) this.#offline = undefined;
        return;
      case "failed":
        this.#goOffline(result.reason, now);
        return;
      case "done":
        this.#mtu = result.mtu;
        this.#onKey(result.keyExpired);
        this.#behaviour.observeQualification(this.#options.localEndpoint.port, result.mapped, result.second);
        this.#qualify(result.mapped, result.cone, result.symmetric, now - this.#since, now);
        return;
    }
  }

  #qualify(mapped: Endpoint, cone: boolean, symmetric: boolean, elapsed: Millis, now: Millis): void {
    const server = this.#server;
    if (server === undefined) return;
    const address = this.#identity.adopt(server.primary, mapped, cone, symmetric);
    this.#identity.portPreserving = mapped.port === this.#options.localEndpoint.port;
    if (this.#peersOf === undefined || !equalIpv6(this.#peersOf, address)) {
      this.#entries.clear();
      this.#localPeers.clear();
      this.#relayPaths.clear();
      this.#peersOf = address;
    }
    this.#offline = undefined;
    this.#failures = 0;
    this.#since = now;
    this.#maintenance.refreshInterval = this.#options.refreshInterval;
    this.#environment.counters.count("qualifications");
    this.#environment.counters.observe("qualification_seconds", elapsed);
    this.#maintenance.start(now);
    this.#discovery.start(now);
    this.#punching.start(server);
    this.#tell({
      type: "qualified",
      address,
      server: server.primary,
      mapped,
      mtu: this.#mtu,
      symmetric,
      portPreserving: this.#identity.portPreserving,
      elapsed,
    });
    this.#determination.start(server, now);
    const { endpointIndependent: independent } = this.#behaviour.report;
    if (this.#options.natTest) this.#natTest.start({ server, mapped, independent }, now);
  }

  #onMappingChange(mapped: Endpoint, elapsed: Millis, now: Millis): void {
    const { cone, symmetric } = this.#identity;
    this.#environment.counters.count("mapping_changes");
    this.#withdraw("mapping-changed");
    this.#qualify(mapped, cone, symmetric, elapsed, now);
  }

  #onServerLost(now: Millis): void {
    this.#withdraw("maintenance-lost");
    if (this.#server !== undefined) this.#begin(this.#server, now);
  }

  #goOffline(reason: OfflineReason, now: Millis): void {
    // The time-out of the last question has passed already.
    const silent = reason === "no-answer-primary" && !this.#options.conePhase;
    const retryIn = silent ? SILENT_JITTER * uniform(this.#environment.random) : this.#backOff();
    if (!silent) this.#failures++;
    this.#since = now;
    this.#offline = { reason, retryAt: now + retryIn };
    this.#tell({ type: "offline", reason, retryIn });
  }

  /** A random pause: between the minimum and twice that at first, twice as long after each failure, up to the maximum. */
  #backOff(): Millis {
    const { retryMinimum, retryMaximum } = this.#options;
    const upper = Math.min(retryMaximum, retryMinimum * 2 ** (this.#failures + 1));
    const lower = Math.max(retryMinimum, upper / 2);
    return lower + (upper - lower) * uniform(this.#environment.random);
  }

  #onKey(expired: boolean): void {
    if (expired && !this.#keyExpired && this.#server !== undefined) {
      this.#tell({ type: "key-expired", server: this.#server.primary });
    }
    this.#keyExpired = expired;
  }

  #onInterval(interval: Millis): void {
    this.#maintenance.refreshInterval = interval;
    this.#tell({ type: "refresh-interval", interval });
  }

  #mapped(): Endpoint {
    return { address: this.#identity.mappedAddress, port: this.#identity.mappedPort };
  }

  #tell(event: MachineEvent): void {
    this.#environment.sink.event(event);
  }
}
