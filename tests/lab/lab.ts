/**
 * A small internet of real kernels in one process. Every host is a network namespace whose uplink is a TUN; a carrier thread moves the
 * packets between the TUNs through the NAT models of tests/sim. No `ip`, no `nft`, no `tc`: only util-linux and Deno.
 *
 * ```
 *   ┌ host "alice" ───────┐           ┌ carrier ────────────────────┐           ┌ host "server" ──┐
 *   │ eth0 192.168.1.2    │◀── TUN ──▶│ NAT "home" ─ link ─ internet │◀── TUN ──▶│ eth0 192.0.2.1  │
 *   │ programs, teredo    │           └─────────────────────────────┘           │ programs        │
 *   └─────────────────────┘                                                     └─────────────────┘
 * ```
 *
 * Nothing of it outlives the process: TUNs and namespaces go with their descriptors, programs with their process namespace.
 */

import { O_RDWR } from "../../ffi/abi/file.ts";
import { close, openFile, write } from "../../ffi/io.ts";
import { nativeBuffer } from "../../ffi/memory.ts";
import { inNetworkNamespace, newNetworkNamespace } from "../../ffi/namespaces.ts";
import { type InterfaceAddress, Netlink } from "../../ffi/netlink.ts";
import { openTun } from "../../ffi/tun.ts";
import { writeU32 } from "../../lib/wire/bytes.ts";
import { type Ipv4, parseIpv4 } from "../../lib/wire/ipv4.ts";
import { formatIpv6, type Ipv6Prefix, parseIpv6, parseIpv6Prefix } from "../../lib/wire/ipv6_address.ts";
import type { LinkOptions } from "../sim/link.ts";
import type { NatOptions } from "../sim/nat.ts";
import { Carrier, type CarrierOptions } from "./carrier.ts";
import type { Stats } from "./carrier_messages.ts";
import { Child, type ChildOptions, Keeper, PATIENCE } from "./child.ts";
import { PUBLIC } from "./internet.ts";

/** Name of a host's uplink. */
export const UPLINK = "eth0";
/** The usual Ethernet MTU, octets. */
const UPLINK_MTU = 1500;
const IPV6_ANY = new Uint8Array(16);
const IPV4_ANY = new Uint8Array(4);

/** A host to be made. */
export interface HostOptions {
  /** The NAT it is behind; default: none, it is on the public internet. */
  readonly behind?: LabNat;
  /** IPv4 addresses with prefix length, `192.0.2.1/24`. */
  readonly ipv4: readonly string[];
  /** IPv6 addresses with prefix length, `2001:db8:1::1/64`; they come with a default route. Default: none, no IPv6. */
  readonly ipv6?: readonly string[];
  /** Prefixes that the IPv6 internet routes to it, besides its addresses. */
  readonly prefixes?: readonly string[];
  /** It forwards IPv6. */
  readonly forwarding?: boolean;
  readonly link?: LinkOptions;
}

/** A NAT to be made. */
export interface LabNatOptions extends Omit<NatOptions, "addresses"> {
  /** The NAT it is itself behind; default: none. */
  readonly behind?: LabNat;
  /** External addresses, `198.51.100.1`. */
  readonly addresses: readonly string[];
  /** What is behind it, `192.168.1.0/24`. */
  readonly subnet: string;
  readonly link?: LinkOptions;
}

/** A NAT of the lab. */
export class LabNat {
  readonly name: string;
  readonly #carrier: Carrier;

  constructor(name: string, carrier: Carrier) {
    this.name = name;
    this.#carrier = carrier;
  }

  /** Switches it off and on, perhaps with new external addresses. */
  async reboot(addresses?: readonly string[]): Promise<void> {
    const command = { kind: "reboot-nat", name: this.name } as const;
    await this.#carrier.request(addresses === undefined ? command : { ...command, addresses: addresses.map(ipv4) });
  }

  /** Changes its line to the outside. */
  async setLink(link: LinkOptions): Promise<void> {
    await this.#carrier.request({ kind: "set-link", name: this.name, link });
  }
}

