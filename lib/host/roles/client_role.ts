/**
 * The client on a host: a tunnel interface that has an address for as long as the machine is qualified, and the list of servers to ask.
 *
 * ```
 *   server choice ─▶ start ─▶ machine ─ qualified ─▶ address and default route on the interface
 *        ▲                       │──── lost ───────▶ address and routes off
 *        └──── lost, offline ────┘
 * ```
 */

import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { ClientConfig, Config } from "../../../config/mod.ts";
import { SystemError } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/io.ts";
import { resolveIpv4 } from "../../../ffi/resolve.ts";
import { localEndpoint, openUdp } from "../../../ffi/udp.ts";
import type { ClientOptions } from "../../core/client/client.ts";
import type { MachineEvent } from "../../core/events.ts";
import { type Endpoint, formatEndpoint, formatIpv4, type Ipv4, parseIpv4 } from "../../wire/ipv4.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import { formatIpv6 } from "../../wire/ipv6_address.ts";
import { flagsAt } from "../../wire/teredo_address.ts";
import { BIND_ADVICE, reasonOf, withAdvice } from "../system/advice.ts";
import type { CapabilityHolder } from "../confinement/confinement.ts";
import type { DataIsolate } from "../threads/data_isolate.ts";
import { DiscoverySocket } from "./discovery_socket.ts";
import { hasNativeIpv6, type HostAddresses, hostAddresses } from "../system/host_addresses.ts";
import type { Descriptors, MachineSetup } from "../data/messages.ts";
import { Hooks, type InterfaceView } from "./hooks.ts";
import { InterfaceThread } from "../threads/interface_thread.ts";
import { PortMapper } from "../port_mapping/mapper.ts";
import { NetworkWatch } from "../system/network_watch.ts";
import { clientOptions } from "./options.ts";
import type { Role } from "./role.ts";
import { askServers } from "../servers/server_asking.ts";
import { SleepWatch } from "../system/sleep_watch.ts";
import { StateFile } from "./state_file.ts";
import { ServerChoice } from "../servers/server_choice.ts";
import { type ResolvedServer, ServerList } from "../servers/server_list.ts";
import { LINK_LOCAL } from "../interface/tunnel_interface.ts";

const log = getLogger(["miredo", "client"]);

