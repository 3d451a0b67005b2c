/** What crosses the tunnels of one maker, or of a mixed pair, in one round: streams, floods, pings; and what they take doing nothing. */

import type { Group } from "./catalogue.ts";
import { pause, which } from "./command.ts";
import { type Daemons, INTERFACE, type Maker, stopAll } from "./daemons.ts";
import { damagedStreams } from "./integrity.ts";
import { type Crossed, listen, ping, reach, tcp, udp } from "./load.ts";
import type { Host } from "./network.ts";
import { family, type Program, usage } from "./process.ts";
import type { Progress } from "./progress.ts";
import { median, quantile, type Results, type Subject } from "./results.ts";
import { addVxlan, type Internet, NATIVE, removeVxlan, VXLAN } from "./topology.ts";

/** Octets of payload of a full TCP segment: tunnel MTU 1280 less IPv6, TCP and its time stamps. */
const SEGMENT = 1280 - 40 - 20 - 12;
/** Of the paced load: about 200 Mbit/s. */
const PACED = { length: 1200, perSecond: 20_000 };
const PING_INTERVAL = 2;
const KIB_PER_MIB = 1024;

/** What a round of measurements works with. */
export interface Round {
  readonly internet: Internet;
  readonly daemons: Daemons;
  readonly results: Results;
  readonly progress: Progress;
  readonly groups: ReadonlySet<Group>;
  /** Length of one load, seconds. */
  readonly seconds: number;
}

/** One set of running programs, and the way from end to end through them. */
interface Path {
  readonly subject: Subject;
  /** Both tunnel ends. */
  readonly programs: readonly Program[];
  readonly from: Host;
  readonly to: string;
}

/** Runs a load and says what it cost. */
async function costing<T>(programs: readonly Program[], load: () => Promise<T>): Promise<{ result: T; cpu: number }> {
  const pids = programs.flatMap(({ pid }) => family(pid));
  const before = usage(pids).cpu;
  const result = await load();
  return { result, cpu: usage(pids).cpu - before };
}

/** Takes the values of a load. CPU is per packet that arrived. */
async function measure(round: Round, path: Path, name: string, load: () => Promise<Crossed>): Promise<void> {
  const { results, progress } = round;
  progress.show(`${path.subject}: ${name}`);
  try {
    const { result, cpu } = await costing(path.programs, load);
    const { octets, seconds, datagrams } = result;
    results.add(name, path.subject, datagrams === 0 ? octets * 8 / seconds / 1e6 : datagrams / seconds / 1e3);
    const packets = datagrams === 0 ? octets / SEGMENT : datagrams;
    if (path.programs.length > 0) results.add(`${name}.cpu`, path.subject, cpu * 1e3 / packets);
  } catch (error) {
    results.fail(`${name} (${path.subject})`, words(error));
  }
}

/** The message of whatever was thrown. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function streams(round: Round, path: Path, prefix: string, flows: readonly number[]): Promise<void> {
  for (const back of [false, true]) {
    for (const count of flows) {
      const load = (): Promise<Crossed> => tcp(path.from, path.to, round.seconds, count, back);
      await measure(round, path, `${prefix}.${back ? "back" : "out"}.${count}`, load);
    }
  }
}

async function pings(round: Round, { subject, from, to }: Path): Promise<void> {
  round.progress.show(`${subject}: ping`);
  const { sent, times } = await ping(from, to, Math.round(round.seconds * 1000 / PING_INTERVAL), PING_INTERVAL);
  round.results.add("ping", subject, median(times));
  round.results.add("ping.p99", subject, quantile(times, 0.99));
  round.results.add("ping.lost", subject, 100 * (1 - times.length / sent));
}

/** Packets that a host's TCP found damaged so far (/proc/net/netstat, /proc/net/snmp). */
async function damaged(host: Host): Promise<number> {
  const text = await host.run("cat", "/proc/net/snmp");
  const [names, values] = text.split("\n").filter((line) => line.startsWith("Tcp:")).map((line) => line.split(" "));
  return Number(values[names.indexOf("InCsumErrors")]);
}

