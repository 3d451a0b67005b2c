/**
 * A simulated internet over virtual time: hosts that speak UDP over IPv4, in zones joined by NATs (nested if wanted), and beside it
 * an IPv6 internet that routes by longest prefix.
 *
 * ```
 *   host ─link─ zone "home" ─ NAT ─link─ zone "internet" ─link─ host
 *                                                                 │
 *                                       IPv6 internet ─────link───┘
 * ```
 *
 * One seed fixes everything: two runs with one seed are the same, octet by octet.
 */

import type { Endpoint, Ipv4, Ipv4Subnet } from "../../lib/wire/ipv4.ts";
import { inSubnet } from "../../lib/wire/ipv4.ts";
import { inPrefix, type Ipv6Prefix, parseIpv6Prefix } from "../../lib/wire/ipv6_address.ts";
import type { Millis } from "../../lib/core/machine.ts";
import { VirtualClock } from "./clock.ts";
import { Link, type LinkOptions } from "./link.ts";
import { Nat, type NatOptions, Protocol } from "./nat.ts";
import { SeededRandom } from "./random.ts";

/** How many crossings are remembered for the diagram of a failed run. */
const TRACE_LENGTH = 20000;
/** Ports a host gives to sockets that ask for none (RFC 6335 6: dynamic ports). */
const FIRST_DYNAMIC_PORT = 49152;

/** One UDP datagram on its way. */
export interface Datagram {
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly payload: Uint8Array;
}

/** One thing that happened to a packet, for the diagram. */
export interface Crossing {
  readonly at: Millis;
  readonly from: string;
  readonly to: string;
  /** The octets: a UDP payload, or an IPv6 packet. */
  readonly packet: Datagram | Uint8Array;
  /** Why it went no further; undefined when it arrived. */
  readonly lost: string | undefined;
}

/** What receives packets inside a zone. */
interface Attachment {
  readonly name: string;
  owns(address: Ipv4): boolean;
  receive(datagram: Datagram): void;
}

/** A set of attachments that reach each other directly: the IPv4 internet, or a LAN behind a NAT. */
export class Zone {
  readonly name: string;
  readonly subnet: Ipv4Subnet | undefined;
  readonly network: Network;
  readonly #attached: Attachment[] = [];
  #gateway: NatBox | undefined;

  /** Made by {@link Network.zone}. */
  constructor(network: Network, name: string, subnet: Ipv4Subnet | undefined) {
    this.network = network;
    this.name = name;
    this.subnet = subnet;
  }

  /** The NAT that leads out of this zone. */
  set gateway(gateway: NatBox) {
    this.#gateway = gateway;
  }

  attach(attachment: Attachment): void {
    this.#attached.push(attachment);
  }

  /** A datagram of `from` looks for its receiver: in this zone, or beyond its gateway. */
  deliver(from: string, datagram: Datagram): void {
    const to = this.#attached.find((attachment) => attachment.owns(datagram.destination.address));
    if (to !== undefined) return to.receive(datagram);
    const local = this.subnet !== undefined && inSubnet(datagram.destination.address, this.subnet);
    if (this.#gateway !== undefined && !local) return this.#gateway.fromInside(from, datagram);
    this.network.record(from, this.name, datagram, "no such host");
  }

  /** A datagram to the local discovery group: to everybody in this zone who joined, except its sender. */
  multicast(sender: Host, datagram: Datagram): void {
    for (const to of this.#attached) {
      if (to !== sender && to instanceof Host && to.joined(datagram)) to.receive(datagram);
    }
  }
}

/** A NAT between two zones. */
export class NatBox implements Attachment {
  readonly name: string;
  readonly nat: Nat;
  readonly #network: Network;
  readonly #inside: Zone;
  readonly #outside: Zone;
  readonly #up: Link;
  readonly #down: Link;

