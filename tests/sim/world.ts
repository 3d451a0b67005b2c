/**
 * The world most scenarios play in: a server, a relay and an IPv6-only host on the public internet, and clients behind NATs of a kind.
 *
 * ```
 *   alice ─ NAT ─┐          ┌─ server 192.0.2.1, 192.0.2.2 ─┐
 *                ├ internet ┤                               ├ IPv6 internet ─ native 2001:db8::1
 *   bob ─── NAT ─┘          └─ relay 192.0.2.9 ─────────────┘
 * ```
 */

import type { ClientOptions } from "../../lib/core/client/client_options.ts";
import type { Millis } from "../../lib/core/machine.ts";
import type { RelayOptions } from "../../lib/core/relay/relay.ts";
import type { ServerOptions } from "../../lib/core/server/server.ts";
import type { Endpoint } from "../../lib/wire/ipv4.ts";
import type { LinkOptions } from "./link.ts";
import { NAT_KINDS, type NatKind, type NatOptions, Protocol } from "./nat.ts";
import type { Datagram, NatBox, Network } from "./network.ts";
import { ClientNode, NativeNode, RelayNode, ServerNode } from "./nodes.ts";

/** 192.0.2.1 and the address after it. */
export const SERVER = { primary: 0xc0000201, secondary: 0xc0000202 } as const;
/** 192.0.2.9 */
export const RELAY = 0xc0000209;
/** 198.51.100.0: each NAT takes one address from here on. */
const NAT_NETWORK = 0xc6336400;
/** Distance of further addresses of one NAT. */
const POOL_STRIDE = 64;
/** 10.0.0.0: each LAN takes a /24 from here on. */
const LAN_NETWORK = 0x0a000000;

/** The kinds of NAT that plain RFC 4380 connects (6081 figure 1, upper left): by name, or with the service port reserved (UPnP). */
export type PlainKind = Exclude<NatKind, "symmetric"> | "reserved-port";

export const PLAIN_KINDS: readonly PlainKind[] = ["cone", "address-restricted", "port-restricted", "reserved-port"];

/** Faults as they happen: some delay and jitter, few losses, some overtaking. */
export const ROUGH: LinkOptions = {
  delay: 15,
  jitter: 25,
  loss: 0.01,
  duplication: 0.01,
  reordering: 0.05,
  reorderBy: 60,
};

/** What is special about a world. */
export interface WorldOptions {
  /** Of every line. Default: 10 ms. */
  readonly link?: LinkOptions;
  /** The server has one address only. */
  readonly oneAddress?: boolean;
  readonly server?: Partial<ServerOptions>;
  readonly relay?: Partial<RelayOptions>;
}

/** A NAT and the client behind it. */
export interface Home {
  readonly client: ClientNode;
  readonly box: NatBox;
  /** Where the client's service port is bound. */
  readonly local: Endpoint;
}

/** Server, relay, IPv6 host, and as many homes as wanted. */
export class World {
  readonly network: Network;
  readonly server: ServerNode;
  readonly relay: RelayNode;
  readonly native: NativeNode;
  readonly #link: LinkOptions;
  #homes = 0;

  constructor(network: Network, options: WorldOptions = {}) {
    const link = options.link ?? { delay: 10 };
    this.network = network;
    this.#link = link;
    const secondary = options.oneAddress === true ? undefined : SERVER.secondary;
    this.server = new ServerNode(network, "server", {
      primary: SERVER.primary,
      secondary,
      link,
      server: options.server ?? {},
    });
    this.relay = new RelayNode(network, "relay", {
      address: RELAY,
      ipv6: "2001:db8:9::1",
      link,
      relay: options.relay ?? {},
    });
    this.native = new NativeNode(network, "native", "2001:db8::1", link);
  }

  /** A client behind a NAT of its own. @param pool external addresses of the NAT besides the first */
  home(
    name: string,
    kind: NatKind | PlainKind | Partial<NatOptions>,
    client: Partial<ClientOptions> = {},
    pool: number = 0,
  ): Home {
    const number = ++this.#homes;
    const zone = this.network.zone(`${name}-lan`, { address: LAN_NETWORK + number * 256, prefixLength: 24 });
    const model = typeof kind !== "string" ? kind : NAT_KINDS[kind === "reserved-port" ? "port-restricted" : kind];
    const addresses = Array.from({ length: 1 + pool }, (_, i) => NAT_NETWORK + number + POOL_STRIDE * i);
    const box = this.network.nat(`${name}-nat`, zone, this.network.internet, { addresses, ...model }, this.#link);
    const address = LAN_NETWORK + number * 256 + 2;
    const port = 30_000 + number;
    if (kind === "reserved-port") box.nat.forward(Protocol.udp, port, { address, port });
    const local = { address, port };
    return { client: new ClientNode(this.network, name, { zone, ...local, client }), box, local };
  }

  /** Qualifies clients one after another. @throws Error when one does not within a minute */
  qualify(...clients: readonly ClientNode[]): void {
    for (const client of clients) {
      if (client.qualify(this.server.addresses) === undefined) throw new Error(`${client.host.name} did not qualify`);
    }
  }

  /** Lets time pass. */
  run(duration: Millis): void {
    this.network.clock.run(duration);
  }

  /** Lets time pass until something holds. @returns the milliseconds that took, undefined when it did not hold within `limit` */
  runUntil(condition: () => boolean, limit: Millis): Millis | undefined {
    return this.network.clock.runUntil(condition, limit);
  }

  /** Does something every `interval` until `duration` has passed. */
  every(interval: Millis, duration: Millis, action: () => void): void {
    for (let passed = 0; passed < duration; passed += interval) {
      action();
      this.run(interval);
    }
  }

  /** The datagrams of which one host was the sender, and which matched, in order, with their moments. */
  sent(test: (datagram: Datagram) => boolean): readonly { readonly at: Millis; readonly datagram: Datagram }[] {
    return this.network.trace.flatMap(({ at, packet }) =>
      packet instanceof Uint8Array || !test(packet) ? [] : [{ at, datagram: packet }]
    );
  }
}
