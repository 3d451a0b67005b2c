/** What crosses the tunnels: streams, floods, pings; and what the programs take doing nothing. */

import type { Group } from "./catalogue.ts";
import { pause, which } from "./command.ts";
import { type Maker, stopAll } from "./daemons.ts";
import { damagedStreams } from "./integrity.ts";
import { type Crossed, ping, tcp, udp } from "./load.ts";
import type { Host } from "./network.ts";
import { family, type Program, usage } from "./process.ts";
import { median, quantile } from "./results.ts";
import { openStands, type Path, type Round, type Stand, words, worldOf } from "./stands.ts";

/** Octets of payload of a full TCP segment: tunnel MTU 1280 less IPv6, TCP and its time stamps. */
const SEGMENT = 1280 - 40 - 20 - 12;
const FLOWS = [1, 4] as const;
const FLOOD_LENGTHS = [64, 1200] as const;
/** Of the paced load: about 200 Mbit/s. */
const PACED = { length: 1200, perSecond: 20_000 };
const PING_INTERVAL = 2;
const KIB_PER_MIB = 1024;
/** Of each stream that is compared at both ends. */
const STREAM_OCTETS = { quick: 10_000_000, full: 40_000_000 };
const IDLE_SECONDS = { settle: 1, least: 4 };

/** One load, on each stand that has a way for it. */
interface Step {
  readonly name: string;
  readonly path: (stand: Stand) => Path | undefined;
  readonly run: (path: Path) => Promise<void>;
}

/** Runs a load and says what it cost. */
async function costing<T>(programs: readonly Program[], load: () => Promise<T>): Promise<{ result: T; cpu: number }> {
  const pids = programs.flatMap(({ pid }) => family(pid));
  const before = usage(pids).cpu;
  const result = await load();
  return { result, cpu: usage(pids).cpu - before };
}

/** Takes the values of a load. CPU is per packet that arrived. */
async function measure({ results }: Round, path: Path, name: string, load: () => Promise<Crossed>): Promise<void> {
  const { result, cpu } = await costing(path.programs, load);
  const { octets, seconds, datagrams } = result;
  results.add(name, path.subject, datagrams === 0 ? octets * 8 / seconds / 1e6 : datagrams / seconds / 1e3);
  const packets = datagrams === 0 ? octets / SEGMENT : datagrams;
  if (path.programs.length > 0) results.add(`${name}.cpu`, path.subject, cpu * 1e3 / packets);
}

function isMixed({ subject }: Stand): boolean {
  return subject === "ours-debian" || subject === "debian-ours";
}

/** TCP streams between clients, and through the relay. Mixed pairs differ by direction already. */
function streamSteps(round: Round, prefix: "tcp" | "unsegmented"): Step[] {
  const { groups, seconds } = round;
  const plain = prefix === "tcp";
  const steps: Step[] = [];
  const add = (where: string, back: boolean, path: Step["path"]): void => {
    for (const flows of FLOWS) {
      const name = `${prefix}.${where}.${back ? "back" : "out"}.${flows}`;
      const run = (way: Path): Promise<void> =>
        measure(round, way, name, () => tcp(way.from, way.to, seconds, flows, back));
      steps.push({ name, path, run });
    }
  };
  for (const back of [false, true]) {
    add("clients", back, (stand) => {
      if (isMixed(stand)) return plain && !back ? stand.clients : undefined;
      return groups.has(prefix) ? stand.clients : undefined;
    });
  }
  if (groups.has("relay") && (plain || groups.has("unsegmented"))) {
    for (const back of [false, true]) add("native", back, ({ native }) => native);
  }
  return steps;
}

async function pings({ results, seconds }: Round, { subject, from, to }: Path): Promise<void> {
  const { sent, times } = await ping(from, to, Math.round(seconds * 1000 / PING_INTERVAL), PING_INTERVAL);
  results.add("ping", subject, median(times));
  results.add("ping.p99", subject, quantile(times, 0.99));
  results.add("ping.lost", subject, 100 * (1 - times.length / sent));
}

/** Packets that a host's TCP found damaged so far (/proc/net/snmp). */
async function damaged(host: Host): Promise<number> {
  const text = await host.run("cat", "/proc/net/snmp");
  const [names, values] = text.split("\n").filter((line) => line.startsWith("Tcp:")).map((line) => line.split(" "));
  return Number(values[names.indexOf("InCsumErrors")]);
}