/** Loads with `groups` on a path between two clients, and between a client and the IPv6 host. */
async function allStreams(round: Round, clients: Path, native: Path, prefix: "tcp" | "unsegmented"): Promise<void> {
  const { groups } = round;
  const plain = prefix === "tcp";
  if (groups.has(plain ? "tcp" : "unsegmented")) await streams(round, clients, `${prefix}.clients`, [1, 4]);
  if (groups.has("relay") && (plain || groups.has("unsegmented"))) {
    await streams(round, native, `${prefix}.native`, [1, 4]);
  }
}

/** Of plain UDP, which user space asks for, and of the kernel's own tunnels over UDP. */
const SEGMENTATION = ["tx-udp-segmentation", "tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation"];

/** Runs `action` with segmentation offload for UDP off on every link. */
async function unsegmented(round: Round, action: () => Promise<void>): Promise<void> {
  const { network } = round.internet;
  if (which("ethtool") === undefined) return round.results.skip("unsegmented", "ethtool is not installed");
  if (!await network.feature(SEGMENTATION, false)) {
    return round.results.skip("unsegmented", "this kernel cannot turn it off");
  }
  try {
    await action();
  } finally {
    await network.feature(SEGMENTATION, true);
  }
}

async function datagrams(round: Round, path: Path): Promise<void> {
  for (const length of [64, 1200]) {
    await measure(round, path, `udp.${length}`, () => udp(path.from, path.to, round.seconds, length, 0));
  }
  await measure(round, path, "paced", () => udp(path.from, path.to, round.seconds, PACED.length, PACED.perSecond));
}

/** The Teredo address of a client. */
export async function addressOf(host: Host): Promise<string> {
  const text = await host.run("ip", "-6", "-o", "addr", "show", "dev", INTERFACE, "scope", "global");
  const address = /inet6 (2001:0?:[0-9a-f:]+)/.exec(text)?.[1];
  if (address === undefined) throw new Error(`Cannot find the address of client "${host.name}"`);
  return address;
}

const IDLE_SECONDS = { settle: 1, least: 4 };

/** Memory and wake-ups of programs that nobody uses. */
async function idle(round: Round, subject: Subject, programs: Readonly<Record<string, Program>>): Promise<void> {
  round.progress.show(`${subject}: idle`);
  await pause(IDLE_SECONDS.settle * 1000);
  const seconds = Math.max(IDLE_SECONDS.least, round.seconds);
  const before = Object.entries(programs).map(([role, program]) => ({
    role,
    program,
    wakeUps: program.usage().wakeUps,
  }));
  await pause(seconds * 1000);
  for (const { role, program, wakeUps } of before) {
    const now = program.usage();
    round.results.add(`idle.${role}.resident`, subject, now.resident / KIB_PER_MIB);
    round.results.add(`idle.${role}.wakeups`, subject, (now.wakeUps - wakeUps) / seconds);
  }
}

/** Of each stream that is compared at both ends. */
const STREAM_OCTETS = { quick: 10_000_000, full: 40_000_000 };

async function integrity(round: Round, { subject, from, to }: Path, receiver: Host): Promise<void> {
  round.progress.show(`${subject}: integrity`);
  const octets = round.seconds > 1 ? STREAM_OCTETS.full : STREAM_OCTETS.quick;
  round.results.add("integrity", subject, await damagedStreams(from, receiver, to, octets));
}

