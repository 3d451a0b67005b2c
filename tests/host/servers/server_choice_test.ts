/** Which server is used when: the first start, fail-over, and the way back, in virtual time. */

import assert from "node:assert/strict";
import { ServerChoice } from "../../../lib/host/servers/server_choice.ts";
import { ServerList } from "../../../lib/host/servers/server_list.ts";
import { formatIpv4, type Ipv4, parseIpv4 } from "../../../lib/wire/ipv4.ts";

const FIRST = "192.0.2.1";
const SECOND = "198.51.100.1";
const THIRD = "203.0.113.1";

/** What a round of questions takes where somebody stays silent, milliseconds. */
const ROUND = 1_500;

/** A choice among literal addresses and names, a clock that tests move, and servers that tests switch on and off. */
class Bench {
  now = 0;
  readonly up = new Set<string>();
  readonly names = new Map<string, readonly string[]>();
  readonly used: string[] = [];
  readonly rounds: { readonly at: number; readonly asked: readonly string[] }[] = [];
  readonly choice: ServerChoice;
  #waits: { readonly until: number; readonly resolve: () => void }[] = [];

  constructor(servers: readonly string[], random: number = 0) {
    const wait = (milliseconds: number): Promise<void> =>
      new Promise((resolve) => this.#waits.push({ until: this.now + milliseconds, resolve }));
    const list = new ServerList(servers, "none", {
      resolve: (name) => {
        const found = this.names.get(name);
        return found === undefined
          ? Promise.reject(new Error(`Cannot resolve "${name}"`))
          : Promise.resolve(found.map(ipv4));
      },
      wait,
      random: () => random,
      failed: () => {},
      waiting: () => {},
    });
    this.choice = new ServerChoice(list, {
      ask: async (asked) => {
        const texts = asked.map(({ primary }) => formatIpv4(primary));
        this.rounds.push({ at: this.now, asked: texts });
        if (!this.up.has(texts[0])) await wait(ROUND);
        return asked.map(({ primary }) => primary).filter((primary) => this.up.has(formatIpv4(primary)));
      },
      wait,
      now: () => this.now,
      random: () => random,
      use: ({ primary }) => this.used.push(formatIpv4(primary)),
    });
  }

  /** Begins, and lets the first choice be made. */
  async start(): Promise<void> {
    void this.choice.run();
    await this.pass(ROUND);
  }

  /** Lets time pass with all waits on the way. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.now + milliseconds;
    for (;;) {
      await settle();
      const next = Math.min(...this.#waits.map(({ until }) => until));
      if (next > end) break;
      this.now = next;
      const due = this.#waits.filter(({ until }) => until <= next);
      this.#waits = this.#waits.filter(({ until }) => until > next);
      for (const { resolve } of due) resolve();
    }
    this.now = end;
    await settle();
  }
}

/** Lets promises that are resolved go on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

function ipv4(text: string): Ipv4 {
  return parseIpv4(text) ?? assert.fail(text);
}

Deno.test("the first server that answers is used at the start, and with one server nobody is asked", async () => {
  const bench = new Bench([FIRST, SECOND, THIRD]);
  bench.up.add(SECOND).add(THIRD);
  await bench.start();
  assert.deepEqual(bench.used, [SECOND]);
  const alone = new Bench([FIRST]);
  await alone.start();
  alone.choice.lost();
  await alone.pass(3_600_000);
  assert.deepEqual([alone.used, alone.rounds], [[FIRST], []]);
});

Deno.test("where no server answers the first is used, and the machine asks it on", async () => {
  const bench = new Bench([FIRST, SECOND]);
  await bench.start();
  assert.deepEqual(bench.used, [FIRST]);
});

Deno.test("a silent server gives way at once to the best that answers", async () => {
  const bench = new Bench([FIRST, SECOND, THIRD]);
  bench.up.add(FIRST);
  await bench.start();
  bench.choice.settled();
  await bench.pass(600_000);
  assert.equal(bench.rounds.length, 1, "with the first server nobody is asked again");
  bench.up.delete(FIRST);
  bench.up.add(THIRD);
  bench.choice.lost();
  await bench.pass(ROUND);
  assert.deepEqual(bench.used, [FIRST, THIRD]);
});

Deno.test("while all are silent each is asked every 3 to 4 s, and the one that comes back is used within 4 s", async () => {
  for (const random of [0, 0.999]) {
    const bench = new Bench([FIRST, SECOND], random);
    bench.up.add(FIRST);
    await bench.start();
    bench.choice.settled();
    bench.up.clear();
    bench.choice.lost();
    await bench.pass(600_000);
    assert.deepEqual(bench.used, [FIRST]);
    const rounds = bench.rounds.slice(1);
    assert.ok(rounds.every(({ asked }) => asked.join() === SECOND), "the machine asks its own server");
    const gaps = rounds.slice(1).map(({ at }, i) => at - rounds[i].at);
    assert.ok(gaps.length > 50 && gaps.every((gap) => gap >= 3000 && gap <= 4000 + ROUND), `${gaps}`);
    bench.up.add(SECOND);
    await bench.pass(4_000);
    assert.deepEqual(bench.used, [FIRST, SECOND]);
  }
});

Deno.test("a better server that has answered twice in a row takes over again, one that wavers does not", async () => {
  const bench = new Bench([FIRST, SECOND]);
  bench.up.add(SECOND);
  await bench.start();
  bench.choice.settled();
  await bench.pass(300_000);
  assert.ok(bench.rounds.length >= 9 && bench.rounds.length <= 15, `${bench.rounds.length} rounds in 5 minutes`);
  for (let i = 0; i < 5; i++) {
    const rounds = bench.rounds.length;
    bench.up.add(FIRST);
    while (bench.rounds.length === rounds) await bench.pass(1_000);
    bench.up.delete(FIRST);
    while (bench.rounds.length === rounds + 1) await bench.pass(1_000);
    await bench.pass(ROUND);
  }
  assert.deepEqual(bench.used, [SECOND]);
  bench.up.add(FIRST);
  await bench.pass(60_000);
  assert.deepEqual(bench.used, [SECOND, FIRST]);
});

Deno.test("the addresses of one name are as good as each other: no change among them while the one in use is well", async () => {
  const bench = new Bench(["one.example"]);
  bench.names.set("one.example", [FIRST, SECOND]);
  bench.up.add(SECOND);
  await bench.start();
  bench.choice.settled();
  bench.up.add(FIRST);
  await bench.pass(600_000);
  assert.deepEqual(bench.used, [SECOND]);
});

Deno.test("a silent server whose name leads elsewhere now is left for the new address", async () => {
  const bench = new Bench(["one.example"]);
  bench.names.set("one.example", [FIRST]);
  await bench.start();
  assert.deepEqual(bench.used, [FIRST]);
  bench.choice.settled();
  await bench.pass(60_000);
  bench.names.set("one.example", [SECOND]);
  bench.choice.lost();
  await bench.pass(5_000);
  assert.deepEqual(bench.used, [FIRST, SECOND]);
});

Deno.test("while no other server would help nobody is asked", async () => {
  const bench = new Bench([FIRST, SECOND]);
  bench.up.add(FIRST).add(SECOND);
  await bench.start();
  bench.choice.lost();
  bench.choice.idle();
  await bench.pass(10_000);
  const rounds = bench.rounds.length;
  await bench.pass(3_600_000);
  assert.equal(bench.rounds.length, rounds);
});
