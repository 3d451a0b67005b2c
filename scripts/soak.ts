/**
 * Lets server, relay and two clients live for a while over real kernels, with traffic, reloads and a NAT that is rebooted, and counts what
 * each holds before and after. Needs what the lab needs (root, or a user namespace).
 *
 * ```
 *   deno task soak                ten minutes
 *   deno task soak --minutes 60
 * ```
 *
 * Fails when a ping is lost that no reboot explains, when content arrives otherwise than sent, or when a program has more descriptors or
 * threads at the end than after the first minute, or a good deal more memory.
 */

import { parseArgs } from "node:util";
import type { Child } from "../tests/lab/child.ts";
import { mayRunLab, NEEDS } from "../tests/lab/privilege.ts";
import { download, ping, serve, startClient, startRelay, startServer } from "../tests/lab/programs.ts";
import { LabWorld, SERVER, WEB } from "../tests/lab/world.ts";

const DEFAULT_MINUTES = 10;
const MINUTE = 60_000;
const LINE_DELAY = 2;
/** Octets downloaded a minute. */
const CONTENT = 8_000_000;
/** Memory that a program may gain after its first minute, KiB: heaps breathe. */
const BREATH = 16 * 1024;
/** How long a rebooted NAT may keep its client from others: it is noticed by the next maintenance, milliseconds. */
const REBOOT_PATIENCE = 45_000;

/** What a program holds. */
interface Held {
  readonly descriptors: number;
  readonly threads: number;
  /** Resident memory, KiB. */
  readonly resident: number;
}

async function heldBy(child: Child): Promise<Held> {
  const path = `/proc/${await child.pid()}`;
  const number = (key: string, text: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1]);
  const status = await Deno.readTextFile(`${path}/status`);
  return {
    descriptors: [...Deno.readDirSync(`${path}/fd`)].length,
    threads: number("Threads", status),
    resident: number("VmRSS", status),
  };
}

function row(name: string, before: Held, after: Held): string {
  const mib = (kib: number): string => (kib / 1024).toFixed(1);
  return `   ${
    name.padEnd(8)
  } descriptors ${before.descriptors} → ${after.descriptors}   threads ${before.threads} → ${after.threads}   ` +
    `memory ${mib(before.resident)} → ${mib(after.resident)} MiB`;
}

/** @returns what is wrong, a line each */
async function soak(minutes: number): Promise<readonly string[]> {
  const wrong: string[] = [];
  await using world = await LabWorld.open({ link: { delay: LINE_DELAY } });
  const homes = { alice: await world.home("alice"), bob: await world.home("bob") };
  const [server, relay] = await Promise.all([startServer(world.server, [SERVER]), startRelay(world.relay)]);
  const alice = await startClient(homes.alice.host, [SERVER]), bob = await startClient(homes.bob.host, [SERVER]);
  const programs = { server: server.child, relay: relay.child, alice: alice.child, bob: bob.child };
  const { sha256 } = await serve(world.web, CONTENT);
  const hold = async (): Promise<Map<string, Held>> =>
    new Map(
      await Promise.all(Object.entries(programs).map(async ([name, child]) => [name, await heldBy(child)] as const)),
    );

  let before = await hold(), pings = 0, octets = 0;
  const start = performance.now();
  for (let minute = 1; minute <= minutes; minute++) {
    const end = start + minute * MINUTE;
    const rebooted = minute % 3 === 2;
    if (rebooted) {
      await homes.alice.nat.reboot();
      await new Promise((resolve) => setTimeout(resolve, REBOOT_PATIENCE));
    }
    for (const child of Object.values(programs)) await child.signal("SIGHUP");
    const got = await download(homes.alice.host, WEB);
    octets += got.octets;
    if (got.sha256 !== sha256) wrong.push(`minute ${minute}: content came damaged`);
    while (performance.now() < end) {
      const aliceNow = homes.alice.host.globalIpv6("teredo"), bobNow = homes.bob.host.globalIpv6("teredo");
      if (aliceNow === undefined || bobNow === undefined) {
        wrong.push(`minute ${minute}: a client without address`);
        break;
      }
      const ways = [[homes.alice.host, bobNow], [homes.bob.host, aliceNow], [homes.alice.host, WEB], [
        world.web,
        bobNow,
      ]] as const;
      for (const [host, destination] of ways) {
        const { sent, received } = await ping(host, destination, { count: 20, interval: 50, timeout: 3000 });
        pings += received;
        if (received < sent) wrong.push(`minute ${minute}: ${sent - received} of ${sent} pings from ${host.name} lost`);
      }
    }
    const now = await hold();
    if (minute === 1) before = now;
    console.log(`minute ${minute}${rebooted ? ", after a reboot of alice's NAT" : ""}`);
    for (const [name, held] of now) console.log(row(name, before.get(name) ?? held, held));
  }
  const after = await hold();
  for (const [name, child] of Object.entries(programs)) {
    if (!child.running) wrong.push(`${name} has ended:\n${child.output}`);
  }
  for (const [name, held] of after) {
    const first = before.get(name) ?? held;
    if (
      held.descriptors > first.descriptors || held.threads > first.threads || held.resident > first.resident + BREATH
    ) {
      wrong.push(`${name} holds more than after the first minute:${row("", first, held)}`);
    }
  }
  console.log(`${pings} pings answered, ${(octets / 1e6).toFixed(0)} MB downloaded`);
  return wrong;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args.filter((arg) => arg !== "--"),
    options: { minutes: { type: "string" } },
  });
  const minutes = Number(values.minutes ?? DEFAULT_MINUTES);
  if (!Number.isInteger(minutes) || minutes < 1) {
    console.error(`Cannot soak for "${values.minutes}" minutes: a whole number, 1 or more, is needed`);
    Deno.exit(2);
  }
  if (!mayRunLab()) {
    console.error(`Cannot soak: it ${NEEDS}`);
    Deno.exit(1);
  }
  const wrong = await soak(minutes);
  for (const line of wrong) console.error(line);
  Deno.exit(wrong.length === 0 ? 0 : 1);
}
