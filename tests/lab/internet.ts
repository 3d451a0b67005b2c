/**
 * The lab's internet, without its kernel side: IPv4 and IPv6 packets of hosts go through links, zones and NATs to other hosts. The same
 * picture as tests/sim/network.ts, for real packets and real time.
 *
 * ```
 *   TUN of alice ─▶ fromHost ─link─ zone "home" ─ NAT ─link─ public ─link─▶ deliver ─▶ TUN of server
 * ```
 *
 * Packets without delay pass through in place, without a copy. Later ones are copied and wait in a clock.
 */

import type { Millis } from "../../lib/core/machine.ts";
import { inSubnet, type Ipv4, type Ipv4Subnet } from "../../lib/wire/ipv4.ts";
import { inPrefix, type Ipv6Prefix } from "../../lib/wire/ipv6_address.ts";
import { DESTINATION_AT, hopLimit, isIpv6Packet } from "../../lib/wire/ipv6.ts";
import { VirtualClock } from "../sim/clock.ts";
import { Link, type LinkOptions } from "../sim/link.ts";
import { Nat, type NatOptions } from "../sim/nat.ts";
import { SeededRandom } from "../sim/random.ts";
import { Gateway } from "./gateway.ts";
import { countHop, destinationOf, isIpv4 } from "./ipv4_packet.ts";

/** The public IPv4 internet, as the zone of a host or the outside of a NAT. */
export const PUBLIC = "internet";

const IPV6_HOP_LIMIT_AT = 7;

/** A host as the internet knows it. Everything survives `postMessage`. */
export interface HostPlan {
  readonly name: string;
  /** Name of the NAT it is behind, or {@link PUBLIC}. */
  readonly zone: string;
  readonly addresses: readonly Ipv4[];
  /** What the IPv6 internet routes to it. */
  readonly prefixes: readonly Ipv6Prefix[];
  readonly link: LinkOptions;
}

/** A NAT, and the LAN behind it, which has its name. */
export interface NatPlan extends NatOptions {
  readonly name: string;
  /** Name of the NAT it is itself behind, or {@link PUBLIC}. */
  readonly outside: string;
  readonly subnet: Ipv4Subnet;
  readonly link: LinkOptions;
}

interface Line {
  out: Link;
  in: Link;
}

interface HostEntry {
  readonly plan: HostPlan;
  readonly id: number;
  line: Line;
  up: boolean;
}

interface NatEntry {
  readonly plan: NatPlan;
  readonly gateway: Gateway;
  line: Line;
}

type Owner = { readonly kind: "host"; readonly host: HostEntry } | { readonly kind: "nat"; readonly nat: NatEntry };

/** What the internet does with packets. */
export interface Edges {
  /** A packet arrived at host `id`; `packet` is valid until this returns. */
  deliver(id: number, packet: Uint8Array): void;
  /** A packet is on the public IPv4 internet (or on the IPv6 internet): each passes here once. */
  tap?(packet: Uint8Array, now: Millis): void;
}

/** Hosts, NATs and links. */
export class Internet {
  readonly clock = new VirtualClock();
  /** Packets that went no further, by reason, without those that a NAT dropped. */
  readonly drops = new Map<string, number>();
  readonly #edges: Edges;
  readonly #random: SeededRandom;
  readonly #hosts: HostEntry[] = [];
  readonly #nats = new Map<string, NatEntry>();
  /** Zone -> IPv4 address -> who has it. */
  readonly #owners = new Map<string, Map<Ipv4, Owner>>([[PUBLIC, new Map()]]);
  readonly #routes: { readonly prefix: Ipv6Prefix; readonly host: HostEntry }[] = [];

  constructor(edges: Edges, seed: number = 1) {
    this.#edges = edges;
    this.#random = new SeededRandom(seed);
  }

