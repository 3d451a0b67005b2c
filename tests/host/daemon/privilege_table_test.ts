/** What every thread of every role may do, beside the C Miredo of the system: ours has no more on any line. */

import assert from "node:assert/strict";
import { parseThreadStatus, type ThreadPrivileges } from "../../../ffi/threads.ts";
import type { Child } from "../../lab/child.ts";
import { hasDebianMiredo, startDebianClient, startDebianRelay, startDebianServer } from "../../lab/programs.ts";
import {
  OTHER_CLIENT,
  rootTest,
  SERVER,
  SERVER_SECONDARY,
  startClient,
  startRelay,
  startServer,
  World,
} from "./support.ts";

const NET_ADMIN = 1n << 12n;
const CAPABILITY_SETS = ["inheritable", "permitted", "effective", "bounding", "ambient"] as const;

/** What is in the table for one process. */
interface Row {
  readonly command: string;
  readonly threads: readonly ThreadPrivileges[];
}

/** All processes below that of a child, itself included. */
async function processesOf(child: Child): Promise<readonly Row[]> {
  const first = await child.pid();
  const parents = new Map<number, number>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      continue; // it has ended
    }
  }
  const found = [first];
  for (const process of found) {
    found.push(...[...parents].filter(([, parent]) => parent === process).map(([pid]) => pid));
  }
  return found.map((pid) => ({
    command: Deno.readTextFileSync(`/proc/${pid}/comm`).trim(),
    threads: [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) =>
      parseThreadStatus(Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`))
    ),
  }));
}

/** Per role: what counts, less is better. */
interface Measures {
  readonly rootProcesses: number;
  readonly rootThreads: number;
  readonly capabilities: Readonly<Record<(typeof CAPABILITY_SETS)[number], number>>;
  readonly threadsThatMayGain: number;
  readonly threadsWithoutFilter: number;
}

const ones = (set: bigint): number => set.toString(2).replaceAll("0", "").length;

function measure(rows: readonly Row[]): Measures {
  const threads = rows.flatMap((row) => row.threads);
  const most = (set: (typeof CAPABILITY_SETS)[number]): number =>
    Math.max(...threads.map((thread) => ones(thread[set])));
  const isRoot = (thread: ThreadPrivileges): boolean => thread.uids.includes(0);
  return {
    rootProcesses: rows.filter((row) => row.threads.some(isRoot)).length,
    rootThreads: threads.filter(isRoot).length,
    capabilities: {
      inheritable: most("inheritable"),
      permitted: most("permitted"),
      effective: most("effective"),
      bounding: most("bounding"),
      ambient: most("ambient"),
    },
    threadsThatMayGain: threads.filter(({ noNewPrivileges }) => !noNewPrivileges).length,
    threadsWithoutFilter: threads.filter(({ seccomp }) => seccomp !== 2).length,
  };
}

function print(title: string, rows: readonly Row[]): void {
  const { rootProcesses } = measure(rows);
  console.log(`${title}: ${rows.length} processes, ${rootProcesses} of them root`);
  console.log("  process         thread           uid    inh  prm    eff    bnd          amb  nnp  seccomp");
  for (const { command, threads } of rows) {
    for (const thread of threads) {
      const hex = (set: bigint, width: number): string => set.toString(16).padEnd(width);
      console.log(
        `  ${command.padEnd(15)} ${thread.name.padEnd(16)} ${String(thread.uids[1]).padEnd(6)} ` +
          `${hex(thread.inheritable, 4)} ${hex(thread.permitted, 6)} ${hex(thread.effective, 6)} ` +
          `${hex(thread.bounding, 12)} ${hex(thread.ambient, 4)} ${
            thread.noNewPrivileges ? "yes" : "no "
          }  ${thread.seccomp}`,
      );
    }
  }
}

rootTest(
  "no thread of a running role is root or can gain anything; one thread of a client has one capability",
  async () => {
    await using world = await World.open();
    const server = await processesOf(await startServer(world.server, SERVER));
    const relay = await processesOf(await startRelay(world.other));
    const client = await processesOf((await startClient(world.client, SERVER)).child);
    print("miredo server", server);
    print("miredo relay", relay);
    print("miredo client", client);
    const nothing: Measures = {
      rootProcesses: 0,
      rootThreads: 0,
      capabilities: { inheritable: 0, permitted: 0, effective: 0, bounding: 0, ambient: 0 },
      threadsThatMayGain: 0,
      threadsWithoutFilter: 0,
    };
    assert.deepEqual(measure(server), nothing);
    assert.deepEqual(measure(relay), nothing);
    assert.deepEqual(measure(client), {
      ...nothing,
      capabilities: { ...nothing.capabilities, permitted: 1, effective: 1 },
    });
    const holders = client.flatMap(({ threads }) => threads).filter(({ permitted }) => permitted !== 0n);
    assert.deepEqual(holders.map(({ name, permitted, effective }) => [name, permitted, effective]), [
      ["interface", NET_ADMIN, NET_ADMIN],
    ]);
  },
);

const without = hasDebianMiredo() ? "" : " (skipped: no /usr/sbin/miredo here)";

if (without !== "") {
  Deno.test({ name: `every role has no more than the C Miredo's${without}`, ignore: true, fn: () => {} });
} else {
  rootTest("every role has no more than the C Miredo's, on every line", async () => {
    const theirs = new Map<string, readonly Row[]>();
    {
      await using world = await World.open();
      theirs.set("server", await processesOf((await startDebianServer(world.server, SERVER, SERVER_SECONDARY)).child));
      theirs.set("relay", await processesOf((await startDebianRelay(world.other, OTHER_CLIENT)).child));
      theirs.set("client", await processesOf((await startDebianClient(world.client, SERVER)).child));
    }
    await using world = await World.open();
    const ours = new Map([
      ["server", await processesOf(await startServer(world.server, SERVER))],
      ["relay", await processesOf(await startRelay(world.other))],
      ["client", await processesOf((await startClient(world.client, SERVER)).child)],
    ]);
    for (const [role, rows] of ours) {
      const other = theirs.get(role) ?? [];
      print(`Debian's Miredo, ${role}`, other);
      print(`this one, ${role}`, rows);
      const [a, b] = [measure(rows), measure(other)];
      assert.ok(a.rootProcesses <= b.rootProcesses && a.rootThreads <= b.rootThreads, `${role}: root`);
      for (const set of CAPABILITY_SETS) assert.ok(a.capabilities[set] <= b.capabilities[set], `${role}: ${set}`);
      assert.ok(a.threadsThatMayGain <= b.threadsThatMayGain, `${role}: no_new_privs`);
      assert.ok(a.threadsWithoutFilter <= b.threadsWithoutFilter, `${role}: seccomp`);
      assert.notDeepEqual(a, b);
    }
  });
}
