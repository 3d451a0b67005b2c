/**
 * Interfaces, addresses, routes and rules of the current network namespace, by rtnetlink(7): what `ip` does, without `ip`.
 *
 * Every call is a question and its answer, synchronous, some tens of microseconds. The socket stays in the namespace it was opened in.
 */

import { EHOSTUNREACH, ENETUNREACH, ENODEV, ENOENT } from "./abi/errno.ts";
import {
  IFA_ADDRESS,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_FLAGS,
  IFA_LOCAL,
  ifaddrmsg,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_UP,
  ifinfomsg,
  IFLA_AF_SPEC,
  IFLA_IFNAME,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  IN6_ADDR_GEN_MODE_EUI64,
  IN6_ADDR_GEN_MODE_NONE,
  NLM_F_CREATE,
  NLM_F_EXCL,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RT_TABLE_UNSPEC,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTA_PREFSRC,
  RTA_PRIORITY,
  RTA_TABLE,
  RTM_DELADDR,
  RTM_DELROUTE,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  rtmsg,
  RTN_UNICAST,
  RTN_UNSPEC,
  RTPROT_STATIC,
  RTPROT_UNSPEC,
} from "./abi/netlink.ts";
import { AF_INET, AF_INET6, AF_UNSPEC } from "./abi/socket.ts";
import { IFNAMSIZ } from "./abi/tun.ts";
import type { Hints } from "./errno.ts";
import { NetlinkRequest } from "./netlink_message.ts";
import {
  type InterfaceAddress,
  type Link,
  parseAddress,
  parseLink,
  parseRoute,
  type Route,
} from "./netlink_objects.ts";
import { listRules, type Rule, ruleRequest } from "./netlink_rules.ts";
import { NetlinkSocket } from "./netlink_socket.ts";
import { cString, formatAddress } from "./text.ts";

export { type NetlinkChange, NetlinkMonitor } from "./netlink_monitor.ts";
export type { InterfaceAddress, Link, Route } from "./netlink_objects.ts";
export type { Rule } from "./netlink_rules.ts";

const HINTS: Hints = {
  EPERM: "needs CAP_NET_ADMIN: run as root",
  ENODEV: "no such interface",
  EEXIST: "it is there already",
  ESRCH: "no such route",
  ENETUNREACH: "the gateway is not reachable, or the interface is down",
  ENETDOWN: "the interface is down",
  EOPNOTSUPP: "this kernel does not support it",
  EAFNOSUPPORT: "this kernel lacks the address family: is IPv6 disabled?",
};

/** Change of an interface: what is not given stays as it is. */
export interface LinkChange {
  /** Up or down. Done after everything else, so that an interface that comes up has its final settings. */
  readonly up?: boolean;
  /** Octets. */
  readonly mtu?: number;
  /** IFF_MULTICAST: without it the kernel sends no multicast of its own accord. */
  readonly multicast?: boolean;
  /** IFF_NOARP: no neighbour discovery. */
  readonly noArp?: boolean;
  /** true: the kernel makes no link-local or SLAAC address of its own. false: it makes them from EUI-64. */
  readonly noAddressGeneration?: boolean;
  /** A new name; the interface must be down. */
  readonly name?: string;
  /** Descriptor of the network namespace to move it to. */
  readonly namespace?: number;
}

/** A route to be added or removed. */
export interface RouteChange {
  /** 4 or 16 octets; bits behind the prefix must be 0. */
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  /** Interface it leads to. */
  readonly index: number;
  /** Priority: the lowest wins. 0 or absent: the kernel's choice (IPv6: 1024). */
  readonly metric?: number;
  /** Routing table; absent: main. */
  readonly table?: number;
  /** Next hop, 4 or 16 octets; absent: the destination is on the link. */
  readonly gateway?: Uint8Array;
}

