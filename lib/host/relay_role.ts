/** The relay on a host: a tunnel interface with the route to the Teredo prefix, and one UDP port. */

import { getLogger } from "@logtape/logtape";
import type { Config, RelayConfig } from "../../config/mod.ts";
import { close } from "../../ffi/io.ts";
import { openUdp } from "../../ffi/udp.ts";
import type { MachineEvent } from "../core/events.ts";
import { formatEndpoint, parseIpv4 } from "../wire/ipv4.ts";
import { formatIpv6, parseIpv6Prefix } from "../wire/ipv6_address.ts";
import type { DataIsolate } from "./data_isolate.ts";
import { hostAddresses } from "./host_addresses.ts";
import type { Descriptors, MachineSetup } from "./messages.ts";
import { relayOptions } from "./options.ts";
import type { Role } from "./role.ts";
import { TunnelInterface } from "./tunnel_interface.ts";

const log = getLogger(["miredo", "relay"]);

/** A relay. */
export class RelayRole implements Role {
  readonly keep = [] as const;
  readonly descriptors: Omit<Descriptors, "wake">;
  readonly #interface: TunnelInterface;
  readonly #service: number;
  #config: RelayConfig;
  #data: DataIsolate | undefined;

  constructor(config: RelayConfig) {
    this.#config = config;
    this.#service = openUdp({ address: parseIpv4(config.bind.address) ?? 0, port: config.bind.port });
    try {
      this.#interface = new TunnelInterface({
        name: config.interface.name,
        mtu: config.interface.mtu,
        metric: config.interface.metric,
        policyTable: 0,
      });
      const prefix = parseIpv6Prefix(config.teredo.prefix);
      if (prefix !== undefined) this.#interface.addRoute(prefix.address, prefix.length);
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

  get machine(): MachineSetup {
    return { role: "relay", options: relayOptions(this.#config, hostAddresses()) };
  }

  attach(data: DataIsolate): void {
    this.#data = data;
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

  onDeath(): void {}

  reconfigure(config: Config): void {
    if (config.role !== "relay") return;
    const before = JSON.stringify([this.#config.relay, this.#config.limits]);
    this.#config = config;
    if (JSON.stringify([config.relay, config.limits]) !== before) this.#data?.replace(this.machine);
  }

  [Symbol.dispose](): void {
    this.#interface[Symbol.dispose]();
    close(this.#service);
  }
}

/** Whether the kernel forwards IPv6 packets between interfaces; true where it does not say. */
function forwardsIpv6(): boolean {
  try {
    return Deno.readTextFileSync("/proc/sys/net/ipv6/conf/all/forwarding").trim() !== "0";
  } catch {
    return true;
  }
}
