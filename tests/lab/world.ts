/**
 * The lab that tests and demonstration share:
 *
 * ```
 *   alice ─ NAT ─┐            ┌─ server 192.0.2.1, 192.0.2.2 ─┐
 *                ├─ internet ─┤                               ├─ IPv6 internet ─ web 2001:db8:3::1
 *   bob ─── NAT ─┘            └─ relay 192.0.2.9 ─────────────┘
 * ```
 */

import type { LinkOptions } from "../sim/link.ts";
import { NAT_KINDS, type NatKind, type NatOptions } from "../sim/nat.ts";
import type { CarrierOptions } from "./carrier.ts";
import { Lab, type LabHost, type LabNat } from "./lab.ts";
import { mayRunLab, NEEDS } from "./privilege.ts";
import { prepare } from "./programs.ts";

/** Addresses of the fixed hosts. */
export const SERVER = "192.0.2.1";
export const SERVER_SECONDARY = "192.0.2.2";
export const RELAY = "192.0.2.9";
export const WEB = "2001:db8:3::1";

/** A host behind a NAT of its own. */
export interface LabHome {
  readonly host: LabHost;
  readonly nat: LabNat;
}

/** Server, relay and IPv6 host, without any program, and as many homes as wanted. */
export class LabWorld implements AsyncDisposable {
  readonly lab: Lab;
  readonly server: LabHost;
  readonly relay: LabHost;
  readonly web: LabHost;
  readonly #link: LinkOptions;
  #homes = 0;

  private constructor(lab: Lab, server: LabHost, relay: LabHost, web: LabHost, link: LinkOptions) {
    this.lab = lab;
    this.server = server;
    this.relay = relay;
    this.web = web;
    this.#link = link;
  }

  /** Makes the hosts. @param link every line's behaviour; default: none, as fast as it goes */
  static async open(options: CarrierOptions & { readonly link?: LinkOptions } = {}): Promise<LabWorld> {
    const { link = {}, ...carrier } = options;
    await prepare();
    const lab = await Lab.open(carrier);
    const server = await lab.host("server", {
      ipv4: [`${SERVER}/24`, `${SERVER_SECONDARY}/24`],
      ipv6: ["2001:db8:1::1/64"],
      link,
    });
    const relay = await lab.host("relay", {
      ipv4: [`${RELAY}/24`],
      ipv6: ["2001:db8:2::1/64"],
      prefixes: ["2001::/32"],
      forwarding: true,
      link,
    });
    const web = await lab.host("web", { ipv4: [], ipv6: [`${WEB}/64`], link });
    return new LabWorld(lab, server, relay, web, link);
  }

  /** Adds a host behind a NAT of its own, 198.51.100.n. */
  async home(name: string, kind: NatKind | Omit<NatOptions, "addresses"> = "port-restricted"): Promise<LabHome> {
    const number = ++this.#homes;
    const model = typeof kind === "string" ? NAT_KINDS[kind] : kind;
    const nat = await this.lab.nat(`${name}-nat`, {
      ...model,
      addresses: [`198.51.100.${number}`],
      subnet: `192.168.${number}.0/24`,
      link: this.#link,
    });
    const host = await this.lab.host(name, { behind: nat, ipv4: [`192.168.${number}.2/24`] });
    return { host, nat };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

/** A test that needs the lab; skipped, with the reason in its name, where there can be none. */
export function labTest(name: string, body: () => Promise<void>): void {
  const possible = mayRunLab();
  Deno.test({ name: possible ? name : `${name} (skipped: ${NEEDS})`, ignore: !possible, fn: body });
}