/** A connection to the kernel's routing. */
export class Netlink implements Disposable {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Opens one in the current network namespace. @throws SystemError */
  static open(): Netlink {
    return new Netlink(new NetlinkSocket(0, false));
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  /** The index of an interface, or undefined when there is none of that name. @throws SystemError */
  linkIndex(name: string): number | undefined {
    const octets = cString(name);
    if (octets.length > IFNAMSIZ) return undefined;
    const request = new NetlinkRequest(RTM_GETLINK, 0, ifinfomsg.size).attribute(IFLA_IFNAME, octets);
    const message = this.#socket.find(request, [ENODEV], `find interface ${JSON.stringify(name)}`);
    return message === undefined ? undefined : parseLink(message).index;
  }

  /** An interface as it is now, or undefined when there is none of that index. @throws SystemError */
  link(index: number): Link | undefined {
    const request = new NetlinkRequest(RTM_GETLINK, 0, ifinfomsg.size).header32(ifinfomsg.ifi_index, index);
    const message = this.#socket.find(request, [ENODEV], `look at interface ${index}`);
    return message === undefined ? undefined : parseLink(message);
  }

  /** All interfaces. @throws SystemError */
  links(): readonly Link[] {
    const request = new NetlinkRequest(RTM_GETLINK, 0, ifinfomsg.size).header8(ifinfomsg.ifi_family, AF_UNSPEC);
    return this.#socket.dump(request, "list interfaces").map(parseLink);
  }

  /** Changes an interface. @throws SystemError */
  setLink(index: number, change: LinkChange): void {
    const { mtu, multicast, noArp, noAddressGeneration, name, namespace, up } = change;
    const action = `change interface ${index}`;
    if (mtu !== undefined) {
      this.#do(linkRequest(index).attribute32(IFLA_MTU, mtu), `set the MTU of interface ${index} to ${mtu}`, {
        EINVAL: "out of the range this interface can have",
      });
    }
    if (name !== undefined) {
      this.#do(
        linkRequest(index).attribute(IFLA_IFNAME, cString(name)),
        `rename interface ${index} to ${JSON.stringify(name)}`,
        {
          EBUSY: "it must be down",
          EEXIST: "an interface of that name exists",
          EINVAL: "the name is not valid",
          ERANGE: "a name has at most 15 octets",
        },
      );
    }
    if (noAddressGeneration !== undefined) {
      const mode = noAddressGeneration ? IN6_ADDR_GEN_MODE_NONE : IN6_ADDR_GEN_MODE_EUI64;
      const request = linkRequest(index).nested(
        IFLA_AF_SPEC,
        (all) => all.nested(AF_INET6, (inet6) => inet6.attribute8(IFLA_INET6_ADDR_GEN_MODE, mode)),
      );
      this.#do(request, `set the address generation of interface ${index}`, {
        EAFNOSUPPORT: "IPv6 is off on it: is the MTU at least 1280, and net.ipv6.conf.all.disable_ipv6 0?",
      });
    }
    if (multicast !== undefined || noArp !== undefined || up !== undefined) {
      let mask = 0;
      let flags = 0;
      for (const [flag, wanted] of [[IFF_MULTICAST, multicast], [IFF_NOARP, noArp], [IFF_UP, up]] as const) {
        if (wanted !== undefined) mask |= flag;
        if (wanted === true) flags |= flag;
      }
      const request = linkRequest(index).header32(ifinfomsg.ifi_flags, flags).header32(ifinfomsg.ifi_change, mask);
      this.#do(request, up === true ? `bring up interface ${index}` : action);
    }
    if (namespace !== undefined) {
      this.#do(linkRequest(index).attribute32(IFLA_NET_NS_FD, namespace), `move interface ${index}`, {
        EINVAL: "no network namespace",
        EEXIST: "an interface of that name is there",
      });
    }
  }

  /** The addresses of all interfaces, IPv4 and IPv6. @throws SystemError */
  addresses(): readonly InterfaceAddress[] {
    const request = new NetlinkRequest(RTM_GETADDR, 0, ifaddrmsg.size);
    return this.#socket.dump(request, "list addresses").map(parseAddress);
  }

  /**
   * Gives an interface an address.
   * @param address 4 or 16 octets
   * @param options noDad: usable at once, no duplicate address detection; noPrefixRoute: no route to the prefix comes with it
   * @throws SystemError, EEXIST when it has it already
   */
  addAddress(
    index: number,
    address: Uint8Array,
    prefixLength: number,
    options: { readonly noDad?: boolean; readonly noPrefixRoute?: boolean } = {},
  ): void {
    const flags = (options.noDad === true ? IFA_F_NODAD : 0) |
      (options.noPrefixRoute === true ? IFA_F_NOPREFIXROUTE : 0);
    const request = addressRequest(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address, prefixLength);
    this.#do(
      request.attribute32(IFA_FLAGS, flags),
      `add address ${formatAddress(address)}/${prefixLength} to interface ${index}`,
      {
        EACCES: "IPv6 is off on this interface: net.ipv6.conf.*.disable_ipv6",
        EINVAL: "IPv6 is off on this interface, or the address or prefix length is not valid",
        ENOBUFS: "IPv6 is off on this interface: is the MTU at least 1280?",
      },
    );
  }

  /** Takes an address from an interface. @throws SystemError, EADDRNOTAVAIL when it does not have it */
  removeAddress(index: number, address: Uint8Array, prefixLength: number): void {
    this.#do(
      addressRequest(RTM_DELADDR, 0, index, address, prefixLength),
      `remove address ${formatAddress(address)}/${prefixLength} from interface ${index}`,
      { EADDRNOTAVAIL: "the interface does not have it" },
    );
  }

  /** The routes of one family or both, of one table or all; cached and local ones included. @throws SystemError */
  routes(filter: { readonly family?: 4 | 6; readonly table?: number } = {}): readonly Route[] {
    const family = filter.family === undefined ? AF_UNSPEC : filter.family === 4 ? AF_INET : AF_INET6;
    const request = new NetlinkRequest(RTM_GETROUTE, 0, rtmsg.size).header8(rtmsg.rtm_family, family);
    const all = this.#socket.dump(request, "list routes")
      .filter((message) =>
        message.header8(rtmsg.rtm_family) === AF_INET || message.header8(rtmsg.rtm_family) === AF_INET6
      )
      .map(parseRoute);
    return filter.table === undefined ? all : all.filter((route) => route.table === filter.table);
  }

  /** Adds a route. @throws SystemError, EEXIST when there is one of that destination, table and metric */
  addRoute(route: RouteChange): void {
    this.#do(routeRequest(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route), `add route ${describeRoute(route)}`, {
      EINVAL: "the destination has bits behind its prefix, or the interface cannot carry it",
    });
  }

  /** Removes a route. @throws SystemError, ESRCH when there is none such */
  removeRoute(route: RouteChange): void {
    this.#do(routeRequest(RTM_DELROUTE, 0, route), `remove route ${describeRoute(route)}`);
  }

  /** The rules of policy routing, IPv4 and IPv6. @throws SystemError */
  rules(): readonly Rule[] {
    return listRules(this.#socket);
  }

  /** Adds a rule: packets from a source prefix are routed by a table. @throws SystemError, EEXIST when it is there */
  addRule(rule: Rule): void {
    this.#do(ruleRequest(rule, true), `add rule ${describeRule(rule)}`);
  }

  /** Removes a rule. @throws SystemError, ENOENT when there is none such */
  removeRule(rule: Rule): void {
    this.#do(ruleRequest(rule, false), `remove rule ${describeRule(rule)}`, { ENOENT: "no such rule" });
  }

  /** Removes every rule of a table and priority, also those of an earlier run; none is no error. @throws SystemError */
  removeRules(table: number, priority: number): void {
    for (const rule of this.rules()) {
      if (rule.table === table && rule.priority === priority) this.removeRule(rule);
    }
  }

  /**
   * The local address the kernel would send from to `destination`.
   * @param destination 4 or 16 octets
   * @returns undefined when it is not reachable
   * @throws SystemError
   */
  sourceFor(destination: Uint8Array): Uint8Array | undefined {
    const request = new NetlinkRequest(RTM_GETROUTE, 0, rtmsg.size)
      .header8(rtmsg.rtm_family, familyOf(destination))
      .header8(rtmsg.rtm_dst_len, destination.length * 8)
      .attribute(RTA_DST, destination);
    const absent = [ENETUNREACH, EHOSTUNREACH, ENOENT];
    const message = this.#socket.find(request, absent, `find the route to ${formatAddress(destination)}`);
    if (message === undefined || message.header8(rtmsg.rtm_type) === RTN_UNSPEC) return undefined;
    return message.attributes(rtmsg.size).bytes(RTA_PREFSRC);
  }

  #do(request: NetlinkRequest, action: string, hints: Hints = {}): void {
    this.#socket.request(request, action, { ...HINTS, ...hints });
  }
}

