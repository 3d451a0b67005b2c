/**
 * The tunnel interface as the kernel shows it: a TUN, its addresses and its routes.
 *
 * ```
 *   client   fe80::ffff:ffff:ffff/64   Teredo address/32   ::/0 at metric 1029   while qualified
 *   relay    fe80::ffff:ffff:ffff/64                       2001::/32             always
 * ```
 *
 * The kernel must send nothing of its own into the tunnel, so multicast, address generation and router solicitations are off.
 * Everything set here hangs on the interface and vanishes with it, however the process ends; only policy rules outlive it. Those lead
 * to an empty table then, and are taken away at the next start.
 *
 * A TUN that exists and waits for a program (`ip tuntap add mode tun user NAME`) is adopted: it was made to stay, and stays. Its owner
 * needs no privilege to open it; without CAP_NET_ADMIN what should be on it is looked for instead of set, and its absence said.
 */

import { type Hints, SystemError } from "../../../ffi/errno.ts";
import { close, readTextFile } from "../../../ffi/io.ts";
import { Netlink, type RouteChange } from "../../../ffi/netlink.ts";
import { setIpv6Setting } from "../../../ffi/sysctl.ts";
import { openTun, type Tun } from "../../../ffi/tun.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import { equalIpv6, formatIpv6, parseIpv6 } from "../../wire/ipv6_address.ts";
import { tolerating, withAdvice } from "../system/advice.ts";

