/**
 * The nine kinds of NAT of RFC 6081 figure 1, what the figure says of each pair, and a run of one pair.
 *
 * ```
 *   initiator ─ NAT of one kind ─┐
 *                                ├─ internet, with faults as wanted ─ server, relay, IPv6 host
 *   peer ────── NAT of another ──┘
 * ```
 */

import type { ClientOptions, TraversalOptions } from "../../lib/core/client/client_options.ts";
import type { Millis } from "../../lib/core/machine.ts";
import { ICMPV6_DESTINATION_UNREACHABLE } from "../../lib/wire/icmpv6.ts";
import { isTeredo } from "../../lib/wire/teredo_address.ts";
import type { LinkOptions } from "./link.ts";
import { NAT_KINDS, type NatOptions, Protocol } from "./nat.ts";
import type { Network } from "./network.ts";
import { FULL_TRAVERSAL } from "./nodes.ts";
import type { Ping } from "./stack.ts";
import { type Home, World } from "./world.ts";

/** A kind of NAT. */
export interface FigureKind {
  readonly nat: Partial<NatOptions>;
  /** The client's service port is reserved: with UPnP. `shared`: the NAT uses it for the first destination. */
  readonly reserved?: "reserved" | "shared";
  /** External addresses besides the first. */
  readonly pool?: number;
}

/** In the order of the figure. */
export const FIGURE_KINDS = {
  "cone": { nat: NAT_KINDS.cone },
  "address-restricted": { nat: NAT_KINDS["address-restricted"] },
  "port-restricted": { nat: NAT_KINDS["port-restricted"] },
  "UPnP port-restricted": { nat: NAT_KINDS["port-restricted"], reserved: "reserved" },
  "UPnP symmetric": { nat: NAT_KINDS.symmetric, reserved: "shared" },
  "port-preserving": { nat: { ...NAT_KINDS.symmetric, ports: { kind: "preserving" } } },
  "sequential": { nat: { ...NAT_KINDS.symmetric, ports: { kind: "sequential", step: 1 } } },
  "symmetric": { nat: NAT_KINDS.symmetric },
  "address-symmetric": { nat: { ...NAT_KINDS.symmetric, pooling: "arbitrary" }, pool: 3 },
} as const satisfies Record<string, FigureKind>;

export type FigureKindName = keyof typeof FIGURE_KINDS;

export const FIGURE_NAMES: readonly FigureKindName[] = [
  "cone",
  "address-restricted",
  "port-restricted",
  "UPnP port-restricted",
  "UPnP symmetric",
  "port-preserving",
  "sequential",
  "symmetric",
  "address-symmetric",
];

/** RFC 6081 figure 1: initiator in rows. Y: plain RFC 4380; other letters: extensions; "-": no way. */
const FIGURE = `
Y   Y   Y      Y   S    S     S     S  S
Y   Y   Y      Y   S    S     S     S  -
Y   Y   Y      Y   -    S+PP  S+SS  -  -
Y   Y   Y      Y   S+U  -     -     -  -
S   S   -      S+U S+U  -     -     -  -
S   S   S+PP   -   -    S+PP  S+SS  -  -
S   S   S+SS   -   -    -     -     -  -
S   S   -      -   -    -     -     -  -
S   -   -      -   -    -     -     -  -
`;

const CELLS: readonly (readonly string[])[] = FIGURE.trim().split("\n").map((row) => row.trim().split(/\s+/));

/** What the figure says of a pair. */
export function figureCell(initiator: FigureKindName, peer: FigureKindName): string {
  return CELLS[FIGURE_NAMES.indexOf(initiator)][FIGURE_NAMES.indexOf(peer)];
}

/** How a run differs from the usual. */
export interface RunOptions {
  readonly link?: LinkOptions;
  /** Lifetime of idle mappings. */
  readonly lifetime?: Millis;
  readonly traversal?: Partial<TraversalOptions>;
  readonly client?: Partial<ClientOptions>;
  /** How long the initiator goes on pinging, once a second. */
  readonly patience: Millis;
}

/** What became of a pair. */
export interface PairResult {
  /** Milliseconds from the first ping sent to the first answered; undefined: none was. */
  readonly answered: Millis | undefined;
  readonly path: "direct" | "local" | "relay" | undefined;
  /** Milliseconds from the first ping sent to the first ICMPv6 unreachable about one; undefined: there was none. */
  readonly refused: Millis | undefined;
}

/** A home behind a NAT of a kind of the figure. */
export function figureHome(
  world: World,
  name: string,
  kind: FigureKind,
  lifetime: Millis | undefined,
  client: Partial<ClientOptions>,
): Home {
  const home = world.home(name, lifetime === undefined ? kind.nat : { ...kind.nat, lifetime }, client, kind.pool ?? 0);
  if (kind.reserved !== undefined) {
    home.box.nat.forward(Protocol.udp, home.local.port, home.local, kind.reserved === "shared");
    home.client.portMapping({ address: home.box.nat.addresses[0], port: home.local.port });
  }
  return home;
}

