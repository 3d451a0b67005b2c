/**
 * Every pair of six kinds of NAT, over real kernels: ours on both sides, then ours against the C Miredo where plain RFC 4380 suffices.
 * The first ping from one home to the other is timed, in both directions, between clients that have never met.
 *
 * ```
 *   alice behind each kind ─ pings ─▶ bob behind each kind      36 directions of 21 pairs, and no two of them have met before
 * ```
 *
 * The matrices are printed; docs/traversal.md has them beside what the C Miredo was measured to do.
 */

import assert from "node:assert/strict";
import type { LabHost } from "./lab.ts";
import { NAT_KINDS, type NatOptions } from "../sim/nat.ts";
import {
  firstAnswer,
  hasDebianMiredo,
  type RunningClient,
  startClient,
  startDebianClient,
  startRelay,
  startServer,
} from "./programs.ts";
import { labTest, LabWorld, SERVER, WEB } from "./world.ts";

/** The kinds, in the order of the matrix. */
const KINDS = {
  "full cone": NAT_KINDS.cone,
  "address-restricted": NAT_KINDS["address-restricted"],
  "port-restricted": NAT_KINDS["port-restricted"],
  "port-preserving": { ...NAT_KINDS.symmetric, ports: { kind: "preserving" } },
  "sequential": { ...NAT_KINDS.symmetric, ports: { kind: "sequential", step: 1 } },
  "random symmetric": { ...NAT_KINDS.symmetric, ports: { kind: "random" } },
} as const satisfies Record<string, Omit<NatOptions, "addresses">>;
type Kind = keyof typeof KINDS;
const NAMES: readonly Kind[] = [
  "full cone",
  "address-restricted",
  "port-restricted",
  "port-preserving",
  "sequential",
  "random symmetric",
];

/** Kinds with a mapping for each destination. */
const SYMMETRIC: readonly Kind[] = ["port-preserving", "sequential", "random symmetric"];

/** Latency of every line, milliseconds: four lines make a round trip of 16 ms between two homes. */
const DELAY = 2;

/** Patience for a direct way, and for one over the relay, milliseconds. */
const DIRECT_LIMIT = 5_000;
const RELAY_LIMIT = 15_000;

/** Pairs without a direct way: these meet at the relay. */
const OVER_RELAY: ReadonlySet<string> = new Set([
  pairName("port-restricted", "random symmetric"),
  pairName("port-preserving", "random symmetric"),
  pairName("sequential", "sequential"),
  pairName("sequential", "random symmetric"),
  pairName("random symmetric", "random symmetric"),
]);

/** A direction without a direct way that its pair has the other way round: who begins foretells a port for the wrong destination. */
const ONE_WAY = pairName("sequential", "port-preserving");

function pairName(a: Kind, b: Kind): string {
  return `${a} - ${b}`;
}

/** Pairs that the C Miredo connects with itself: a cone or address-restricted side, or port-restricted NATs on both. */
function isPlain(a: Kind, b: Kind): boolean {
  const open: readonly Kind[] = ["full cone", "address-restricted"];
  return open.includes(a) || open.includes(b) || (a === "port-restricted" && b === "port-restricted");
}

/** What was measured of one direction of a pair. */
interface Result {
  readonly from: Kind;
  readonly to: Kind;
  /** Milliseconds from the first ping to its answer; undefined: none came. */
  readonly first: number | undefined;
  readonly path: string;
}

