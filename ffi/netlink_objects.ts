/** Interfaces, addresses and routes as the kernel reports them, in dumps and in changes (rtnetlink(7)). */

import {
  IFA_ADDRESS,
  IFA_F_NODAD,
  IFA_FLAGS,
  IFA_LOCAL,
  ifaddrmsg,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_RUNNING,
  IFF_UP,
  ifinfomsg,
  IFLA_AF_SPEC,
  IFLA_IFNAME,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_MTU,
  IN6_ADDR_GEN_MODE_NONE,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTA_PRIORITY,
  RTA_TABLE,
  rtmsg,
} from "./abi/netlink.ts";
import { AF_INET, AF_INET6 } from "./abi/socket.ts";
import type { NetlinkMessage } from "./netlink_message.ts";
import { readCString } from "./text.ts";

/** An interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** IFF_UP: set up by an administrator. */
  readonly up: boolean;
  /** IFF_RUNNING: able to carry packets. */
  readonly running: boolean;
  readonly multicast: boolean;
  readonly noArp: boolean;
  /** Octets. */
  readonly mtu: number;
  /** Whether the kernel makes no IPv6 address of its own; undefined where IPv6 is off or the report does not say. */
  readonly noAddressGeneration: boolean | undefined;
}

/** An address of an interface. */
export interface InterfaceAddress {
  readonly index: number;
  /** 4 or 16 octets: the local one where the link is point-to-point. */
  readonly address: Uint8Array;
  readonly prefixLength: number;
  /** No duplicate address detection is done for it. */
  readonly noDad: boolean;
  /** `RT_SCOPE_*`: 0 global, 253 link, 254 host. */
  readonly scope: number;
}

/** A route. */
export interface Route {
  /** 4 or 16 octets; all 0 for a default route. */
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  /** Interface it leads to; 0 for routes that lead nowhere. */
  readonly index: number;
  readonly metric: number;
  readonly table: number;
  readonly gateway: Uint8Array | undefined;
  /** `RTN_*`: 1 unicast, 2 local, 5 multicast, 7 unreachable ... */
  readonly type: number;
}

/** Reads an RTM_NEWLINK or RTM_DELLINK. */
export function parseLink(message: NetlinkMessage): Link {
  const attributes = message.attributes(ifinfomsg.size);
  const flags = message.header32(ifinfomsg.ifi_flags);
  const mode = attributes.nested(IFLA_AF_SPEC)?.nested(AF_INET6)?.u8(IFLA_INET6_ADDR_GEN_MODE);
  return {
    index: message.header32(ifinfomsg.ifi_index),
    name: readCString(attributes.bytes(IFLA_IFNAME) ?? new Uint8Array(0), 0),
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    multicast: (flags & IFF_MULTICAST) !== 0,
    noArp: (flags & IFF_NOARP) !== 0,
    mtu: attributes.u32(IFLA_MTU) ?? 0,
    noAddressGeneration: mode === undefined ? undefined : mode === IN6_ADDR_GEN_MODE_NONE,
  };
}

/** Reads an RTM_NEWADDR or RTM_DELADDR. */
export function parseAddress(message: NetlinkMessage): InterfaceAddress {
  const attributes = message.attributes(ifaddrmsg.size);
  const flags = attributes.u32(IFA_FLAGS) ?? message.header8(ifaddrmsg.ifa_flags);
  return {
    index: message.header32(ifaddrmsg.ifa_index),
    address: attributes.bytes(IFA_LOCAL) ?? attributes.bytes(IFA_ADDRESS) ?? new Uint8Array(0),
    prefixLength: message.header8(ifaddrmsg.ifa_prefixlen),
    noDad: (flags & IFA_F_NODAD) !== 0,
    scope: message.header8(ifaddrmsg.ifa_scope),
  };
}

/** Reads an RTM_NEWROUTE or RTM_DELROUTE. */
export function parseRoute(message: NetlinkMessage): Route {
  const attributes = message.attributes(rtmsg.size);
  const any = new Uint8Array(message.header8(rtmsg.rtm_family) === AF_INET ? 4 : 16);
  return {
    destination: attributes.bytes(RTA_DST) ?? any,
    prefixLength: message.header8(rtmsg.rtm_dst_len),
    index: attributes.u32(RTA_OIF) ?? 0,
    metric: attributes.u32(RTA_PRIORITY) ?? 0,
    table: attributes.u32(RTA_TABLE) ?? message.header8(rtmsg.rtm_table),
    gateway: attributes.bytes(RTA_GATEWAY),
    type: message.header8(rtmsg.rtm_type),
  };
}
