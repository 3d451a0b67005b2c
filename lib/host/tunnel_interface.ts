/**
 * The tunnel interface as the kernel shows it: a TUN that lives as long as this process, its addresses and its routes.
 *
 * ```
 *   client   fe80::ffff:ffff:ffff/64   Teredo address/32   ::/0 at metric 1029   while qualified
 *   relay    fe80::ffff:ffff:ffff/64                       2001::/32             always
 * ```
 *
 * The kernel must send nothing of its own into the tunnel, so multicast, address generation and router solicitations are off.
 * Everything set here hangs on the interface and vanishes with it, however the process ends; only policy rules outlive it. Those lead
 * to an empty table then, and are taken away at the next start.
 */

import { type Hints, SystemError } from "../../ffi/errno.ts";
import { close, readTextFile } from "../../ffi/io.ts";
import { Netlink, type RouteChange } from "../../ffi/netlink.ts";
import { setIpv6Setting } from "../../ffi/sysctl.ts";
import { openTun } from "../../ffi/tun.ts";
import type { Ipv6 } from "../wire/ipv6.ts";
import { equalIpv6, parseIpv6 } from "../wire/ipv6_address.ts";
import { tolerating, withAdvice } from "./advice.ts";

/** Link-local address of the interface; what the original uses, so that hooks and eyes find what they know. */
const LINK_LOCAL: Ipv6 = parseIpv6("fe80::ffff:ffff:ffff") ?? new Uint8Array(16);
const LINK_LOCAL_LENGTH = 64;
const ANY: Ipv6 = new Uint8Array(16);

/** Priority of the policy rule, the original's: just before the main table. */
const RULE_PRIORITY = 32765;

/** What the kernel answers when something to be taken away is not there, or went with its interface. */
const ABSENT = ["ENOENT", "ESRCH", "ENODEV", "EADDRNOTAVAIL"] as const;

const TAKEN = "an interface of that name exists: end the miredo that holds it, or set interface.name";
const OPEN_ADVICE: Hints = {
  EBUSY: TAKEN,
  ENOTTY: "/dev/net/tun is another device: mknod /dev/net/tun c 10 200",
};
const ROUTE_ADVICE: Hints = { EEXIST: "another route has this metric: end what set it, or set interface.metric" };

/** What to make of the interface. */
export interface InterfaceOptions {
  readonly name: string;
  /** Octets, 1280 to 65507. */
  readonly mtu: number;
  /** Route metric; a native default route normally has 1024 or less and so wins over 1029. */
  readonly metric: number;
  /** Routing table for a rule "from the Teredo address", 0 = none. */
  readonly policyTable: number;
}

/** The Teredo address of a client's interface. */
interface Given {
  readonly address: Ipv6;
  readonly prefixLength: number;
  /** Octets. */
  readonly mtu: number;
}

/**
 * How the kernel has the interface: as it was set up; down; up without its addresses and routes, which the kernel took away while it
 * was down; or removed by somebody.
 */
export type InterfaceState = "up" | "down" | "flushed" | "gone";

/** An open tunnel interface. Throws {@link SystemError} where the kernel refuses something. */
export class TunnelInterface implements Disposable {
  readonly fd: number;
  readonly name: string;
  readonly index: number;
  readonly #options: InterfaceOptions;
  readonly #netlink: Netlink;
  readonly #routes: RouteChange[] = [];
  #given: Given | undefined;
  #known: InterfaceState = "up";

