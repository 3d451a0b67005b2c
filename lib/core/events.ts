/** What machines tell their host: transitions, as plain values. */

import type { Endpoint, Ipv4 } from "../wire/ipv4.ts";
import type { Ipv6 } from "../wire/ipv6.ts";

/** Why a client is off-line. */
export type OfflineReason =
  | "no-answer-primary"
  | "no-answer-secondary"
  | "symmetric-nat"
  | "maintenance-lost";

/** A transition of a machine. */
export type MachineEvent =
  | { readonly type: "starting"; readonly server: Ipv4 }
  | {
    readonly type: "qualified";
    readonly address: Ipv6;
    readonly server: Ipv4;
    readonly mapped: Endpoint;
    /** MTU the server advertised, octets; undefined when it sent none. */
    readonly mtu: number | undefined;
    readonly symmetric: boolean;
    /** External port equals the local port. */
    readonly portPreserving: boolean;
    /** Milliseconds since qualification began. */
    readonly elapsed: number;
  }
  /** The address of a qualified client is no longer valid: the host takes it off the interface. Always follows `qualified`. */
  | { readonly type: "lost"; readonly reason: OfflineReason | "mapping-changed" | "stopped" }
  /** Qualification failed; the machine tries again by itself after `retryIn` milliseconds. */
  | { readonly type: "offline"; readonly reason: OfflineReason; readonly retryIn: number }
  /** A server's confirmation octet asks for a new secret (RFC 4380 5.2.2). */
  | { readonly type: "key-expired"; readonly server: Ipv4 }
  /** Interval determination raised the refresh interval (RFC 4380 5.2.7), milliseconds. */
  | { readonly type: "refresh-interval"; readonly interval: number }
  /** A direct path to a peer came up; first time only per conversation. */
  | {
    readonly type: "peer-up";
    readonly peer: Ipv6;
    readonly endpoint: Endpoint;
    readonly path: "direct" | "local" | "relay";
  }
  /** Bubbles or connectivity tests to a peer were exhausted. */
  | { readonly type: "peer-unreachable"; readonly peer: Ipv6 };
