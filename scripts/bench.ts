/**
 * Measures ours against Debian's C Miredo, side by side in one run, over network namespaces of its own. Needs root.
 *
 * ```
 *   deno task bench                                everything: about 15 minutes
 *   deno task bench --quick                        one short round: under 3 minutes
 *   deno task bench --only tcp ping --rounds 5     some groups
 *   MIREDO=dist/miredo deno task bench             the executable instead of the source
 * ```
 *
 * The table goes to standard output; `--json FILE` keeps every value (`"schema": 1`). docs/benchmarks.md says what the figures mean.
 */

import { Daemons, type Maker } from "./bench/daemons.ts";
import { type Group, GROUPS, isGroup, MEASURES, type Size } from "./bench/catalogue.ts";
import { attempt, haltCommands, which } from "./bench/command.ts";
import { garbage } from "./bench/garbage.ts";
import { Network, removeLeftovers } from "./bench/network.ts";
import { Program } from "./bench/process.ts";
import { peers, peerTable } from "./bench/peer_load.ts";
import { Progress } from "./bench/progress.ts";
import { Results, type Subject } from "./bench/results.ts";
import { serverLoad } from "./bench/server_load.ts";
import { type Internet, internet } from "./bench/topology.ts";
import { starts, TUNNEL_GROUPS, tunnels } from "./bench/tunnels.ts";
import { type Round, words } from "./bench/stands.ts";

/** What the command line asks for. */
export interface Options {
  readonly quick: boolean;
  readonly rounds: number;
  readonly groups: ReadonlySet<Group>;
  readonly json: string | undefined;
}

const DEFAULT_ROUNDS = 3;
const MAX_ROUNDS = 20;
/** Length of one load, seconds: others may work on this machine. */
const LOAD_SECONDS = { quick: 1, full: 2 };

const USAGE = `Usage: deno task bench [--quick] [--rounds N] [--only NAME...] [--json FILE]

Groups for --only:
${Object.entries(GROUPS).map(([name, about]) => `  ${name.padEnd(12)} ${about}`).join("\n")}
`;

/** Reads the command line. @throws Error that says what is wrong */
export function parseOptions(args: readonly string[]): Options {
  let quick = false, rounds: number | undefined, json: string | undefined;
  const groups = new Set<Group>();
  const left = args.filter((arg) => arg !== "--");
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    switch (word) {
      case "--quick":
        quick = true;
        break;
      case "--rounds":
        rounds = Number(left.shift());
        if (!Number.isInteger(rounds) || rounds < 1 || rounds > MAX_ROUNDS) {
          throw new Error(`Cannot run so many rounds: allowed are 1 to ${MAX_ROUNDS}`);
        }
        break;
      case "--only":
        if (left.length === 0 || left[0].startsWith("-")) throw new Error('Cannot read "--only": it needs a name');
        while (left.length > 0 && !left[0].startsWith("-")) {
          for (const name of (left.shift() ?? "").split(",")) {
            if (!isGroup(name)) {
              throw new Error(`Cannot measure "${name}": the groups are ${Object.keys(GROUPS).join(", ")}`);
            }
            groups.add(name);
          }
        }
        break;
      case "--json":
        json = left.shift();
        if (json === undefined) throw new Error('Cannot read "--json": it needs a file');
        break;
      default:
        throw new Error(`Cannot understand "${word}"`);
    }
  }
  const usual = Object.keys(GROUPS).filter(isGroup).filter((group) => group !== "millions");
  return {
    quick,
    rounds: rounds ?? (quick ? 1 : DEFAULT_ROUNDS),
    groups: groups.size > 0 ? groups : new Set(usual),
    json,
  };
}

/** The machine and the programs, for the head of a report. */
async function about(daemons: Daemons, options: Options): Promise<Record<string, unknown>> {
  const cpuinfo = Deno.readTextFileSync("/proc/cpuinfo");
  const [ours, debian] = await Promise.all([
    attempt([...daemons.ours, "--version"]),
    attempt(["dpkg-query", "-W", "-f", "${Version}", "miredo"]),
  ]);
  return {
    date: new Date().toISOString(),
    machine: {
      processor: /^model name\s*:\s*(.+)$/m.exec(cpuinfo)?.[1] ?? Deno.build.arch,
      cores: navigator.hardwareConcurrency,
      kernel: Deno.osRelease(),
    },
    ours: {
      version: ours.stdout.trim().split("\n")[0],
      run: Deno.env.get("MIREDO") ?? `Deno ${Deno.version.deno}, from source`,
    },
    debian: { version: debian.code === 0 ? debian.stdout.trim() : "not installed" },
    rounds: options.rounds,
    secondsPerLoad: options.quick ? LOAD_SECONDS.quick : LOAD_SECONDS.full,
  };
}

/** The programs that a group cannot do without. */
const TOOLS: Readonly<Record<string, readonly Group[]>> = {
  iperf3: ["tcp", "relay", "unsegmented", "udp", "ping", "integrity", "mixed", "garbage"],
  ping: ["tcp", "relay", "unsegmented", "udp", "mixed", "ping", "integrity", "garbage"],
};

