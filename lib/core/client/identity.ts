/**
 * Who a client is while it is qualified: its Teredo address, the mapping behind it and the server that told it (RFC 4380 5.2).
 *
 * ```
 *   2001:0 | server IPv4 | flags: C 0 rrrr 00 rrrrrrrr | port ^ ffff | address ^ ffffffff
 * ```
 *
 * The random flag bits (RFC 5991 3.1) live as long as the mapping: a maintenance answer or a new qualification that shows the same
 * mapping leaves the address as it was; another mapping draws new ones.
 */

import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import { FLAG_CONE, formTeredoAddress, randomFlags } from "../../wire/teredo_address.ts";
import type { RememberedMapping } from "./client_options.ts";
import type { Random } from "../machine.ts";

/** Own address and mapping. Fields are read on the hot path; only the methods write them. */
export class Identity {
  /** Whether {@link address} may be used. */
  qualified = false;
  /** Own Teredo address; one array for the life of the client, changed in place. */
  readonly address: Uint8Array = new Uint8Array(16);
  /** Primary IPv4 address of the server. */
  server: Ipv4 = 0;
  mappedAddress: Ipv4 = 0;
  mappedPort = 0;
  /** The NAT maps per destination (two servers saw different mappings). */
  symmetric = false;
  /** The NAT keeps ports: our mapped port is the local one (RFC 6081 5.4.3). */
  portPreserving = false;
  /** Qualified in the legacy cone phase. */
  cone = false;

  readonly #random: Random;
  #flags = 0;
  #flagsAddress: Ipv4 = 0;
  #flagsPort = 0;

  /** @param remembered mapping and flags of an earlier run */
  constructor(random: Random, remembered: RememberedMapping | undefined) {
    this.#random = random;
    if (remembered === undefined) return;
    this.#flags = randomFlags(remembered.flags);
    this.#flagsAddress = remembered.mapped.address;
    this.#flagsPort = remembered.mapped.port;
  }

  /** Takes on the address that follows from `mapped`. Returns a copy of it. */
  adopt(server: Ipv4, mapped: Endpoint, cone: boolean, symmetric: boolean): Ipv6 {
    if (mapped.address !== this.#flagsAddress || mapped.port !== this.#flagsPort) {
      this.#flags = randomFlags(this.#random.u32() >>> 16);
      this.#flagsAddress = mapped.address;
      this.#flagsPort = mapped.port;
    }
    const address = formTeredoAddress({ server, flags: this.#flags | (cone ? FLAG_CONE : 0), mapped });
    this.address.set(address);
    this.server = server;
    this.mappedAddress = mapped.address;
    this.mappedPort = mapped.port;
    this.cone = cone;
    this.symmetric = symmetric;
    this.qualified = true;
    return address;
  }

  /** The address is no longer valid. The flags stay, for the case that the mapping does. */
  forget(): void {
    this.qualified = false;
    this.address.fill(0);
  }

  /** Whether `address`:`port` is the mapping this client is seen at. */
  isOwnMapping(address: Ipv4, port: number): boolean {
    return this.qualified && address === this.mappedAddress && port === this.mappedPort;
  }
}
