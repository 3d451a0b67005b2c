/** What many peers cost: in the table alone, and in a relay that really speaks with them. */

import { run, until } from "./command.ts";
import { crowdNetwork, delivered } from "./crowd_network.ts";
import { type Size, SIZES } from "./catalogue.ts";
import type { Maker } from "./daemons.ts";
import { Program } from "./process.ts";
import type { Round } from "./stands.ts";

const TABLE = new URL("peer_table.ts", import.meta.url).pathname;
const CROWD = new URL("crowd.ts", import.meta.url).pathname;

const OCTETS_PER_KIB = 1024;
const KIB_PER_MIB = 1024;

/** Longest time for everything with one number of peers, milliseconds. */
const LIMIT = 1_200_000;

function runTypeScript(path: string, ...args: readonly (string | number)[]): string[] {
  return [Deno.execPath(), "run", "-A", "--no-prompt", path, ...args.map(String)];
}

function figures(line: string): Map<string, number> {
  const value: unknown = JSON.parse(line);
  return new Map(
    Object.entries(typeof value === "object" && value !== null ? value : {})
      .filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );
}

/** The table of peers by itself. */
export async function peerTable(round: Round, size: Size): Promise<void> {
  round.progress.show(`table of ${size} peers`);
  const found = figures(await run(runTypeScript(TABLE, SIZES[size]), { limit: LIMIT }));
  for (const [name, value] of found) round.results.add(`table.${size}.${name}`, "ours", value);
}

/** Makes so many peers known to a relay, and watches it afterwards for `hold` seconds. */
export async function peers(round: Round, maker: Maker, size: Size, hold: number): Promise<void> {
  const { daemons, results, progress } = round;
  const world = await crowdNetwork();
  let relay: Program | undefined, crowd: Program | undefined;
  try {
    progress.show(`${maker}: relay for ${size} peers`);
    relay = await daemons.relay(maker, world.relay, [`limits.max_peers=${SIZES[size] + SIZES[size] / 16}`]);
    const before = relay.usage();
    let output = "";
    crowd = new Program(world.crowd.inside(runTypeScript(CROWD, SIZES[size], hold)), (text) => output += text);
    const line = async (index: number): Promise<Map<string, number>> => {
      const there = await until(() => output.split("\n").length > index + 1 || crowd?.ended === true, LIMIT);
      const text = output.split("\n")[index];
      if (!there || text === "" || relay?.ended === true) {
        throw new Error(`Cannot fill the relay: ${crowd?.tail || relay?.tail || "it says nothing"}`);
      }
      return figures(text);
    };
    const filled = await line(0);
    const after = relay.usage();
    const answered = filled.get("answered") ?? NaN;
    const add = (name: string, value: number | undefined): void =>
      results.add(`peers.${size}.${name}`, maker, value ?? NaN);
    add("known", 100 * answered / SIZES[size]);
    add("fill", filled.get("seconds"));
    add("fillWorst", filled.get("worst"));
    add("cpu", (after.cpu - before.cpu) * 1000 / answered);
    add("resident", after.resident / KIB_PER_MIB);
    add("octets", (after.resident - before.resident) * OCTETS_PER_KIB / answered);
    progress.show(`${maker}: relay with ${size} peers`);
    const held = await line(1);
    for (const name of ["middle", "p99", "worst", "lost"]) add(name, held.get(name));
    add("delivered", 100 * await delivered(world) / SIZES[size]);
  } finally {
    await crowd?.stop();
    await relay?.stop();
    await world.network.remove();
  }
}
