/** Server names: a client waits for them, asks again, and says what it waits for. */

import assert from "node:assert/strict";
import { miredoCommand } from "../../lab/programs.ts";
import {
  CLIENT,
  hostsFile,
  launch,
  qualifications,
  rootTest,
  SERVER,
  startServer,
  UNASKED,
  withOwnHosts,
  World,
} from "./support.ts";

rootTest("a client whose server has no address yet says so, tries again, and starts once it has one", async () => {
  await using world = await World.open();
  await using directory = await hostsFile("127.0.0.1 localhost\n");
  await startServer(world.server, SERVER);
  const client = world.client.start(withOwnHosts(directory, miredoCommand("client", "teredo.example.net", ...UNASKED)));
  const { text } = await client.line(/Cannot use server/);
  assert.match(
    text,
    / warning Cannot use server server=teredo\.example\.net reason="Cannot resolve .*: EAI_[A-Z]+ \(.+\)"$/,
  );
  assert.match((await client.line(/No server to ask/)).text, / info +No server to ask yet retryInMs=\d+$/);
  await directory.write("hosts", `127.0.0.1 localhost\n${SERVER} teredo.example.net\n`);
  await client.line(/Qualified/);
  assert.ok(client.running);
});

rootTest("a client passes over a name without address and asks the next server", async () => {
  await using world = await World.open();
  await using directory = await hostsFile(`192.168.0.1 private.example.net\n${SERVER} teredo.example.net\n`);
  await startServer(world.server, SERVER);
  const names = ["missing.example.net", "private.example.net", "teredo.example.net"];
  const client = world.client.start(withOwnHosts(directory, miredoCommand("client", ...names, ...UNASKED)));
  await client.line(/Qualified/);
  const reasons = client.lines.filter(({ text }) => text.includes("Cannot use server")).map(({ text }) => text);
  assert.equal(reasons.length, 2, client.output);
  assert.match(reasons[0], /server=missing\.example\.net/);
  assert.match(reasons[1], /server=private\.example\.net reason="no global IPv4 address among 192\.168\.0\.1"$/);
});

rootTest("[QUA-22] the service port is the one configured", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  const client = launch(world.client, "client", SERVER, "--set", "bind.port=4001");
  await client.line(/Qualified/);
  assert.deepEqual(qualifications(client).map(({ mapped }) => mapped), [`${CLIENT}:4001`]);
});

rootTest("[QUA-23] a service port that is not configured differs from start to start", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  const ports = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const client = launch(world.client, "client", SERVER);
    await client.line(/Qualified/);
    ports.add(qualifications(client)[0].mapped);
    await client.end();
  }
  assert.ok(ports.size > 1, [...ports].join(" "));
});
