/**
 * What a network check found, and what follows from it. "Not checked" wherever nothing, or not enough, was seen: never a guess.
 *
 * ```
 *   one socket, several server addresses    same endpoint everywhere    mapping does not depend on the destination
 *   several sockets, one server address     external ports in order     preserving, sequential, random
 *   an answer from an address never asked   let in, or not              filtering (RFC 4787 5)
 *   a bubble to our own mapped endpoint     came back inside, or not    hairpinning (RFC 4787 6)
 * ```
 */

import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import type { DropReason } from "../counters.ts";
import type { Millis } from "../machine.ts";

/** Largest distance between consecutive external ports that is taken for a step of numbering. Ours. */
const LARGEST_STEP = 16;

/** Ports this near to the last one may be numbered in order while others use the NAT too: they prove nothing. Ours. */
const NEAR = 256;

/** Sockets that have to be seen before anything is said of ports. Ours. */
const LEAST_PORTS = 4;

export type YesNo = "yes" | "no" | "not-checked";

/** How the external endpoint depends on the destination (RFC 4787 4.1). */
export type MappingFinding = "endpoint-independent" | "endpoint-dependent" | "not-checked";

/** Who is let in through a mapping (RFC 4787 5). Two server addresses tell no more. */
export type FilteringFinding = "endpoint-independent" | "address-dependent-or-stricter" | "not-checked";

/** How external ports are chosen (RFC 4787 4.2). */
export type PortFinding =
  | { readonly kind: "preserving" | "random" | "not-checked" }
  | { readonly kind: "sequential"; readonly step: number };

/** How long an idle mapping lives, milliseconds: at least `alive`, and less than `dead` where that is known. */
export interface LifetimeFinding {
  readonly alive: Millis;
  readonly dead: Millis | undefined;
}

/** What one address of a server did. */
export interface AddressReport {
  readonly address: Ipv4;
  /** How it saw the main socket; undefined: no valid answer. */
  readonly mapped: Endpoint | undefined;
  readonly roundTrip: Millis | undefined;
  /** Why an answer did not count. */
  readonly invalid: DropReason | undefined;
  /** What the kernel said of sending there, e.g. that nobody listens. */
  readonly fault: string | undefined;
  /** The server wants us to get a new secret. */
  readonly keyExpired: boolean;
}

/** What one server did. */
export interface ServerReport {
  readonly name: string;
  readonly primary: AddressReport;
  readonly secondary: AddressReport | undefined;
  /** MTU it advertised. */
  readonly mtu: number | undefined;
}

/** Everything that was found. */
export interface NetcheckReport {
  /** Endpoint of the main socket on this host; address 0 when unknown. */
  readonly local: Endpoint;
  readonly servers: readonly ServerReport[];
  /** Whether datagrams to and from the Internet pass: "no" only where this host itself refuses to send them. */
  readonly udp: YesNo;
  /** Whether addresses are translated. */
  readonly nat: YesNo;
  readonly mapping: MappingFinding;
  readonly ports: PortFinding;
  readonly filtering: FilteringFinding;
  /**
   * Whether what is sent to an external endpoint of our own comes back inside. A NAT that leaves the internal source address (which RFC 4787
   * REQ-9 forbids) counts as "no" where the kernel takes no packet that has its own address as source, as Linux does.
   */
  readonly hairpin: YesNo;
  /** Source address of what came back inside, where hairpinning was seen. */
  readonly hairpinSource: "internal" | "external" | undefined;
  /** Whether the server carries bubbles from one client to another. */
  readonly bubbles: YesNo;
  /** Undefined: not checked. */
  readonly lifetime: LifetimeFinding | undefined;
}

/** What it means. */
export interface Verdict {
  /** "limited": peers behind some NATs stay out of reach. */
  readonly teredo: "yes" | "limited" | "no";
  /** One sentence without period. */
  readonly words: string;
}

/** @param seen how each server address that answered saw one and the same socket */
export function judgeMapping(seen: readonly { readonly address: Ipv4; readonly mapped: Endpoint }[]): MappingFinding {
  const [first] = seen;
  if (first === undefined) return "not-checked";
  if (seen.some(({ mapped }) => !sameEndpoint(mapped, first.mapped))) return "endpoint-dependent";
  return new Set(seen.map(({ address }) => address)).size > 1 ? "endpoint-independent" : "not-checked";
}

