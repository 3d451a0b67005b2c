/**
 * Network address translators, as values of the axes of RFC 4787 (UDP), RFC 5382 (TCP) and RFC 5508 (ICMP).
 *
 * ```
 *           inside                                outside
 *   10.0.0.2:5000 ──┐   ┌──────────────────────┐
 *                   ├──▶│ mapping    (4787 4.1)│──▶ 198.51.100.7:40001 ──▶ 203.0.113.9:3544
 *   10.0.0.3:5000 ──┘   │ filtering  (4787 5)  │◀── 203.0.113.9:3544
 *                       └──────────────────────┘
 * ```
 *
 * The words of RFC 3489 and RFC 4380 are combinations of two axes, see {@link NAT_KINDS}. The translator knows headers only, not
 * packets: the simulation gives it plain objects, the lab fields of real IPv4 packets. It has no clock: `now` comes in.
 */

import type { Endpoint, Ipv4 } from "../../lib/wire/ipv4.ts";
import type { Millis } from "../../lib/core/machine.ts";
import { SeededRandom } from "./random.ts";

/** IPv4 protocol numbers that a NAT translates. */
export const Protocol = { icmp: 1, tcp: 6, udp: 17 } as const;

/** RFC 4787 REQ-5: a UDP mapping must live two minutes at least; many real ones do not. Milliseconds. */
export const DEFAULT_LIFETIME: Millis = 120_000;
/** RFC 5382 REQ-5: an established TCP connection is kept 2 h 4 min. Milliseconds. */
const TCP_LIFETIME: Millis = 7_440_000;
/** RFC 5508 REQ-2: an ICMP query session is kept 60 s. Milliseconds. */
const ICMP_LIFETIME: Millis = 60_000;
/** Ports given out when the inside port is not kept (RFC 4787 REQ-3b: above the well-known ones). */
const FIRST_PORT = 1024;
const LAST_PORT = 65535;
/** How many translations pass between two sweeps for dead mappings. */
const SWEEP_EVERY = 4096;

/** On what a mapping, or a filter, depends besides the inside endpoint (RFC 4787 4.1 and 5). */
export type Dependence = "endpoint-independent" | "address-dependent" | "address-and-port-dependent";

/** How an external port is chosen (RFC 4787 4.2). */
export type PortAssignment =
  /** The inside port while it is free, else a random one. `overload`: it counts as free when only the remote endpoint differs. */
  | { readonly kind: "preserving"; readonly overload?: boolean }
  /** The last port given plus `step`. */
  | { readonly kind: "sequential"; readonly step: number }
  | { readonly kind: "random" };

/** What a host inside sees as source of a packet that another host inside sent to an external endpoint (RFC 4787 6). */
export type Hairpin = "none" | "external-source" | "internal-source";

/** One translator. Only `addresses` has no default. */
export interface NatOptions {
  /** External addresses; more than one makes a pool. */
  readonly addresses: readonly Ipv4[];
  /** Default: endpoint-independent. */
  readonly mapping?: Dependence;
  /** Default: address-and-port-dependent. */
  readonly filtering?: Dependence;
  /** Default: random. */
  readonly ports?: PortAssignment;
  /** Life of an idle UDP mapping, milliseconds. */
  readonly lifetime?: Millis;
  /** What keeps a mapping alive (RFC 4787 4.3). Default: outbound. */
  readonly refresh?: "outbound" | "both";
  /** Default: none. */
  readonly hairpin?: Hairpin;
  /** One external address for each inside address, or any for each mapping (RFC 4787 4.1). Default: paired. */
  readonly pooling?: "paired" | "arbitrary";
  readonly seed?: number;
}

/** What a translator looks at. For an ICMP query the identifier stands as port of the side that asks, and 0 on the other. */
export interface Header {
  readonly protocol: number;
  readonly source: Endpoint;
  readonly destination: Endpoint;
}

/** What became of a packet. */
export type Verdict =
  /** It goes on, with this header, to the other side. */
  | { readonly kind: "forward"; readonly header: Header }
  /** It came from inside and goes back inside. */
  | { readonly kind: "hairpin"; readonly header: Header }
  | { readonly kind: "drop"; readonly reason: "no-mapping" | "filtered" | "no-hairpin" | "no-port" };

