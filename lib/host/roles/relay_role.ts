/** The relay on a host: a tunnel interface with the route to the Teredo prefix, and one UDP port. */

import { getLogger } from "@logtape/logtape";
import type { Config, RelayConfig } from "../../../config/mod.ts";
import { close, readTextFile } from "../../../ffi/io.ts";
import { openUdp } from "../../../ffi/udp.ts";
import type { MachineEvent } from "../../core/events.ts";
import { formatEndpoint, parseIpv4 } from "../../wire/ipv4.ts";
import { formatIpv6, parseIpv6Prefix } from "../../wire/ipv6_address.ts";
import { BIND_ADVICE, withAdvice } from "../system/advice.ts";
import type { DataIsolate } from "../threads/data_isolate.ts";
import { hostAddresses } from "../system/host_addresses.ts";
import type { Descriptors, MachineSetup } from "../data/messages.ts";
import { NetworkWatch } from "../system/network_watch.ts";
import { relayOptions } from "./options.ts";
import type { Role } from "./role.ts";
import { TunnelInterface } from "../interface/tunnel_interface.ts";

const log = getLogger(["miredo", "relay"]);

/** A relay. */
export class RelayRole implements Role {
  readonly holder = undefined;
  readonly descriptors: Omit<Descriptors, "wake">;
  readonly #interface: TunnelInterface;
  readonly #service: number;
  #config: RelayConfig;
  #data: DataIsolate | undefined;
  #fail: (cause: Error) => void = () => {};
  #watch: NetworkWatch | undefined;

  constructor(config: RelayConfig) {
    this.#config = config;
    const { address, port } = config.bind;
    this.#service = withAdvice(BIND_ADVICE, () => openUdp({ address: parseIpv4(address) ?? 0, port }));
    try {
      this.#interface = openInterface(config);
    } catch (cause) {
      close(this.#service);
      throw cause;
    }
    this.descriptors = { tun: this.#interface.fd, sockets: [this.#service, -1, -1], rawIpv6: -1 };
    if (!config.relay.host_only && !forwardsIpv6()) {
      log.warn("IPv6 forwarding is off: only this host itself reaches clients", {
        hint: "sysctl -w net.ipv6.conf.all.forwarding=1",
      });
    }
  }

  get machine(): Extract<MachineSetup, { role: "relay" }> {
    return { role: "relay", options: relayOptions(this.#config, hostAddresses()) };
  }

  attach(data: DataIsolate, fail: (cause: Error) => void): void {
    this.#data = data;
    this.#fail = fail;
    this.#watch = new NetworkWatch(() => this.#networkChanged(), { routes: false });
    log.info("Relaying", { prefix: this.#config.teredo.prefix, interface: this.#interface.name });
  }

  onEvent(event: MachineEvent): void {
    switch (event.type) {
      case "peer-up":
        log.debug("Peer reachable", { peer: formatIpv6(event.peer), endpoint: formatEndpoint(event.endpoint) });
        break;
      case "peer-unreachable":
        log.debug("Peer unreachable", { peer: formatIpv6(event.peer) });
        break;
      default:
        break;
    }
  }

  onDeath(): void {
    this.#tendInterface();
  }

  reconfigure(config: Config): void {
    if (config.role !== "relay") return;
    const before = JSON.stringify([this.#config.relay, this.#config.limits]);
    this.#config = config;
    if (JSON.stringify([config.relay, config.limits]) !== before) this.#data?.replace(this.machine);
  }

  /** Looks what others did to the interface. Mending takes a privilege that a relay has given up. */
  #tendInterface(): void {
    const name = this.#interface.name;
    const state = this.#interface.change();
    switch (state) {
      case undefined:
      case "up":
        return;
      case "down":
        log.warn("Interface was set down: no service until a restart", { interface: name });
        return;
      case "flushed":
        this.#fail(new Error(`Cannot go on: interface ${JSON.stringify(name)} was set down and lost its routes`));
        return;
      case "gone":
        this.#fail(new Error(`Cannot go on: interface ${JSON.stringify(name)} was removed`));
        return;
    }
  }

  /** What the machine knows of this host's addresses must stay true. */
  #networkChanged(): void {
    this.#tendInterface();
    const { machine } = this;
    const running = this.#data?.machine;
    if (running?.role !== "relay" || sameValue(running.options, machine.options)) return;
    log.info("Addresses of this host changed");
    this.#data?.replace(machine);
  }

  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]();
    this.#interface[Symbol.dispose]();
    close(this.#service);
  }
}

function openInterface(config: RelayConfig): TunnelInterface {
  const { name, mtu, metric } = config.interface;
  const tunnel = new TunnelInterface({ name, mtu, metric, policyTable: 0 });
  try {
    const prefix = parseIpv6Prefix(config.teredo.prefix);
    if (prefix !== undefined) tunnel.addRoute(prefix.address, prefix.length);
    return tunnel;
  } catch (cause) {
    tunnel[Symbol.dispose]();
    throw cause;
  }
}

function sameValue(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Whether the kernel forwards IPv6 packets between interfaces; true where it does not say. */
function forwardsIpv6(): boolean {
  try {
    return readTextFile("/proc/sys/net/ipv6/conf/all/forwarding").trim() !== "0";
  } catch {
    return true;
  }
}
