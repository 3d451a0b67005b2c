/**
 * The client on a host: a tunnel interface that has an address for as long as the machine is qualified, and the list of servers to ask.
 *
 * ```
 *   server list ─▶ start ─▶ machine ─ qualified ─▶ address and default route on the interface
 *        ▲                     │──── lost ───────▶ address and routes off
 *        └────── offline ──────┘
 * ```
 */

import { getLogger } from "@logtape/logtape";
import type { ClientConfig, Config } from "../../config/mod.ts";
import { close } from "../../ffi/io.ts";
import { resolveIpv4 } from "../../ffi/resolve.ts";
import { joinGroup, localEndpoint, multicastOptions, openUdp } from "../../ffi/udp.ts";
import type { ClientOptions } from "../core/client.ts";
import type { MachineEvent } from "../core/events.ts";
import { DISCOVERY_ADDRESS, formatEndpoint, formatIpv4, parseIpv4 } from "../wire/ipv4.ts";
import { formatIpv6 } from "../wire/ipv6_address.ts";
import { flagsAt, TEREDO_PORT } from "../wire/teredo_address.ts";
import type { DataIsolate } from "./data_isolate.ts";
import { hasNativeIpv6, type HostAddresses, hostAddresses, isLoopback } from "./host_addresses.ts";
import type { Descriptors, MachineSetup } from "./messages.ts";
import { NetworkWatch } from "./network_watch.ts";
import { clientOptions } from "./options.ts";
import type { Role } from "./role.ts";
import { ServerList } from "./server_list.ts";
import { TunnelInterface } from "./tunnel_interface.ts";

const log = getLogger(["miredo", "client"]);

/** Prefix length of the address on the interface: all of the Teredo service is on this link. */
const ADDRESS_PREFIX_LENGTH = 32;

/** TTL of discovery bubbles (RFC 4380 5.2.8). */
const DISCOVERY_TTL = 1;

/** Hints for reasons that an operator can do something about. */
const HINTS: Readonly<Record<string, string>> = {
  "no-answer-primary": "is the server up, and does a firewall here let UDP out to its port 3544?",
  "no-answer-secondary": 'if the server has one address only, set client.secondary = "none"',
  "symmetric-nat": "the NAT here gives each destination another port",
};

/**
 * A client.
 *
 * With `client.native_ipv6 = "standby"` it obeys RFC 4380 5.5 to the letter: no service while the host has native IPv6. Otherwise the
 * route metric sees to it that native IPv6 is preferred.
 */
export class ClientRole implements Role {
  readonly keep = ["NET_ADMIN"] as const;
  readonly descriptors: Omit<Descriptors, "wake">;
  readonly #interface: TunnelInterface;
  readonly #service: number;
  readonly #discovery: number;
  readonly #ending = new AbortController();
  #config: ClientConfig;
  #servers: ServerList;
  #remembered: ClientOptions["remembered"];
  /** The list a look-up is under way in; one at a time. */
  #asking: ServerList | undefined;
  #data: DataIsolate | undefined;
  #watch: NetworkWatch | undefined;
  #addresses: HostAddresses;
  /** Not in service because the host has native IPv6. */
  #standby = false;