/** The four NATs of RFC 3489 and RFC 4380 (protocol words: cone, restricted, port-restricted, symmetric). */
export const NAT_KINDS = {
  cone: { mapping: "endpoint-independent", filtering: "endpoint-independent" },
  "address-restricted": { mapping: "endpoint-independent", filtering: "address-dependent" },
  "port-restricted": { mapping: "endpoint-independent", filtering: "address-and-port-dependent" },
  symmetric: { mapping: "address-and-port-dependent", filtering: "address-and-port-dependent" },
} as const satisfies Record<string, Pick<NatOptions, "mapping" | "filtering">>;

/** Name of one of {@link NAT_KINDS}. */
export type NatKind = keyof typeof NAT_KINDS;

interface Mapping {
  readonly protocol: number;
  readonly internal: Endpoint;
  readonly external: Endpoint;
  /** Part of the remote endpoint that this mapping depends on. */
  readonly remote: number;
  /** Configured by hand or by UPnP: never dies, open to everybody. */
  readonly fixed: boolean;
  lastUse: Millis;
  /** When each (part of a) remote endpoint was last let in, by filter key. */
  readonly sessions: Map<number, Millis>;
}

/** One number for an endpoint: 48 bits. */
function endpointKey(endpoint: Endpoint): number {
  return endpoint.address * 0x1_0000 + endpoint.port;
}

/** One number for protocol and endpoint: 53 bits at most, as protocol numbers here are below 32. */
function protocolKey(protocol: number, endpoint: Endpoint): number {
  return protocol * 0x1_0000_0000_0000 + endpointKey(endpoint);
}

/** The part of `remote` on which something of dependence `on` depends, as a number. */
function remoteKey(on: Dependence, remote: Endpoint): number {
  switch (on) {
    case "endpoint-independent":
      return 0;
    case "address-dependent":
      return remote.address * 0x1_0000;
    case "address-and-port-dependent":
      return endpointKey(remote);
  }
}

/** A network address and port translator. */
export class Nat {
  readonly #mapping: Dependence;
  readonly #filtering: Dependence;
  readonly #ports: PortAssignment;
  readonly #lifetime: Millis;
  readonly #refreshInbound: boolean;
  readonly #hairpin: Hairpin;
  readonly #paired: boolean;
  readonly #random: SeededRandom;
  #addresses: readonly Ipv4[];
  #nextPort: number;
  #translations = 0;
  /** Inside endpoint (and protocol) -> part of the remote endpoint -> mapping. */
  readonly #byInternal = new Map<number, Map<number, Mapping>>();
  /** External endpoint (and protocol) -> mappings; more than one only with port overloading. */
  readonly #byExternal = new Map<number, Mapping[]>();
  /** Inside endpoint (and protocol) -> reserved port that its first mapping takes too. */
  readonly #shared = new Map<number, number>();
  /** Inside address -> external address, for paired pooling. */
  readonly #pairs = new Map<Ipv4, Ipv4>();

  constructor(options: NatOptions) {
    if (options.addresses.length === 0) throw new RangeError("Cannot make a NAT: it needs an external address");
    this.#addresses = options.addresses;
    this.#mapping = options.mapping ?? "endpoint-independent";
    this.#filtering = options.filtering ?? "address-and-port-dependent";
    this.#ports = options.ports ?? { kind: "random" };
    this.#lifetime = options.lifetime ?? DEFAULT_LIFETIME;
    this.#refreshInbound = options.refresh === "both";
    this.#hairpin = options.hairpin ?? "none";
    this.#paired = options.pooling !== "arbitrary";
    this.#random = new SeededRandom(options.seed ?? 1);
    this.#nextPort = this.#random.integer(FIRST_PORT, LAST_PORT);
  }

  /** The external addresses. */
  get addresses(): readonly Ipv4[] {
    return this.#addresses;
  }

