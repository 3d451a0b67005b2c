/** What goes wrong around a daemon: its interface is taken away or renamed, its disk is full, its main thread stands still, it hears too much. */

import assert from "node:assert/strict";
import { PERMISSIONS } from "../../../scripts/compile.ts";
import { ping } from "../../lab/programs.ts";
import {
  count,
  descriptorsOf,
  Directory,
  inMountNamespace,
  NOBODY,
  qualifications,
  readableByAll,
  rootTest,
  SERVER,
  startClient,
  startServer,
  TEREDO,
  traces,
  UNASKED,
  untilTrue,
  World,
} from "./support.ts";
import { miredoCommand } from "../../lab/programs.ts";

const STALLED = new URL("./stalled_main.ts", import.meta.url).pathname;
const STALL_SECONDS = 5;

/** Changes of addresses in one go: far more than the buffer of a netlink socket holds. */
const CHANGES = 20_000;

/** Maintenance as often as the configuration allows, so that a silent server is noticed soon, and the longest wait for that, milliseconds. */
const OFTEN = ["--set", "client.refresh_interval=5"];
const NOTICED = 30_000;

rootTest("a role whose interface is removed ends with one error that says so, and leaves nothing behind", async () => {
  await using world = await World.open();
  const before = traces(world.client);
  await startServer(world.server, SERVER);
  const { child } = await startClient(world.client, SERVER);
  await world.client.start(["ip", "link", "del", TEREDO]).result();
  const { code } = await child.ended();
  assert.equal(code, 1, child.output);
  assert.equal(count(child, /^miredo: Cannot go on: interface "teredo" was removed$/), 1, child.output);
  assert.deepEqual(traces(world.client), before);
});

rootTest("a role whose interface is renamed goes on with it, through the loss of its server too", async () => {
  await using world = await World.open();
  const before = traces(world.client);
  const server = await startServer(world.server, SERVER);
  const { child, address } = await startClient(world.client, SERVER, ...OFTEN);
  const other = await startClient(world.other, SERVER);
  await world.client.start(["ip", "link", "set", TEREDO, "name", "six"]).result();
  assert.equal((await ping(world.client, other.address, { count: 2, interval: 20 })).received, 2);
  await server.end();
  await child.line(/Lost qualification/, NOTICED);
  await untilTrue("no address on the renamed interface", () => world.client.globalIpv6("six") === undefined);
  await startServer(world.server, SERVER);
  await untilTrue("the address on the renamed interface", () => world.client.globalIpv6("six") === address, NOTICED);
  await child.end();
  assert.deepEqual(traces(world.client), before);
});

rootTest("while the main thread stands still packets go on, and afterwards everything does", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  await startServer(world.server, SERVER);
  const order = await directory.write("order", "go on");
  const source = [Deno.execPath(), "run", ...PERMISSIONS, STALLED, SERVER, order, String(STALL_SECONDS)];
  const client = world.client.start(await readableByAll(directory, source));
  await client.line(/Qualified/);
  const [{ address }] = qualifications(client);
  const other = await startClient(world.other, SERVER);
  await directory.write("order", "stand still");
  await client.line(/^standing still$/);
  const meanwhile = await ping(world.client, other.address, { count: 20, interval: 100, timeout: 1000 });
  assert.equal(meanwhile.received, 20);
  assert.equal(count(client, /^going on$/), 0, "all of it was while the main thread stood still");
  await client.line(/^going on$/);
  assert.equal((await ping(world.other, address, { count: 2, interval: 20 })).received, 2);
  assert.equal(count(client, /died|slept|Lost/), 0, client.output);
  await client.end();
  assert.equal(count(client, / Ending signal=SIGTERM/), 1);
});

rootTest("with no room for the state file the client says so once and gives service", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  await startServer(world.server, SERVER);
  const fill = `mount -t tmpfs -o size=4k,mode=700,uid=${NOBODY} none "${directory.path}"; ` +
    `head -c 1000000 /dev/zero > "${directory.path}/fill" 2>/dev/null || true`;
  const command = miredoCommand("client", SERVER, ...UNASKED, "--set", `state.file=${directory.path}/client.json`);
  const client = world.client.start(inMountNamespace(fill, command));
  await client.line(/Qualified/);
  await client.line(/Cannot use the state file: the address may be another after a restart file=\S+ reason=.*ENOSPC/);
  const other = await startClient(world.other, SERVER);
  assert.equal((await ping(world.client, other.address, { count: 2, interval: 20 })).received, 2);
  await client.signal("SIGHUP");
  await client.line(/Reloaded/);
  assert.equal(count(client, /Cannot use the state file/), 1, client.output);
});

rootTest("more changes of the network than the kernel can tell lose none that matters", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  const { child } = await startClient(world.client, SERVER);
  const before = await descriptorsOf(child);
  await using directory = await Directory.make();
  const changes = Array.from({ length: CHANGES }, (_, i) => {
    const address = `198.18.${i >> 8 & 255}.${i & 255}/32`;
    return `addr add ${address} dev lo\naddr del ${address} dev lo\n`;
  });
  const batch = await directory.write("changes", changes.join(""));
  // The daemon does not run meanwhile, so that all of it comes at once.
  await child.suspend();
  await world.client.start(["ip", "-batch", batch]).result();
  await world.client.start(["ip", "addr", "add", "198.51.100.9/24", "dev", "eth0"]).result();
  child.resume();
  await child.line(/IPv4 addresses changed: qualifying again/);
  await untilTrue("qualified again", () => qualifications(child).length > 1);
  const other = await startClient(world.other, SERVER);
  assert.equal((await ping(world.client, other.address, { count: 2, interval: 20 })).received, 2);
  assert.equal(await descriptorsOf(child), before);
  assert.equal(count(child, / error /), 0, child.output);
});

rootTest("hosts that answer with ICMP errors disturb nobody else", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  const { child } = await startClient(world.client, SERVER);
  const other = await startClient(world.other, SERVER);
  // Clients that were once at ports of a host that is still there: each bubble to them comes back as "port unreachable".
  const [prefix, server] = ["2001:0", "c000:201"];
  const hidden = (port: number): string => (port ^ 0xffff).toString(16);
  const gone = Array.from({ length: 50 }, (_, i) => `${prefix}:${server}:0:${hidden(20_000 + i)}:34ff:8efe`);
  await Promise.all(gone.map((address) => ping(world.client, address, { count: 1, timeout: 500 })));
  assert.equal((await ping(world.client, other.address, { count: 5, interval: 20 })).received, 5);
  assert.equal(count(child, / error | warn /), 0, child.output);
});