  constructor(options: InterfaceOptions) {
    this.#options = options;
    this.#netlink = Netlink.open();
    let fd = -1;
    try {
      if (this.#netlink.linkIndex(options.name) !== undefined) throw taken(options.name);
      const tun = withAdvice(OPEN_ADVICE, () => openTun(options.name, { vnetHeader: true }));
      this.fd = fd = tun.fd;
      this.name = tun.name;
      const index = this.#netlink.linkIndex(tun.name);
      if (index === undefined) throw new Error(`Cannot find interface ${JSON.stringify(tun.name)}: it vanished`);
      this.index = index;
      refuseWithoutIpv6(tun.name);
      this.#netlink.setLink(index, { multicast: false, noAddressGeneration: true, mtu: options.mtu });
      refuseAdvertisements(tun.name);
      this.#netlink.setLink(index, { up: true });
      this.#addLinkLocal();
      this.#removeRules(); // of one that was killed
    } catch (cause) {
      this.#netlink[Symbol.dispose]();
      if (fd >= 0) close(fd);
      throw cause;
    }
  }

  /** How the kernel has it now, if that is news since the last call; "flushed" is until it is {@link restore}d. */
  change(): InterfaceState | undefined {
    const state = this.#state();
    const news = state !== this.#known || state === "flushed";
    this.#known = state;
    return news ? state : undefined;
  }

  #state(): InterfaceState {
    const link = this.#netlink.link(this.index);
    if (link === undefined) return "gone";
    if (!link.up) return "down";
    const whole = this.#netlink.addresses().some(({ index, address }) =>
      index === this.index && address.length === 16 && equalIpv6(address, LINK_LOCAL)
    );
    return whole ? "up" : "flushed";
  }

  /** Routes `destination`/`prefixLength` into the tunnel. */
  addRoute(destination: Ipv6, prefixLength: number): void {
    const route = { destination, prefixLength, index: this.index, metric: this.#options.metric };
    withAdvice(ROUTE_ADVICE, () => this.#netlink.addRoute(route));
    this.#routes.push(route);
  }

  /**
   * Gives the interface its Teredo address and the default route, in place of what it had. An address that stays is not touched, so
   * that connections live on.
   * @param mtu octets
   */
  setAddress(address: Ipv6, prefixLength: number, mtu: number): void {
    const before = this.#given;
    if (before !== undefined && before.prefixLength === prefixLength && equalIpv6(before.address, address)) {
      if (before.mtu !== mtu) this.#netlink.setLink(this.index, { mtu });
      this.#given = { ...before, mtu };
      return;
    }
    this.clearAddress();
    this.#given = { address, prefixLength, mtu };
    this.#apply(this.#given);
  }

  /** Takes the Teredo address, its routes and its rule away; harmless when some or all of it is gone. */
  clearAddress(): void {
    const given = this.#given;
    if (given === undefined) return;
    this.#given = undefined;
    this.#removeRules();
    for (const route of this.#defaultRoutes()) tolerating(ABSENT, () => this.#netlink.removeRoute(route));
    tolerating(ABSENT, () => this.#netlink.removeAddress(this.index, given.address, given.prefixLength));
  }

  /** Sets everything again after the kernel flushed it. */
  restore(): void {
    this.#addLinkLocal();
    for (const route of this.#routes) tolerating(["EEXIST"], () => this.#netlink.addRoute(route));
    if (this.#given !== undefined) this.#apply(this.#given);
  }

  /** Closes the interface; the kernel removes it with all its addresses and routes. */
  [Symbol.dispose](): void {
    try {
      this.#removeRules();
    } finally {
      this.#netlink[Symbol.dispose]();
      close(this.fd);
    }
  }

  #addLinkLocal(): void {
    tolerating(["EEXIST"], () => {
      this.#netlink.addAddress(this.index, LINK_LOCAL, LINK_LOCAL_LENGTH, { noDad: true });
    });
  }

  #apply({ address, prefixLength, mtu }: Given): void {
    this.#netlink.setLink(this.index, { mtu });
    tolerating(["EEXIST"], () => this.#netlink.addAddress(this.index, address, prefixLength, { noDad: true }));
    const { policyTable: table } = this.#options;
    for (const route of this.#defaultRoutes()) withAdvice(ROUTE_ADVICE, () => this.#netlink.addRoute(route));
    if (table === 0) return;
    this.#removeRules();
    this.#netlink.addRule({ source: address, prefixLength: 128, table, priority: RULE_PRIORITY });
  }

  #defaultRoutes(): readonly RouteChange[] {
    const { metric, policyTable: table } = this.#options;
    const route = { destination: ANY, prefixLength: 0, index: this.index, metric };
    return table === 0 ? [route] : [route, { ...route, table }];
  }

  #removeRules(): void {
    const { policyTable } = this.#options;
    if (policyTable > 0) tolerating(ABSENT, () => this.#netlink.removeRules(policyTable, RULE_PRIORITY));
  }
}

/** A TUN that waits for a program (`ip tuntap add`) could be opened too, but it would outlive us with what we set on it. */
function taken(name: string): Error {
  return new Error(`Cannot create interface ${JSON.stringify(name)}: EEXIST (${TAKEN})`);
}

function refuseWithoutIpv6(name: string): void {
  let disabled: string;
  try {
    disabled = readTextFile(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`).trim();
  } catch {
    disabled = isIpv6Missing() ? "missing" : "0"; // an unreadable /proc/sys says nothing
  }
  if (disabled === "missing") {
    throw new Error(`Cannot use IPv6 on interface ${JSON.stringify(name)}: this kernel has none (see ipv6.disable)`);
  }
  if (disabled !== "0") {
    const next = "sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0";
    throw new Error(`Cannot use IPv6 on interface ${JSON.stringify(name)}: it is disabled (${next})`);
  }
}

function isIpv6Missing(): boolean {
  try {
    readTextFile("/proc/net/if_inet6");
    return false;
  } catch {
    return true;
  }
}

/**
 * Keeps the kernel from soliciting routers in the tunnel, which it does on any interface that has a link-local address. Where /proc/sys
 * is read-only (in containers) it goes on soliciting, and the machine drops what it sends.
 */
function refuseAdvertisements(name: string): void {
  try {
    setIpv6Setting(name, "accept_ra", 0);
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
  }
}