/** Everything but what needs the links changed. */
function plainSteps(round: Round): Step[] {
  const { groups, results, seconds } = round;
  const steps = streamSteps(round, "tcp");
  for (const length of groups.has("udp") ? FLOOD_LENGTHS : []) {
    const name = `udp.${length}`;
    steps.push({
      name,
      path: (stand) => isMixed(stand) ? undefined : stand.clients,
      run: (path) => measure(round, path, name, () => udp(path.from, path.to, seconds, length, 0)),
    });
  }
  const { length, perSecond } = PACED;
  steps.push({
    name: "paced",
    path: (stand) => groups.has("udp") || isMixed(stand) ? stand.clients : undefined,
    run: (path) => measure(round, path, "paced", () => udp(path.from, path.to, seconds, length, perSecond)),
  }, {
    name: "ping",
    path: (stand) => groups.has("ping") || isMixed(stand) ? stand.clients : undefined,
    run: (path) => pings(round, path),
  });
  if (groups.has("integrity")) {
    const octets = seconds > 1 ? STREAM_OCTETS.full : STREAM_OCTETS.quick;
    steps.push({
      name: "integrity",
      path: ({ subject, clients }) => subject === "vxlan" ? undefined : clients,
      run: async (path) =>
        results.add("integrity", path.subject, await damagedStreams(path.from, path.receiver, path.to, octets)),
    });
  }
  return steps;
}

/** Runs each step on all stands before the next step. */
async function runSteps({ progress, results }: Round, stands: readonly Stand[], steps: readonly Step[]): Promise<void> {
  for (const { name, path, run } of steps) {
    for (const stand of stands) {
      const way = path(stand);
      if (way === undefined) continue;
      progress.show(`${stand.subject}: ${name}`);
      try {
        await run(way);
      } catch (error) {
        results.fail(`${name} (${stand.subject})`, words(error));
      }
    }
  }
}

/** Segmentation of plain UDP, which user space asks for, and of the kernel's own tunnels over UDP. */
const SEGMENTATION = ["tx-udp-segmentation", "tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation"];

async function segmentation({ worlds }: Round, on: boolean): Promise<boolean> {
  let taken = true;
  for (const { network } of worlds.values()) taken = await network.feature(SEGMENTATION, on) && taken;
  return taken;
}

/** The streams with segmentation off on every link. */
async function unsegmented(round: Round, stands: readonly Stand[]): Promise<void> {
  if (which("ethtool") === undefined) return round.results.skip("unsegmented", "ethtool is not installed");
  try {
    if (await segmentation(round, false)) await runSteps(round, stands, streamSteps(round, "unsegmented"));
    else round.results.skip("unsegmented", "this kernel cannot turn it off");
  } finally {
    await segmentation(round, true);
  }
}

/** Memory and wake-ups of programs that nobody uses. */
async function idle({ progress, results, seconds: load }: Round, stands: readonly Stand[]): Promise<void> {
  progress.show("idle");
  await pause(IDLE_SECONDS.settle * 1000);
  const seconds = Math.max(IDLE_SECONDS.least, load);
  const watched = stands.flatMap(({ subject, roles }) =>
    Object.entries(roles ?? {}).map(([role, program]) => ({ subject, role, program, wakeUps: program.usage().wakeUps }))
  );
  await pause(seconds * 1000);
  for (const { subject, role, program, wakeUps } of watched) {
    const now = program.usage();
    results.add(`idle.${role}.resident`, subject, now.resident / KIB_PER_MIB);
    results.add(`idle.${role}.wakeups`, subject, (now.wakeUps - wakeUps) / seconds);
  }
}

/** The groups that {@link tunnels} is about. */
export const TUNNEL_GROUPS: readonly Group[] = [
  "tcp",
  "relay",
  "unsegmented",
  "udp",
  "ping",
  "integrity",
  "mixed",
  "idle",
];

/** One round of everything that crosses tunnels. @param backwards the last stand goes first */
export async function tunnels(round: Round, backwards: boolean): Promise<void> {
  const { groups, results } = round;
  const opened = await openStands(round);
  const stands = backwards ? opened.toReversed() : opened;
  try {
    if (groups.has("idle")) await idle(round, stands);
    const damage = async (): Promise<number[]> => {
      const found: number[] = [];
      for (const { clients } of opened) found.push(await damaged(clients.from) + await damaged(clients.receiver));
      return found;
    };
    const before = await damage();
    await runSteps(round, stands, plainSteps(round));
    if (groups.has("unsegmented")) await unsegmented(round, stands);
    const after = await damage();
    opened.forEach(({ subject }, i) => {
      if (subject !== "vxlan") results.add("damaged", subject, after[i] - before[i]);
    });
  } finally {
    await Promise.all(opened.map((stand) => stand.close()));
  }
}

/** Time from starting a client to its address, the makers in turn. */
export async function starts(round: Round, times: number): Promise<void> {
  const { daemons, makers, progress, results } = round;
  const servers: Program[] = [];
  const startOnce = async (maker: Maker): Promise<void> => {
    const since = performance.now();
    const client = await daemons.client(maker, worldOf(round, maker).a);
    try {
      results.add("start", maker, await daemons.qualified(client, since));
    } finally {
      await client.stop();
    }
  };
  try {
    for (const maker of makers) servers.push(await daemons.server(maker, worldOf(round, maker).server));
    for (let i = 0; i < times; i++) {
      for (const maker of makers) {
        progress.show(`${maker}: start ${i + 1} of ${times}`);
        await startOnce(maker);
      }
    }
  } finally {
    await stopAll(servers);
  }
}
