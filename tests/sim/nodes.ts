/**
 * Teredo machines of lib/core and plain IPv6 hosts, wired to the simulated internet.
 *
 * ```
 *   Stack ─▶ fromTun ┐             ┌▶ sendUdp ─▶ Host (IPv4)        client
 *   IPv6  ─▶ fromTun ┼─▶ machine ─▶┼▶ writeIpv6 ─▶ Stack or IPv6    relay, server
 *   Host  ─▶ fromUdp ┘             └▶ event ─▶ list
 * ```
 */

import type {
  ClientOptions,
  ClientState,
  ServerAddresses,
  TraversalOptions,
} from "../../lib/core/client/client_options.ts";
import { Client } from "../../lib/core/client/client.ts";
import { Counters } from "../../lib/core/counters.ts";
import type { MachineEvent } from "../../lib/core/events.ts";
import {
  type Environment,
  HEADROOM,
  type Machine,
  type Millis,
  SCRATCH_LENGTH,
  Socket,
} from "../../lib/core/machine.ts";
import { Relay, type RelayOptions } from "../../lib/core/relay/relay.ts";
import { Server, type ServerOptions } from "../../lib/core/server/server.ts";
import { DISCOVERY_ADDRESS, type Endpoint, type Ipv4, type Ipv4Subnet } from "../../lib/wire/ipv4.ts";
import type { Ipv6 } from "../../lib/wire/ipv6.ts";
import { parseIpv6 } from "../../lib/wire/ipv6_address.ts";
import { TEREDO_PORT, TEREDO_PREFIX } from "../../lib/wire/teredo_address.ts";
import type { LinkOptions } from "./link.ts";
import type { Datagram, Host, Ipv6Attachment, Network, Zone } from "./network.ts";
import { Stack } from "./stack.ts";

/** Calls of onTimer at one moment after which a machine is taken to be spinning. */
const MOST_CALLS_AT_ONCE = 100;
/** Offset of the packet handed to a machine, in its memory. */
const PACKET_AT = SCRATCH_LENGTH + HEADROOM;

/** An event and its moment. */
export interface TimedEvent {
  readonly at: Millis;
  readonly event: MachineEvent;
}

/** A machine on a host: memory, sockets, timer. */
export class MachineNode<M extends Machine> {
  readonly network: Network;
  readonly host: Host;
  readonly events: TimedEvent[] = [];
  counters = new Counters();
  readonly #bytes = new Uint8Array(PACKET_AT + 65536);
  readonly #make: (environment: Environment) => M;
  readonly #sockets = new Map<number, Endpoint>();
  readonly #writeIpv6: (packet: Uint8Array) => void;
  #machine: M;
  #wake: Millis = Infinity;
  #lastCall: Millis = -1;
  #calls = 0;

  constructor(
    network: Network,
    host: Host,
    make: (environment: Environment) => M,
    writeIpv6: (packet: Uint8Array) => void,
  ) {
    this.network = network;
    this.host = host;
    this.#make = make;
    this.#writeIpv6 = writeIpv6;
    this.#machine = make(this.#environment());
  }

  get machine(): M {
    return this.#machine;
  }

