/** The server on a host: UDP port 3544 on one or two addresses, and a raw socket towards the IPv6 Internet. No interface. */

import { getLogger } from "@logtape/logtape";
import type { Config, ServerConfig } from "../../../config/mod.ts";
import type { Hints } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/io.ts";
import { openRawIpv6 } from "../../../ffi/raw_ipv6.ts";
import { openUdp } from "../../../ffi/udp.ts";
import type { MachineEvent } from "../../core/events.ts";
import { formatIpv4 } from "../../wire/ipv4.ts";
import { TEREDO_PORT } from "../../wire/teredo_address.ts";
import { withAdvice } from "../system/advice.ts";
import type { DataIsolate } from "../threads/data_isolate.ts";
import { hostAddresses } from "../system/host_addresses.ts";
import type { Descriptors, MachineSetup } from "../data/messages.ts";
import { serverOptions } from "./options.ts";
import type { Role } from "./role.ts";

const log = getLogger(["miredo", "server"]);

const ADVICE: Hints = {
  EADDRINUSE: "the port is in use: end the Teredo server or client that holds it",
  EADDRNOTAVAIL: "the address is not one of this host's: give it to an interface, or serve with one that is",
};

/** For a second address that was only taken for granted. */
const GUESSED_ADVICE: Hints = {
  EADDRNOTAVAIL: 'it is not one of this host\'s: server.secondary_address = "none" serves with one address',
};

/** A server. */
export class ServerRole implements Role {
  readonly holder = undefined;
  readonly descriptors: Omit<Descriptors, "wake">;
  #config: ServerConfig;
  #data: DataIsolate | undefined;

  constructor(config: ServerConfig) {
    this.#config = config;
    const { primary, secondary } = serverOptions(config, hostAddresses());
    const open: number[] = [];
    try {
      open.push(withAdvice(ADVICE, () => openUdp({ address: primary, port: TEREDO_PORT })));
      const advice = config.server.secondary_address === "auto" ? { ...ADVICE, ...GUESSED_ADVICE } : ADVICE;
      open.push(
        secondary === undefined ? -1 : withAdvice(advice, () => openUdp({ address: secondary, port: TEREDO_PORT })),
      );
      open.push(config.server.native_forwarding ? openRawIpv6() : -1);
    } catch (cause) {
      open.filter((descriptor) => descriptor >= 0).forEach(close);
      throw cause;
    }
    this.descriptors = { tun: -1, sockets: [open[0], open[1], -1], rawIpv6: open[2] };
  }

  get machine(): MachineSetup {
    return { role: "server", options: serverOptions(this.#config, hostAddresses()) };
  }

  attach(data: DataIsolate): void {
    this.#data = data;
    const { primary, secondary } = serverOptions(this.#config, hostAddresses());
    log.info("Serving", {
      address: formatIpv4(primary),
      secondary: secondary === undefined ? "none" : formatIpv4(secondary),
    });
    if (secondary === undefined) {
      log.info("One address only: clients cannot detect a symmetric NAT", {
        hint: 'clients of this server need client.secondary = "none"',
      });
    }
  }

  onEvent(_event: MachineEvent): void {}

  onDeath(): void {}

  reconfigure(config: Config): void {
    if (config.role !== "server") return;
    const before = JSON.stringify(this.#config.server);
    this.#config = config;
    if (JSON.stringify(config.server) !== before) this.#data?.replace(this.machine);
  }

  [Symbol.dispose](): void {
    const { sockets, rawIpv6 } = this.descriptors;
    [...sockets, rawIpv6].filter((descriptor) => descriptor >= 0).forEach(close);
  }
}
