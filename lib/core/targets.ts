/** Which IPv4 endpoints a packet may be sent to, or a mapping learned from (RFC 4380 5.2.4). */

import { type Ipv4, type Ipv4Subnet, isDirectedBroadcast, isGlobalUnicast } from "../wire/ipv4.ts";
import type { DropReason } from "./counters.ts";

/**
 * Why `address`:`port` is no target: not global unicast, the directed broadcast of a subnet this host is attached to, or port 0.
 * @returns undefined for a good one
 */
export function targetFault(address: Ipv4, port: number, subnets: readonly Ipv4Subnet[]): DropReason | undefined {
  if (port === 0) return "port-zero";
  return isGlobalUnicast(address) && !isDirectedBroadcast(address, subnets) ? undefined : "not-global-ipv4";
}
