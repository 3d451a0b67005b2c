/** However a part of a daemon is killed, no process, no privilege and no interface stay. */

import assert from "node:assert/strict";
import { rootTest, SERVER, startClient, startServer, traces, untilTrue, World } from "./support.ts";

rootTest("killing any one thread of a client ends all of it, and takes its interface away", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  const before = traces(world.client);
  for (const which of ["interface", "worker", "V8"]) {
    const { child } = await startClient(world.client, SERVER);
    const pid = await child.pid();
    const thread = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => name).find((tid) =>
      Deno.readTextFileSync(`/proc/${pid}/task/${tid}/comm`).startsWith(which)
    );
    assert.ok(thread !== undefined, `no thread ${which}`);
    Deno.kill(Number(thread), "SIGKILL");
    await child.ended();
    await untilTrue("a bare host", () => JSON.stringify(traces(world.client)) === JSON.stringify(before));
  }
});