  /** Opens local UDP socket `socket` of the machine. */
  bind(socket: number, port: number, address: Ipv4 = this.host.addresses[0]): Endpoint {
    const local = this.host.bind(port, (datagram) => this.#receive(socket, datagram), address);
    this.#sockets.set(socket, local);
    return local;
  }

  /** Joins a multicast group on a socket of its own. */
  join(socket: number, group: Endpoint): void {
    this.host.join(group, (datagram) => this.#receive(socket, datagram));
  }

  /** Hands an IPv6 packet from the host's own side to the machine. */
  fromTun(packet: Uint8Array): void {
    this.#bytes.set(packet, PACKET_AT);
    this.#machine.fromTun(PACKET_AT, packet.length, this.network.now);
    this.rearm();
  }

  /** A new machine in the place of the old one, as after a restart of the program. */
  restart(): void {
    this.counters = new Counters();
    this.#machine = this.#make(this.#environment());
    this.#wake = Infinity;
    this.rearm();
  }

  /** Plans the machine's next timer. To be called after each call of the machine from outside. */
  rearm(): void {
    const at = this.#machine.nextTimer();
    if (at >= this.#wake) return;
    this.#wake = at;
    const machine = this.#machine;
    this.network.clock.schedule(at, () => {
      if (machine !== this.#machine || this.#wake > this.network.now) return;
      this.#wake = Infinity;
      this.#countCall();
      machine.onTimer(this.network.now);
      this.rearm();
    });
  }

  #receive(socket: number, { source, destination, payload }: Datagram): void {
    this.#bytes.set(payload, PACKET_AT);
    const { address, port } = source;
    this.#machine.fromUdp(socket, PACKET_AT, payload.length, address, port, destination.address, this.network.now);
    this.rearm();
  }

  #countCall(): void {
    this.#calls = this.network.now === this.#lastCall ? this.#calls + 1 : 0;
    this.#lastCall = this.network.now;
    if (this.#calls > MOST_CALLS_AT_ONCE) {
      throw new Error(`${this.host.name} asks for its timer again and again at ${this.network.now} ms`);
    }
  }

  #environment(): Environment {
    const bytes = this.#bytes;
    const packet = (at: number, length: number) => bytes.subarray(at, at + length);
    return {
      memory: { bytes, view: new DataView(bytes.buffer), scratch: 0 },
      random: this.network.random.fork(),
      counters: this.counters,
      sink: {
        sendUdp: (socket, at, length, address, port) => {
          const local = this.#sockets.get(socket);
          if (local === undefined) throw new Error(`${this.host.name} sends from socket ${socket}, which is not open`);
          if (port < 1 || port > 65535) throw new Error(`${this.host.name} sends to port ${port}`);
          this.counters.count("udp_tx_datagrams");
          this.host.send(local, { address, port }, packet(at, length));
        },
        writeIpv6: (at, length) => this.#writeIpv6(packet(at, length).slice()),
        openSocket: (socket) => this.bind(socket, 0).port,
        closeSocket: (socket) => {
          const local = this.#sockets.get(socket);
          if (local !== undefined) this.host.close(local);
          this.#sockets.delete(socket);
        },
        event: (event) => this.events.push({ at: this.network.now, event }),
      },
    };
  }
}

/** Plain RFC 4380. */
export const NO_TRAVERSAL: TraversalOptions = {
  portPreserving: false,
  sequential: false,
  hairpinning: false,
  serverLoadReduction: false,
  relayPaths: false,
  relay: undefined,
  relayProbe: undefined,
  localAddresses: [],
};

/** All ways that a client knows; a relay it has to find by itself. */
export const FULL_TRAVERSAL: TraversalOptions = {
  ...NO_TRAVERSAL,
  portPreserving: true,
  sequential: true,
  hairpinning: true,
  serverLoadReduction: true,
  relayPaths: true,
};

/** What scenarios rarely change about a client. */
const CLIENT_DEFAULTS: Omit<ClientOptions, "localEndpoint" | "subnets"> = {
  refreshInterval: 30_000,
  solicitationTimeout: 4000,
  maintenanceTimeout: 4000,
  solicitationAttempts: 3,
  retryMinimum: 1000,
  retryMaximum: 60_000,
  conePhase: false,
  honourCone: false,
  symmetricNatSupport: false,
  traversal: NO_TRAVERSAL,
  localDiscovery: false,
  requireSameMappedAddress: true,
  intervalDetermination: false,
  natTest: false,
  identifier: undefined,
  secret: undefined,
  remembered: undefined,
  mtu: 1280,
  maxPeers: 256,
  maxPending: 64,
  queueOctetsPerPeer: 64 * 1024,
  queueOctetsTotal: 1024 * 1024,
  errorsPerSecond: 100,
  testsPerSecond: 100,
};

/** Settings of a simulated client. */
export interface ClientNodeOptions {
  readonly zone: Zone;
  readonly address: Ipv4;
  readonly port?: number;
  readonly subnets?: readonly Ipv4Subnet[];
  readonly link?: LinkOptions;
  readonly client?: Partial<ClientOptions>;
}

/** A Teredo client with the host it runs on: its {@link Stack} has the Teredo address while the client is qualified. */
export class ClientNode {
  readonly host: Host;
  readonly stack: Stack;
  readonly events: readonly TimedEvent[];
  readonly #node: MachineNode<Client>;