/** Link-local address of the interface; what the original uses, so that hooks and eyes find what they know. */
export const LINK_LOCAL: Ipv6 = parseIpv6("fe80::ffff:ffff:ffff") ?? new Uint8Array(16);
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
const ADOPT_ADVICE: Hints = {
  EPERM: "it belongs to somebody else: ip tuntap add mode tun user NAME, with the user who runs this",
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

/** What a client needs of its interface, from whichever thread. */
export interface Tunnel extends Disposable {
  readonly fd: number;
  readonly name: string;
  readonly index: number;
  /** It was there before, and stays. */
  readonly adopted: boolean;
  change(): InterfaceState | undefined;
  setAddress(address: Ipv6, prefixLength: number, mtu: number): void;
  clearAddress(): void;
  restore(): void;
}

/** An open tunnel interface. Throws {@link SystemError} where the kernel refuses something. */
export class TunnelInterface implements Tunnel {
  readonly fd: number;
  readonly name: string;
  readonly index: number;
  readonly adopted: boolean;
  /** An adopted interface that may be looked at only. */
  #readOnly = false;
  /** An adopted interface that was down is put down again. */
  #wasDown = false;
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
      this.adopted = this.#netlink.linkIndex(options.name) !== undefined;
      const tun = this.adopted
        ? openExisting(options.name)
        : withAdvice(OPEN_ADVICE, () => openTun(options.name, { vnetHeader: true }));
      this.fd = fd = tun.fd;
      this.name = tun.name;
      const index = this.#netlink.linkIndex(tun.name);
      if (index === undefined) throw new Error(`Cannot find interface ${JSON.stringify(tun.name)}: it vanished`);
      this.index = index;
      refuseWithoutIpv6(tun.name);
      if (this.adopted) this.#adopt();
      if (!this.#readOnly) this.#setUp();
    } catch (cause) {
      this.#netlink[Symbol.dispose]();
      if (fd >= 0) close(fd);
      throw cause;
    }
  }

  /** Finds out whether an interface that was there may be changed; if not, it must be as it should be. */
  #adopt(): void {
    const link = this.#netlink.link(this.index);
    this.#wasDown = link?.up !== true;
    try {
      this.#netlink.setLink(this.index, { noAddressGeneration: true });
      return;
    } catch (cause) {
      if (!(cause instanceof SystemError) || cause.code !== "EPERM") throw cause;
    }
    this.#readOnly = true;
    const { mtu } = this.#options;
    const problem = this.#wasDown
      ? "it is down"
      : link !== undefined && link.mtu > mtu
      ? `its MTU is ${link.mtu}, more than interface.mtu`
      : undefined;
    if (problem !== undefined) throw this.#lacks(problem, `ip link set ${this.name} up mtu ${mtu}`);
  }

  /** An error about an adopted interface that only an administrator can mend. */
  #lacks(problem: string, command: string): Error {
    const name = JSON.stringify(this.name);
    return new Error(
      `Cannot use interface ${name} as it is: ${problem} (without CAP_NET_ADMIN, run as root: ${command})`,
    );
  }

  #setUp(): void {
    this.#netlink.setLink(this.index, { multicast: false, noAddressGeneration: true, mtu: this.#options.mtu });
    refuseAdvertisements(this.name);
    this.#netlink.setLink(this.index, { up: true });
    this.#addLinkLocal();
    this.#removeRules(); // of one that was killed
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
    if (this.#readOnly) return "up";
    const whole = this.#netlink.addresses().some(({ index, address }) =>
      index === this.index && address.length === 16 && equalIpv6(address, LINK_LOCAL)
    );
    return whole ? "up" : "flushed";
  }

  /** Routes `destination`/`prefixLength` into the tunnel. */
  addRoute(destination: Ipv6, prefixLength: number): void {
    const route = { destination, prefixLength, index: this.index, metric: this.#options.metric };
    if (this.#readOnly) {
      this.#requireRoute(route);
      return;
    }
    withAdvice(ROUTE_ADVICE, () => this.#netlink.addRoute(route));
    this.#routes.push(route);
  }

  /** Looks for a route that cannot be set. */
  #requireRoute({ destination, prefixLength, metric = 0 }: RouteChange): void {
    const found = this.#netlink.routes({ family: 6 }).some((route) =>
      route.index === this.index && route.prefixLength === prefixLength && equalIpv6(route.destination, destination)
    );
    const text = `${formatIpv6(destination)}/${prefixLength}`;
    if (!found) throw this.#lacks(`no route to ${text}`, `ip -6 route add ${text} dev ${this.name} metric ${metric}`);
  }

  /** Looks for an address that cannot be set, and for the default route. */
  #requireAddress(address: Ipv6, length: number): void {
    const found = this.#netlink.addresses().some((one) => one.index === this.index && sameOctets(one.address, address));
    const text = `${formatIpv6(address)}/${length}`;
    if (!found) throw this.#lacks(`it has not ${text}`, `ip -6 address add ${text} dev ${this.name}`);
    this.#defaultRoutes().forEach((route) => this.#requireRoute(route));
  }

  /**
   * Gives the interface its Teredo address and the default route, in place of what it had. An address that stays is not touched, so
   * that connections live on.
   * @param mtu octets
   */
  setAddress(address: Ipv6, prefixLength: number, mtu: number): void {
    if (this.#readOnly) {
      this.#requireAddress(address, prefixLength);
      return;
    }
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
    if (this.#readOnly) return;
    this.#addLinkLocal();
    for (const route of this.#routes) tolerating(["EEXIST"], () => this.#netlink.addRoute(route));
    if (this.#given !== undefined) this.#apply(this.#given);
  }

  /** Closes the interface; the kernel removes it with all its addresses and routes, unless it was adopted. */
  [Symbol.dispose](): void {
    try {
      if (this.adopted && !this.#readOnly) this.#leaveAsFound();
      else this.#removeRules();
    } finally {
      this.#netlink[Symbol.dispose]();
      close(this.fd);
    }
  }

  /** Takes off what was set on an adopted interface, as far as there is still the privilege for it. */
  #leaveAsFound(): void {
    const gone = [...ABSENT, "EPERM"];
    tolerating(gone, () => this.clearAddress());
    for (const route of this.#routes) tolerating(gone, () => this.#netlink.removeRoute(route));
    tolerating(gone, () => this.#netlink.removeAddress(this.index, LINK_LOCAL, LINK_LOCAL_LENGTH));
    if (this.#wasDown) tolerating(gone, () => this.#netlink.setLink(this.index, { up: false }));
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

/** Opens a TUN that waits for a program. One that is held by another, or is no TUN, is taken. */
function openExisting(name: string): Tun {
  try {
    return withAdvice(ADOPT_ADVICE, () => openTun(name, { vnetHeader: true }));
  } catch (cause) {
    if (!(cause instanceof SystemError) || (cause.code !== "EBUSY" && cause.code !== "EINVAL")) throw cause;
    throw new Error(`Cannot create interface ${JSON.stringify(name)}: EEXIST (${TAKEN})`, { cause });
  }
}

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && equalIpv6(a, b);
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
