/** What a Teredo client is told at construction, and what it tells about itself (RFC 4380 5.2). Values only. */

import type { Endpoint, Ipv4, Ipv4Subnet } from "../../wire/ipv4.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import type { OfflineReason } from "../events.ts";
import type { Millis } from "../machine.ts";
import type { NatReport } from "../qualification/nat_behaviour.ts";
import type { NatFindings } from "../qualification/nat_test.ts";

/** Settings of a client. All times in milliseconds, all sizes in octets. */
export interface ClientOptions {
  /** Refresh interval (RFC 4380 5.2: 30 s). Maintenance happens after a random 75 to 100 % of it. */
  readonly refreshInterval: Millis;
  /** Wait for a router advertisement, T of RFC 4380 5.2.1: 4 s. */
  readonly solicitationTimeout: Millis;
  /** The same wait in maintenance. Shorter than {@link solicitationTimeout} where another server can take over soon. */
  readonly maintenanceTimeout: Millis;
  /** Router solicitations sent in a phase before it fails, N of RFC 4380 5.2.1: 3. At least 1. */
  readonly solicitationAttempts: number;
  /** Shortest pause between failed qualifications; not where the server is silent, which is asked on and on. */
  readonly retryMinimum: Millis;
  /** Longest pause between failed qualifications. */
  readonly retryMaximum: Millis;
  /** Begin with the cone phase of RFC 4380, which RFC 5991 3.2 takes out: it tells the world the kind of NAT. */
  readonly conePhase: boolean;
  /** Believe the cone bit of a peer's address (RFC 4380 5.2.4 case 4); RFC 5991 3.2 says not to. */
  readonly honourCone: boolean;
  /** Stay qualified behind a symmetric NAT (RFC 6081 3.1) instead of going off-line (RFC 4380 5.2.1). */
  readonly symmetricNatSupport: boolean;
  /** The extensions of RFC 6081 beyond that, and paths through relays. */
  readonly traversal: TraversalOptions;
  /** Find other clients on the same link over 224.0.0.253 (RFC 4380 5.2.8). */
  readonly localDiscovery: boolean;
  /** Accept discovery bubbles only from clients behind the same mapped address as ours (RFC 4380 5.2.8, MAY). */
  readonly requireSameMappedAddress: boolean;
  /** Find out how long the NAT keeps a mapping and refresh accordingly (RFC 4380 5.2.7). */
  readonly intervalDetermination: boolean;
  /** Find out how the NAT filters and whether it hairpins, by a few datagrams to the server and to the own mapping. */
  readonly natTest: boolean;
  /** Client identifier for secure qualification (RFC 4380 5.2.2), at most 255 octets; used only with {@link secret}. */
  readonly identifier: Uint8Array | undefined;
  /** Shared secret for secure qualification; undefined: none, only nonces are checked. */
  readonly secret: Uint8Array | undefined;
  /** Mapping and flags of an earlier run: where the mapping is still the same, so is the address. */
  readonly remembered: RememberedMapping | undefined;
  /** Address and port the service socket is bound to. */
  readonly localEndpoint: Endpoint;
  /** IPv4 subnets this host is attached to: their broadcasts are no targets, their hosts may discover us. */
  readonly subnets: readonly Ipv4Subnet[];
  /** Largest IPv6 packet taken from the host. */
  readonly mtu: number;
  /** Bound of the peer table. */
  readonly maxPeers: number;
  /** Bound of the peers being negotiated with (or remembered as out of reach) at one time. */
  readonly maxPending: number;
  readonly queueOctetsPerPeer: number;
  readonly queueOctetsTotal: number;
  /** ICMPv6 errors to this host, per second. */
  readonly errorsPerSecond: number;
  /** Direct IPv6 connectivity tests, echo requests per second over all peers. */
  readonly testsPerSecond: number;
}

/** Which ways to peers a client knows besides those of RFC 4380. Those for symmetric NATs need `symmetricNatSupport`. */
export interface TraversalOptions {
  /** Random ports, for symmetric NATs that keep ports, and for peers behind such (RFC 6081 5.4). */
  readonly portPreserving: boolean;
  /** Echo Tests, for symmetric NATs that number ports in sequence (RFC 6081 5.5). Needs {@link portPreserving}. */
  readonly sequential: boolean;
  /** Tell peers behind the same NAT our addresses inside it (RFC 6081 5.6). */
  readonly hairpinning: boolean;
  /** Ask an idle peer itself before its server (RFC 6081 5.7). */
  readonly serverLoadReduction: boolean;
  /** Meet at a relay where no direct way leads to a Teredo peer. */
  readonly relayPaths: boolean;
  /** The relay over which we answer peers that cannot reach us; undefined: the one that a native node answered through. */
  readonly relay: Endpoint | undefined;
  /** A native node that is asked, when a peer wants to meet at a relay and none is known, to find the relay that leads to us. */
  readonly relayProbe: Ipv6 | undefined;
  /** IPv4 addresses of this host, the one towards the Internet first: what peers on the same side of the NAT are told. */
  readonly localAddresses: readonly Ipv4[];
}

/** What a restarted client needs to take its old address on again. */
export interface RememberedMapping {
  readonly mapped: Endpoint;
  /** Flags field of the address that went with it; only its random bits are used. */
  readonly flags: number;
}

/** A Teredo server as a client sees it. */
export interface ServerAddresses {
  readonly primary: Ipv4;
  /** Undefined: the server has one address only, and a symmetric NAT cannot be told. */
  readonly secondary: Ipv4 | undefined;
}

/** Phase of a qualification: legacy cone, restricted towards the primary, restricted towards the secondary address. */
export type QualificationPhase = "cone" | "primary" | "secondary";

/** Where a client stands (RFC 4380 5.2: Initial, Starting, Qualified, Off-line). */
export type ClientState =
  | { readonly status: "initial" }
  | { readonly status: "starting"; readonly server: Ipv4; readonly phase: QualificationPhase; readonly since: Millis }
  | {
    readonly status: "qualified";
    readonly server: Ipv4;
    readonly address: Ipv6;
    readonly mapped: Endpoint;
    readonly symmetric: boolean;
    /** External port equals the local port. */
    readonly portPreserving: boolean;
    /** What is known of the NAT. */
    readonly nat: NatReport & NatFindings;
    readonly since: Millis;
    /** Present refresh interval: configured, or found by interval determination. */
    readonly refreshInterval: Millis;
  }
  | { readonly status: "offline"; readonly server: Ipv4; readonly reason: OfflineReason; readonly retryAt: Millis };