  constructor(network: Network, name: string, options: ClientNodeOptions) {
    this.host = network.host(name, options.zone, [options.address], options.link);
    this.stack = new Stack(network.clock, network.random.u32(), (packet) => this.#node.fromTun(packet));
    const port = options.port ?? network.random.integer(20_000, 60_000);
    const localEndpoint = { address: options.address, port };
    const subnets = options.subnets ?? (options.zone.subnet === undefined ? [] : [options.zone.subnet]);
    const settings = { ...CLIENT_DEFAULTS, localEndpoint, subnets, ...options.client };
    const make = (environment: Environment) => {
      const event = (event: MachineEvent) => {
        this.#onEvent(event);
        environment.sink.event(event);
      };
      return new Client(settings, { ...environment, sink: { ...environment.sink, event } });
    };
    this.#node = new MachineNode(network, this.host, make, (packet) => this.stack.receive(packet));
    this.events = this.#node.events;
    this.#node.bind(Socket.service, port);
    if (settings.localDiscovery) this.#node.join(Socket.discovery, { address: DISCOVERY_ADDRESS, port: TEREDO_PORT });
  }

  get state(): ClientState {
    return this.#node.machine.state;
  }

  get counters(): Counters {
    return this.#node.counters;
  }

  /** The Teredo address; an error when there is none. */
  get address(): Ipv6 {
    if (this.stack.address === undefined) throw new Error(`${this.host.name} has no address (${this.state.status})`);
    return this.stack.address;
  }

  /** True while it is qualified. */
  get qualified(): boolean {
    return this.stack.address !== undefined;
  }

  /** Events of one kind. */
  eventsOf<T extends MachineEvent["type"]>(type: T): readonly Extract<MachineEvent, { type: T }>[] {
    return this.events.flatMap(({ event }) => isOfType(event, type) ? [event] : []);
  }

  /** Begins qualification with a server. */
  start(server: ServerAddresses): void {
    this.#node.machine.start(server, this.#node.network.now);
    this.#node.rearm();
  }

  /** Ends the service. */
  stop(): void {
    this.#node.machine.stop(this.#node.network.now);
    this.#node.rearm();
  }

  /** Tells the client of a port mapping that the host got from its NAT. */
  portMapping(endpoint: Endpoint | undefined): void {
    this.#node.machine.portMapping(endpoint, this.#node.network.now);
    this.#node.rearm();
  }

  /** Starts and waits until it is qualified. @returns milliseconds that took, undefined when it did not within `limit` */
  qualify(server: ServerAddresses, limit: Millis = 60_000): Millis | undefined {
    this.start(server);
    return this.#node.network.clock.runUntil(() => this.qualified, limit);
  }

  #onEvent(event: MachineEvent): void {
    if (event.type === "qualified") this.stack.address = event.address.slice();
    else if (event.type === "lost") this.stack.address = undefined;
  }
}

function isOfType<T extends MachineEvent["type"]>(
  event: MachineEvent,
  type: T,
): event is Extract<MachineEvent, { type: T }> {
  return event.type === type;
}

/** What scenarios rarely change about a relay. */
const RELAY_DEFAULTS: Omit<RelayOptions, "ownAddresses" | "errorSource"> = {
  prefix: TEREDO_PREFIX,
  mtu: 1280,
  directBubbles: true,
  honourCone: false,
  symmetricClients: false,
  served: "any",
  subnets: [],
  maxPeers: 256,
  maxPending: 64,
  queueOctetsPerPeer: 64 * 1024,
  queueOctetsTotal: 1024 * 1024,
  errorsPerSecond: 100,
  betweenClients: false,
  betweenClientsRate: 1000,
};

/** Settings of a simulated relay. */
export interface RelayNodeOptions {
  readonly address: Ipv4;
  /** Its own address on the IPv6 internet. */
  readonly ipv6: string;
  /** What is routed to it. Default: 2001::/32. */
  readonly prefixes?: readonly string[];
  readonly link?: LinkOptions;
  readonly relay?: Partial<RelayOptions>;
}

/** A relay on the public internet: 2001::/32 is routed to it. */
export class RelayNode {
  readonly host: Host;
  /** Where its service port is. */
  readonly endpoint: Endpoint;
  readonly #node: MachineNode<Relay>;
  readonly #ipv6: Ipv6Attachment;

