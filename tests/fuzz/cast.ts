/** The addresses that packets of an episode come from and go to: few, so that they meet, and every kind that must not be answered. */

import { type Endpoint, type Ipv4, isUnicast } from "../../lib/wire/ipv4.ts";
import type { Ipv6 } from "../../lib/wire/ipv6.ts";
import { formTeredoAddress, linkLocalFor, randomFlags, serverLinkLocal } from "../../lib/wire/teredo_address.ts";
import { ip4, ip6 } from "../core/harness.ts";
import type { SeededRandom } from "../sim/random.ts";
import { octets, pick } from "./mutation.ts";

/** IPv4 addresses that nothing may be sent to, or only on this link. The last are of the subnets of {@link SUBNETS}. */
const SPECIAL_IPV4 = [
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.5",
  "10.255.255.255",
  "100.64.0.1",
  "127.0.0.1",
  "169.254.1.1",
  "172.16.0.1",
  "192.88.99.1",
  "192.168.1.10",
  "192.168.1.11",
  "192.168.1.12",
  "224.0.0.1",
  "224.0.0.253",
  "240.0.0.1",
  "255.255.255.255",
  "192.168.1.0",
  "192.168.1.255",
  "198.51.100.255",
].map(ip4);

/** Subnets of the host. */
export const SUBNETS = [
  { address: ip4("192.168.1.10"), prefixLength: 24 },
  { address: ip4("198.51.100.7"), prefixLength: 24 },
] as const;

const SPECIAL_IPV6 = [
  "::",
  "::1",
  "::ffff:192.0.2.1",
  "::192.0.2.1",
  "fe80::1",
  "fe80::ffff:ffff:fffe",
  "fe80::8000:ffff:ffff:fffd",
  "fe80::5efe:192.0.2.200",
  "ff02::1",
  "ff02::2",
  "ff0e::1",
  "fec0::1",
  "fd00::1",
  "2002:c000:2c8::1",
  "2002:cb00:7178::1",
  "2001:db8::5efe:192.0.2.200",
  "2001:db8::200:5efe:203.0.113.120",
  "64:ff9b::192.0.2.1",
].map(ip6);

const PORTS = [0, 1, 53, 3543, 3544, 3545, 4096, 50_000, 65_535] as const;

/** How many of each. */
const PEERS = 24;
const NATIVES = 8;

/** A Teredo node that plays along. */
export interface Peer {
  readonly address: Ipv6;
  readonly mapped: Endpoint;
  readonly server: Ipv4;
}

/** The addresses of one episode. */
export class Cast {
  readonly #random: SeededRandom;
  readonly servers: readonly Ipv4[];
  readonly peers: readonly Peer[];
  readonly natives: readonly Ipv6[];
  /** Addresses of the machine's own, among them those that it gets later. */
  readonly own: Ipv6[] = [];
  readonly ownIpv4: Ipv4[] = [];

  constructor(random: SeededRandom, servers: readonly Ipv4[]) {
    this.#random = random;
    this.servers = servers;
    this.peers = Array.from({ length: PEERS }, (_, i) => {
      const mapped = i < PEERS - 4
        ? { address: ip4(`192.0.2.${random.integer(1, 30)}`), port: random.integer(1024, 1060) }
        : { address: pick(random, SPECIAL_IPV4), port: pick(random, PORTS) };
      const server = random.chance(0.9) ? pick(random, servers) : pick(random, SPECIAL_IPV4);
      const flags = randomFlags(random.u32()) | (random.chance(0.2) ? 0x8000 : 0);
      return { mapped, server, address: formTeredoAddress({ server, flags, mapped }) };
    });
    this.natives = Array.from({ length: NATIVES }, (_, i) => ip6(`2001:db8:${i}::1`));
  }

  ipv4(): Ipv4 {
    const random = this.#random;
    const roll = random.float();
    if (roll < 0.4) return pick(random, this.peers).mapped.address;
    if (roll < 0.55) return pick(random, this.servers);
    if (roll < 0.7 && this.ownIpv4.length > 0) return pick(random, this.ownIpv4);
    return roll < 0.95 ? pick(random, SPECIAL_IPV4) : random.u32();
  }

  port(): number {
    const random = this.#random;
    return random.chance(0.5)
      ? random.integer(1024, 1060)
      : random.chance(0.8)
      ? pick(random, PORTS)
      : random.integer(0, 65535);
  }

  endpoint(): Endpoint {
    return { address: this.ipv4(), port: this.port() };
  }

  /** Any address. */
  ipv6(): Ipv6 {
    const random = this.#random;
    const roll = random.float();
    if (roll < 0.35) return pick(random, this.peers).address;
    if (roll < 0.55) return pick(random, this.natives);
    if (roll < 0.75 && this.own.length > 0) return pick(random, this.own);
    if (roll < 0.85) return pick(random, SPECIAL_IPV6);
    if (roll < 0.9) return serverLinkLocal(pick(random, this.servers));
    if (roll < 0.92) return linkLocalFor(this.endpoint(), random.u32() & 0xffff);
    if (roll < 0.98) {
      return formTeredoAddress({ server: this.ipv4(), flags: random.u32() & 0xffff, mapped: this.endpoint() });
    }
    return octets(random, 16);
  }

  /** An address of the machine itself, mostly. */
  ownAddress(): Ipv6 {
    return this.own.length > 0 && this.#random.chance(0.9) ? pick(this.#random, this.own) : this.ipv6();
  }

  /** Where a datagram from `source` comes from: mostly where its address says. */
  endpointOf(source: Ipv6): Endpoint {
    const peer = this.#random.chance(0.75) ? this.peers.find(({ address }) => address === source) : undefined;
    if (peer !== undefined) return peer.mapped;
    if (this.#random.chance(0.3)) return { address: pick(this.#random, this.servers), port: 3544 };
    return this.endpoint();
  }

  /** An IPv4 address that can belong to one host. */
  static isHost(address: Ipv4): boolean {
    return isUnicast(address);
  }
}
