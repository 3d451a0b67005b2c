/**
 * What a simulated run looked like: the crossings of a {@link Network} as a mermaid sequence diagram, each packet by what it means.
 *
 * ```
 * sequenceDiagram
 *   alice->>server: 12.0 RS
 *   server->>alice: 36.2 RA, origin 198.51.100.1:40001
 *   alice-xbob: 40.1 bubble alice > bob (filtered)
 * ```
 */

import { isBubble } from "../../lib/wire/bubble.ts";
import { Datagram as TeredoDatagram } from "../../lib/wire/encapsulation.ts";
import { formatEndpoint } from "../../lib/wire/ipv4.ts";
import {
  addressAt,
  DESTINATION_AT,
  IPV6_HEADER_LENGTH,
  nextHeader,
  payloadLength,
  SOURCE_AT,
} from "../../lib/wire/ipv6.ts";
import { formatIpv6 } from "../../lib/wire/ipv6_address.ts";
import { isTeredo, mappedAddressAt, mappedPortAt } from "../../lib/wire/teredo_address.ts";
import type { Crossing, Network } from "./network.ts";

/** How many of the last crossings a failed run shows. */
const SHOWN = 120;

const ICMPV6_NAMES: ReadonlyMap<number, string> = new Map([
  [1, "unreachable"],
  [2, "packet too big"],
  [3, "time exceeded"],
  [128, "echo request"],
  [129, "echo reply"],
  [133, "RS"],
  [134, "RA"],
]);

/** Short text for the IPv6 address at `at`: a Teredo address by its mapped endpoint. */
function describeAddress(bytes: Uint8Array, at: number): string {
  if (!isTeredo(bytes, at)) return formatIpv6(addressAt(bytes, at));
  return `T[${formatEndpoint({ address: mappedAddressAt(bytes, at), port: mappedPortAt(bytes, at) })}]`;
}

/** One line about the IPv6 packet at `at`. */
export function describeIpv6(bytes: Uint8Array, at: number = 0): string {
  if (bytes.length < at + IPV6_HEADER_LENGTH) return `${bytes.length - at} octets`;
  const icmp = bytes[at + IPV6_HEADER_LENGTH];
  const kind = isBubble(bytes, at)
    ? "bubble"
    : nextHeader(bytes, at) === 58
    ? ICMPV6_NAMES.get(icmp) ?? `ICMPv6 ${icmp}`
    : `next header ${nextHeader(bytes, at)}`;
  if (kind === "RS" || kind === "RA") return kind;
  const sequence = kind.startsWith("echo") ? ` ${bytes[at + 46] * 256 + bytes[at + 47]}` : "";
  const ends = `${describeAddress(bytes, at + SOURCE_AT)} > ${describeAddress(bytes, at + DESTINATION_AT)}`;
  return `${kind}${sequence} ${ends}${payloadLength(bytes, at) > 100 ? ` ${payloadLength(bytes, at)} octets` : ""}`;
}

/** One line about a UDP payload that should be Teredo. */
export function describeTeredo(payload: Uint8Array): string {
  const parsed = new TeredoDatagram();
  if (!parsed.decode(payload, 0, payload.length)) return `${payload.length} octets that are not Teredo`;
  const origin = parsed.origin
    ? `, origin ${formatEndpoint({ address: parsed.originAddress, port: parsed.originPort })}`
    : "";
  const trailers = parsed.trailersLength > 0 ? `, trailers ${parsed.trailersLength}` : "";
  return describeIpv6(payload, parsed.ipv6At) + origin + trailers;
}

/** The crossings as a mermaid sequence diagram. */
export function mermaid(crossings: readonly Crossing[]): string {
  const lines = crossings.map(({ at, from, to, packet, lost }) => {
    const what = packet instanceof Uint8Array ? describeIpv6(packet) : describeTeredo(packet.payload);
    return `  ${from}${lost === undefined ? "->>" : "-x"}${to}: ${at.toFixed(1)} ${what}${
      lost === undefined ? "" : ` (${lost})`
    }`;
  });
  return ["sequenceDiagram", ...lines].join("\n");
}

/**
 * Runs a scenario once for each seed. A failure names the seed, so that the run can be repeated alone, and carries the packet flow.
 * @throws Error with the original as `cause`
 */
export function forSeeds(
  seeds: Iterable<number>,
  make: (seed: number) => Network,
  scenario: (network: Network) => void,
): void {
  for (const seed of seeds) {
    const network = make(seed);
    try {
      scenario(network);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      const flow = mermaid(network.trace.slice(-SHOWN));
      throw new Error(`Seed ${seed}, at ${network.now.toFixed(1)} ms: ${message}\n${flow}`, { cause });
    }
  }
}