  /** Made by {@link Network.nat}. */
  constructor(name: string, inside: Zone, outside: Zone, options: NatOptions, link: LinkOptions) {
    this.name = name;
    this.#network = outside.network;
    this.#inside = inside;
    this.#outside = outside;
    this.nat = new Nat({ seed: this.#network.random.u32(), ...options });
    this.#up = new Link(link, this.#network.random.fork());
    this.#down = new Link(link, this.#network.random.fork());
    inside.gateway = this;
    outside.attach(this);
  }

  owns(address: Ipv4): boolean {
    return this.nat.addresses.includes(address);
  }

  /** A datagram from the inside zone for somewhere else. */
  fromInside(from: string, datagram: Datagram): void {
    const verdict = this.nat.outbound({ protocol: Protocol.udp, ...datagram }, this.#network.now);
    switch (verdict.kind) {
      case "drop":
        return this.#network.record(from, this.name, datagram, verdict.reason);
      case "hairpin":
        return this.#inside.deliver(this.name, { ...datagram, ...endpoints(verdict.header) });
      case "forward": {
        const out = { ...datagram, ...endpoints(verdict.header) };
        return this.#network.cross(this.#up, from, this.name, out, () => this.#outside.deliver(this.name, out));
      }
    }
  }

  receive(datagram: Datagram): void {
    this.#network.cross(this.#down, undefined, this.name, datagram, () => {
      const verdict = this.nat.inbound({ protocol: Protocol.udp, ...datagram }, this.#network.now);
      if (verdict.kind === "drop") {
        const from = this.#network.nameOf(datagram.source, this.#outside);
        return this.#network.record(from, this.name, datagram, verdict.reason);
      }
      this.#inside.deliver(this.name, { ...datagram, ...endpoints(verdict.header) });
    });
  }
}

function endpoints(header: { readonly source: Endpoint; readonly destination: Endpoint }): Omit<Datagram, "payload"> {
  return { source: header.source, destination: header.destination };
}

/** Receives the datagrams of one socket; `destination` tells unicast from multicast. */
export type DatagramHandler = (datagram: Datagram) => void;

/** A host with IPv4 addresses in one zone. */
export class Host implements Attachment {
  readonly name: string;
  readonly zone: Zone;
  readonly addresses: readonly Ipv4[];
  /** False: its line is cut; nothing comes in or goes out. */
  plugged = true;
  readonly #network: Network;
  readonly #out: Link;
  readonly #in: Link;
  readonly #sockets = new Map<number, DatagramHandler>();
  readonly #groups = new Set<string>();
  #nextPort: number;

  /** Made by {@link Network.host}. */
  constructor(name: string, zone: Zone, addresses: readonly Ipv4[], link: LinkOptions) {
    this.name = name;
    this.zone = zone;
    this.addresses = addresses;
    this.#network = zone.network;
    this.#out = new Link(link, this.#network.random.fork());
    this.#in = new Link(link, this.#network.random.fork());
    this.#nextPort = FIRST_DYNAMIC_PORT + this.#network.random.integer(0, 8191);
    zone.attach(this);
  }

  owns(address: Ipv4): boolean {
    return this.addresses.includes(address);
  }

  /** True when a socket of this host joined the group that `datagram` goes to. */
  joined(datagram: Datagram): boolean {
    return this.#groups.has(`${datagram.destination.address}:${datagram.destination.port}`);
  }

  /**
   * Opens a UDP socket.
   * @param port local port, or 0 for any free one
   * @returns the local endpoint, on the first address unless `address` says otherwise
   */
  bind(port: number, handler: DatagramHandler, address: Ipv4 = this.addresses[0]): Endpoint {
    const chosen = port === 0 ? this.#freePort() : port;
    const key = address * 0x1_0000 + chosen;
    if (this.#sockets.has(key)) throw new Error(`Cannot bind port ${chosen} on ${this.name}: in use`);
    this.#sockets.set(key, handler);
    return { address, port: chosen };
  }

  /** Closes a socket that {@link bind} opened. */
  close(local: Endpoint): void {
    this.#sockets.delete(local.address * 0x1_0000 + local.port);
  }

  /** Receives datagrams to a multicast group and port. */
  join(group: Endpoint, handler: DatagramHandler): void {
    this.#groups.add(`${group.address}:${group.port}`);
    this.#sockets.set(group.address * 0x1_0000 + group.port, handler);
  }

  /** Sends one datagram; the payload is copied. */
  send(source: Endpoint, destination: Endpoint, payload: Uint8Array): void {
    if (!this.plugged) return;
    const datagram = { source, destination, payload: payload.slice() };
    const multicast = destination.address >>> 28 === 0xe;
    this.#network.cross(this.#out, this.name, undefined, datagram, () => {
      if (multicast) this.zone.multicast(this, datagram);
      else this.zone.deliver(this.name, datagram);
    });
  }

  receive(datagram: Datagram): void {
    const { destination } = datagram;
    this.#network.cross(this.#in, undefined, this.name, datagram, () => {
      const handler = this.#sockets.get(destination.address * 0x1_0000 + destination.port);
      const lost = !this.plugged ? "unplugged" : handler === undefined ? "port closed" : undefined;
      this.#network.record(this.#network.nameOf(datagram.source, this.zone), this.name, datagram, lost);
      if (lost === undefined) handler?.(datagram);
    });
  }

  #freePort(): number {
    while (this.#sockets.has(this.addresses[0] * 0x1_0000 + this.#nextPort)) this.#nextPort++;
    return this.#nextPort++;
  }
}

/** A connection to the IPv6 internet. */
export interface Ipv6Attachment {
  readonly name: string;
  /** False: its line is cut; nothing comes in or goes out. */
  plugged: boolean;
  /** Sends a packet; it is copied. */
  send(packet: Uint8Array): void;
}