  /** How many mappings are kept, dead ones not yet swept included. */
  get size(): number {
    let size = 0;
    for (const mappings of this.#byExternal.values()) size += mappings.length;
    return size;
  }

  /** A packet from inside. Makes or renews its mapping. */
  outbound(header: Header, now: Millis): Verdict {
    this.#sweepSometimes(now);
    const inward = this.#addresses.includes(header.destination.address);
    if (inward && this.#hairpin === "none") return { kind: "drop", reason: "no-hairpin" };
    const mapping = this.#mappingFor(header, now);
    if (mapping === undefined) return { kind: "drop", reason: "no-port" };
    mapping.lastUse = now;
    mapping.sessions.set(remoteKey(this.#filtering, header.destination), now);
    if (!inward) {
      return { kind: "forward", header: { ...header, source: mapping.external } };
    }
    const verdict = this.inbound({ ...header, source: mapping.external }, now);
    if (verdict.kind === "drop") return verdict;
    const source = this.#hairpin === "internal-source" ? header.source : mapping.external;
    return { kind: "hairpin", header: { ...verdict.header, source } };
  }

  /** A packet from outside to one of the external addresses. */
  inbound(header: Header, now: Millis): Verdict {
    this.#sweepSometimes(now);
    let mapping: Mapping | undefined;
    let known = false;
    for (const candidate of this.#byExternal.get(protocolKey(header.protocol, header.destination)) ?? []) {
      if (!this.#isAlive(candidate, now)) continue;
      known = true;
      // Among overloaded ports the mapping made for this very remote goes first.
      const own = candidate.remote === remoteKey(this.#mapping, header.source);
      if ((own || mapping === undefined) && this.#letsIn(candidate, header.source, now)) mapping = candidate;
    }
    if (mapping === undefined) return { kind: "drop", reason: known ? "filtered" : "no-mapping" };
    if (this.#refreshInbound) {
      mapping.lastUse = now;
      const session = remoteKey(this.#filtering, header.source);
      if (mapping.sessions.has(session)) mapping.sessions.set(session, now);
    }
    return { kind: "forward", header: { ...header, destination: mapping.internal } };
  }

  /**
   * The quoted header of an ICMP error from outside, put back as the host inside sent it (RFC 5508 4.1).
   * @returns undefined when there is no such mapping: the error is to be dropped
   */
  inboundError(quoted: Header, now: Millis): Header | undefined {
    const mappings = this.#byExternal.get(protocolKey(quoted.protocol, quoted.source)) ?? [];
    const wanted = remoteKey(this.#mapping, quoted.destination);
    const mapping = mappings.find((m) => this.#isAlive(m, now) && (m.fixed || m.remote === wanted));
    return mapping === undefined ? undefined : { ...quoted, source: mapping.internal };
  }

  /** The quoted header of an ICMP error from inside, as the sender outside knows it; undefined when there is no such mapping. */
  outboundError(quoted: Header, now: Millis): Header | undefined {
    const mapping = this.#find(quoted.protocol, quoted.destination, quoted.source, now);
    return mapping === undefined ? undefined : { ...quoted, destination: mapping.external };
  }

  /**
   * Reserves an external port for an inside endpoint, as a user or UPnP does: open to everybody, for ever.
   * Packets that go out use it too when the mapping is endpoint-independent; a symmetric NAT makes mappings beside it.
   * @param shared a symmetric NAT uses the reserved port for the first destination too (6081 3.2)
   */
  forward(protocol: number, externalPort: number, internal: Endpoint, shared: boolean = false): void {
    const external = { address: this.#externalAddressFor(internal.address), port: externalPort };
    this.#add({ protocol, internal, external, remote: 0, fixed: true, lastUse: 0, sessions: new Map() });
    if (shared) this.#shared.set(protocolKey(protocol, internal), externalPort);
  }

  /** Power cycle: every mapping is gone, numbering starts elsewhere, and the external addresses may be new. */
  reboot(addresses: readonly Ipv4[] = this.#addresses): void {
    this.#byInternal.clear();
    this.#byExternal.clear();
    this.#pairs.clear();
    this.#shared.clear();
    this.#addresses = addresses;
    this.#nextPort = this.#random.integer(FIRST_PORT, LAST_PORT);
  }

  #lifetimeOf(protocol: number): Millis {
    return protocol === Protocol.tcp ? TCP_LIFETIME : protocol === Protocol.icmp ? ICMP_LIFETIME : this.#lifetime;
  }

  #isAlive(mapping: Mapping, now: Millis): boolean {
    return mapping.fixed || now - mapping.lastUse < this.#lifetimeOf(mapping.protocol);
  }

  #letsIn(mapping: Mapping, remote: Endpoint, now: Millis): boolean {
    if (mapping.fixed || this.#filtering === "endpoint-independent") return true;
    const last = mapping.sessions.get(remoteKey(this.#filtering, remote));
    return last !== undefined && now - last < this.#lifetimeOf(mapping.protocol);
  }

  #find(protocol: number, internal: Endpoint, remote: Endpoint, now: Millis): Mapping | undefined {
    const mapping = this.#byInternal.get(protocolKey(protocol, internal))?.get(remoteKey(this.#mapping, remote));
    if (mapping === undefined) return undefined;
    if (mapping.fixed && this.#mapping !== "endpoint-independent") return undefined;
    return this.#isAlive(mapping, now) ? mapping : undefined;
  }

  #mappingFor(header: Header, now: Millis): Mapping | undefined {
    const { protocol, source, destination } = header;
    const existing = this.#find(protocol, source, destination, now);
    if (existing !== undefined) return existing;
    const stale = this.#byInternal.get(protocolKey(protocol, source))?.get(remoteKey(this.#mapping, destination));
    if (stale !== undefined && !stale.fixed) this.#remove(stale);
    const address = this.#externalAddressFor(source.address);
    const remote = remoteKey(this.#mapping, destination);
    const port = this.#sharedPort(protocol, source, address, now) ??
      this.#choosePort(protocol, address, source.port, remote, now);
    if (port === undefined) return undefined;
    const mapping: Mapping = {
      protocol,
      internal: source,
      external: { address, port },
      remote,
      fixed: false,
      lastUse: now,
      sessions: new Map(),
    };
    this.#add(mapping);
    return mapping;
  }

  #externalAddressFor(internal: Ipv4): Ipv4 {
    const any = () => this.#addresses[this.#random.integer(0, this.#addresses.length - 1)];
    if (this.#addresses.length === 1) return this.#addresses[0];
    if (!this.#paired) return any();
    const paired = this.#pairs.get(internal) ?? any();
    this.#pairs.set(internal, paired);
    return paired;
  }

  /** The reserved port of an inside endpoint while no other destination has it. */
  #sharedPort(protocol: number, internal: Endpoint, address: Ipv4, now: Millis): number | undefined {
    const port = this.#shared.get(protocolKey(protocol, internal));
    if (port === undefined) return undefined;
    const taken = this.#byExternal.get(protocolKey(protocol, { address, port })) ?? [];
    return taken.some((mapping) => !mapping.fixed && this.#isAlive(mapping, now)) ? undefined : port;
  }

  #choosePort(protocol: number, address: Ipv4, wanted: number, remote: number, now: Millis): number | undefined {
    const overload = this.#ports.kind === "preserving" && this.#ports.overload === true;
    const free = (port: number) => this.#isFree(protocol, { address, port }, overload ? remote : undefined, now);
    const span = LAST_PORT - FIRST_PORT + 1;
    if (this.#ports.kind === "preserving" && free(wanted)) return wanted;
    if (this.#ports.kind === "sequential") {
      const step = this.#ports.step;
      for (let tries = 0; tries < span; tries++) {
        const port = this.#nextPort;
        this.#nextPort = FIRST_PORT + (((port - FIRST_PORT + step) % span) + span) % span;
        if (free(port)) return port;
      }
      return undefined;
    }
    const first = this.#random.integer(0, span - 1);
    for (let tries = 0; tries < span; tries++) {
      const port = FIRST_PORT + (first + tries) % span;
      if (free(port)) return port;
    }
    return undefined;
  }

  #isFree(protocol: number, external: Endpoint, remote: number | undefined, now: Millis): boolean {
    const key = protocolKey(protocol, external);
    for (const mapping of [...this.#byExternal.get(key) ?? []]) {
      if (!this.#isAlive(mapping, now)) this.#remove(mapping);
      else if (remote === undefined || mapping.fixed || mapping.remote === remote) return false;
    }
    return true;
  }

  #add(mapping: Mapping): void {
    const internal = protocolKey(mapping.protocol, mapping.internal);
    const external = protocolKey(mapping.protocol, mapping.external);
    const byRemote = this.#byInternal.get(internal) ?? new Map<number, Mapping>();
    byRemote.set(mapping.remote, mapping);
    this.#byInternal.set(internal, byRemote);
    this.#byExternal.set(external, [...this.#byExternal.get(external) ?? [], mapping]);
  }

  #remove(mapping: Mapping): void {
    const internal = protocolKey(mapping.protocol, mapping.internal);
    const external = protocolKey(mapping.protocol, mapping.external);
    const byRemote = this.#byInternal.get(internal);
    if (byRemote?.get(mapping.remote) === mapping) byRemote.delete(mapping.remote);
    if (byRemote?.size === 0) this.#byInternal.delete(internal);
    const left = (this.#byExternal.get(external) ?? []).filter((other) => other !== mapping);
    if (left.length === 0) this.#byExternal.delete(external);
    else this.#byExternal.set(external, left);
  }

  #sweepSometimes(now: Millis): void {
    if (++this.#translations % SWEEP_EVERY !== 0) return;
    for (const mappings of [...this.#byExternal.values()]) {
      for (const mapping of mappings) if (!this.#isAlive(mapping, now)) this.#remove(mapping);
    }
  }
}
