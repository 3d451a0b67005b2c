/**
 * Debian's relay as the meeting place of two clients of ours that have no direct way: it routes between them like any router, since what a
 * client sends to another comes out of its interface and goes back in.
 */

import assert from "node:assert/strict";
import { firstAnswer, hasDebianMiredo, ping, startClient, startDebianRelay, startServer } from "../lab/programs.ts";
import { labTest, LabWorld, RELAY, SERVER, WEB } from "../lab/world.ts";

/** Patience for a way over the relay, milliseconds. */
const RELAY_LIMIT = 15_000;

const interopTest = hasDebianMiredo() ? labTest : (name: string, fn: () => Promise<void>) => {
  Deno.test({ name: `${name} (skipped: Debian's miredo is not installed)`, ignore: true, fn });
};

interopTest("two clients behind random symmetric NATs meet at Debian's relay, where that forwards IPv6", async () => {
  await using world = await LabWorld.open({ link: { delay: 2 } });
  await startServer(world.server, [SERVER]);
  await startDebianRelay(world.relay, RELAY);
  world.relay.sysctl("net/ipv6/conf/all/forwarding", 1);
  const homes = [await world.home("alice", "symmetric"), await world.home("bob", "symmetric")];
  const args = ["--set", `client.relay_probe="${WEB}"`];
  const [alice, bob] = await Promise.all(homes.map(({ host }) => startClient(host, [SERVER], { args })));
  const { ms } = await firstAnswer(alice.host, bob.address, RELAY_LIMIT);
  assert.notEqual(ms, undefined, alice.child.output);
  const { text } = await alice.child.line(new RegExp(`Peer reachable peer=${bob.address}`));
  assert.match(text, new RegExp(`endpoint=${RELAY}:\\d+ path=relay`));
  const { received } = await ping(bob.host, alice.address, { count: 5, interval: 100, timeout: 2000 });
  assert.equal(received, 5);
});
