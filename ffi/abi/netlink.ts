/**
 * Netlink and rtnetlink: netlink(7), rtnetlink(7).
 *
 * ```
 *   nlmsghdr (16) │ ifinfomsg (16), ifaddrmsg (8), rtmsg (12) or fib_rule_hdr (12) │ rtattr (4) value, padded to 4 │ rtattr ...
 * ```
 *
 * An object is a C struct: `size` and the offset of each field, octets, under the C name. A number is a C constant.
 * All are the same on x86-64 and arm64; tests/ffi/layout_test.ts compares every export with the C headers.
 */

export const AF_NETLINK = 16;
export const NETLINK_ROUTE = 0;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;

export const RTMGRP_LINK = 0x1;
export const RTMGRP_IPV4_IFADDR = 0x10;
export const RTMGRP_IPV4_ROUTE = 0x40;
export const RTMGRP_IPV6_IFADDR = 0x100;
export const RTMGRP_IPV6_ROUTE = 0x400;

export const IFF_UP = 0x1;
export const IFF_RUNNING = 0x40;
export const IFF_NOARP = 0x80;
export const IFF_MULTICAST = 0x1000;

export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
export const IFLA_AF_SPEC = 26;
export const IFLA_NET_NS_FD = 28;
export const IFLA_INET6_ADDR_GEN_MODE = 8;
export const IN6_ADDR_GEN_MODE_EUI64 = 0;
export const IN6_ADDR_GEN_MODE_NONE = 1;

export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
export const IFA_FLAGS = 8;
export const IFA_F_NODAD = 0x02;
export const IFA_F_NOPREFIXROUTE = 0x200;

export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
export const RT_SCOPE_NOWHERE = 255;
export const RT_TABLE_UNSPEC = 0;
export const RT_TABLE_MAIN = 254;
export const RTPROT_UNSPEC = 0;
export const RTPROT_STATIC = 4;
export const RTN_UNSPEC = 0;
export const RTN_UNICAST = 1;

export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_GATEWAY = 5;
export const RTA_PRIORITY = 6;
export const RTA_PREFSRC = 7;
export const RTA_TABLE = 15;

export const FR_ACT_TO_TBL = 1;
export const FRA_SRC = 2;
export const FRA_PRIORITY = 6;
export const FRA_TABLE = 15;

/** `linux/netlink.h`: address of a netlink socket. */
export const sockaddr_nl = { size: 12, nl_family: 0, nl_pid: 4, nl_groups: 8 } as const;

/** `linux/netlink.h`: before every message. */
export const nlmsghdr = { size: 16, nlmsg_len: 0, nlmsg_type: 4, nlmsg_flags: 6, nlmsg_seq: 8, nlmsg_pid: 12 } as const;

/** `linux/netlink.h`: 0 or a negative errno, then the header of the request. */
export const nlmsgerr = { size: 20, error: 0, msg: 4 } as const;

/** `linux/rtnetlink.h`: before every attribute; the length counts these four octets, not the padding. */
export const rtattr = { size: 4, rta_len: 0, rta_type: 2 } as const;

/** `linux/rtnetlink.h`: an interface. */
export const ifinfomsg = { size: 16, ifi_family: 0, ifi_type: 2, ifi_index: 4, ifi_flags: 8, ifi_change: 12 } as const;

/** `linux/if_addr.h`: an address of an interface. */
export const ifaddrmsg = {
  size: 8,
  ifa_family: 0,
  ifa_prefixlen: 1,
  ifa_flags: 2,
  ifa_scope: 3,
  ifa_index: 4,
} as const;

/** `linux/rtnetlink.h`: a route. */
export const rtmsg = {
  size: 12,
  rtm_family: 0,
  rtm_dst_len: 1,
  rtm_src_len: 2,
  rtm_tos: 3,
  rtm_table: 4,
  rtm_protocol: 5,
  rtm_scope: 6,
  rtm_type: 7,
  rtm_flags: 8,
} as const;

/** `linux/fib_rules.h`: a rule of policy routing. */
export const fib_rule_hdr = {
  size: 12,
  family: 0,
  dst_len: 1,
  src_len: 2,
  tos: 3,
  table: 4,
  action: 7,
  flags: 8,
} as const;