/** @param pairs local and external port of one socket after the other, in the order in which they were opened */
export function judgePorts(pairs: readonly { readonly local: number; readonly external: number }[]): PortFinding {
  if (pairs.length < LEAST_PORTS) return { kind: "not-checked" };
  const kept = pairs.filter(({ local, external }) => local === external).length;
  // A port that another inside uses already is not kept; twice the same by chance does not happen.
  if (kept >= 2) return { kind: "preserving" };
  const steps = pairs.slice(1).map(({ external }, i) => external - pairs[i].external);
  const [usual, count] = mostFrequent(steps);
  // One may be off: the numbers began again, or somebody else was in between.
  if (usual !== 0 && Math.abs(usual) <= LARGEST_STEP && count >= Math.max(2, steps.length - 1)) {
    return { kind: "sequential", step: usual };
  }
  const near = steps.filter((step) => Math.abs(step) <= NEAR).length;
  return near >= 2 || kept > 0 ? { kind: "not-checked" } : { kind: "random" };
}

function mostFrequent(values: readonly number[]): readonly [value: number, count: number] {
  let best: readonly [number, number] = [0, 0];
  for (const value of values) {
    const count = values.filter((each) => each === value).length;
    if (count > best[1]) best = [value, count];
  }
  return best;
}

/** The verdict. */
export function judge(report: NetcheckReport): Verdict {
  const { servers, mapping, bubbles } = report;
  const good = servers.find(({ primary }) => primary.mapped !== undefined);
  if (good === undefined) return { teredo: "no", words: `Teredo cannot work here: ${silentWords(report)}` };
  if (bubbles === "no") {
    const words = `the server ${good.name} answers but carries no bubbles, so that no peer behind a NAT can be reached`;
    return { teredo: "no", words: `Teredo cannot work here: ${words}` };
  }
  if (mapping === "endpoint-dependent") {
    const words =
      "the NAT gives every destination another port (symmetric), which many peers cannot be reached through";
    return { teredo: "limited", words: `Teredo can work here with limits: ${words}` };
  }
  if (mapping === "not-checked") {
    const words = "only one server address answered, so that a symmetric NAT would not have shown";
    return { teredo: "yes", words: `Teredo can work here as far as can be told: ${words}` };
  }
  const through = report.nat === "no"
    ? "there is no NAT"
    : report.filtering === "endpoint-independent"
    ? "the NAT keeps one mapping for all destinations and lets everybody in"
    : "the NAT keeps one mapping for all destinations";
  return { teredo: "yes", words: `Teredo can work here: ${through}` };
}

/** Why there was no valid answer at all. */
function silentWords({ servers, udp }: NetcheckReport): string {
  const addresses = servers.flatMap(({ primary, secondary }) =>
    secondary === undefined ? [primary] : [primary, secondary]
  );
  if (addresses.length === 0) return "there is no server to ask";
  const late = servers.find(({ secondary }) => secondary?.mapped !== undefined);
  if (late !== undefined) {
    return `the server ${late.name} answers from its second address but not from its first`;
  }
  const invalid = addresses.find((each) => each.invalid !== undefined)?.invalid;
  if (invalid !== undefined) return invalidWords(invalid);
  const fault = addresses.find((each) => each.fault !== undefined)?.fault;
  if (fault !== undefined) return udp === "no" ? `this host cannot send: ${fault}` : fault;
  return servers.length === 1
    ? "the server does not answer: it is down, wants a secret, or UDP port 3544 is blocked on the way"
    : "no server answers: UDP port 3544 is blocked on the way, or all of them are down";
}

/** What it means that the only answers were of no use. */
export function invalidWords(reason: DropReason): string {
  switch (reason) {
    case "not-global-ipv4":
    case "port-zero":
      return "the server sees this host under a private address: it stands behind the same NAT, or is of a private network";
    case "bad-authentication":
      return "the server's answers fail the check of the secret (client.identifier, client.secret)";
    default:
      return `the server's answers are not valid (${reason})`;
  }
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}
