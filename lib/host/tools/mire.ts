/** The test responder on this host's sockets. */

import { Mire, MIRE_PORT, MireSocket } from "../../core/mire.ts";
import { type Ipv4, type Ipv4Subnet, isGlobalUnicast } from "../../wire/ipv4.ts";
import { TEREDO_PORT } from "../../wire/teredo_address.ts";
import { hostAddresses } from "../system/host_addresses.ts";
import { SocketLoop } from "./socket_loop.ts";

/** Where it answers. */
export interface MireAddresses {
  /** Global IPv4 addresses of this host that it answers on; none behind a NAT. */
  readonly global: readonly Ipv4[];
}

/**
 * Answers until SIGINT or SIGTERM.
 * @param address local IPv4 address, 0 for any
 * @param ready told once it answers
 * @returns how many questions were answered
 * @throws SystemError when a port is in use
 */
export async function runMire(address: Ipv4, ready: (addresses: MireAddresses) => void): Promise<number> {
  const subnets = ownSubnets();
  using loop = new SocketLoop();
  loop.bind(MireSocket.server, address, TEREDO_PORT);
  loop.bind(MireSocket.peer, address, MIRE_PORT);
  const mire = new Mire(subnets, loop.environment);
  const end = (): void => loop.end();
  Deno.addSignalListener("SIGINT", end);
  Deno.addSignalListener("SIGTERM", end);
  try {
    const own = address === 0 ? subnets.map((subnet) => subnet.address) : [address];
    ready({ global: own.filter(isGlobalUnicast) });
    await loop.run(mire, () => false);
  } finally {
    Deno.removeSignalListener("SIGINT", end);
    Deno.removeSignalListener("SIGTERM", end);
  }
  return mire.answered;
}

/** None where the kernel does not tell. */
function ownSubnets(): readonly Ipv4Subnet[] {
  try {
    return hostAddresses().ipv4;
  } catch {
    return [];
  }
}