/** Everything that crosses tunnels whose ends are all of one maker. */
export async function throughTunnels(round: Round, maker: Maker): Promise<void> {
  const { daemons, internet, groups, results } = round;
  const { a, b } = internet;
  const running: Program[] = [];
  try {
    round.progress.show(`${maker}: start`);
    const server = await daemons.server(maker, internet.server);
    running.push(server);
    const relay = await daemons.relay(maker, internet.relay);
    running.push(relay);
    const one = await daemons.client(maker, a);
    running.push(one);
    const other = await daemons.client(maker, b);
    running.push(other);
    for (const client of [one, other]) await daemons.qualified(client);
    if (groups.has("idle")) await idle(round, maker, { client: one, relay, server });
    running.push(await listen(b), await listen(internet.native));

    const clients: Path = { subject: maker, programs: [one, other], from: a, to: await addressOf(b) };
    const native: Path = { subject: maker, programs: [one, relay], from: a, to: NATIVE };
    await reach(clients.from, clients.to);
    await reach(native.from, native.to);
    const before = await damaged(a) + await damaged(b);
    await allStreams(round, clients, native, "tcp");
    if (groups.has("udp")) await datagrams(round, clients);
    if (groups.has("ping")) await pings(round, clients);
    if (groups.has("integrity")) await integrity(round, clients, b);
    if (groups.has("unsegmented")) {
      await unsegmented(round, () => allStreams(round, clients, native, "unsegmented"));
    }
    if (groups.has("tcp")) results.add("damaged", maker, await damaged(a) + await damaged(b) - before);
  } finally {
    await stopAll(running);
  }
}

/** A client of each maker. The first maker's end sends first. */
export async function throughMixedPair(round: Round, maker: Maker): Promise<void> {
  const { daemons, internet } = round;
  const { a, b } = internet;
  const other: Maker = maker === "ours" ? "debian" : "ours";
  const subject = maker === "ours" ? "ours-debian" : "debian-ours";
  const running: Program[] = [];
  try {
    round.progress.show(`${subject}: start`);
    running.push(await daemons.server(other, internet.server));
    const ends = [await daemons.client(maker, a), await daemons.client(other, b)];
    running.push(...ends);
    for (const client of ends) await daemons.qualified(client);
    running.push(await listen(b));
    const path: Path = { subject, programs: ends, from: a, to: await addressOf(b) };
    await reach(path.from, path.to);
    for (const flows of [1, 4]) {
      await measure(round, path, `tcp.clients.out.${flows}`, () => tcp(a, path.to, round.seconds, flows));
    }
    await measure(round, path, "paced", () => udp(a, path.to, round.seconds, PACED.length, PACED.perSecond));
    await pings(round, path);
    if (round.groups.has("integrity")) await integrity(round, path, b);
  } finally {
    await stopAll(running);
  }
}

/** The kernel's own tunnel over the same links: what there is to reach. It has no process to charge. */
export async function throughVxlan(round: Round): Promise<void> {
  const { internet, groups, results } = round;
  if (!await addVxlan(internet)) return results.skip("vxlan", "this kernel has no VXLAN");
  const running: Program[] = [];
  try {
    const path: Path = { subject: "vxlan", programs: [], from: internet.a, to: VXLAN[1] };
    running.push(await listen(internet.b));
    await reach(path.from, path.to);
    if (groups.has("tcp")) await streams(round, path, "tcp.clients", [1, 4]);
    if (groups.has("udp")) await datagrams(round, path);
    if (groups.has("ping")) await pings(round, path);
    if (groups.has("unsegmented")) {
      await unsegmented(round, () => streams(round, path, "unsegmented.clients", [1, 4]));
    }
  } finally {
    await stopAll(running);
    await removeVxlan(internet);
  }
}

/** Time from starting a client to its address. */
export async function starts(round: Round, maker: Maker, times: number): Promise<void> {
  const { daemons, internet } = round;
  const server = await daemons.server(maker, internet.server);
  try {
    for (let i = 0; i < times; i++) {
      round.progress.show(`${maker}: start ${i + 1} of ${times}`);
      const since = performance.now();
      const client = await daemons.client(maker, internet.a);
      try {
        round.results.add("start", maker, await daemons.qualified(client, since));
      } finally {
        await client.stop();
      }
    }
  } finally {
    await server.stop();
  }
}
