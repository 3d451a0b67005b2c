/**
 * Peers behind the same NAT, where that NAT does not send packets back inside (RFC 6081 3.5, 5.6): each tells the other the addresses
 * it has inside, and the one that works is found by trying.
 *
 * ```
 *   indirect bubble:  nonce | alternate addresses: local address and port, mapped by UPnP where that is another NAT's
 *   the answer:       a direct bubble with that nonce to the mapping in the address, and to each alternate
 * ```
 */

import { type Endpoint, type Ipv4, type Ipv4Subnet, isDirectedBroadcast, isUnicast } from "../../wire/ipv4.ts";

/** Alternates in one bubble: RFC 6081 4.3 says no more than two. */
const MOST_ALTERNATES = 2;

/**
 * Our own alternates, the local one first.
 * @param local address and port of the service socket; address 0 when it is bound to any
 * @param addresses IPv4 addresses of this host, the likeliest first
 * @param mapped external endpoint of a port mapping on another NAT than the outermost
 */
export function ownAlternates(
  local: Endpoint,
  addresses: readonly Ipv4[],
  mapped: Endpoint | undefined,
): Endpoint[] {
  const inside = (local.address === 0 ? addresses : [local.address]).filter(isUnicast)
    .map((address) => ({ address, port: local.port }));
  const room = mapped === undefined ? MOST_ALTERNATES : MOST_ALTERNATES - 1;
  return [...inside.slice(0, room), ...(mapped === undefined ? [] : [mapped])];
}

/** Whether a bubble may go to an alternate: an address of one host, and not our own (RFC 6081 4.3). Private ones are the point of it. */
export function isUsableAlternate(
  { address, port }: Endpoint,
  own: readonly Endpoint[],
  subnets: readonly Ipv4Subnet[],
): boolean {
  if (port === 0 || !isUnicast(address) || isDirectedBroadcast(address, subnets)) return false;
  return !own.some((each) => each.address === address && each.port === port);
}