  /** Adds a host. @returns its number, counting from 0 */
  addHost(plan: HostPlan): number {
    const host = { plan, id: this.#hosts.length, line: this.#line(plan.link), up: true };
    this.#hosts.push(host);
    const owners = this.#zone(plan.zone);
    for (const address of plan.addresses) owners.set(address, { kind: "host", host });
    for (const prefix of plan.prefixes) this.#routes.push({ prefix, host });
    this.#routes.sort((a, b) => b.prefix.length - a.prefix.length);
    return host.id;
  }

  /** Adds a NAT and the zone behind it. */
  addNat(plan: NatPlan): void {
    const nat = new Nat({ seed: this.#random.u32(), ...plan });
    const entry = { plan, gateway: new Gateway(nat), line: this.#line(plan.link) };
    this.#nats.set(plan.name, entry);
    this.#owners.set(plan.name, new Map());
    this.#own(entry);
  }

  /** Power cycle of a NAT, perhaps with other external addresses. */
  rebootNat(name: string, addresses?: readonly Ipv4[]): void {
    const nat = this.#nat(name);
    const owners = this.#zone(nat.plan.outside);
    for (const address of nat.gateway.nat.addresses) owners.delete(address);
    nat.gateway.nat.reboot(addresses);
    this.#own(nat);
  }

  /** Changes the line of a host or NAT. */
  setLink(name: string, link: LinkOptions): void {
    const entry = this.#nats.get(name) ?? this.#host(name);
    entry.line = this.#line(link);
  }

  /** Pulls the plug of a host, or puts it back. */
  setUp(name: string, up: boolean): void {
    this.#host(name).up = up;
  }

  /** What NATs dropped, by NAT and reason, and what the rest dropped under {@link PUBLIC}. */
  dropCounts(): Readonly<Record<string, Readonly<Record<string, number>>>> {
    const nats = [...this.#nats].map(([name, { gateway }]) => [name, Object.fromEntries(gateway.drops)] as const);
    return Object.fromEntries([[PUBLIC, Object.fromEntries(this.drops)] as const, ...nats]);
  }

  /** One packet out of host `id` at `now`, the time of the clock or later. The packet may be changed. */
  fromHost(id: number, packet: Uint8Array, now: Millis): void {
    this.clock.run(Math.max(0, now - this.clock.now));
    const host = this.#hosts[id];
    if (!host.up) return;
    if (isIpv4(packet)) this.#cross(host.line.out, packet, (out) => this.#inZone(host.plan.zone, host, out));
    else if (isIpv6Packet(packet, 0, packet.length)) this.#cross(host.line.out, packet, (out) => this.#ipv6(out));
    else this.#drop("not IP");
  }

  #inZone(zone: string, from: HostEntry | NatEntry, packet: Uint8Array): void {
    const destination = destinationOf(packet);
    if (zone === PUBLIC) {
      this.#edges.tap?.(packet, this.clock.now);
      if (!countHop(packet)) return this.#drop("TTL");
    } else if (destination >>> 28 === 0xe) return this.#multicast(zone, from, packet);
    const owner = this.#zone(zone).get(destination);
    if (owner !== undefined) {
      return owner.kind === "host" ? this.#toHost(owner.host, packet) : this.#toNat(owner.nat, packet);
    }
    const nat = this.#nats.get(zone);
    if (nat === undefined || inSubnet(destination, nat.plan.subnet)) return this.#drop("no such host");
    if (!countHop(packet)) return this.#drop("TTL");
    nat.gateway.outbound(packet, this.clock.now, (translated, side) => {
      if (side === "back") this.#inZone(zone, nat, translated);
      else this.#cross(nat.line.out, translated, (out) => this.#inZone(nat.plan.outside, nat, out));
    });
  }

  #toHost(host: HostEntry, packet: Uint8Array): void {
    this.#cross(host.line.in, packet, (arrived) => {
      if (host.up) this.#edges.deliver(host.id, arrived);
    });
  }

  #toNat(nat: NatEntry, packet: Uint8Array): void {
    this.#cross(nat.line.in, packet, (arrived) => {
      if (!countHop(arrived)) return this.#drop("TTL");
      nat.gateway.inbound(arrived, this.clock.now, (translated) => this.#inZone(nat.plan.name, nat, translated));
    });
  }

  /** To every other host of a LAN: hosts pick their groups themselves. Multicast leaves no LAN. */
  #multicast(zone: string, from: HostEntry | NatEntry, packet: Uint8Array): void {
    for (const host of this.#hosts) {
      if (host !== from && host.plan.zone === zone) this.#toHost(host, packet);
    }
  }

  #ipv6(packet: Uint8Array): void {
    // Link-local and multicast: the kernel's own chatter on its uplink.
    if (packet[DESTINATION_AT] >= 0xfe) return;
    const route = this.#routes.find(({ prefix }) => inPrefix(packet, DESTINATION_AT, prefix));
    if (route === undefined) return this.#drop("no IPv6 route");
    this.#edges.tap?.(packet, this.clock.now);
    if (hopLimit(packet, 0) <= 1) return this.#drop("hop limit");
    packet[IPV6_HOP_LIMIT_AT]--;
    this.#toHost(route.host, packet);
  }

  #cross(link: Link, packet: Uint8Array, then: (packet: Uint8Array) => void): void {
    const arrivals = link.arrivals(this.clock.now);
    if (arrivals.length === 0) return this.#drop("lost on the line");
    if (arrivals.length === 1 && arrivals[0] <= this.clock.now) return then(packet);
    for (const at of arrivals) {
      const copy = packet.slice();
      this.clock.schedule(at, () => then(copy));
    }
  }

  #own(nat: NatEntry): void {
    const owners = this.#zone(nat.plan.outside);
    for (const address of nat.gateway.nat.addresses) owners.set(address, { kind: "nat", nat });
  }

  #line(options: LinkOptions): Line {
    return { out: new Link(options, this.#random.fork()), in: new Link(options, this.#random.fork()) };
  }

  #zone(name: string): Map<Ipv4, Owner> {
    const zone = this.#owners.get(name);
    if (zone === undefined) throw new Error(`Cannot find zone "${name}": no such NAT`);
    return zone;
  }

  #nat(name: string): NatEntry {
    const nat = this.#nats.get(name);
    if (nat === undefined) throw new Error(`Cannot find NAT "${name}"`);
    return nat;
  }

  #host(name: string): HostEntry {
    const host = this.#hosts.find(({ plan }) => plan.name === name);
    if (host === undefined) throw new Error(`Cannot find host "${name}"`);
    return host;
  }

  #drop(reason: string): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
  }
}