  constructor(network: Network, name: string, options: RelayNodeOptions) {
    this.host = network.host(name, network.internet, [options.address], options.link);
    const settings = {
      ...RELAY_DEFAULTS,
      ownAddresses: [options.address],
      errorSource: parseIpv6(options.ipv6),
      ...options.relay,
    };
    const make = (environment: Environment) => new Relay(settings, environment);
    this.#node = new MachineNode(network, this.host, make, (packet) => this.#ipv6.send(packet));
    const prefixes = options.prefixes ?? ["2001::/32"];
    this.#ipv6 = network.ipv6.attach(name, prefixes, (packet) => this.#node.fromTun(packet), options.link);
    this.endpoint = this.#node.bind(Socket.service, network.random.integer(20_000, 60_000));
  }

  get counters(): Counters {
    return this.#node.counters;
  }

  /** False: its lines are cut, IPv4 and IPv6; the program goes on. */
  set plugged(plugged: boolean) {
    this.host.plugged = plugged;
    this.#ipv6.plugged = plugged;
  }

  /** Starts the program anew: it knows no peers. */
  restart(): void {
    this.#node.restart();
  }
}

/** What scenarios rarely change about a server. */
const SERVER_DEFAULTS: Omit<ServerOptions, "primary" | "secondary"> = {
  prefix: TEREDO_PREFIX,
  mtu: 1280,
  maxIcmpv6Payload: 88,
  nativeForwarding: true,
  forwardForeign: false,
  secrets: new Map(),
  ratePerSource: 0,
  rateTotal: 0,
  subnets: [],
};

/** Settings of a simulated server. */
export interface ServerNodeOptions {
  readonly primary: Ipv4;
  readonly secondary: Ipv4 | undefined;
  readonly link?: LinkOptions;
  readonly server?: Partial<ServerOptions>;
}

/** A server on the public internet, connected to the IPv6 internet too. */
export class ServerNode {
  readonly host: Host;
  readonly addresses: ServerAddresses;
  readonly #node: MachineNode<Server>;
  readonly #ipv6: Ipv6Attachment;

  constructor(network: Network, name: string, options: ServerNodeOptions) {
    const { primary, secondary } = options;
    this.addresses = { primary, secondary };
    this.host = network.host(
      name,
      network.internet,
      secondary === undefined ? [primary] : [primary, secondary],
      options.link,
    );
    const settings = { ...SERVER_DEFAULTS, primary, secondary, ...options.server };
    const make = (environment: Environment) => new Server(settings, environment);
    this.#node = new MachineNode(network, this.host, make, (packet) => this.#ipv6.send(packet));
    this.#ipv6 = network.ipv6.attach(name, [], () => {}, options.link);
    this.#node.bind(Socket.service, TEREDO_PORT, primary);
    if (secondary !== undefined) this.#node.bind(Socket.secondary, TEREDO_PORT, secondary);
  }

  get counters(): Counters {
    return this.#node.counters;
  }

  /** False: its lines are cut, IPv4 and IPv6; the program goes on. */
  set plugged(plugged: boolean) {
    this.host.plugged = plugged;
    this.#ipv6.plugged = plugged;
  }
}

/** A host of the IPv6 internet, without Teredo. */
export class NativeNode {
  readonly stack: Stack;
  readonly #address: Ipv6;
  readonly #ipv6: Ipv6Attachment;

  constructor(network: Network, name: string, address: string, link: LinkOptions = {}) {
    this.stack = new Stack(network.clock, network.random.u32(), (packet) => this.#ipv6.send(packet));
    this.#ipv6 = network.ipv6.attach(name, [`${address}/128`], (packet) => this.stack.receive(packet), link);
    const parsed = parseIpv6(address);
    if (parsed === undefined) throw new Error(`Cannot make a host: "${address}" is not an IPv6 address`);
    this.#address = parsed;
    this.stack.address = parsed;
  }

  get address(): Ipv6 {
    return this.#address;
  }

  /** False: its line is cut. */
  set plugged(plugged: boolean) {
    this.#ipv6.plugged = plugged;
  }
}
