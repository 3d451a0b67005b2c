/** What the lab and its carrier tell each other over `postMessage`. */

import type { Millis } from "../../lib/core/machine.ts";
import type { Endpoint, Ipv4 } from "../../lib/wire/ipv4.ts";
import type { LinkOptions } from "../sim/link.ts";
import type { HostPlan, NatPlan } from "./internet.ts";

/** Most hosts of one lab. */
export const MAX_HOSTS = 64;

/** The first message to a carrier. */
export interface Start {
  readonly kind: "start";
  /** Readable when a request was posted. */
  readonly eventFd: number;
  /** File for the packets of the public IPv4 internet. */
  readonly pcap: string | undefined;
  /** Tell of every Teredo control datagram on the public internet. */
  readonly sightings: boolean;
  readonly seed: number;
}

/** Something to do. */
export type Command =
  | { readonly kind: "add-host"; readonly plan: HostPlan; readonly tun: number }
  | { readonly kind: "add-nat"; readonly plan: NatPlan }
  | { readonly kind: "reboot-nat"; readonly name: string; readonly addresses?: readonly Ipv4[] }
  | { readonly kind: "set-link"; readonly name: string; readonly link: LinkOptions }
  | { readonly kind: "set-up"; readonly name: string; readonly up: boolean }
  | { readonly kind: "stats" }
  | { readonly kind: "stop" };

/** A command that wants a {@link Reply}. */
export interface Request {
  readonly kind: "request";
  readonly id: number;
  readonly command: Command;
}

/** How the carrier is doing. */
export interface Stats {
  /** Packets read from hosts. */
  readonly packets: number;
  readonly wakeups: number;
  /** Packets that a host's kernel did not take. */
  readonly refused: number;
  /** Longest time between two polls since the last question, milliseconds. */
  readonly longestTurn: Millis;
  /** By NAT (or internet) and reason. */
  readonly drops: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** A Teredo control datagram that crossed the public internet. */
export interface Sighting {
  readonly kind: "sighting";
  /** Unix time, milliseconds with fractions. */
  readonly at: Millis;
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly text: string;
}

/** What a carrier says. */
export type FromCarrier =
  | { readonly kind: "started" }
  | {
    readonly kind: "reply";
    readonly id: number;
    readonly result?: number | Stats;
    readonly error?: string;
  }
  | Sighting;