/** Prefix length of the address on the interface: all of the Teredo service is on this link. */
const ADDRESS_PREFIX_LENGTH = 32;

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
  readonly descriptors: Omit<Descriptors, "wake">;
  readonly #interface: InterfaceThread;
  readonly #service: number;
  readonly #discovery: DiscoverySocket | undefined;
  readonly #hooks: Hooks;
  /** What hooks were last told of an address. */
  #hooked: InterfaceView | undefined;
  #config: ClientConfig;
  /** Undefined until there is something to choose for. */
  #choice: ServerChoice | undefined;
  /** Ends the waits of {@link #choice} when another takes over. */
  #choosing = new AbortController();
  readonly #state: StateFile;
  #remembered: ClientOptions["remembered"];
  #data: DataIsolate | undefined;
  #fail: (cause: Error) => void = () => {};
  #watch: NetworkWatch | undefined;
  #sleep: SleepWatch | undefined;
  #mapper: PortMapper | undefined;
  #mapping: Endpoint | undefined;
  #addresses: HostAddresses;
  /** Not in service because the host has native IPv6. */
  #standby = false;

  constructor(config: ClientConfig) {
    this.#config = config;
    this.#addresses = hostAddresses();
    this.#state = new StateFile(config.state.file, config.security.chroot);
    const memory = this.#state.read();
    this.#remembered = memory;
    const { address, port } = config.bind;
    this.#service = openService(parseIpv4(address) ?? 0, port, memory?.port);
    this.#discovery = config.client.local_discovery
      ? DiscoverySocket.open(this.#service, this.#addresses.ipv4)
      : undefined;
    try {
      this.#interface = new InterfaceThread({
        name: config.interface.name,
        mtu: config.interface.mtu,
        metric: config.interface.metric,
        policyTable: config.interface.policy_table,
      });
    } catch (cause) {
      this.#closeSockets();
      throw cause;
    }
    this.#hooks = new Hooks(config.hooks, this.#interface);
    this.descriptors = {
      tun: this.#interface.fd,
      sockets: [this.#service, -1, this.#discovery?.fd ?? -1],
      rawIpv6: -1,
    };
  }

  get holder(): CapabilityHolder {
    return this.#interface;
  }

  startPrograms(): void {
    this.#hooks.start();
  }

  get machine(): MachineSetup {
    return { role: "client", options: this.#options(), server: undefined, mapping: this.#mapping };
  }

  attach(data: DataIsolate, fail: (cause: Error) => void): void {
    this.#data = data;
    this.#fail = fail;
    this.#interface.died.catch(fail);
    this.#watch = new NetworkWatch(() => this.#networkChanged());
    this.#sleep = new SleepWatch((milliseconds) => this.#slept(milliseconds));
    if (!this.#mustStandBy()) this.#serve();
    this.#mapPort();
  }

  onEvent(event: MachineEvent): void {
    switch (event.type) {
      case "starting":
        log.info("Qualifying", { server: formatIpv4(event.server) });
        break;
      case "qualified": {
        if (this.#standby) break; // said before the machine heard that it is out of service
        this.#choice?.settled();
        const mtu = Math.min(this.#config.interface.mtu, event.mtu ?? Infinity);
        this.#onInterface(() => this.#interface.setAddress(event.address, ADDRESS_PREFIX_LENGTH, mtu));
        this.#tellHooks("up", event.address, mtu);
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
        this.#clearAddress();
        if (event.reason === "maintenance-lost" && !this.#standby) this.#choice?.lost();
        if (event.reason !== "stopped") log.warn("Lost qualification", { reason: event.reason });
        break;
      case "offline":
        // A machine that took over from another one says nothing of the address it found.
        this.#clearAddress();
        log.warn("No Teredo service", {
          reason: event.reason,
          hint: HINTS[event.reason] ?? "",
          retryInMs: Math.round(event.retryIn),
        });
        if (this.#standby) break;
        // The NAT is the same whoever is asked.
        if (event.reason === "symmetric-nat") this.#choice?.idle();
        else this.#choice?.lost();
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
    this.#tendInterface();
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
    if (!sameValue([settings, config.nat, config.limits], [settingsBefore, before.nat, before.limits])) {
      const running = this.#data?.machine;
      this.#data?.replace({
        role: "client",
        options: this.#options(),
        server: running?.role === "client" ? running.server : undefined,
        mapping: this.#mapping,
      });
    }
    if (otherServers) {
      this.#choosing.abort();
      this.#choice = undefined;
    }
    this.#mapPort();
    if (this.#mustStandBy()) return;
    if (otherServers) this.#serve();
  }

  async end(): Promise<void> {
    await this.#mapper?.end();
  }

  [Symbol.dispose](): void {
    void this.end();
    this.#choosing.abort();
    this.#watch?.[Symbol.dispose]();
    this.#sleep?.[Symbol.dispose]();
    this.#hooks[Symbol.dispose]();
    this.#closeSockets();
    this.#interface[Symbol.dispose]();
  }

  #options(): ClientOptions {
    return clientOptions(this.#config, {
      local: localEndpoint(this.#service),
      addresses: this.#addresses,
      remembered: this.#remembered,
    });
  }

  /** Has the service port mapped at the gateway, or leaves that. */
  #mapPort(): void {
    if (!this.#config.nat.port_mapping || this.#standby) {
      void this.#mapper?.end();
      this.#mapper = undefined;
      this.#mapped(undefined);
      return;
    }
    this.#mapper ??= new PortMapper({
      local: localEndpoint(this.#service),
      changed: (external) => this.#mapped(external),
    });
  }

  #mapped(mapping: Endpoint | undefined): void {
    if (sameValue(mapping, this.#mapping)) return;
    this.#mapping = mapping;
    this.#data?.portMapping(mapping);
  }

  /** Keeps mapping and random flags for the next machine, so that the address outlives it (RFC 5991 random bits stay with the mapping). */
  #remember(remembered: NonNullable<ClientOptions["remembered"]>): void {
    this.#remembered = remembered;
    this.#state.write({ port: localEndpoint(this.#service).port, ...remembered });
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
      this.#choice?.idle();
      this.#clearAddress();
      this.#mapPort();
    } else if (before && !this.#standby) {
      log.info("Native IPv6 is gone: back in service");
      this.#mapPort();
      this.#serve();
    }
    return this.#standby;
  }

  /** Takes the address off the interface, and says so to hooks. */
  #clearAddress(): void {
    this.#onInterface(() => this.#interface.clearAddress());
    if (this.#hooked !== undefined) this.#hooks.changed({ ...this.#hooked, state: "down" });
  }

  #tellHooks(state: "up", address: Ipv6, mtu: number): void {
    this.#hooked = { state, address: formatIpv6(address), linkLocal: formatIpv6(LINK_LOCAL), mtu };
    this.#hooks.changed(this.#hooked);
  }

  /** Looks what the kernel or others did to the interface, and mends it where that is possible. */
  #tendInterface(): void {
    this.#onInterface(() => {
      const state = this.#interface.change();
      switch (state) {
        case undefined:
        case "up":
          return;
        case "down":
          log.warn("Interface was set down: no service until it is up again", { interface: this.#interface.name });
          return;
        case "flushed":
          this.#interface.restore();
          log.info("Interface has its addresses and routes again", { interface: this.#interface.name });
          return;
        case "gone":
          this.#fail(new Error(`Cannot go on: interface ${JSON.stringify(this.#interface.name)} was removed`));
          return;
      }
    });
  }

  /** Does something to the interface; others may have changed it, so that a failure is no reason to end. */
  #onInterface(work: () => void): void {
    try {
      work();
    } catch (cause) {
      log.error("Interface is not as it should be", { reason: reasonOf(cause) });
    }
  }

  /** Addresses or routes of the host changed: whatever stood on the old ones is asked for anew. */
  #networkChanged(): void {
    this.#tendInterface();
    this.#mapper?.networkChanged();
    if (this.#mustStandBy()) return;
    const before = this.#addresses;
    this.#addresses = hostAddresses();
    if (sameValue(before.ipv4, this.#addresses.ipv4)) return;
    log.info("IPv4 addresses changed: qualifying again");
    this.#discovery?.join(this.#addresses.ipv4);
    const running = this.#data?.machine;
    if (running?.role === "client") this.#data?.replace({ ...running, options: this.#options() });
  }

  /** The mapping is most likely gone, and perhaps this is another network. */
  #slept(milliseconds: number): void {
    log.info("Host or process slept: qualifying again", { seconds: Math.round(milliseconds / 1000) });
    this.#networkChanged();
    const running = this.#data?.machine;
    if (!this.#standby && running?.role === "client" && running.server !== undefined) this.#data?.start(running.server);
  }

  /** Lets the machine qualify with the server that was chosen, or chooses one. */
  #serve(): void {
    if (this.#choice === undefined) this.#choose();
    else if (this.#choice.current !== undefined) this.#use(this.#choice.current);
  }

  #use({ primary, secondary }: ResolvedServer): void {
    if (this.#standby) return; // it is asked for again when that is over
    const running = this.#data?.machine;
    const current = running?.role === "client" ? running.server : undefined;
    // The machine keeps trying by itself: leave it alone unless there is something else to ask.
    if (current?.primary === primary && current.secondary === secondary) return;
    this.#data?.start({ primary, secondary });
  }

  #choose(): void {
    const { servers, secondary } = this.#config.client;
    this.#choosing = new AbortController();
    const { signal } = this.#choosing;
    const wait = (milliseconds: number): Promise<void> => sleep(milliseconds, undefined, { signal });
    const random = (): number => crypto.getRandomValues(new Uint32Array(1))[0] / 0x1_0000_0000;
    const second = secondary === "auto" || secondary === "none" ? secondary : parseIpv4(secondary) ?? "auto";
    const list = new ServerList(servers, second, {
      resolve: resolveIpv4,
      wait,
      random,
      failed: (name, reason) => {
        if (!signal.aborted) log.warn("Cannot use server", { server: name, reason });
      },
      waiting: (milliseconds) => {
        if (!signal.aborted) log.info("No server to ask yet", { retryInMs: Math.round(milliseconds) });
      },
    });
    this.#choice = new ServerChoice(list, {
      ask: (asked) => this.#ask(asked),
      wait,
      now: () => performance.now(),
      random,
      use: (server) => {
        if (!signal.aborted) this.#use(server);
      },
    });
    this.#choice.run().catch((cause) => {
      if (!signal.aborted) log.error("Server list failed", { reason: reasonOf(cause) });
    });
  }

  async #ask(servers: readonly ResolvedServer[]): Promise<readonly Ipv4[]> {
    const { identifier, secret, subnets } = this.#options();
    const credentials = secret === undefined ? undefined : { identifier: identifier ?? new Uint8Array(0), secret };
    return await askServers(
      servers.map(({ primary }) => primary),
      credentials,
      subnets,
      parseIpv4(this.#config.bind.address) ?? 0,
    );
  }

  #closeSockets(): void {
    close(this.#service);
    this.#discovery?.[Symbol.dispose]();
  }
}

/**
 * Opens the service socket.
 * @param port as configured; 0: the last run's, so that the NAT may know it again, or any
 */
function openService(address: Ipv4, port: number, last: number | undefined): number {
  if (port === 0 && last !== undefined) {
    try {
      return openUdp({ address, port: last });
    } catch (cause) {
      if (!(cause instanceof SystemError)) throw cause;
      log.debug("The last UDP port is taken", { port: last });
    }
  }
  return withAdvice(BIND_ADVICE, () => openUdp({ address, port }));
}

function sameValue(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