function familyOf(address: Uint8Array): number {
  if (address.length !== 4 && address.length !== 16) throw new RangeError("An address has 4 or 16 octets");
  return address.length === 4 ? AF_INET : AF_INET6;
}

function linkRequest(index: number): NetlinkRequest {
  return new NetlinkRequest(RTM_NEWLINK, 0, ifinfomsg.size).header32(ifinfomsg.ifi_index, index);
}

function addressRequest(
  type: number,
  flags: number,
  index: number,
  address: Uint8Array,
  prefixLength: number,
): NetlinkRequest {
  const request = new NetlinkRequest(type, flags, ifaddrmsg.size)
    .header8(ifaddrmsg.ifa_family, familyOf(address))
    .header8(ifaddrmsg.ifa_prefixlen, prefixLength)
    .header32(ifaddrmsg.ifa_index, index)
    .attribute(IFA_LOCAL, address);
  return request.attribute(IFA_ADDRESS, address);
}

function routeRequest(type: number, flags: number, route: RouteChange): NetlinkRequest {
  const adding = type === RTM_NEWROUTE;
  const onLink = route.gateway === undefined && route.destination.length === 4;
  const scope = adding ? (onLink ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE) : RT_SCOPE_NOWHERE;
  const request = new NetlinkRequest(type, flags, rtmsg.size)
    .header8(rtmsg.rtm_family, familyOf(route.destination))
    .header8(rtmsg.rtm_dst_len, route.prefixLength)
    .header8(rtmsg.rtm_table, RT_TABLE_UNSPEC)
    .header8(rtmsg.rtm_protocol, adding ? RTPROT_STATIC : RTPROT_UNSPEC)
    .header8(rtmsg.rtm_scope, scope)
    .header8(rtmsg.rtm_type, adding ? RTN_UNICAST : RTN_UNSPEC)
    .attribute(RTA_DST, route.destination)
    .attribute32(RTA_OIF, route.index)
    .attribute32(RTA_TABLE, route.table ?? RT_TABLE_MAIN);
  if (route.gateway !== undefined) request.attribute(RTA_GATEWAY, route.gateway);
  if (route.metric !== undefined) request.attribute32(RTA_PRIORITY, route.metric);
  return request;
}

function describeRoute(route: RouteChange): string {
  const table = route.table === undefined ? "" : ` in table ${route.table}`;
  return `${formatAddress(route.destination)}/${route.prefixLength} on interface ${route.index}${table}`;
}

function describeRule(rule: Rule): string {
  return `from ${formatAddress(rule.source)}/${rule.prefixLength} to table ${rule.table}`;
}
