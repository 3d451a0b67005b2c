/** The owner's side of the data isolate: deaths, successors, messages and the end, with a scripted Worker in place of the real one. */

import assert from "node:assert/strict";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { EBADF } from "../../../ffi/abi/errno.ts";
import { close } from "../../../ffi/io.ts";
import { loadConfig } from "../../../config/mod.ts";
import { DataIsolate } from "../../../lib/host/threads/data_isolate.ts";
import type { MachineSetup } from "../../../lib/host/data/messages.ts";
import { clientOptions } from "../../../lib/host/roles/options.ts";
import { HANG, KEEP, SAY_FAILED, THROW } from "./workers/words.ts";

const SCRIPTED = new URL("./workers/scripted.ts", import.meta.url);
const DESCRIPTORS = { tun: 1001, sockets: [1002, 1003, 1004], rawIpv6: 1005 } as const;

const config = loadConfig("client", { directory: "/nonexistent", set: ['client.servers=["192.0.2.1"]'] });
const MACHINE: MachineSetup = {
  role: "client",
  options: clientOptions(config, {
    local: { address: 0, port: 4000 },
    addresses: { ipv4: [], ipv6: [], nativeSource: undefined },
    remembered: undefined,
  }),
  server: undefined,
};

/** A data isolate and all that it said. */
class Scripted implements AsyncDisposable {
  readonly said: unknown[] = [];
  deaths = 0;
  readonly isolate: DataIsolate;
  #heard = Promise.withResolvers<void>();

  constructor() {
    this.isolate = new DataIsolate({
      worker: SCRIPTED,
      onEvent: (event) => {
        if (event.type === "peer-unreachable") this.said.push(JSON.parse(new TextDecoder().decode(event.peer)));
        this.#heard.resolve();
      },
      onDeath: () => {
        this.deaths++;
        this.#heard.resolve();
      },
    });
  }

  /** One that runs. */
  static async run(): Promise<Scripted> {
    const scripted = new Scripted();
    await scripted.isolate.loaded;
    scripted.isolate.run(MACHINE, DESCRIPTORS);
    await scripted.until(() => scripted.said.length === 1);
    return scripted;
  }

  order(primary: number): void {
    this.isolate.start({ primary, secondary: undefined });
  }

  async until(state: () => boolean): Promise<void> {
    while (!state()) {
      await this.#heard.promise;
      this.#heard = Promise.withResolvers();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.isolate.stop();
    this.isolate[Symbol.dispose]();
  }
}

/** What it says of its n-th start with this server. */
const setup = (starts: number, wake: unknown, server?: number) => ({
  setup: { descriptors: { ...DESCRIPTORS, wake }, ...(server === undefined ? {} : { server }) },
  starts,
});

/** The eventfd it was given. */
function wakeOf(said: unknown): unknown {
  assert.ok(typeof said === "object" && said !== null && "setup" in said);
  const descriptors = Reflect.get(Object(said.setup), "descriptors");
  return Reflect.get(Object(descriptors), "wake");
}

/** Runs `work` and returns the values of one field of what was logged. */
async function logged(field: string, work: () => Promise<void>): Promise<unknown[]> {
  const records: LogRecord[] = [];
  configureSync({
    reset: true,
    sinks: { memory: (record: LogRecord) => records.push(record) },
    loggers: [{ category: "miredo", lowestLevel: "debug", sinks: ["memory"] }, {
      category: ["logtape", "meta"],
      lowestLevel: "warning",
      sinks: ["memory"],
    }],
  });
  try {
    await work();
  } finally {
    resetSync();
  }
  return records.flatMap(({ properties }) => field in properties ? [properties[field]] : []);
}

for (const [way, order] of [["throws", THROW], ["says that it failed", SAY_FAILED]] as const) {
  Deno.test(`a data isolate that ${way} has a successor on the same descriptors, and counters go on`, async () => {
    await using scripted = await Scripted.run();
    const wake = wakeOf(scripted.said[0]);
    assert.deepEqual(scripted.said, [setup(1, wake)]);
    scripted.order(7);
    scripted.order(order);
    await scripted.until(() => scripted.deaths === 1);
    // Said while nobody listens: the successor starts with it.
    scripted.order(8);
    await scripted.until(() => scripted.said.length === 3);
    scripted.order(9);
    await scripted.until(() => scripted.said.length === 4);
    assert.deepEqual(scripted.said, [setup(1, wake), { start: 7 }, setup(2, wake, 8), { start: 9 }]);
    assert.equal(scripted.deaths, 1);
    assert.equal(scripted.isolate.shared.counters[0], 2);
  });
}

Deno.test("the first death costs little, each that follows soon twice as much", async () => {
  const delays = await logged("restartInMs", async () => {
    await using scripted = await Scripted.run();
    for (let death = 1; death <= 4; death++) {
      scripted.order(SAY_FAILED);
      await scripted.until(() => scripted.said.length === 1 + death);
    }
  });
  assert.deepEqual(delays, [50, 100, 200, 400]);
});

Deno.test("what was remembered is what a successor starts with", async () => {
  await using scripted = await Scripted.run();
  scripted.isolate.remember({ ...MACHINE, role: "client", server: { primary: 33, secondary: undefined } });
  scripted.isolate.replace({ ...MACHINE, role: "client", server: { primary: 44, secondary: undefined } });
  await scripted.until(() => scripted.said.length === 2);
  assert.deepEqual(scripted.said[1], setup(2, wakeOf(scripted.said[0]), 44));
});

Deno.test("a data isolate that hangs ends nevertheless", async () => {
  await using scripted = await Scripted.run();
  scripted.order(HANG);
  await scripted.until(() => scripted.said.length === 2);
  await scripted.isolate.stop();
  assert.equal(scripted.deaths, 0);
});

Deno.test("one that is stopped while it waits for its successor gets none", async () => {
  const scripted = await Scripted.run();
  scripted.order(SAY_FAILED);
  await scripted.until(() => scripted.deaths === 1);
  await scripted[Symbol.asyncDispose]();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(scripted.said.length, 1);
});

Deno.test("sockets that a data isolate opened itself are closed with it", async () => {
  const scripted = await Scripted.run();
  scripted.order(KEEP);
  await scripted.until(() => scripted.said.length === 2);
  const kept = Reflect.get(Object(scripted.said[1]), "kept");
  assert.deepEqual(scripted.isolate.shared.leftOpen(), [kept]);
  await scripted[Symbol.asyncDispose]();
  assert.equal(close(Number(kept)), -EBADF);
});

Deno.test("a program that cannot be loaded is an error at the start, not a death", async () => {
  const isolate = new DataIsolate({
    worker: new URL("./workers/broken.ts", import.meta.url),
    onEvent: () => assert.fail("an event"),
    onDeath: () => assert.fail("a death"),
  });
  await assert.rejects(isolate.loaded, /^Error: Cannot load the data isolate: .*broken on purpose$/);
  isolate[Symbol.dispose]();
});
