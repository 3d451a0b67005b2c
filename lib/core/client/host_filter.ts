/**
 * What must not enter the IPv6 stack of this host out of the tunnel, whoever sent it.
 *
 * | packet | why |
 * |---|---|
 * | link-local source | no neighbour is on this link but the server, and its advertisements are not for the host |
 * | router and neighbour solicitation, advertisement, redirect | they would reconfigure the host |
 * | type 0 routing header | deprecated (RFC 5095); carries packets past filters |
 */

import { findUpperLayer } from "../../wire/extension_headers.ts";
import { ICMPV6_REDIRECT, ICMPV6_ROUTER_SOLICITATION } from "../../wire/icmpv6.ts";
import {
  IPV6_HEADER_LENGTH,
  NEXT_HEADER_ICMPV6,
  NEXT_HEADER_TCP,
  NEXT_HEADER_UDP,
  nextHeader,
  SOURCE_AT,
} from "../../wire/ipv6.ts";
import { isLinkLocal } from "../../wire/ipv6_address.ts";
import type { DropReason } from "../counters.ts";

/**
 * Why the whole IPv6 packet of `length` octets at `at` must not be handed to the host. Allocates nothing unless the packet has extension
 * headers.
 * @returns undefined for a packet that may pass
 */
export function hostFault(bytes: Uint8Array, at: number, length: number): DropReason | undefined {
  if (isLinkLocal(bytes, at + SOURCE_AT)) return "link-local-source";
  switch (nextHeader(bytes, at)) {
    case NEXT_HEADER_TCP:
    case NEXT_HEADER_UDP:
      return undefined;
    case NEXT_HEADER_ICMPV6:
      return length > IPV6_HEADER_LENGTH && isNeighborDiscovery(bytes[at + IPV6_HEADER_LENGTH])
        ? "neighbor-discovery"
        : undefined;
  }
  const upper = findUpperLayer(bytes, at, length);
  if (upper === undefined) return "malformed";
  if (upper.sourceRouted) return "routing-header";
  if (upper.protocol === NEXT_HEADER_ICMPV6 && upper.length > 0 && isNeighborDiscovery(bytes[upper.at])) {
    return "neighbor-discovery";
  }
  return undefined;
}

/** Types 133 to 137 (RFC 4861 4). */
function isNeighborDiscovery(type: number): boolean {
  return type >= ICMPV6_ROUTER_SOLICITATION && type <= ICMPV6_REDIRECT;
}