/** The world of a pair: relay and clients know all ways unless `options` says otherwise. */
export function pairWorld(
  network: Network,
  initiator: FigureKind,
  peer: FigureKind,
  options: RunOptions,
): { readonly world: World; readonly alice: Home; readonly bob: Home } {
  const relay = { symmetricClients: true, betweenClients: true };
  const world = new World(network, { relay, ...(options.link === undefined ? {} : { link: options.link }) });
  const client = {
    symmetricNatSupport: true,
    traversal: { ...FULL_TRAVERSAL, relayProbe: world.native.address, ...options.traversal },
    ...options.client,
  };
  const alice = figureHome(world, "alice", initiator, options.lifetime, client);
  const bob = figureHome(world, "bob", peer, options.lifetime, client);
  return { world, alice, bob };
}

/** Runs one pair: the initiator pings until it is answered or its patience is over. */
export function runPair(
  network: Network,
  initiator: FigureKind,
  peer: FigureKind,
  options: RunOptions,
): PairResult & { readonly world: World; readonly alice: Home; readonly bob: Home } {
  const { world, alice, bob } = pairWorld(network, initiator, peer, options);
  for (const { client } of [alice, bob]) {
    // With losses a qualification can take several attempts.
    if (client.qualify(world.server.addresses, 600_000) === undefined) {
      throw new Error(`${client.host.name} did not qualify`);
    }
  }
  const start = network.now;
  const pings: Ping[] = [];
  const isAnswered = () => pings.some(({ repliedAt }) => repliedAt !== undefined);
  while (network.now - start < options.patience && !isAnswered()) {
    if (alice.client.qualified && bob.client.qualified) pings.push(alice.client.stack.ping(bob.client.address));
    world.runUntil(isAnswered, 1000);
  }
  const answered = isAnswered() ? network.now - start : undefined;
  const up = alice.client.eventsOf("peer-up").findLast((event) => isTeredo(event.peer, 0));
  const refusals = pings.flatMap(({ error }) =>
    error?.type === ICMPV6_DESTINATION_UNREACHABLE ? [error.at - start] : []
  );
  return {
    answered,
    path: answered === undefined ? undefined : up?.path,
    refused: refusals.length === 0 ? undefined : Math.min(...refusals),
    world,
    alice,
    bob,
  };
}

/** How bad the lines of a run are. */
export type Weather = "calm" | "rough";

/** NAT lifetime of all runs: the shortest that a refresh interval of 30 s can keep up with. */
export const SHORT_LIFETIME: Millis = 30_000;

/** Patience in calm weather: bubbles, packets in vain to a peer that is deaf, echo requests. */
const CALM_PATIENCE: Millis = 20_000;
/** In rough weather: spent bubbles come back after 300 s. */
const ROUGH_PATIENCE: Millis = 1_500_000;

/**
 * Lines and patience of a run, drawn from the network's seed. Calm: any delay, some jitter. Rough: also losses up to 20 % between two
 * clients (four lines), packets that overtake others, and copies.
 */
export function drawRun(network: Network, weather: Weather): RunOptions {
  const { random } = network;
  const delay = 1 + 40 * random.float(), jitter = 15 * random.float();
  if (weather === "calm") return { link: { delay, jitter }, lifetime: SHORT_LIFETIME, patience: CALM_PATIENCE };
  const link = {
    delay,
    jitter,
    loss: 0.055 * random.float(),
    duplication: 0.02 * random.float(),
    reordering: 0.05 * random.float(),
    reorderBy: 60,
  };
  return { link, lifetime: SHORT_LIFETIME, patience: ROUGH_PATIENCE };
}

/** A first ping over a direct way is answered within this time in calm weather. */
export const DIRECT_LIMIT: Millis = 5_000;
/** And over a relay within this. */
export const RELAY_LIMIT: Millis = 15_000;

/** Why a result is not what the figure promises; undefined when it is. @param relays whether peers may meet at a relay */
export function pairFault(
  initiator: FigureKindName,
  peer: FigureKindName,
  weather: Weather,
  relays: boolean,
  result: PairResult,
): string | undefined {
  const named = figureCell(initiator, peer) !== "-";
  const { answered, path, refused } = result;
  if (answered === undefined) {
    if (named || relays) return "no ping was answered";
    return refused === undefined ? "no ping was told unreachable" : undefined;
  }
  if (weather === "rough") return undefined;
  if (named && path === "relay") return "the figure knows a direct way, but it went over a relay";
  // Where the figure has no way, chance may open one at any time.
  if (!named && path !== "relay") return undefined;
  const limit = path === "relay" ? RELAY_LIMIT : DIRECT_LIMIT;
  return answered > limit ? `answered only after ${answered.toFixed(0)} ms` : undefined;
}
