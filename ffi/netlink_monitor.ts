/** What changes in the current network namespace: interfaces, addresses, IPv4 routes (rtnetlink(7) multicast groups). */

import { EAGAIN, EINTR, ENOBUFS } from "./abi/errno.ts";
import {
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  RTMGRP_IPV4_IFADDR,
  RTMGRP_IPV4_ROUTE,
  RTMGRP_IPV6_IFADDR,
  RTMGRP_IPV6_ROUTE,
  RTMGRP_LINK,
} from "./abi/netlink.ts";
import { SystemError } from "./errno.ts";
import type { NetlinkMessage } from "./netlink_message.ts";
import {
  type InterfaceAddress,
  type Link,
  parseAddress,
  parseLink,
  parseRoute,
  type Route,
} from "./netlink_objects.ts";
import { NetlinkSocket } from "./netlink_socket.ts";

/**
 * One change. `present` is false where the thing is gone. `overrun`: the kernel had to throw changes away; whoever keeps a picture of
 * the state must ask for all of it again.
 */
export type NetlinkChange =
  | { readonly kind: "link"; readonly present: boolean; readonly link: Link }
  | { readonly kind: "address"; readonly present: boolean; readonly address: InterfaceAddress }
  | { readonly kind: "route"; readonly present: boolean; readonly route: Route }
  | { readonly kind: "overrun" };

/** Listens to changes from the moment it is opened. */
export class NetlinkMonitor implements Disposable {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /**
   * Opens one in the current network namespace.
   * @param options routes: false leaves routes out, which on a router may change many times a second
   * @throws SystemError
   */
  static open(options: { readonly routes?: boolean } = {}): NetlinkMonitor {
    const routes = options.routes === false ? 0 : RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    return new NetlinkMonitor(new NetlinkSocket(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | routes, true));
  }

  /** Readable when there is a change. */
  get fd(): number {
    return this.#socket.fd;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  /** All changes since the last call, oldest first; returns at once. @throws SystemError */
  read(): readonly NetlinkChange[] {
    const changes: NetlinkChange[] = [];
    for (;;) {
      const received = this.#socket.receive();
      if (typeof received !== "number") {
        for (const message of received) {
          const change = parseChange(message);
          if (change !== undefined) changes.push(change);
        }
      } else if (received === -ENOBUFS) {
        changes.push({ kind: "overrun" });
      } else if (received === -EAGAIN) {
        return changes;
      } else if (received !== -EINTR) {
        throw new SystemError("recvfrom", "read changes of the network", -received);
      }
    }
  }
}

function parseChange(message: NetlinkMessage): NetlinkChange | undefined {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return { kind: "link", present: message.type === RTM_NEWLINK, link: parseLink(message) };
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return { kind: "address", present: message.type === RTM_NEWADDR, address: parseAddress(message) };
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return { kind: "route", present: message.type === RTM_NEWROUTE, route: parseRoute(message) };
    default:
      return undefined;
  }
}
