/**
 * IPv4 addresses and UDP endpoints, and which addresses Teredo may send to (RFC 4380 5.2.4).
 *
 * An address is an unsigned number in host order: 192.0.2.1 is 0xc0000201.
 */

/** An IPv4 address, 0 to 2^32 - 1. */
export type Ipv4 = number;

/** An IPv4 address with a UDP port, 0 to 65535. */
export interface Endpoint {
  readonly address: Ipv4;
  readonly port: number;
}

/** A subnet as an interface knows it: any address of it, and the number of leading bits that name the subnet, 0 to 32. */
export interface Ipv4Subnet {
  readonly address: Ipv4;
  readonly prefixLength: number;
}

/** Teredo IPv4 discovery address, 224.0.0.253 (RFC 4380 2.17). */
export const DISCOVERY_ADDRESS: Ipv4 = 0xe00000fd;

const LIMITED_BROADCAST: Ipv4 = 0xffffffff;

const DOTTED_QUAD = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

/** Reads a strict dotted quad: four decimal numbers 0 to 255 without leading zeros; undefined for anything else. */
export function parseIpv4(text: string): Ipv4 | undefined {
  const match = DOTTED_QUAD.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (const part of match.slice(1)) {
    const octet = Number(part);
    if (octet > 255) return undefined;
    address = address * 256 + octet;
  }
  return address;
}

/** The dotted quad of an address. */
export function formatIpv4(address: Ipv4): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/** `address:port` */
export function formatEndpoint(endpoint: Endpoint): string {
  return `${formatIpv4(endpoint.address)}:${endpoint.port}`;
}

/** Whether the address belongs to the subnet, its network and broadcast addresses included. */
export function inSubnet(address: Ipv4, subnet: Ipv4Subnet): boolean {
  return subnet.prefixLength === 0 || ((address ^ subnet.address) >>> (32 - subnet.prefixLength)) === 0;
}

/** Whether the address is the directed broadcast (host bits all ones) of one of the subnets. /31 and /32 have none (RFC 3021). */
export function isDirectedBroadcast(address: Ipv4, subnets: readonly Ipv4Subnet[]): boolean {
  for (const subnet of subnets) {
    const hostBits = 32 - subnet.prefixLength;
    if (hostBits < 2 || !inSubnet(address, subnet)) continue;
    const hostMask = hostBits === 32 ? LIMITED_BROADCAST : (1 << hostBits) - 1;
    if ((address & hostMask) >>> 0 === hostMask >>> 0) return true;
  }
  return false;
}

/**
 * Whether an address is global unicast in the sense of RFC 4380 5.2.4: not "this network", loopback, private, link-local, 6to4 anycast,
 * multicast or limited broadcast. Exactly the list of the RFC: shared (100.64/10), documentation and benchmark ranges pass.
 * Directed broadcasts depend on the host and are tested by {@link isDirectedBroadcast}.
 */
export function isGlobalUnicast(address: Ipv4): boolean {
  const first = address >>> 24;
  if (first >= 224) return first >= 240 && address !== LIMITED_BROADCAST;
  switch (first) {
    case 0:
    case 10:
    case 127:
      return false;
    case 169:
      return address >>> 16 !== 0xa9fe;
    case 172:
      return address >>> 20 !== 0xac1;
    case 192:
      return address >>> 16 !== 0xc0a8 && address >>> 8 !== 0xc05863;
    default:
      return true;
  }
}

/**
 * Whether an address can belong to one host at all: not "this network", loopback, multicast or limited broadcast. Private addresses
 * pass. The rule for alternate addresses (RFC 6081 4.3).
 */
export function isUnicast(address: Ipv4): boolean {
  const first = address >>> 24;
  if (first >= 224) return first >= 240 && address !== LIMITED_BROADCAST;
  return first !== 0 && first !== 127;
}
