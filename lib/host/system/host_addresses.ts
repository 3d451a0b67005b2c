/** What this host's own IPv4 and IPv6 addresses are, as the machines need to know them. */

import { Netlink } from "../../../ffi/netlink.ts";
import type { Ipv4, Ipv4Subnet } from "../../wire/ipv4.ts";
import { readU32 } from "../../wire/bytes.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";

/** Any address of 2000::/3: the route to it is the route to the IPv6 Internet. */
const SOMEWHERE: Ipv6 = Uint8Array.of(0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

/** Any global IPv4 address: the route to it is the route to the IPv4 Internet. */
const SOMEWHERE_IPV4 = Uint8Array.of(192, 0, 2, 1);

/** Type of a route that leads somewhere (`RTN_UNICAST`). */
const UNICAST = 1;

/** The addresses of this host at one moment. */
export interface HostAddresses {
  readonly ipv4: readonly Ipv4Subnet[];
  /** Source the kernel would choose towards the IPv4 Internet; undefined without a route there. */
  readonly ipv4Source?: Ipv4 | undefined;
  /** Every IPv6 address of the host. */
  readonly ipv6: readonly Ipv6[];
  /** Source the kernel would choose towards the IPv6 Internet; undefined without a route there. */
  readonly nativeSource: Ipv6 | undefined;
}

/** Asks the kernel. Needs no privilege. */
export function hostAddresses(): HostAddresses {
  using netlink = Netlink.open();
  const all = netlink.addresses();
  const sourceIpv4 = netlink.sourceFor(SOMEWHERE_IPV4);
  return {
    ipv4: all.filter(({ address }) => address.length === 4).map(({ address, prefixLength }) => ({
      address: readU32(address, 0),
      prefixLength,
    })),
    ipv4Source: sourceIpv4 === undefined ? undefined : readU32(sourceIpv4, 0),
    ipv6: all.filter(({ address }) => address.length === 16).map(({ address }) => address),
    nativeSource: netlink.sourceFor(SOMEWHERE),
  };
}

/**
 * Whether the IPv6 Internet can be reached without the tunnel: a default route that leads elsewhere.
 * @param tunnel index of the tunnel interface
 */
export function hasNativeIpv6(tunnel: number): boolean {
  using netlink = Netlink.open();
  return netlink.routes({ family: 6 }).some((route) =>
    route.prefixLength === 0 && route.type === UNICAST && route.index !== tunnel && route.index !== 0
  );
}

/** Whether `address` is one of this host's loopback addresses (127.0.0.0/8). */
export function isLoopback(address: Ipv4): boolean {
  return address >>> 24 === 127;
}
