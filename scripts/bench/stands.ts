/**
 * Everything that is compared, running side by side: a network each for ours, Debian's and the two mixed pairs, and the kernel's tunnel in
 * that of ours. So one load can follow another on all of them at once, and a machine that gets busier favours nobody.
 */

import type { Group } from "./catalogue.ts";
import { type Daemons, INTERFACE, type Maker, stopAll } from "./daemons.ts";
import { listen, reach } from "./load.ts";
import type { Host } from "./network.ts";
import type { Program } from "./process.ts";
import type { Progress } from "./progress.ts";
import type { Results, Subject } from "./results.ts";
import { addVxlan, type Internet, NATIVE, removeVxlan, VXLAN } from "./topology.ts";

/** What a round of measurements works with. */
export interface Round {
  /** By maker or pair. */
  readonly worlds: ReadonlyMap<Subject, Internet>;
  readonly makers: readonly Maker[];
  readonly daemons: Daemons;
  readonly results: Results;
  readonly progress: Progress;
  readonly groups: ReadonlySet<Group>;
  /** Length of one load, seconds. */
  readonly seconds: number;
}

/** A way through tunnels, from end to end. */
export interface Path {
  readonly subject: Subject;
  /** Both tunnel ends; none when the kernel is both. */
  readonly programs: readonly Program[];
  readonly from: Host;
  readonly receiver: Host;
  /** Address of the receiver. */
  readonly to: string;
}

/** One of those that are compared, running. */
export interface Stand {
  readonly subject: Subject;
  readonly clients: Path;
  /** Through the relay; only where all is of one maker. */
  readonly native?: Path;
  /** The programs by role; only where all is of one maker. */
  readonly roles?: Readonly<Record<string, Program>>;
  /** Ends all programs. */
  close(): Promise<void>;
}

/** The message of whatever was thrown. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The network of a maker or pair. */
export function worldOf(round: Round, subject: Subject): Internet {
  const world = round.worlds.get(subject);
  if (world === undefined) throw new Error(`Cannot find the network of "${subject}"`);
  return world;
}

/** The Teredo address of a client. */
export async function addressOf(host: Host): Promise<string> {
  const text = await host.run("ip", "-6", "-o", "addr", "show", "dev", INTERFACE, "scope", "global");
  const address = /inet6 (2001:0?:[0-9a-f:]+)/.exec(text)?.[1];
  if (address === undefined) throw new Error(`Cannot find the address of client "${host.name}"`);
  return address;
}

/** Opens a stand; what is running when that fails is ended. */
async function opening(open: (running: Program[]) => Promise<Omit<Stand, "close">>): Promise<Stand> {
  const running: Program[] = [];
  try {
    return { ...await open(running), close: () => stopAll(running) };
  } catch (error) {
    await stopAll(running);
    throw error;
  }
}

/** Two clients, a relay and a server of one maker. */
function makerStand(round: Round, maker: Maker): Promise<Stand> {
  const { daemons } = round;
  const world = worldOf(round, maker);
  const { a, b, native } = world;
  return opening(async (running) => {
    const server = await daemons.server(maker, world.server);
    running.push(server);
    const relay = await daemons.relay(maker, world.relay);
    running.push(relay);
    const one = await daemons.client(maker, a);
    running.push(one);
    const other = await daemons.client(maker, b);
    running.push(other);
    for (const client of [one, other]) await daemons.qualified(client);
    running.push(await listen(b), await listen(native));
    return {
      subject: maker,
      clients: { subject: maker, programs: [one, other], from: a, receiver: b, to: await addressOf(b) },
      native: { subject: maker, programs: [one, relay], from: a, receiver: native, to: NATIVE },
      roles: { client: one, relay, server },
    };
  });
}

/** A client of each maker; the first maker's sends. */
function mixedStand(round: Round, maker: Maker): Promise<Stand> {
  const { daemons } = round;
  const other: Maker = maker === "ours" ? "debian" : "ours";
  const subject = maker === "ours" ? "ours-debian" : "debian-ours";
  const { a, b, server } = worldOf(round, subject);
  return opening(async (running) => {
    running.push(await daemons.server(other, server));
    const one = await daemons.client(maker, a);
    running.push(one);
    const two = await daemons.client(other, b);
    running.push(two);
    for (const client of [one, two]) await daemons.qualified(client);
    running.push(await listen(b));
    return { subject, clients: { subject, programs: [one, two], from: a, receiver: b, to: await addressOf(b) } };
  });
}

/** The kernel's own tunnel over the links of ours, whose iperf3 it shares. It has no process to charge. */
async function vxlanStand(round: Round): Promise<Stand | undefined> {
  const world = worldOf(round, "ours");
  if (!await addVxlan(world)) {
    round.results.skip("vxlan", "this kernel has no VXLAN");
    return undefined;
  }
  const { a, b } = world;
  return {
    subject: "vxlan",
    clients: { subject: "vxlan", programs: [], from: a, receiver: b, to: VXLAN[1] },
    close: () => removeVxlan(world),
  };
}

/** Opens all stands that are wanted, with all ends knowing each other. Those that fail are noted. */
export async function openStands(round: Round): Promise<Stand[]> {
  const { makers, results, progress } = round;
  const stands: Stand[] = [];
  const open = async (name: string, make: () => Promise<Stand | undefined>): Promise<void> => {
    progress.show(`start: ${name}`);
    try {
      const stand = await make();
      if (stand === undefined) return;
      stands.push(stand);
      await reach(stand.clients.from, stand.clients.to);
      if (stand.native !== undefined) await reach(stand.native.from, stand.native.to);
    } catch (error) {
      results.fail(`tunnels (${name})`, words(error));
    }
  };
  for (const maker of makers) await open(maker, () => makerStand(round, maker));
  if (round.groups.has("mixed") && makers.length === 2) {
    for (const maker of makers) await open(`from ${maker}`, () => mixedStand(round, maker));
  }
  if (stands.some(({ subject }) => subject === "ours")) await open("vxlan", () => vxlanStand(round));
  return stands;
}
