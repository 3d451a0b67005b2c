/** Asks servers whether they are well, from a socket of its own: the service port's mapping stays out of it. */

import { SystemError } from "../../../ffi/errno.ts";
import { RollCall } from "../../core/netcheck/roll_call.ts";
import type { Credentials } from "../../core/qualification/solicitor.ts";
import { Socket } from "../../core/machine.ts";
import type { Ipv4, Ipv4Subnet } from "../../wire/ipv4.ts";
import { SocketLoop } from "../tools/socket_loop.ts";

/**
 * Asks all at once; takes 1.5 s at most.
 * @param servers primary addresses, the best first
 * @param bindAddress local address to ask from; 0: any
 * @returns those that answered, in the same order; none where no socket can be had
 */
export async function askServers(
  servers: readonly Ipv4[],
  credentials: Credentials | undefined,
  subnets: readonly Ipv4Subnet[],
  bindAddress: Ipv4,
): Promise<readonly Ipv4[]> {
  using loop = opened(bindAddress);
  if (loop === undefined) return [];
  const call = new RollCall(servers, credentials, subnets, loop.environment);
  call.start(performance.now());
  await loop.run(call, () => call.done);
  return call.answered;
}

function opened(bindAddress: Ipv4): SocketLoop | undefined {
  let loop: SocketLoop | undefined;
  try {
    loop = new SocketLoop();
    loop.bind(Socket.service, bindAddress, 0);
    return loop;
  } catch (cause) {
    loop?.[Symbol.dispose]();
    if (cause instanceof SystemError) return undefined;
    throw cause;
  }
}
