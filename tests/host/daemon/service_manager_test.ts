/** Whole daemons under a service manager: what it hears from start to end, and when the watchdog hears nothing more. */

import assert from "node:assert/strict";
import { PERMISSIONS } from "../../../scripts/compile.ts";
import { NotifyReceiver } from "../../ffi/notify_receiver.ts";
import { until } from "../../lab/child.ts";
import { miredoCommand, startServer } from "../../lab/programs.ts";
import { Directory, readableByAll, rootTest, SERVER, World } from "./support.ts";

const FRAIL = new URL("./frail_main.ts", import.meta.url).pathname;

/** A manager in a directory of its own, and all it has heard. */
class Manager implements AsyncDisposable {
  readonly directory: Directory;
  readonly heard: string[] = [];
  readonly #receiver: NotifyReceiver;

  private constructor(directory: Directory) {
    this.directory = directory;
    this.#receiver = new NotifyReceiver(`${directory.path}/notify`);
    Deno.chmodSync(this.#receiver.name, 0o777);
  }

  static async open(): Promise<Manager> {
    return new Manager(await Directory.make());
  }

  /** What starts `command` as this manager would. */
  service(command: readonly string[], watchdogMilliseconds: number): readonly string[] {
    return [
      "env",
      `NOTIFY_SOCKET=${this.#receiver.name}`,
      `WATCHDOG_USEC=${watchdogMilliseconds * 1000}`,
      ...command,
    ];
  }

  /** Waits for a message after the first `after` ones. @returns its place */
  async message(pattern: RegExp, after: number = 0): Promise<number> {
    return await until(`${pattern} at the service manager`, () => {
      this.listen();
      const at = this.heard.findIndex((message, i) => i >= after && pattern.test(message));
      return at < 0 ? undefined : at;
    });
  }

  /** Takes what has come. */
  listen(): void {
    this.heard.push(...this.#receiver.all());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#receiver[Symbol.dispose]();
    await this.directory[Symbol.asyncDispose]();
  }
}

rootTest("a service manager hears of a client: ready, qualified, alive, reloading, ready, stopping", async () => {
  await using world = await World.open();
  await using manager = await Manager.open();
  await startServer(world.server, [SERVER]);
  const client = world.client.start(manager.service(miredoCommand("client", SERVER), 300));
  const ready = await manager.message(/^READY=1\nSTATUS=/);
  assert.equal(ready, 0, "something came before READY=1");
  await client.line(/Qualified/);
  const qualified = await manager.message(/STATUS=Qualified as 2001:0:c000:201:\S+ by 192\.0\.2\.1$/);
  const alive = await manager.message(/^WATCHDOG=1$/, qualified);
  await client.signal("SIGHUP");
  const reloading = await manager.message(/^RELOADING=1\nMONOTONIC_USEC=[0-9]+$/, alive);
  await manager.message(/^READY=1\nSTATUS=/, reloading);
  await client.signal("SIGTERM");
  assert.equal((await client.ended()).code, 0);
  manager.listen();
  assert.equal(manager.heard.at(-1), "STOPPING=1\nSTATUS=Ending");
});

rootTest("a service manager hears of a server once its sockets are open, and of a failed start nothing", async () => {
  await using world = await World.open();
  await using manager = await Manager.open();
  const server = world.server.start(manager.service(miredoCommand("server", SERVER), 30_000));
  await manager.message(/^READY=1\nSTATUS=Serving on 192\.0\.2\.1:3544 and 192\.0\.2\.2:3544$/);
  await using other = await Manager.open();
  // The port is in use.
  const second = world.server.start(other.service(miredoCommand("server", SERVER), 30_000));
  assert.equal((await second.ended()).code, 1);
  other.listen();
  assert.deepEqual(other.heard, []);
  await server.signal("SIGTERM");
  assert.equal((await server.ended()).code, 0);
});

rootTest("the watchdog hears nothing more from a daemon whose data isolate hangs", async () => {
  await using world = await World.open();
  await using manager = await Manager.open();
  await startServer(world.server, [SERVER]);
  const order = await manager.directory.write("order", "0");
  const source = [Deno.execPath(), "run", ...PERMISSIONS, FRAIL, SERVER, order];
  const client = world.client.start(manager.service(await readableByAll(manager.directory, source), 300));
  await client.line(/Qualified/);
  await manager.message(/^WATCHDOG=1$/);
  await manager.directory.write("order", "hang");
  // A look gives up after a second: two of them.
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  manager.listen();
  const before = manager.heard.length;
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  manager.listen();
  assert.deepEqual(manager.heard.slice(before), []);
  assert.ok(client.running);
  // It can still be ended in good order: the main isolate is not the one that hangs.
  await client.signal("SIGTERM");
  assert.equal((await client.ended()).code, 0);
});
