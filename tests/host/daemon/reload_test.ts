/** SIGHUP on running daemons: what is taken over at once, what waits, what is refused. */

import assert from "node:assert/strict";
import { NetlinkMonitor } from "../../../ffi/netlink.ts";
import { parseIpv4 } from "../../../lib/wire/ipv4.ts";
import { parseIpv6 } from "../../../lib/wire/ipv6_address.ts";
import { parseTeredoAddress } from "../../../lib/wire/teredo_address.ts";
import { miredoCommand } from "../../lab/programs.ts";
import {
  count,
  descriptorsOf,
  Directory,
  hostsFile,
  launch,
  OTHER_CLIENT,
  qualifications,
  reload,
  rootTest,
  SERVER,
  startServer,
  TEREDO,
  UNASKED,
  withOwnHosts,
  World,
} from "./support.ts";

function clientFile(...lines: readonly string[]): string {
  return [`client.servers = ["${SERVER}"]`, ...lines, ""].join("\n");
}

rootTest("a client that reloads an unchanged file does not even qualify again", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  await startServer(world.server, SERVER);
  const client = launch(world.client, "client", "-c", await directory.write("client.toml", clientFile()));
  await client.line(/Qualified/);
  await reload(client);
  await reload(client);
  assert.equal(count(client, /Qualifying/), 1);
  assert.equal(client.running, true);
});

rootTest(
  "new limits and intervals make a new machine with the same address, which stays on the interface",
  async () => {
    await using world = await World.open();
    await using directory = await Directory.make();
    await startServer(world.server, SERVER);
    const file = await directory.write("client.toml", clientFile());
    const client = launch(world.client, "client", "-c", file);
    await client.line(/Qualified/);
    using monitor = world.client.inside(() => NetlinkMonitor.open());
    await directory.write("client.toml", clientFile("client.refresh_interval = 20", "limits.max_peers = 1000"));
    await reload(client);
    await client.whileRunning("a second qualification", () => qualifications(client)[1]);
    const [first, second] = qualifications(client);
    assert.deepEqual(second, first);
    assert.equal(world.client.globalIpv6(TEREDO), first.address);
    // Neither address nor route was away for a moment.
    assert.deepEqual(monitor.read().filter((change) => change.kind !== "overrun" && !change.present), []);
  },
);

rootTest("a file that went bad is refused line by line, and the old configuration goes on", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  await startServer(world.server, SERVER);
  const file = await directory.write("client.toml", clientFile());
  const client = launch(world.client, "client", "-c", file);
  await client.line(/Qualified/);
  await directory.write("client.toml", clientFile("interface.mtuu = 1280", 'log.level = "loud"'));
  await reload(client, / The old configuration goes on$/);
  const refusals = client.lines.filter(({ text }) => text.includes("Cannot reload")).map(({ text }) => text);
  assert.equal(refusals.length, 2);
  assert.match(
    refusals[0],
    / error +Cannot reload reason=".*\/client\.toml:2:11: interface\.mtuu: unknown key, did you mean /,
  );
  assert.match(refusals[1], / error +Cannot reload reason=".*\/client\.toml:3:13: log\.level: /);
  assert.equal(world.client.globalIpv6(TEREDO), qualifications(client)[0].address);
  await directory.write("client.toml", clientFile());
  await reload(client);
  assert.equal(count(client, /Qualifying/), 1);
});

rootTest("a file that became unreadable for the service user is refused", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const file = await directory.write("server.toml", `server.address = "${SERVER}"\n`);
  const server = launch(world.server, "server", "-c", file);
  await server.line(/Serving/);
  await Deno.chmod(file, 0o600);
  await reload(server, / The old configuration goes on$/);
  assert.match(server.output, /Cannot reload reason=".*server\.toml: cannot be read: EACCES .*" user=nobody/);
});