interface Ipv6Route {
  readonly prefix: Ipv6Prefix;
  readonly to: Ipv6Attachment;
  readonly receive: (packet: Uint8Array) => void;
}

/** The IPv6 internet: longest prefix, then the earliest attached. */
export class Ipv6Internet {
  readonly #network: Network;
  readonly #routes: Ipv6Route[] = [];

  constructor(network: Network) {
    this.#network = network;
  }

  /** Connects a node to which the prefixes (`2001:db8::1/128`, `2001::/32`) are routed. */
  attach(
    name: string,
    prefixes: readonly string[],
    receive: (packet: Uint8Array) => void,
    link: LinkOptions = {},
  ): Ipv6Attachment {
    const out = new Link(link, this.#network.random.fork());
    const into = new Link(link, this.#network.random.fork());
    const attachment: Ipv6Attachment = {
      name,
      plugged: true,
      send: (packet) => {
        if (!attachment.plugged) return;
        const copy = packet.slice();
        this.#network.cross(out, name, undefined, copy, () => this.#route(name, copy));
      },
    };
    const arrive = (packet: Uint8Array) => {
      this.#network.cross(into, undefined, name, packet, () => {
        if (attachment.plugged) receive(packet);
      });
    };
    for (const text of prefixes) {
      const prefix = parseIpv6Prefix(text);
      if (prefix === undefined) throw new Error(`Cannot route "${text}": not an IPv6 prefix`);
      this.#routes.push({ prefix, to: attachment, receive: arrive });
    }
    return attachment;
  }

  #route(from: string, packet: Uint8Array): void {
    const hopLimit = packet[7];
    if (hopLimit <= 1) return this.#network.record(from, "ipv6", packet, "hop limit");
    let best: Ipv6Route | undefined;
    for (const route of this.#routes) {
      if (inPrefix(packet, 24, route.prefix) && route.prefix.length > (best?.prefix.length ?? -1)) best = route;
    }
    if (best === undefined) return this.#network.record(from, "ipv6", packet, "no route");
    packet[7] = hopLimit - 1;
    this.#network.record(from, best.to.name, packet, best.to.plugged ? undefined : "unplugged");
    best.receive(packet);
  }
}

/** The whole simulated world. */
export class Network {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly clock = new VirtualClock();
  /** The public IPv4 internet. */
  readonly internet: Zone;
  readonly ipv6: Ipv6Internet;
  readonly #hosts: Host[] = [];
  readonly #nats: NatBox[] = [];
  readonly #trace: Crossing[] = [];

  constructor(seed: number) {
    this.seed = seed;
    this.random = new SeededRandom(seed);
    this.internet = new Zone(this, "internet", undefined);
    this.ipv6 = new Ipv6Internet(this);
  }

  get now(): Millis {
    return this.clock.now;
  }

  /** What happened, oldest first; only the last {@link TRACE_LENGTH} crossings. */
  get trace(): readonly Crossing[] {
    return this.#trace;
  }

  /** A LAN of its own; a NAT may lead out of it. */
  zone(name: string, subnet: Ipv4Subnet): Zone {
    return new Zone(this, name, subnet);
  }

  /** A NAT between two zones; `link` is its line on the outside. */
  nat(name: string, inside: Zone, outside: Zone, options: NatOptions, link: LinkOptions = {}): NatBox {
    const box = new NatBox(name, inside, outside, options, link);
    this.#nats.push(box);
    return box;
  }

  /** A host in a zone. */
  host(name: string, zone: Zone, addresses: readonly Ipv4[], link: LinkOptions = {}): Host {
    const host = new Host(name, zone, addresses, link);
    this.#hosts.push(host);
    return host;
  }

  /** Moves a packet over one direction of a line; `arrive` is called once, twice or never. */
  cross(
    link: Link,
    from: string | undefined,
    to: string | undefined,
    packet: Datagram | Uint8Array,
    arrive: () => void,
  ): void {
    const arrivals = link.arrivals(this.now);
    if (arrivals.length === 0) this.record(from ?? "line", to ?? "line", packet, "lost on the line");
    for (const at of arrivals) this.clock.schedule(at, arrive);
  }

  /** Remembers a crossing for the diagram. */
  record(from: string, to: string, packet: Datagram | Uint8Array, lost: string | undefined): void {
    if (this.#trace.length === TRACE_LENGTH) this.#trace.shift();
    this.#trace.push({ at: this.now, from, to, packet, lost });
  }

  /** Who stands behind an endpoint as seen from `zone`: a host of the zone, a host or NAT elsewhere. */
  nameOf(endpoint: Endpoint, zone: Zone): string {
    const owner = this.#hosts.find((host) => host.zone === zone && host.owns(endpoint.address)) ??
      this.#hosts.find((host) => host.zone === this.internet && host.owns(endpoint.address)) ??
      this.#nats.find((box) => box.owns(endpoint.address));
    return owner?.name ?? "internet";
  }
}
