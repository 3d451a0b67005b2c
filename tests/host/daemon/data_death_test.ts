/** A data isolate that dies in the middle of its work: the tunnel comes back by itself, and nothing else changes. */

import assert from "node:assert/strict";
import { PERMISSIONS } from "../../../scripts/compile.ts";
import { ping } from "../../lab/programs.ts";
import {
  count,
  descriptorsOf,
  Directory,
  qualifications,
  readableByAll,
  rootTest,
  SERVER,
  startClient,
  startServer,
  TEREDO,
  threadsOf,
  World,
} from "./support.ts";

const FRAIL = new URL("./frail_main.ts", import.meta.url).pathname;

const DEATHS = 3;

rootTest("a client whose data isolate dies amid traffic has the same address and carries on", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  await startServer(world.server, SERVER);
  const order = await directory.write("order", "0");
  const source = [Deno.execPath(), "run", ...PERMISSIONS, FRAIL, SERVER, order];
  const client = world.client.start(await readableByAll(directory, source));
  await client.line(/Qualified/);
  const other = await startClient(world.other, SERVER);
  const [{ address }] = qualifications(client);

  const first = await ping(world.client, other.address, { count: 2, interval: 20 });
  assert.equal(first.received, 2);
  const before = await descriptorsOf(client);

  for (let death = 1; death <= DEATHS; death++) {
    const flow = ping(world.client, other.address, { count: 40, interval: 20, timeout: 1000 });
    await directory.write("order", String(death));
    await client.whileRunning(
      `qualification ${death + 1}`,
      () => qualifications(client).length > death ? true : undefined,
    );
    await flow;
    const after = await ping(world.client, other.address, { count: 2, interval: 20 });
    assert.equal(after.received, 2);
    const back = await ping(world.other, address, { count: 2, interval: 20 });
    assert.equal(back.received, 2);
    assert.equal(qualifications(client)[death].address, address);
    assert.equal(world.client.globalIpv6(TEREDO), address);
  }
  assert.equal(count(client, / error +Data isolate died reason="Cannot go on: told to die"/), DEATHS);
  // One line each: Deno has nothing to add.
  assert.equal(count(client, /Uncaught/), 0);
  assert.equal(await descriptorsOf(client), before);
  const data = (await threadsOf(client)).filter(({ name }) => name.startsWith("worker-"));
  assert.deepEqual(data.map(({ capabilities }) => capabilities), [0n]);
});