/** Groups that can be run here; the others are noted as skipped. */
function possible(options: Options, results: Results): Set<Group> {
  const groups = new Set(options.groups);
  for (const [tool, needing] of Object.entries(TOOLS)) {
    for (const group of needing) {
      if (which(tool) === undefined && groups.delete(group)) results.skip(group, `${tool} is not installed`);
    }
  }
  return groups;
}

/** Runs one part; when it fails, the others still run. */
async function guard({ results }: Round, name: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    results.fail(name, words(error));
  }
}

/** What is measured several times, with the makers in turn; who goes first changes. */
async function rounds(options: Options, round: Round): Promise<void> {
  const { groups, makers } = round;
  for (let i = 0; i < options.rounds; i++) {
    const backwards = i % 2 === 1;
    if (TUNNEL_GROUPS.some((group) => groups.has(group))) {
      await guard(round, "tunnels", () => tunnels(round, backwards));
    }
    if (groups.has("start")) await guard(round, "start", () => starts(round, options.quick ? 2 : 3));
    for (const maker of groups.has("server") ? backwards ? makers.toReversed() : makers : []) {
      await guard(round, `server (${maker})`, () => serverLoad(round, maker));
    }
  }
}

/** Seconds that a relay full of peers is watched; the long one sees each collection of peers of Debian's, every 30 s. */
const HOLD_SECONDS = { short: 4, long: 35 };

/** What is measured once: it takes long, or is no matter of chance. */
async function once(options: Options, round: Round): Promise<void> {
  const { groups, makers } = round;
  if (groups.has("garbage")) await guard(round, "garbage", () => garbage(round, options.quick));
  const sizes: readonly Size[] = options.quick ? ["1M"] : ["100k", "1M", "5M"];
  if (groups.has("table")) {
    for (const size of sizes) await guard(round, `table of ${size}`, () => peerTable(round, size));
  }
  for (const size of options.quick ? ["100k"] as const : ["100k", "1M"] as const) {
    if (!groups.has("peers")) break;
    const hold = size === "1M" ? HOLD_SECONDS.long : HOLD_SECONDS.short;
    for (const maker of makers) {
      await guard(round, `${size} peers (${maker})`, () => peers(round, maker, size, hold));
    }
  }
  // Debian's ends at 1,048,576.
  if (groups.has("millions")) {
    await guard(round, "5M peers (ours)", () => peers(round, "ours", "5M", HOLD_SECONDS.long));
  }
}

/** @returns exit code */
async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  let options: Options;
  try {
    options = parseOptions(args);
  } catch (error) {
    console.error(`${words(error)}\n\n${USAGE}`);
    return 2;
  }
  if (Deno.uid() !== 0) {
    console.error("Cannot make network namespaces: run as root");
    return 1;
  }
  const missing = ["ip", "nft", "sysctl"].filter((tool) => which(tool) === undefined);
  if (missing.length > 0) {
    console.error(`Cannot build the network: install ${missing.join(", ")}`);
    return 1;
  }
  const results = new Results(MEASURES);
  const progress = new Progress();
  const directory = await Deno.makeTempDir({ prefix: "miredo-bench-" });
  const makers: Maker[] = ["ours"];
  if (Daemons.missing().length === 0) makers.push("debian");
  else results.skip("Debian's", `${Daemons.missing().join(", ")} not installed`);
  const daemons = new Daemons(directory);
  await removeLeftovers();
  const seconds = options.quick ? LOAD_SECONDS.quick : LOAD_SECONDS.full;
  const groups = possible(options, results);
  const worlds = new Map<Subject, Internet>();
  const cleanUp = async (): Promise<void> => {
    await Network.removeAll();
    await Deno.remove(directory, { recursive: true }).catch(() => undefined);
  };
  let stopped = false;
  const interrupted = async (): Promise<void> => {
    stopped = true;
    progress.clear();
    haltCommands();
    Program.killAll();
    await cleanUp();
    // What was measured has failed by this, and another program may have been started.
    Program.killAll();
    Deno.exit(130);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, interrupted);
  try {
    const pairs: readonly Subject[] = groups.has("mixed") && makers.length === 2 ? ["ours-debian", "debian-ours"] : [];
    for (const subject of [...makers, ...pairs]) worlds.set(subject, await internet(subject));
    const round: Round = { worlds, makers, daemons, results, progress, groups, seconds };
    await rounds(options, round);
    await once(options, round);
  } catch (error) {
    // Whatever fails after an interruption fails by it, and that is about to end the program.
    if (stopped) return await new Promise<never>(() => {});
    console.error(words(error));
    return 1;
  } finally {
    progress.clear();
    await cleanUp();
  }
  console.log(results.table());
  if (options.json !== undefined) {
    await Deno.writeTextFile(options.json, `${results.json(await about(daemons, options))}\n`);
  }
  return results.failures === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
