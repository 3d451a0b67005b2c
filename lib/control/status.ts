/**
 * The status of a running daemon: one value behind `miredo status`, its JSON, the metrics and `miredo wait`.
 *
 * Keys are those of the JSON, in snake_case; times are ISO 8601 texts or numbers with their unit in the name. Within schema 1, keys may be
 * added; none is removed or given another meaning.
 */

import type { HealthLine } from "./health.ts";

/** Version of the form below. */
export const STATUS_SCHEMA = 1;

/** What a daemon is doing. */
export type DaemonState =
  /** Client: no server to ask yet. */
  | "resolving"
  /** Client: out of service while the host has native IPv6. */
  | "standby"
  | "qualifying"
  | "qualified"
  | "offline"
  | "relaying"
  | "serving"
  /** The data isolate is being started again. */
  | "restarting";

/** Something that a look from inside a NAT can find out, or has not. */
export type Finding = "yes" | "no" | "not checked";

/** How packets reach a peer. */
export type PeerPath = "direct" | "local" | "relay";

/** How far we are with a peer. */
export type PeerState =
  /** Heard less than 30 s ago: packets go at once. */
  | "open"
  /** The hole is being punched. */
  | "negotiating"
  /** Was open; the next packet negotiates again. */
  | "idle"
  /** Never heard. */
  | "silent";

export interface PeerStatus {
  readonly address: string;
  /** `address:port`, null when none is known. */
  readonly endpoint: string | null;
  readonly path: PeerPath;
  readonly state: PeerState;
  readonly last_heard_seconds: number;
  readonly last_sent_seconds: number;
  /** IPv6 packets from and to the peer since it is in the table, modulo 2^32. */
  readonly rx_packets: number;
  readonly tx_packets: number;
}

export interface PeersStatus {
  readonly count: number;
  readonly limit: number;
  /** On request only. */
  readonly list?: readonly PeerStatus[];
}

export interface ServerStatus {
  readonly address: string;
  readonly secondary: string | null;
  /** Of the last solicitation that was answered. */
  readonly round_trip_ms: number | null;
  readonly last_heard_seconds: number | null;
}

export interface NatStatus {
  /** Another mapping for each destination: a symmetric NAT. */
  readonly mapping_varies: Finding;
  readonly port_preserved: Finding;
  /** How it numbers the ports of new mappings. */
  readonly port_numbering: "preserving" | "sequential" | "random" | "not checked";
  /** Packets come in from endpoints that were never written to. */
  readonly filtering_open: Finding;
  readonly hairpin: Finding;
  readonly refresh_seconds: number;
}

export interface InterfaceStatus {
  readonly name: string;
  readonly mtu: number;
}

/** A histogram: how many values were at most so many seconds, cumulative as in Prometheus. */
export interface HistogramStatus {
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
  readonly count: number;
  readonly sum: number;
}

export interface Status {
  readonly schema: typeof STATUS_SCHEMA;
  /** Of the program. */
  readonly version: string;
  readonly role: "client" | "relay" | "server";
  readonly pid: number;
  readonly started: string;
  readonly uptime_seconds: number;
  readonly state: DaemonState;
  readonly since: string;
  /** Why a client is off-line. */
  readonly reason: string | null;
  /** Teredo address of a client. */
  readonly address: string | null;
  /** The server a client uses. */
  readonly server: ServerStatus | null;
  /** What a server or relay listens on, or a client's local endpoint. */
  readonly listen: readonly string[];
  /** How the server sees a client: `address:port`. */
  readonly mapped: string | null;
  readonly nat: NatStatus | null;
  /** The Teredo prefix that a relay or server works for. */
  readonly prefix: string | null;
  readonly interface: InterfaceStatus | null;
  /** Kernel offloads in use; empty: none. */
  readonly offloads: readonly string[];
  readonly peers: PeersStatus | null;
  readonly counters: Readonly<Record<string, number>>;
  /** By reason. */
  readonly drops: Readonly<Record<string, number>>;
  readonly histograms: Readonly<Record<string, HistogramStatus>>;
  readonly health: readonly HealthLine[];
}
