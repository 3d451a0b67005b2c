/**
 * What the main isolate knows of the running role, put together to a {@link Status} for whoever asks.
 *
 * ```
 *   events, deaths ─▶ Monitor ◀─ shared counters
 *                       │  ◀─ looks at the machine (data isolate)
 *                       ▼
 *                 Status, health
 * ```
 */

import type { Config } from "../../../config/mod.ts";
import { localEndpoint } from "../../../ffi/udp.ts";
import type { HealthLine } from "../../control/health.ts";
import { serviceWords } from "../../control/service_words.ts";
import type { DaemonState, Finding, PeerStatus, Status } from "../../control/status.ts";
import { STATUS_SCHEMA } from "../../control/status.ts";
import { Counters } from "../../core/counters.ts";
import type { MachineEvent } from "../../core/events.ts";
import { formatEndpoint, formatIpv4 } from "../../wire/ipv4.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import { formatIpv6 } from "../../wire/ipv6_address.ts";
import { CounterTrend, readCounters, TREND_INTERVAL } from "./counter_view.ts";
import type { DataIsolate } from "../threads/data_isolate.ts";
import { ClockWatch, findHealth } from "./health_check.ts";
import { hasNativeIpv6, hostAddresses } from "../system/host_addresses.ts";
import type { Descriptors, MachineView, Offloads } from "../data/messages.ts";
import { peersOf } from "../data/peer_view.ts";

/** A qualified client's side of the story. */
type Qualified = Extract<MachineEvent, { type: "qualified" }>;

const HOUR = 3_600_000;

/** Watches one role from its start to its end. */
export class Monitor implements Disposable {
  readonly #version: string;
  readonly #data: DataIsolate;
  readonly #descriptors: Omit<Descriptors, "wake">;
  readonly #counters: Counters;
  readonly #trend: CounterTrend;
  readonly #clock = new ClockWatch();
  readonly #started = Date.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #config: Config;
  #state: DaemonState;
  #since = Date.now();
  #reason: string | undefined;
  #qualified: Qualified | undefined;
  #keyExpired = false;
  #deaths: number[] = [];