/** The path that a client of ours took to a peer, as it last logged it. */
function pathTo(client: RunningClient, peer: string): string {
  const line = client.child.lines.findLast(({ text }) => text.includes("Peer reachable") && text.includes(peer));
  return /path[":= ]+"?(\w+)/.exec(line?.text ?? "")?.[1] ?? "";
}

function print(title: string, results: readonly Result[]): void {
  const width = 22;
  console.log(`${title}; milliseconds to the first answered ping, initiator in rows`);
  console.log(["", ...NAMES].map((name) => name.padEnd(width)).join(""));
  for (const from of NAMES) {
    const cells = NAMES.map((to) => {
      const found = results.filter((result) => result.from === from && result.to === to);
      return found.map(({ first, path }) => first === undefined ? "-" : `${first.toFixed(0)} ${path}`).join(", ");
    });
    console.log([from, ...cells].map((text) => text.padEnd(width)).join(""));
  }
}

/** Starts a client behind each kind of NAT. */
async function clients(
  world: LabWorld,
  name: string,
  start: (host: LabHost) => Promise<RunningClient>,
): Promise<ReadonlyMap<Kind, RunningClient>> {
  const started = await Promise.all(NAMES.map(async (kind) => {
    const { host } = await world.home(`${name}, ${kind}`, KINDS[kind]);
    return [kind, await start(host)] as const;
  }));
  return new Map(started);
}

/** Pairs of kinds in turns: no client is in two pairs of a turn, for another conversation moves the ports of a sequential NAT. */
function turns(wanted: (from: Kind, to: Kind) => boolean): (readonly [Kind, Kind])[][] {
  return NAMES.map((_, shift) =>
    NAMES.map((from, i) => [from, NAMES[(i + shift) % NAMES.length]] as const).filter(([from, to]) => wanted(from, to))
  ).filter((turn) => turn.length > 0);
}

/** Lets each of `from` reach each of `to`, as far as that is wanted. */
async function meet(
  from: ReadonlyMap<Kind, RunningClient>,
  to: ReadonlyMap<Kind, RunningClient>,
  schedule: readonly (readonly (readonly [Kind, Kind])[])[],
  limit: number,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const turn of schedule) {
    results.push(
      ...await Promise.all(turn.map(async ([a, b]) => {
        const [alice, bob] = [from.get(a), to.get(b)];
        assert.ok(alice !== undefined && bob !== undefined);
        const { ms } = await firstAnswer(alice.host, bob.address, limit);
        return { from: a, to: b, first: ms, path: pathTo(alice, bob.address) };
      })),
    );
  }
  return results;
}

const ours = (host: LabHost): Promise<RunningClient> =>
  startClient(host, [SERVER], { args: ["--set", `client.relay_probe="${WEB}"`] });
const debian = (host: LabHost): Promise<RunningClient> => startDebianClient(host, SERVER);

labTest("16 of 21 pairs of NATs are crossed directly and the other five over a relay, from either side", async () => {
  await using world = await LabWorld.open({ link: { delay: DELAY } });
  await Promise.all([startServer(world.server, [SERVER]), startRelay(world.relay)]);
  const [alices, bobs] = await Promise.all([clients(world, "alice", ours), clients(world, "bob", ours)]);
  const overRelay = (a: Kind, b: Kind) => OVER_RELAY.has(pairName(a, b)) || OVER_RELAY.has(pairName(b, a));
  const isDirect = (a: Kind, b: Kind) => !overRelay(a, b) && pairName(a, b) !== ONE_WAY;
  const direct = await meet(alices, bobs, turns(isDirect), DIRECT_LIMIT);
  // These wait until all direct ways have failed; they disturb nobody meanwhile, so that all can do so at once.
  const relayed = await meet(alices, bobs, [turns((a, b) => !isDirect(a, b)).flat()], RELAY_LIMIT);
  print("Ours to ours", [...direct, ...relayed]);
  for (const { from, to, first, path } of direct) {
    assert.ok(first !== undefined, `${pairName(from, to)}: no answer within ${DIRECT_LIMIT / 1000} s`);
    assert.equal(path, "direct", pairName(from, to));
  }
  for (const { from, to, first, path } of relayed) {
    assert.ok(first !== undefined, `${pairName(from, to)}: no answer within ${RELAY_LIMIT / 1000} s`);
    if (pairName(from, to) !== ONE_WAY) assert.equal(path, "relay", pairName(from, to));
  }
});

const debianTest = hasDebianMiredo() ? labTest : (name: string, fn: () => Promise<void>) => {
  Deno.test({ name: `${name} (skipped: Debian's miredo is not installed)`, ignore: true, fn });
};

/**
 * The 12 pairs, begun from a side that can begin. From behind a symmetric NAT neither can: the C Miredo answers our bubbles where our address
 * says, and its own do not say who it is.
 */
const begins = (from: Kind, to: Kind): boolean => isPlain(from, to) && !SYMMETRIC.includes(from);

for (const [title, left, right] of [["Ours to Debian", ours, debian], ["Debian to ours", debian, ours]] as const) {
  debianTest(`${title}: ways open between all 12 pairs of NATs that plain RFC 4380 crosses`, async () => {
    await using world = await LabWorld.open({ link: { delay: DELAY } });
    await startServer(world.server, [SERVER]);
    const [alices, bobs] = await Promise.all([clients(world, "alice", left), clients(world, "bob", right)]);
    const results = await meet(alices, bobs, turns(begins), DIRECT_LIMIT);
    print(title, results);
    for (const { from, to, first } of results) assert.ok(first !== undefined, pairName(from, to));
  });
}
