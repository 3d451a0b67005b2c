/**
 * Ours and the C Miredo (Debian's packages) in every role, over real kernels: each of the eight combinations of server, relay and client
 * carries ICMPv6 and TCP both ways, and two clients of either kind meet between port-restricted NATs. The measured figures are printed.
 */

import assert from "node:assert/strict";
import type { LabHost } from "../lab/lab.ts";
import {
  download,
  hasDebianMiredo,
  ping,
  type RunningClient,
  serve,
  startClient,
  startDebianClient,
  startDebianRelay,
  startDebianServer,
  startRelay,
  startServer,
} from "../lab/programs.ts";
import { labTest, LabWorld, RELAY, SERVER, SERVER_SECONDARY, WEB } from "../lab/world.ts";

/** Which program plays a role. */
type Maker = "ours" | "Debian";
const MAKERS: readonly Maker[] = ["ours", "Debian"];

/** What a download moves, octets. */
const CONTENT = 1_000_000;

/** Latency of every line, milliseconds: enough to see round trips in the figures. */
const DELAY = 2;

/** Patience for the first packet: a lost bubble is repeated after 2 s. */
const FIRST_PACKET = 10_000;

/** One printed line of results. */
interface Row {
  readonly who: string;
  readonly qualified: number;
  readonly firstOut: number;
  readonly firstIn: number;
}

function interopTest(name: string, body: () => Promise<void>): void {
  if (hasDebianMiredo()) labTest(name, body);
  else {Deno.test({
      name: `${name} (skipped: Debian's miredo and miredo-server are not installed)`,
      ignore: true,
      fn: body,
    });}
}

async function startAnyServer(world: LabWorld, maker: Maker): Promise<void> {
  if (maker === "ours") await startServer(world.server, [SERVER]);
  else await startDebianServer(world.server, SERVER, SERVER_SECONDARY);
}

async function startAnyRelay(world: LabWorld, maker: Maker): Promise<void> {
  if (maker === "ours") await startRelay(world.relay);
  else await startDebianRelay(world.relay, RELAY);
}

async function startAnyClient(host: LabHost, maker: Maker): Promise<RunningClient> {
  return await (maker === "ours" ? startClient(host, [SERVER]) : startDebianClient(host, SERVER));
}

/** Pings until the first answer. @returns its round-trip time, the way's opening included, milliseconds */
async function firstPing(from: LabHost, to: string): Promise<number> {
  const { received, lines } = await ping(from, to, { count: 1, timeout: FIRST_PACKET });
  assert.equal(received, 1, `${from.name} to ${to}: ${JSON.stringify(lines)}`);
  return lines[0].ms ?? NaN;
}

/** Pings and downloads from one host to another. */
async function assertCarries(from: LabHost, to: LabHost, address: string): Promise<void> {
  const { received } = await ping(from, address, { count: 3, interval: 50 });
  assert.equal(received, 3, `${from.name} to ${address}`);
  const server = await serve(to, CONTENT);
  const got = await download(from, address, server.port);
  assert.deepEqual([got.octets, got.sha256], [CONTENT, server.sha256]);
  await server.child.end();
}

function print(rows: readonly Row[]): void {
  console.log(`${"".padEnd(44)}${"qualified".padStart(10)}${"first out".padStart(11)}${"first in".padStart(10)}   ms`);
  for (const { who, qualified, firstOut, firstIn } of rows) {
    const figure = (ms: number, width: number) => ms.toFixed(1).padStart(width);
    console.log(`${who.padEnd(44)}${figure(qualified, 10)}${figure(firstOut, 11)}${figure(firstIn, 10)}`);
  }
}

const rows: Row[] = [];

for (const server of MAKERS) {
  for (const relay of MAKERS) {
    for (const client of MAKERS) {
      const who = `server ${server}, relay ${relay}, client ${client}`;
      interopTest(`${who}: ICMPv6 and TCP both ways with an IPv6 host`, async () => {
        await using world = await LabWorld.open({ link: { delay: DELAY } });
        await Promise.all([startAnyServer(world, server), startAnyRelay(world, relay)]);
        const { host } = await world.home("alice");
        const alice = await startAnyClient(host, client);
        const firstOut = await firstPing(host, WEB);
        await assertCarries(host, world.web, WEB);
        await assertCarries(world.web, host, alice.address);

        // The other way round, with a client that the relay has not met.
        const { host: other } = await world.home("carol");
        const carol = await startAnyClient(other, client);
        const firstIn = await firstPing(world.web, carol.address);
        rows.push({ who, qualified: alice.startup, firstOut, firstIn });
      });
    }
  }
}

for (const server of MAKERS) {
  for (const other of MAKERS) {
    const who = `server ${server}, client ours <-> client ${other}`;
    interopTest(`${who}: between two port-restricted NATs, from either side`, async () => {
      await using world = await LabWorld.open({ link: { delay: DELAY } });
      await startAnyServer(world, server);
      const start = async (name: string, maker: Maker) => await startAnyClient((await world.home(name)).host, maker);
      const [alice, bob] = await Promise.all([start("alice", "ours"), start("bob", other)]);
      const firstOut = await firstPing(alice.host, bob.address);
      await assertCarries(alice.host, bob.host, bob.address);
      await assertCarries(bob.host, alice.host, alice.address);

      // From the other side, between two that never met.
      const [carol, dave] = await Promise.all([start("carol", "ours"), start("dave", other)]);
      const firstIn = await firstPing(dave.host, carol.address);
      rows.push({ who, qualified: carol.startup, firstOut, firstIn });
    });
  }
}

interopTest("the figures of every combination", () => {
  print(rows);
  assert.equal(rows.length, 12);
  return Promise.resolve();
});