  constructor(config: ClientConfig) {
    this.#config = config;
    this.#addresses = hostAddresses();
    this.#servers = this.#serverList();
    this.#service = openUdp({ address: parseIpv4(config.bind.address) ?? 0, port: config.bind.port });
    this.#discovery = config.client.local_discovery ? openDiscovery(this.#service) : -1;
    try {
      this.#interface = new TunnelInterface({
        name: config.interface.name,
        mtu: config.interface.mtu,
        metric: config.interface.metric,
        policyTable: config.interface.policy_table,
      });
    } catch (cause) {
      this.#closeSockets();
      throw cause;
    }
    this.descriptors = { tun: this.#interface.fd, sockets: [this.#service, -1, this.#discovery], rawIpv6: -1 };
  }

  get machine(): MachineSetup {
    return { role: "client", options: this.#options(), server: undefined };
  }

  attach(data: DataIsolate): void {
    this.#data = data;
    this.#watch = new NetworkWatch(() => this.#networkChanged());
    if (!this.#mustStandBy()) this.#askNext();
  }

  onEvent(event: MachineEvent): void {
    switch (event.type) {
      case "starting":
        log.info("Qualifying", { server: formatIpv4(event.server) });
        break;
      case "qualified": {
        const mtu = Math.min(this.#config.interface.mtu, event.mtu ?? Infinity);
        this.#interface.setAddress(event.address, ADDRESS_PREFIX_LENGTH, mtu);
        this.#remember({ mapped: event.mapped, flags: flagsAt(event.address, 0) });
        log.info("Qualified", {
          address: formatIpv6(event.address),
          server: formatIpv4(event.server),
          mapped: formatEndpoint(event.mapped),
          elapsedMs: Math.round(event.elapsed),
          symmetric: event.symmetric,
        });
        break;
      }
      case "lost":
        this.#interface.clearAddress();
        if (event.reason !== "stopped") log.warn("Lost qualification", { reason: event.reason });
        break;
      case "offline":
        log.warn("No Teredo service", {
          reason: event.reason,
          hint: HINTS[event.reason] ?? "",
          retryInMs: Math.round(event.retryIn),
        });
        if (!this.#standby) this.#askNext();
        break;
      case "key-expired":
        log.warn("Server asks for a new secret", { server: formatIpv4(event.server) });
        break;
      case "refresh-interval":
        log.info("Refresh interval determined", { seconds: event.interval / 1000 });
        break;
      case "peer-up":
        log.debug("Peer reachable", {
          peer: formatIpv6(event.peer),
          endpoint: formatEndpoint(event.endpoint),
          path: event.path,
        });
        break;
      case "peer-unreachable":
        log.debug("Peer unreachable", { peer: formatIpv6(event.peer) });
        break;
    }
  }

  onDeath(): void {
    // The address stays on the interface: the successor most likely gets the same one back within milliseconds.
    log.debug("Requalifying in a new data isolate");
  }

  reconfigure(config: Config): void {
    if (config.role !== "client") return;
    const before = this.#config;
    this.#config = config;
    const { servers: _s, secondary: _p, ...settings } = config.client;
    const { servers: _sb, secondary: _pb, ...settingsBefore } = before.client;
    const otherServers = !sameValue([config.client.servers, config.client.secondary], [
      before.client.servers,
      before.client.secondary,
    ]);
    if (!sameValue([settings, config.limits], [settingsBefore, before.limits])) {
      const running = this.#data?.machine;
      this.#data?.replace({
        role: "client",
        options: this.#options(),
        server: running?.role === "client" ? running.server : undefined,
      });
    }
    if (otherServers) this.#servers = this.#serverList();
    if (this.#mustStandBy()) return;
    if (otherServers) this.#askNext();
  }

  [Symbol.dispose](): void {
    this.#ending.abort();
    this.#watch?.[Symbol.dispose]();
    this.#interface.clearAddress();
    this.#interface[Symbol.dispose]();
    this.#closeSockets();
  }

  #options(): ClientOptions {
    return clientOptions(this.#config, {
      local: localEndpoint(this.#service),
      addresses: this.#addresses,
      remembered: this.#remembered,
    });
  }

  /** Keeps mapping and random flags for the next machine, so that the address outlives it (RFC 5991 random bits stay with the mapping). */
  #remember(remembered: NonNullable<ClientOptions["remembered"]>): void {
    this.#remembered = remembered;
    const running = this.#data?.machine;
    if (running?.role === "client") this.#data?.remember({ ...running, options: { ...running.options, remembered } });
  }

  /** Looks whether native IPv6 forbids service now, and takes the machine out of service or back in accordingly. */
  #mustStandBy(): boolean {
    const before = this.#standby;
    this.#standby = this.#config.client.native_ipv6 === "standby" && hasNativeIpv6(this.#interface.index);
    if (this.#standby && !before) {
      log.info("Standing by while the host has native IPv6");
      const running = this.#data?.machine;
      if (running?.role === "client") this.#data?.replace({ ...running, server: undefined });
      this.#interface.clearAddress();
    } else if (before && !this.#standby) {
      log.info("Native IPv6 is gone: back in service");
      this.#askNext();
    }
    return this.#standby;
  }

  /** Addresses or routes of the host changed: whatever stood on the old ones is asked for anew. */
  #networkChanged(): void {
    if (this.#mustStandBy()) return;
    const before = this.#addresses;
    this.#addresses = hostAddresses();
    if (sameValue(before.ipv4, this.#addresses.ipv4)) return;
    log.info("IPv4 addresses changed: qualifying again");
    const running = this.#data?.machine;
    if (running?.role === "client") this.#data?.replace({ ...running, options: this.#options() });
  }

  /** Finds the next server and lets the machine ask it; with one server this only matters when its name now means another address. */
  #askNext(): void {
    const list = this.#servers;
    if (this.#asking === list) return;
    this.#asking = list;
    list.next().finally(() => {
      if (this.#asking === list) this.#asking = undefined;
    }).then((server) => {
      if (list !== this.#servers || this.#ending.signal.aborted) return;
      const running = this.#data?.machine;
      const current = running?.role === "client" ? running.server : undefined;
      // The machine keeps trying by itself: leave it alone unless there is something else to ask.
      if (current?.primary === server.primary && current.secondary === server.secondary) return;
      this.#data?.start({ primary: server.primary, secondary: server.secondary });
    }, (cause) => {
      if (!this.#ending.signal.aborted) log.error("Server list failed", { reason: String(cause) });
    });
  }

  #serverList(): ServerList {
    const { servers, secondary } = this.#config.client;
    const second = secondary === "auto" || secondary === "none" ? secondary : parseIpv4(secondary) ?? "auto";
    return new ServerList(servers, second, {
      resolve: resolveIpv4,
      wait: (milliseconds) =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(resolve, milliseconds);
          this.#ending.signal.addEventListener("abort", () => {
            clearTimeout(timer);
            reject(this.#ending.signal.reason);
          }, { once: true });
        }),
      random: () => crypto.getRandomValues(new Uint32Array(1))[0] / 0x1_0000_0000,
      failed: (name, reason) => log.warn("Cannot use server", { server: name, reason }),
      waiting: (milliseconds) => log.info("No server to ask yet", { retryInMs: Math.round(milliseconds) }),
    });
  }

  #closeSockets(): void {
    close(this.#service);
    if (this.#discovery >= 0) close(this.#discovery);
  }
}

/** Opens the socket for local client discovery and prepares `service` for sending to the group; -1 (and a warning) where that fails. */
function openDiscovery(service: number): number {
  let descriptor = -1;
  try {
    descriptor = openUdp({ address: DISCOVERY_ADDRESS, port: TEREDO_PORT, reuseAddress: true });
    for (const { address } of hostAddresses().ipv4) {
      if (!isLoopback(address)) joinGroup(descriptor, DISCOVERY_ADDRESS, address);
    }
    multicastOptions(service, { ttl: DISCOVERY_TTL, loop: true });
    return descriptor;
  } catch (cause) {
    log.warn("Local discovery is off", { reason: cause instanceof Error ? cause.message : String(cause) });
    if (descriptor >= 0) close(descriptor);
    return -1;
  }
}

function sameValue(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