/** A host of the lab. */
export class LabHost {
  readonly name: string;
  /** Descriptor of its network namespace. */
  readonly namespace: number;
  readonly #lab: Lab;
  readonly #carrier: Carrier;

  constructor(name: string, namespace: number, lab: Lab, carrier: Carrier) {
    this.name = name;
    this.namespace = namespace;
    this.#lab = lab;
    this.#carrier = carrier;
  }

  /** Starts a program in its namespace. */
  start(command: readonly string[], options: ChildOptions & { readonly name?: string } = {}): Child {
    return this.#lab.startChild(options.name ?? this.name, this.namespace, command, options);
  }

  /** Does something synchronous in its namespace. */
  inside<T>(work: () => T): T {
    return inNetworkNamespace(this.namespace, work);
  }

  /** Looks at its interfaces, addresses and routes. */
  netlink<T>(work: (netlink: Netlink) => T): T {
    return this.inside(() => {
      using netlink = Netlink.open();
      return work(netlink);
    });
  }

  /** The addresses of one of its interfaces; none when there is no such interface. */
  addressesOf(name: string): readonly InterfaceAddress[] {
    return this.netlink((netlink) => {
      const index = netlink.linkIndex(name);
      return index === undefined ? [] : netlink.addresses().filter((address) => address.index === index);
    });
  }

  /** The global IPv6 address of one of its interfaces as text, undefined while there is none. */
  globalIpv6(name: string): string | undefined {
    const found = this.addressesOf(name).find(({ address }) => address.length === 16 && address[0] !== 0xfe);
    return found === undefined ? undefined : formatIpv6(found.address);
  }

  /** Names of its interfaces. */
  interfaces(): readonly string[] {
    return this.netlink((netlink) => netlink.links().map(({ name }) => name));
  }

  /** Changes the line to its uplink. */
  async setLink(link: LinkOptions): Promise<void> {
    await this.#carrier.request({ kind: "set-link", name: this.name, link });
  }

  /** Pulls the plug, or puts it back. */
  async setUp(up: boolean): Promise<void> {
    await this.#carrier.request({ kind: "set-up", name: this.name, up });
  }

  /** Sets a kernel parameter, `net/ipv6/conf/all/forwarding`. */
  sysctl(name: string, value: number): void {
    this.inside(() => {
      const fd = openFile(`/proc/sys/${name}`, O_RDWR);
      const text = new TextEncoder().encode(String(value));
      const memory = nativeBuffer(text.buffer);
      const written = write(fd, memory.pointer(0), text.length);
      close(fd);
      if (written !== text.length) throw new Error(`Cannot set "${name}" to ${value}`);
    });
  }
}

/** All hosts, NATs and programs of one test or demonstration. */
export class Lab implements AsyncDisposable {
  readonly #carrier: Carrier;
  readonly #keeper: Keeper;
  readonly #descriptors: number[] = [];
  readonly #children: Child[] = [];

  private constructor(carrier: Carrier, keeper: Keeper) {
    this.#carrier = carrier;
    this.#keeper = keeper;
  }

  /** Makes an empty lab. Needs CAP_NET_ADMIN and CAP_SYS_ADMIN (see privilege.ts). */
  static async open(options: CarrierOptions = {}): Promise<Lab> {
    const keeper = await Keeper.start();
    return new Lab(await Carrier.start(options), keeper);
  }

