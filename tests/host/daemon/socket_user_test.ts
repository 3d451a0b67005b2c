/** The control socket of a daemon and other users of the host: who may ask, and what is said to who may not. */

import assert from "node:assert/strict";
import { miredoCommand } from "../../lab/programs.ts";
import { Directory, NOBODY, readableByAll, rootTest, SERVER, untilTrue, World } from "./support.ts";

/** User and group "daemon" of Debian. */
const OTHER = 1;

rootTest(
  "only root, the service user and members of status.group may ask; others are told what they need",
  async () => {
    await using world = await World.open();
    await using directory = await Directory.make();
    const path = `${directory.path}/control/server.sock`;
    const start = (...keys: readonly string[]) =>
      world.server.start(
        miredoCommand("server", SERVER, ...[`status.socket=${path}`, ...keys].flatMap((key) => ["--set", key])),
      );
    /** `miredo metrics` as a user and group. */
    const ask = async (user: number, group: number): Promise<{ readonly code: number; readonly output: string }> => {
      const become = ["setpriv", `--reuid=${user}`, `--regid=${group}`, "--clear-groups", "--"];
      const command = miredoCommand("metrics", "--socket", path);
      const child = world.server.start(await readableByAll(directory, command, become));
      const { code } = await child.ended();
      return { code, output: child.lines.map(({ text }) => text).join("\n") };
    };
    const listens = () =>
      untilTrue("the control socket", async () => (await Deno.lstat(path).catch(() => undefined))?.isSocket === true);

    const first = start();
    await first.line(/Carrying packets/);
    await listens();
    const { mode, uid, gid } = await Deno.lstat(path);
    assert.deepEqual([(mode ?? 0) & 0o777, uid, gid], [0o660, NOBODY, NOBODY]);
    assert.equal((await ask(0, 0)).code, 0);
    assert.equal((await ask(NOBODY, NOBODY)).code, 0);
    const refused = await ask(OTHER, OTHER);
    assert.equal(refused.code, 1);
    assert.equal(
      refused.output,
      `miredo: Cannot connect to "${path}": EACCES (needs root or the group of status.group: sudo miredo ...)`,
    );
    await first.end();

    const second = start("status.group=daemon");
    await second.line(/Carrying packets/);
    await listens();
    assert.deepEqual([(await Deno.lstat(path)).mode, (await Deno.lstat(path)).gid], [0o140660, OTHER]);
    assert.equal((await ask(OTHER, OTHER)).code, 0);
    assert.equal((await ask(OTHER, OTHER + 1)).code, 1);
  },
);
