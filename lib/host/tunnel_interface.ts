/**
 * The tunnel interface as the kernel shows it: a TUN that lives as long as this process, its addresses and its routes.
 *
 * The kernel must send nothing of its own into the tunnel, so multicast and address generation are off. Everything set here hangs on
 * the interface and vanishes with it, however the process ends; only policy rules outlive it, and those are taken away at start.
 */

import { close } from "../../ffi/io.ts";
import { Netlink } from "../../ffi/netlink.ts";
import { openTun } from "../../ffi/tun.ts";
import type { Ipv6 } from "../wire/ipv6.ts";
import { parseIpv6 } from "../wire/ipv6_address.ts";

/** Link-local address of the interface; what the original uses, so that hooks and eyes find what they know. */
const LINK_LOCAL: Ipv6 = parseIpv6("fe80::ffff:ffff:ffff") ?? new Uint8Array(16);
const LINK_LOCAL_LENGTH = 64;
const ANY: Ipv6 = new Uint8Array(16);

/** Priority of the policy rule, the original's: just before the main table. */
const RULE_PRIORITY = 32765;

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

/** An open tunnel interface. Throws {@link SystemError} where the kernel refuses something. */
export class TunnelInterface implements Disposable {
  readonly fd: number;
  readonly name: string;
  readonly index: number;
  readonly #options: InterfaceOptions;
  readonly #netlink: Netlink;
  #address: { readonly address: Ipv6; readonly prefixLength: number } | undefined;
  #mtu: number;

  constructor(options: InterfaceOptions) {
    this.#options = options;
    this.#mtu = options.mtu;
    const tun = openTun(options.name);
    this.fd = tun.fd;
    this.name = tun.name;
    this.#netlink = Netlink.open();
    try {
      const index = this.#netlink.linkIndex(tun.name);
      if (index === undefined) throw new Error(`Cannot find interface "${tun.name}": it vanished`);
      this.index = index;
      this.#netlink.setLink(index, { multicast: false, noAddressGeneration: true, mtu: options.mtu });
      this.#netlink.setLink(index, { up: true });
      this.#netlink.addAddress(index, LINK_LOCAL, LINK_LOCAL_LENGTH, { noDad: true });
      if (options.policyTable > 0) this.#netlink.removeRules(options.policyTable, RULE_PRIORITY); // of one that was killed
    } catch (cause) {
      this[Symbol.dispose]();
      throw cause;
    }
  }

  /** Routes `destination`/`prefixLength` into the tunnel. */
  addRoute(destination: Ipv6, prefixLength: number): void {
    this.#netlink.addRoute({ destination, prefixLength, index: this.index, metric: this.#options.metric });
  }

  /** Gives the interface its Teredo address and the default route, in place of what it had. `mtu` in octets. */
  setAddress(address: Ipv6, prefixLength: number, mtu: number): void {
    this.clearAddress();
    if (mtu !== this.#mtu) {
      this.#netlink.setLink(this.index, { mtu });
      this.#mtu = mtu;
    }
    this.#netlink.addAddress(this.index, address, prefixLength, { noDad: true });
    this.#address = { address, prefixLength };
    const { metric, policyTable } = this.#options;
    const route = { destination: ANY, prefixLength: 0, index: this.index, metric };
    this.#netlink.addRoute(route);
    if (policyTable === 0) return;
    this.#netlink.addRoute({ ...route, table: policyTable });
    this.#netlink.addRule({ source: address, prefixLength: 128, table: policyTable, priority: RULE_PRIORITY });
  }

  /** Takes the Teredo address, its routes and its rule away; harmless when there is none. */
  clearAddress(): void {
    const given = this.#address;
    if (given === undefined) return;
    this.#address = undefined;
    const { metric, policyTable } = this.#options;
    const route = { destination: ANY, prefixLength: 0, index: this.index, metric };
    if (policyTable > 0) {
      this.#netlink.removeRules(policyTable, RULE_PRIORITY);
      this.#netlink.removeRoute({ ...route, table: policyTable });
    }
    this.#netlink.removeRoute(route);
    this.#netlink.removeAddress(this.index, given.address, given.prefixLength);
  }

  /** Closes the interface; the kernel removes it with all its addresses and routes. */
  [Symbol.dispose](): void {
    if (this.#options.policyTable > 0) this.#netlink.removeRules(this.#options.policyTable, RULE_PRIORITY);
    this.#netlink[Symbol.dispose]();
    close(this.fd);
  }
}
