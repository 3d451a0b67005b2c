/** What a service manager hears, and when it hears nothing. */

import assert from "node:assert/strict";
import {
  type ServiceEnvironment,
  ServiceManager,
  takeServiceEnvironment,
  watchdogPeriod,
} from "../../../lib/host/system/service_manager.ts";
import { NotifyReceiver } from "../../ffi/notify_receiver.ts";

/** A daemon's end and a manager's end. */
class Pair implements Disposable {
  readonly manager = new NotifyReceiver(`@miredo-service-${Deno.pid}-${crypto.randomUUID()}`);
  readonly service: ServiceManager;
  words = "Qualifying";
  looks = 0;
  alive = true;

  constructor(more: ServiceEnvironment = {}) {
    this.service = new ServiceManager({ NOTIFY_SOCKET: this.manager.name, ...more });
  }

  ready(): void {
    this.service.ready({
      words: () => this.words,
      alive: () => {
        this.looks++;
        return Promise.resolve(this.alive);
      },
    });
  }

  /** Waits until the daemon was looked at `looks` times more. */
  async looked(looks: number): Promise<void> {
    const end = this.looks + looks;
    while (this.looks < end) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  [Symbol.dispose](): void {
    this.service[Symbol.dispose]();
    this.manager[Symbol.dispose]();
  }
}

Deno.test("a manager hears nothing before the daemon is ready, then once that it is, and in which state", () => {
  using pair = new Pair();
  pair.service.tell();
  let loaded = 0;
  pair.service.reload(() => loaded++);
  assert.equal(loaded, 1);
  assert.deepEqual(pair.manager.all(), []);
  pair.ready();
  pair.ready();
  assert.deepEqual(pair.manager.all(), ["READY=1\nSTATUS=Qualifying"]);
});

Deno.test("a state is told when its words change, and only then", () => {
  using pair = new Pair();
  pair.ready();
  pair.manager.all();
  pair.service.tell();
  assert.deepEqual(pair.manager.all(), []);
  pair.words = "Qualified\nREADY=0";
  pair.service.tell();
  pair.service.tell();
  assert.deepEqual(pair.manager.all(), ["STATUS=Qualified READY=0"]);
});

Deno.test("a reload is told at its begin, with the time, and at its end, even when it fails", () => {
  using pair = new Pair();
  pair.ready();
  pair.manager.all();
  pair.service.reload(() => pair.words = "Off-line");
  const [begin, end] = pair.manager.all();
  assert.match(begin, /^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$/);
  assert.equal(end, "READY=1\nSTATUS=Off-line");
  assert.throws(() =>
    pair.service.reload(() => {
      throw new Error("Cannot reload");
    })
  );
  assert.equal(pair.manager.all().at(-1), "READY=1\nSTATUS=Off-line");
});

Deno.test("the end is told, and nothing after it", () => {
  using pair = new Pair();
  pair.ready();
  pair.manager.all();
  pair.service.stopping();
  pair.words = "Off-line";
  pair.service.tell();
  assert.deepEqual(pair.manager.all(), ["STOPPING=1\nSTATUS=Ending"]);
});

Deno.test("the watchdog hears of a daemon whose data isolate answers, and nothing of one whose does not", async () => {
  using pair = new Pair({ WATCHDOG_USEC: "15000" });
  pair.ready();
  await pair.looked(3);
  const heard = pair.manager.all().filter((message) => message === "WATCHDOG=1").length;
  assert.ok(heard >= 2, `heard ${heard}`);
  pair.alive = false;
  await pair.looked(1);
  pair.manager.all();
  await pair.looked(3);
  assert.deepEqual(pair.manager.all(), []);
});

Deno.test("without a watchdog nobody looks whether the data isolate lives", () => {
  using pair = new Pair();
  pair.ready();
  assert.equal(pair.looks, 0);
});

Deno.test("the watchdog's period is that of this process, and a positive number", () => {
  assert.equal(watchdogPeriod({}, 7), undefined);
  assert.equal(watchdogPeriod({ WATCHDOG_USEC: "30000000" }, 7), 30_000);
  assert.equal(watchdogPeriod({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" }, 7), 30_000);
  assert.equal(watchdogPeriod({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" }, 7), undefined);
  for (const WATCHDOG_USEC of ["0", "-1", "x", "1e6", "99999999999999999"]) {
    assert.equal(watchdogPeriod({ WATCHDOG_USEC }, 7), undefined, WATCHDOG_USEC);
  }
});

Deno.test("without a manager, or with one that is not there, a daemon runs as ever", () => {
  for (const environment of [{}, { NOTIFY_SOCKET: "/nonexistent/notify" }, { NOTIFY_SOCKET: "vsock:2:1234" }]) {
    using service = new ServiceManager(environment);
    service.ready({ words: () => "Qualified", alive: () => Promise.resolve(true) });
    service.tell();
    let loaded = 0;
    service.reload(() => loaded++);
    assert.equal(loaded, 1);
    service.stopping();
  }
});

Deno.test("what the manager left in the environment is taken out of it, so that no child has it", () => {
  Deno.env.set("NOTIFY_SOCKET", "@miredo-test");
  Deno.env.set("WATCHDOG_USEC", "1000000");
  Deno.env.set("WATCHDOG_PID", "");
  assert.deepEqual(takeServiceEnvironment(), { NOTIFY_SOCKET: "@miredo-test", WATCHDOG_USEC: "1000000" });
  assert.equal(Deno.env.get("NOTIFY_SOCKET"), undefined);
  assert.equal(Deno.env.get("WATCHDOG_PID"), undefined);
  assert.deepEqual(takeServiceEnvironment(), {});
});
