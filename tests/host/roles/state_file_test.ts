/** What a client keeps from run to run, and files that are of no use. */

import assert from "node:assert/strict";
import { configure, type LogRecord, reset } from "@logtape/logtape";
import fc from "fast-check";
import { formatMemory, parseMemory, StateFile } from "../../../lib/host/roles/state_file.ts";

const MEMORY = { port: 40_192, mapped: { address: 0xc6336401, port: 1024 }, flags: 0x1401 };

/** Does `work` with a directory that is gone afterwards. @returns what was logged, without debug lines */
async function logged(work: (directory: string) => void): Promise<readonly LogRecord[]> {
  const records: LogRecord[] = [];
  const directory = Deno.makeTempDirSync();
  await configure({
    sinks: { list: (record) => records.push(record) },
    loggers: [
      { category: "miredo", sinks: ["list"], lowestLevel: "info" },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  try {
    work(directory);
  } finally {
    await reset();
    Deno.removeSync(directory, { recursive: true });
  }
  return records;
}

Deno.test("[UPN-12] what is written, the port among it that is mapped, is read again, by the owner alone, and no draft is left", async () => {
  const records = await logged((directory) => {
    const path = `${directory}/client.json`;
    Deno.writeTextFileSync(`${path}.new`, "left over");
    assert.equal(new StateFile(path, "").read(), undefined);
    new StateFile(path, "").write(MEMORY);
    assert.deepEqual(new StateFile("/client.json", directory).read(), MEMORY);
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(Array.from(Deno.readDirSync(directory), ({ name }) => name), ["client.json"]);
  });
  assert.deepEqual(records, []);
});

Deno.test("what is there already is not written again", async () => {
  await logged((directory) => {
    const path = `${directory}/client.json`;
    new StateFile(path, "").write(MEMORY);
    const file = new StateFile(path, "");
    file.read();
    Deno.removeSync(path);
    file.write(MEMORY);
    assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
    file.write({ ...MEMORY, flags: 1 });
    assert.equal(new StateFile(path, "").read()?.flags, 1);
  });
});

Deno.test("a file that makes no sense is told once, and replaced", async () => {
  const records = await logged((directory) => {
    const path = `${directory}/client.json`;
    Deno.writeTextFileSync(path, "{}");
    const file = new StateFile(path, "");
    assert.equal(file.read(), undefined);
    assert.equal(file.read(), undefined);
    file.write(MEMORY);
    assert.deepEqual(new StateFile(path, "").read(), MEMORY);
  });
  assert.deepEqual(records.map(({ level, properties }) => [level, properties.reason]), [
    ["warning", "Cannot read it: this is no state of a client"],
  ]);
});

Deno.test("a file that cannot be written is told once; no directory, and no path, are no reason to say anything", async () => {
  const records = await logged((directory) => {
    new StateFile(`${directory}/missing/client.json`, "").write(MEMORY);
    const none = new StateFile("", directory);
    none.write(MEMORY);
    assert.equal(none.read(), undefined);
    Deno.mkdirSync(`${directory}/client.json`);
    const file = new StateFile(`${directory}/client.json`, "");
    file.write(MEMORY);
    file.write(MEMORY);
    assert.deepEqual(Array.from(Deno.readDirSync(directory), ({ name }) => name), ["client.json"]);
  });
  assert.equal(records.length, 1);
  assert.match(String(records[0].properties.reason), /^Cannot write ".*\/client\.json": EISDIR/);
});

Deno.test("every state survives its text, and no other text throws", () => {
  const port = fc.integer({ min: 1, max: 0xffff });
  const memory = fc.record({
    port,
    mapped: fc.record({ address: fc.integer({ min: 0, max: 0xffff_ffff }), port }),
    flags: fc.integer({ min: 0, max: 0xffff }),
  });
  fc.assert(fc.property(memory, ({ mapped, ...rest }) => {
    const value = { ...rest, mapped: { ...mapped } };
    assert.deepEqual(parseMemory(formatMemory(value)), value);
  }));
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => assert.equal(parseMemory(text), undefined)));
  for (
    const change of [{ version: 2 }, { port: 0 }, { port: 1.5 }, { mapped: "1.2.3.4" }, { mapped: "1.2.3.4:5:6" }, {
      flags: -1,
    }]
  ) {
    const text = JSON.stringify({ version: 1, port: 1, mapped: "1.2.3.4:5", flags: 0, ...change });
    assert.equal(parseMemory(text), undefined, text);
  }
});
