/** What running daemons may still do: nothing as root, and only what they need. */

import assert from "node:assert/strict";
import {
  NOBODY,
  rootTest,
  SERVER,
  startClient,
  startRelay,
  startServer,
  type Thread,
  threadsOf,
  World,
} from "./support.ts";

/** linux/capability.h */
const NET_ADMIN = 1n << 12n;

function assertUnprivileged(threads: readonly Thread[]): void {
  assert.ok(threads.length > 1);
  for (const { name, users, groups, otherGroups } of threads) {
    assert.deepEqual(users, Array(4).fill(String(NOBODY)), name);
    assert.deepEqual(groups, Array(4).fill(String(NOBODY)), name);
    assert.deepEqual(otherGroups, [], name);
  }
}

rootTest(
  "after its start no thread of any role is root, has a group more, or a capability it does not need",
  async () => {
    await using world = await World.open();
    const server = await startServer(world.server, SERVER);
    const relay = await startRelay(world.other);
    const client = await startClient(world.client, SERVER);
    for (const child of [server, relay]) {
      const threads = await threadsOf(child);
      assertUnprivileged(threads);
      assert.deepEqual(threads.filter(({ capabilities }) => capabilities !== 0n), []);
    }
    const threads = await threadsOf(client.child);
    assertUnprivileged(threads);
    assert.equal(threads.find(({ first }) => first)?.capabilities, 0n);
    assert.deepEqual(
      threads.filter(({ capabilities }) => capabilities !== 0n).map(({ capabilities }) => capabilities),
      [
        NET_ADMIN,
      ],
    );
  },
);

rootTest("a daemon becomes the user it is told to", async () => {
  await using world = await World.open();
  const server = await startServer(world.server, SERVER, "-u", "daemon");
  const users = new Set((await threadsOf(server)).flatMap(({ users }) => users));
  assert.deepEqual([...users], ["1"]);
});