  constructor(version: string, config: Config, data: DataIsolate, descriptors: Omit<Descriptors, "wake">) {
    this.#version = version;
    this.#config = config;
    this.#data = data;
    this.#descriptors = descriptors;
    this.#counters = new Counters(data.shared.counters);
    this.#trend = new CounterTrend(this.#counters);
    this.#state = config.role === "client" ? "resolving" : config.role === "relay" ? "relaying" : "serving";
    this.#timer = setInterval(() => {
      this.#trend.look();
      this.#clock.look();
    }, TREND_INTERVAL);
    Deno.unrefTimer(this.#timer);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** A reload was taken over. */
  reconfigure(config: Config): void {
    this.#config = config;
  }

  onEvent(event: MachineEvent): void {
    switch (event.type) {
      case "starting":
        // What went wrong before is still the best guess of what is wrong now.
        this.#enter("qualifying", this.#reason);
        return;
      case "qualified":
        this.#qualified = event;
        this.#keyExpired = false;
        this.#enter("qualified");
        return;
      case "lost":
        this.#qualified = undefined;
        this.#enter("qualifying", event.reason === "stopped" ? undefined : event.reason);
        return;
      case "offline":
        this.#enter("offline", event.reason);
        return;
      case "key-expired":
        this.#keyExpired = true;
        return;
      default:
        return;
    }
  }

  onDeath(): void {
    this.#deaths = [...this.#deaths.filter((at) => Date.now() - at < HOUR), Date.now()];
    this.#qualified = undefined;
    if (this.#config.role !== "client") return;
    this.#enter("restarting");
  }

  /** The present state without a look at the machine. */
  get state(): DaemonState {
    if (this.#config.role !== "client" || this.#state === "restarting") return this.#state;
    const machine = this.#data.machine;
    if (machine?.role !== "client" || machine.server !== undefined) return this.#state;
    return this.#config.client.native_ipv6 === "standby" && hasNativeIpv6(-1) ? "standby" : "resolving";
  }

  /** The present state in one line. */
  get words(): string {
    const machine = this.#data.machine;
    const server = machine?.role === "client" ? machine.server : undefined;
    return serviceWords({
      state: this.state,
      reason: this.#reason,
      address: this.#qualified === undefined ? undefined : formatIpv6(this.#qualified.address),
      server: server === undefined ? undefined : formatIpv4(server.primary),
      prefix: this.#config.role === "client" ? undefined : this.#config.teredo.prefix,
      listen: this.#listen(),
    });
  }

  /** Everything but the list of peers. */
  async status(): Promise<Status> {
    return this.#compose(await this.#data.look(-1));
  }

  /** What pings go through, and from which address; the reason when they cannot. */
  pingSource(): { readonly data: DataIsolate; readonly source: Ipv6; readonly prefix: string } | string {
    switch (this.#config.role) {
      case "server":
        return "a server has no tunnel (ping through a client or relay)";
      case "relay": {
        const { nativeSource } = hostAddresses();
        if (nativeSource === undefined) return "this relay has no native IPv6 address";
        return { data: this.#data, source: nativeSource, prefix: this.#config.teredo.prefix };
      }
      case "client":
        if (this.#qualified === undefined) return `this client is ${this.state}`;
        return { data: this.#data, source: this.#qualified.address, prefix: "::/0" };
    }
  }

  /** The list of peers, in pieces. */
  async *peers(): AsyncGenerator<readonly PeerStatus[]> {
    if (this.#config.role === "server") return;
    for (let from = 0;;) {
      const view = await this.#data.look(from);
      if (view === undefined) return;
      if (view.list.length > 0) yield peersOf(view.list);
      if (view.next === 0) return;
      from = view.next;
    }
  }

  #enter(state: DaemonState, reason?: string): void {
    if (state !== this.#state) this.#since = Date.now();
    this.#state = state;
    this.#reason = reason;
  }

  #compose(view: MachineView | undefined): Status {
    const state = this.state;
    const { role } = this.#config;
    return {
      schema: STATUS_SCHEMA,
      version: this.#version,
      role,
      pid: Deno.pid,
      started: new Date(this.#started).toISOString(),
      uptime_seconds: Math.floor((Date.now() - this.#started) / 1000),
      state,
      since: new Date(this.#since).toISOString(),
      reason: this.#reason ?? null,
      address: this.#qualified === undefined ? null : formatIpv6(this.#qualified.address),
      server: this.#server(view),
      listen: this.#listen(),
      mapped: this.#qualified === undefined ? null : formatEndpoint(this.#qualified.mapped),
      nat: this.#nat(view),
      prefix: this.#config.role === "client" ? null : this.#config.teredo.prefix,
      interface: this.#interface(),
      offloads: offloadNames(this.#data.offloads),
      peers: role === "server" ? null : { count: view?.peers ?? 0, limit: view?.maxPeers ?? 0 },
      ...readCounters(this.#counters),
      health: this.#health(state),
    };
  }

  #server(view: MachineView | undefined): Status["server"] {
    const machine = this.#data.machine;
    if (machine?.role !== "client" || machine.server === undefined) return null;
    const { primary, secondary } = machine.server;
    return {
      address: formatIpv4(primary),
      secondary: secondary === undefined ? null : formatIpv4(secondary),
      round_trip_ms: rounded(view?.roundTrip, 1),
      last_heard_seconds: rounded(view?.serverHeard, 1000),
    };
  }

  #listen(): string[] {
    return this.#descriptors.sockets.slice(0, 2).filter((fd) => fd >= 0).map((fd) => formatEndpoint(localEndpoint(fd)));
  }

  #nat(view: MachineView | undefined): Status["nat"] {
    if (this.#config.role !== "client") return null;
    const independent = view?.nat?.endpointIndependent;
    const ports = view?.nat?.ports.kind ?? "not-checked";
    return {
      mapping_varies: this.#reason === "symmetric-nat"
        ? "yes"
        : finding(independent === undefined ? undefined : !independent),
      port_preserved: finding(this.#qualified?.portPreserving),
      port_numbering: ports === "not-checked" ? "not checked" : ports,
      filtering_open: finding(view?.nat?.filteringOpen),
      hairpin: finding(view?.nat?.hairpins),
      refresh_seconds: (view?.refreshInterval ?? this.#config.client.refresh_interval * 1000) / 1000,
    };
  }

  #interface(): Status["interface"] {
    if (this.#config.role === "server") return null;
    const { name, mtu } = this.#config.interface;
    return { name, mtu: Math.min(mtu, this.#qualified?.mtu ?? Infinity) };
  }

  #health(state: DaemonState): HealthLine[] {
    const deaths = this.#deaths.filter((at) => Date.now() - at < HOUR).length;
    return findHealth({
      config: this.#config,
      state,
      stateAge: Date.now() - this.#since,
      reason: this.#reason,
      symmetric: this.#qualified?.symmetric ?? false,
      keyExpired: this.#keyExpired,
      trend: this.#trend,
      clock: this.#clock,
      deaths,
    });
  }
}

function finding(value: boolean | undefined): Finding {
  return value === undefined ? "not checked" : value ? "yes" : "no";
}

/** `value` in units of `unit`, three digits after the point. */
function rounded(value: number | undefined, unit: number): number | null {
  return value === undefined ? null : Math.round(value / unit * 1000) / 1000;
}

function offloadNames(offloads: Offloads | undefined): string[] {
  if (offloads === undefined) return [];
  return [
    ...(offloads.tun === "none" ? [] : [`tun-${offloads.tun}`]),
    ...(offloads.udpSegmentation ? ["udp-segmentation"] : []),
    ...(offloads.udpReceive ? ["udp-receive"] : []),
  ];
}