  /** Adds a host. */
  async host(name: string, options: HostOptions): Promise<LabHost> {
    const namespace = newNetworkNamespace();
    this.#descriptors.push(namespace);
    const host = new LabHost(name, namespace, this, this.#carrier);
    const addresses = [...options.ipv4, ...options.ipv6 ?? []].map(interfaceAddress);
    const tun = host.inside(() => openUplink(addresses, options.ipv6 !== undefined));
    this.#descriptors.push(tun);
    if (options.forwarding === true) host.sysctl("net/ipv6/conf/all/forwarding", 1);
    const own = (options.ipv6 ?? []).map((text) => prefix(`${text.split("/")[0]}/128`));
    await this.#carrier.request({
      kind: "add-host",
      tun,
      plan: {
        name,
        zone: options.behind?.name ?? PUBLIC,
        addresses: options.ipv4.map((text) => ipv4(text.split("/")[0])),
        prefixes: [...own, ...(options.prefixes ?? []).map(prefix)],
        link: options.link ?? {},
      },
    });
    return host;
  }

  /** Adds a NAT. */
  async nat(name: string, options: LabNatOptions): Promise<LabNat> {
    const { behind, addresses, subnet, link, ...model } = options;
    const [network, length] = subnet.split("/");
    await this.#carrier.request({
      kind: "add-nat",
      plan: {
        ...model,
        name,
        outside: behind?.name ?? PUBLIC,
        addresses: addresses.map(ipv4),
        subnet: { address: ipv4(network), prefixLength: Number(length) },
        link: link ?? {},
      },
    });
    return new LabNat(name, this.#carrier);
  }

  /** How the carrier is doing. */
  async stats(): Promise<Stats> {
    const stats = await this.#carrier.request({ kind: "stats" });
    if (typeof stats === "number") throw new Error("Cannot read the carrier's statistics");
    return stats;
  }

  /** Starts a program; used by {@link LabHost.start}. */
  startChild(name: string, namespace: number, command: readonly string[], options: ChildOptions): Child {
    const child = new Child(name, this.#keeper, namespace, command, options);
    this.#children.push(child);
    return child;
  }

  /** Ends every program and takes everything down. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child.end()));
    await this.#keeper.stop();
    await this.#carrier.stop();
    for (const descriptor of this.#descriptors) close(descriptor);
  }
}

interface AddressPlan {
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

function interfaceAddress(text: string): AddressPlan {
  const [address, length] = text.split("/");
  const ipv6 = parseIpv6(address);
  if (ipv6 !== undefined) return { address: ipv6, prefixLength: Number(length) };
  const bytes = new Uint8Array(4);
  writeU32(ipv4(address), bytes, 0);
  return { address: bytes, prefixLength: Number(length) };
}

function ipv4(text: string): Ipv4 {
  const address = parseIpv4(text);
  if (address === undefined) throw new Error(`Cannot use "${text}": not an IPv4 address`);
  return address;
}

function prefix(text: string): Ipv6Prefix {
  const parsed = parseIpv6Prefix(text);
  if (parsed === undefined) throw new Error(`Cannot use "${text}": not an IPv6 prefix`);
  return parsed;
}

/** Type of the route by which an address is local (`RTN_LOCAL`). */
const LOCAL = 2;

/** Sets up loopback and uplink of the namespace this thread is in. @returns the TUN's descriptor */
function openUplink(addresses: readonly AddressPlan[], ipv6: boolean): number {
  using netlink = Netlink.open();
  const loopback = netlink.linkIndex("lo");
  if (loopback !== undefined) netlink.setLink(loopback, { up: true });
  const { fd } = openTun(UPLINK);
  const index = netlink.linkIndex(UPLINK);
  if (index === undefined) throw new Error(`Cannot find interface "${UPLINK}"`);
  netlink.setLink(index, { mtu: UPLINK_MTU, noAddressGeneration: true });
  netlink.setLink(index, { up: true });
  for (const { address, prefixLength } of addresses) netlink.addAddress(index, address, prefixLength, { noDad: true });
  awaitLocal(netlink, addresses);
  netlink.addRoute({ destination: IPV4_ANY, prefixLength: 0, index });
  if (ipv6) netlink.addRoute({ destination: IPV6_ANY, prefixLength: 0, index });
  return fd;
}

/** Waits for the routes by which addresses are local: the kernel makes them a little after the addresses. */
function awaitLocal(netlink: Netlink, addresses: readonly AddressPlan[]): void {
  const end = performance.now() + PATIENCE;
  const wanted = addresses.map(({ address }) => address.toString());
  for (;;) {
    const local = netlink.routes().filter(({ type }) => type === LOCAL).map(({ destination }) =>
      destination.toString()
    );
    if (wanted.every((address) => local.includes(address))) return;
    if (performance.now() > end) throw new Error(`Cannot use addresses ${wanted.join(", ")}: they do not become local`);
  }
}
