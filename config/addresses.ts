/**
 * What a configuration may hold as an address, checked as text: IPv4 addresses, host names, the /32 of a Teredo service.
 *
 * Each `...Problem` function says in words what is wrong with a text, or `undefined` when nothing is. The words continue the quoted
 * value: `"10.0.0.1" is a private address`.
 */

import { isIPv6 } from "node:net";

/** IPv4 blocks that no Teredo server address may lie in (RFC 4380 5.2.1, protocol list of non-global addresses). */
const NOT_GLOBAL: readonly (readonly [address: number, prefixLength: number, words: string])[] = [
  [0x00000000, 8, 'is in "this network" 0.0.0.0/8'],
  [0x0a000000, 8, "is a private address (10.0.0.0/8)"],
  [0x7f000000, 8, "is a loopback address (127.0.0.0/8)"],
  [0xa9fe0000, 16, "is a link-local address (169.254.0.0/16)"],
  [0xac100000, 12, "is a private address (172.16.0.0/12)"],
  [0xc0a80000, 16, "is a private address (192.168.0.0/16)"],
  [0xc0586300, 24, "is the 6to4 anycast address (192.88.99.0/24)"],
  [0xe0000000, 4, "is a multicast address (224.0.0.0/4)"],
  [0xffffffff, 32, "is the broadcast address"],
];

/** The longest host name, characters (RFC 1035 2.3.4, in text form). */
const HOST_NAME_MAXIMUM = 253;

/** The number of a strict dotted quad (no octal, no leading zeros), host order, or `undefined`. */
export function ipv4Number(text: string): number | undefined {
  if (!/^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/.test(text)) return undefined;
  const octets = text.split(".").map(Number);
  if (octets.some((octet) => octet > 255)) return undefined;
  return octets.reduce((sum, octet) => sum * 256 + octet, 0);
}

/** The dotted quad of a host-order number. */
export function ipv4Text(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

function notGlobalWords(address: number): string | undefined {
  for (const [block, length, words] of NOT_GLOBAL) {
    const size = 2 ** (32 - length);
    if (address >= block && address < block + size) return words;
  }
  return undefined;
}

/** Problem with `text` as the address of a Teredo server: a global unicast IPv4 address. */
export function serverAddressProblem(text: string): string | undefined {
  const address = ipv4Number(text);
  return address === undefined ? "is not an IPv4 address" : notGlobalWords(address);
}

/** Problem with `text` as an address to bind a socket to: 0.0.0.0 (any) or a unicast IPv4 address. */
export function bindAddressProblem(text: string): string | undefined {
  const address = ipv4Number(text);
  if (address === undefined) return "is not an IPv4 address";
  if (address >= 0xe0000000 && address < 0xf0000000) return "is a multicast address (224.0.0.0/4)";
  if (address === 0xffffffff) return "is the broadcast address";
  return undefined;
}

/** Problem with `text` as a server a client may name: a host name (RFC 1123 2.1) or a global unicast IPv4 address. */
export function serverNameProblem(text: string): string | undefined {
  if (text === "") return "is empty";
  if (isIPv6(text)) return "is an IPv6 address";
  if (/^[\d.]+$/.test(text)) return serverAddressProblem(text);
  if (text.length > HOST_NAME_MAXIMUM) return `is longer than ${HOST_NAME_MAXIMUM} characters`;
  const labels = text.replace(/\.$/, "").split(".");
  const good = labels.every((label) => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label));
  return good ? undefined : "is neither a host name nor an IPv4 address";
}

/** Problem with `text` as a Teredo service prefix: an IPv6 /32 outside the multicast range, with nothing after bit 32. */
export function servicePrefixProblem(text: string): string | undefined {
  const [address, length, ...rest] = text.split("/");
  if (rest.length > 0 || !isIPv6(address)) return "is not an IPv6 prefix";
  if (length !== "32") return length === undefined ? "has no prefix length" : "is not a /32";
  const groups = expandIpv6(address);
  if (groups === undefined) return "is not an IPv6 prefix";
  if (groups[0] >= 0xff00) return "is in the multicast range ff00::/8";
  if (groups[0] === 0 && groups[1] === 0) return "is the unspecified prefix";
  if (groups.slice(2).some((group) => group !== 0)) return "has bits set after its 32nd";
  return undefined;
}

/** A TCP address and port of this host, as octets. */
export interface ListenAddress {
  /** Without brackets. */
  readonly address: string;
  readonly port: number;
}

/** Reads `127.0.0.1:9464` or `[::1]:9464`; undefined when it is neither. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const parts = /^(?:([\d.]+)|\[([0-9A-Fa-f:.]+)\]):(\d{1,5})$/.exec(text);
  if (parts === null) return undefined;
  const [, ipv4, ipv6, port] = parts;
  if (ipv4 !== undefined && ipv4Number(ipv4) === undefined) return undefined;
  if (ipv6 !== undefined && !isIPv6(ipv6)) return undefined;
  if (Number(port) < 1 || Number(port) > 65535) return undefined;
  return { address: ipv4 ?? ipv6, port: Number(port) };
}

/** Problem with `text` as a relay's endpoint: a global unicast IPv4 address and a port. */
export function relayEndpointProblem(text: string): string | undefined {
  const parts = /^([\d.]+):(\d{1,5})$/.exec(text);
  if (parts === null) return "is not an IPv4 address and port";
  const port = Number(parts[2]);
  return serverAddressProblem(parts[1]) ?? (port >= 1 && port <= 65535 ? undefined : "has no such port");
}

/** Problem with `text` as a native IPv6 node: a global unicast address that is not Teredo. */
export function nativeNodeProblem(text: string): string | undefined {
  const groups = isIPv6(text) ? expandIpv6(text) : undefined;
  if (groups === undefined) return "is not an IPv6 address";
  if (groups[0] === 0x2001 && groups[1] === 0) return "is a Teredo address";
  return groups[0] >>> 13 === 1 ? undefined : "is not in 2000::/3, where global unicast addresses are";
}

/** Problem with `text` as the place where metrics are served; empty is none. */
export function listenProblem(text: string): string | undefined {
  return text === "" || parseListenAddress(text) !== undefined ? undefined : "is not an address and port";
}

/** The eight 16-bit groups of an address that {@link isIPv6} accepted; `undefined` for the forms a prefix has no use for. */
function expandIpv6(text: string): readonly number[] | undefined {
  if (text.includes(".") || text.includes("%")) return undefined;
  const [head, tail] = text.split("::");
  const groups = (part: string | undefined): number[] =>
    part === undefined || part === "" ? [] : part.split(":").map((group) => parseInt(group, 16));
  const before = groups(head);
  const after = groups(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}
