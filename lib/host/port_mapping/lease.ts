/** What the three protocols have in common: a UDP port of this host that a gateway forwards, for some time. */

import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";

/** How long a mapping is asked for, seconds: a router that this host has left forgets it within the hour. */
export const LIFETIME = 3600;

/** Protocols by which a gateway can be asked: RFC 6887, RFC 6886, UPnP Internet Gateway Device. */
export type MappingProtocol = "pcp" | "nat-pmp" | "upnp";

/** The gateway, and this host's address towards it. */
export interface Gateway {
  readonly address: Ipv4;
  readonly local: Ipv4;
}

/** A mapping that a gateway said it made. */
export interface Lease {
  readonly protocol: MappingProtocol;
  readonly external: Endpoint;
  /** Seconds until it ends; `Infinity` for one that only {@link release} ends. */
  readonly lifetime: number;
  /** Asks for the same again. @returns undefined when the gateway does not answer or refuses */
  renew(): Promise<Lease | undefined>;
  /** Ends it, as far as the gateway can be told. Never throws. */
  release(): Promise<void>;
}

/** Takes the smaller of what was asked and what was granted: a gateway that says more may mean it or not. */
export function boundedLifetime(granted: number): number {
  return Math.min(granted, LIFETIME);
}