rootTest("keys that only a restart can change are named, the others count at once", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  await startServer(world.server, SERVER);
  const file = await directory.write("client.toml", clientFile());
  const client = launch(world.client, "client", "-c", file);
  await client.line(/Qualified/);
  await directory.write(
    "client.toml",
    clientFile('interface.name = "other"', "bind.port = 4000", "client.refresh_interval = 20"),
  );
  await reload(client);
  await client.whileRunning("a second qualification", () => qualifications(client)[1]);
  const keys = client.lines.flatMap(({ text }) =>
    / warning Key changes only at restart key=(.*)$/.exec(text)?.[1] ?? []
  );
  assert.deepEqual(keys.toSorted(), ["bind.port", "interface.name"]);
  assert.equal(world.client.globalIpv6("other"), undefined);
});

rootTest("the log level changes at once, both ways", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const file = await directory.write("relay.toml", 'log.level = "info"\n');
  const relay = launch(world.client, "relay", "-c", file);
  await relay.line(/Relaying/);
  await directory.write("relay.toml", 'log.level = "warning"\n[interface]\nmtu = 1400\n');
  await reload(relay, /Key changes only at restart/);
  assert.equal(count(relay, / Reloaded$/), 0);
  await directory.write("relay.toml", 'log.level = "debug"\n');
  await reload(relay);
});

rootTest("another server in the file is asked at once", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  await startServer(world.server, SERVER);
  await startServer(world.other, OTHER_CLIENT, "none");
  const file = await directory.write("client.toml", clientFile());
  const client = launch(world.client, "client", "-c", file);
  await client.line(/Qualified/);
  await directory.write("client.toml", `client.servers = ["${OTHER_CLIENT}"]\nclient.secondary = "none"\n`);
  await reload(client);
  await client.whileRunning("a second qualification", () => qualifications(client)[1]);
  const servers = qualifications(client).map(({ address }) =>
    parseTeredoAddress(parseIpv6(address) ?? new Uint8Array(16))?.server
  );
  assert.deepEqual(servers, [parseIpv4(SERVER), parseIpv4(OTHER_CLIENT)]);
  assert.equal(world.client.globalIpv6(TEREDO), qualifications(client)[1].address);
});

rootTest("a list of servers without address yet gives way to one that has", async () => {
  await using world = await World.open();
  await using directory = await hostsFile("");
  await startServer(world.server, SERVER);
  const file = await directory.write("client.toml", 'client.servers = ["missing.example.net"]\n');
  const client = world.client.start(withOwnHosts(directory, miredoCommand("client", "-c", file, ...UNASKED)));
  await client.line(/No server to ask yet/);
  await directory.write("client.toml", clientFile());
  await reload(client);
  await client.line(/Qualified/);
});

rootTest("twenty reloads, every other one with a new machine, leave no descriptor open", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const file = await directory.write("server.toml", `server.address = "${SERVER}"\n`);
  const server = launch(world.server, "server", "-c", file);
  await server.line(/Serving/);
  const client = launch(world.client, "client", "-c", await directory.write("client.toml", clientFile()));
  await client.line(/Qualified/);
  const before = [await descriptorsOf(server), await descriptorsOf(client)];
  for (let i = 1; i <= 20; i++) {
    const round = Math.floor(i / 2);
    await directory.write("server.toml", `server.address = "${SERVER}"\nserver.rate_total = ${1000 + round}\n`);
    await directory.write("client.toml", clientFile(`limits.max_peers = ${1000 + round}`));
    await Promise.all([reload(server), reload(client)]);
  }
  // One machine at the start, and one for each of the rounds 0 to 10; one that is replaced at once does not qualify, the last one does.
  await client.whileRunning("the last machine's qualification", () => {
    const lines = client.lines.map(({ text }) => text);
    const isStart = (text: string) => text.includes("Carrying packets");
    const last = lines.findLastIndex((text) => text.includes("Qualified"));
    return lines.filter(isStart).length === 12 && last > lines.findLastIndex(isStart) ? true : undefined;
  });
  assert.equal(new Set(qualifications(client).map(({ address }) => address)).size, 1);
  assert.deepEqual([await descriptorsOf(server), await descriptorsOf(client)], before);
});
