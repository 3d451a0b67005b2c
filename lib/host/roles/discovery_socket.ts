/** The socket of local client discovery (RFC 4380 5.2.8): UDP port 3544, member of 224.0.0.253 wherever this host has an IPv4 address. */

import { getLogger } from "@logtape/logtape";
import { close } from "../../../ffi/io.ts";
import { joinGroup, multicastOptions, openUdp } from "../../../ffi/udp.ts";
import { DISCOVERY_ADDRESS, formatIpv4, type Ipv4Subnet } from "../../wire/ipv4.ts";
import { TEREDO_PORT } from "../../wire/teredo_address.ts";
import { reasonOf, tolerating } from "../system/advice.ts";
import { isLoopback } from "../system/host_addresses.ts";

const log = getLogger(["miredo", "discovery"]);

/** TTL of discovery bubbles (RFC 4380 5.2.8): they stay on the link. */
const DISCOVERY_TTL = 1;

/** An open discovery socket. */
export class DiscoverySocket implements Disposable {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * Opens one and prepares `service`, the socket that sends to the group. Discovery is a help and no need: where it cannot be had,
   * there is a warning, and undefined.
   */
  static open(service: number, addresses: readonly Ipv4Subnet[]): DiscoverySocket | undefined {
    let fd = -1;
    try {
      fd = openUdp({ address: DISCOVERY_ADDRESS, port: TEREDO_PORT, reuseAddress: true });
      multicastOptions(service, { ttl: DISCOVERY_TTL, loop: true });
    } catch (cause) {
      log.warn("Local discovery is off", { reason: reasonOf(cause) });
      if (fd >= 0) close(fd);
      return undefined;
    }
    const socket = new DiscoverySocket(fd);
    socket.join(addresses);
    return socket;
  }

  /** Joins the group on the interfaces of these addresses. Addresses that share an interface, or are known already, are no harm. */
  join(addresses: readonly Ipv4Subnet[]): void {
    for (const { address } of addresses) {
      if (isLoopback(address)) continue;
      try {
        tolerating(["EADDRINUSE"], () => joinGroup(this.fd, DISCOVERY_ADDRESS, address));
      } catch (cause) {
        log.debug("No local discovery there", { address: formatIpv4(address), reason: reasonOf(cause) });
      }
    }
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}
