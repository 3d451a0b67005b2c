/** How log lines look, and that they go where they should. */

import type { LogRecord } from "@logtape/logtape";
import assert from "node:assert/strict";
import { formatRecord, type LineStyle } from "../../lib/control/logging.ts";

const ROOT = new URL("../../", import.meta.url);

function record(
  message: string,
  properties: Record<string, unknown> = {},
  level: LogRecord["level"] = "info",
): LogRecord {
  return {
    category: ["miredo", "client"],
    level,
    message: [message],
    rawMessage: message,
    timestamp: Date.UTC(2026, 10, 21, 9, 30, 0, 123),
    properties,
  };
}

const TEXT: LineStyle = { format: "text", color: false, stacks: false };
const JOURNAL: LineStyle = { ...TEXT, format: "journal" };
const JSON_LINES: LineStyle = { ...TEXT, format: "json" };

Deno.test("a text line has time, level, message and fields", () => {
  assert.equal(
    formatRecord(record("Qualified", { address: "2001:0:c000:201::1", elapsed: 212.3456, cone: false }), TEXT),
    "2026-11-21T09:30:00.123Z info    Qualified address=2001:0:c000:201::1 elapsed=212.346 cone=false",
  );
});

Deno.test("colours are on time and level only", () => {
  assert.equal(
    formatRecord(record("Lost", { reason: "x" }, "warning"), { ...TEXT, color: true }),
    "\x1b[2m2026-11-21T09:30:00.123Z\x1b[0m \x1b[33mwarning\x1b[0m Lost reason=x",
  );
});

Deno.test("the journal gets the priority of each level and no time", () => {
  const line = (level: LogRecord["level"]): string => formatRecord(record("Lost", { a: 1 }, level), JOURNAL);
  assert.equal(line("error"), "<3>Lost a=1");
  assert.equal(line("warning"), "<4>Lost a=1");
  assert.equal(line("info"), "<6>Lost a=1");
  assert.equal(line("debug"), "<7>Lost a=1");
});

Deno.test("JSON lines keep the types of fields, and no field hides time, level, logger or message", () => {
  const fields = {
    elapsed: 5,
    list: ["a"],
    level: "field",
    octets: new Uint8Array([1, 0xab]),
    big: 2n ** 60n,
    missing: undefined,
  };
  assert.deepEqual(JSON.parse(formatRecord(record("Qualified\n", fields), JSON_LINES)), {
    time: "2026-11-21T09:30:00.123Z",
    level: "info",
    logger: "miredo.client",
    message: "Qualified\n",
    elapsed: 5,
    list: ["a"],
    level_: "field",
    octets: "01ab",
    big: "1152921504606846976",
  });
});

Deno.test("whatever a field holds, its line stays one line without control characters", () => {
  const hostile = 'a b="c"\n<0>Forged \x1b[2J\x7f\x85';
  for (const style of [TEXT, JOURNAL]) {
    const line = formatRecord(record("Two\nlines", { name: hostile, object: { hostile } }), style);
    assert.doesNotMatch(line, /\p{Cc}/u);
    assert.match(line, /Two\\nlines name="a b=\\"c\\"\\n<0>Forged \\u001b\[2J\\u007f\\u0085" object=\{/);
  }
});

Deno.test("braces in a message mean themselves", () => {
  assert.match(formatRecord(record('Cannot read "{name}"', { name: "x" }), TEXT), / Cannot read "\{name\}" name=x$/);
});

Deno.test("errors are logged by their message, with their stack where that is wanted", () => {
  const error = new Error("Cannot bind");
  assert.match(formatRecord(record("Failed", { error }), TEXT), / Failed error="Cannot bind"$/);
  assert.match(
    formatRecord(record("Failed", { error }), { ...TEXT, stacks: true }),
    /error="Error: Cannot bind\\n {4}at /,
  );
});

/** What a process that logs one line of each level, twice, writes to standard error. */
async function run(script: string, env: Record<string, string> = {}): Promise<{ stdout: string; stderr: string }> {
  const module = new URL("lib/control/logging.ts", ROOT).href;
  const code = `import { getLogger, setUpLogging } from ${JSON.stringify(module)};
    const log = getLogger(["miredo", "test"]);
    const system = { configure: () => undefined, write: () => false };
    const setUp = (level, format, system_ = system, syslog_facility = "") =>
      setUpLogging({ level, format, syslog_facility, syslog_socket: "/dev/log" }, system_);
    const all = () => { log.debug("D"); log.info("I"); log.warn("W"); log.error("E", { n: 1 }); };
    ${script}`;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, code);
    const config = new URL("deno.json", ROOT).pathname;
    const output = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--quiet", `--config=${config}`, "--allow-env=JOURNAL_STREAM", file],
      env,
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return { stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("levels filter, can be changed later, and nothing is lost at an abrupt end", async () => {
  const { stdout, stderr } = await run(`
    all();
    setUp("warning", "journal");
    all();
    setUp("debug", "journal");
    all();
    Deno.exit(0);`);
  assert.equal(stdout, "");
  assert.equal(stderr, "<4>W\n<3>E n=1\n<7>D\n<6>I\n<4>W\n<3>E n=1\n");
});

Deno.test("auto is for the journal only where standard error is the journal's stream", async () => {
  // A stream of another process: inherited by a shell from a service, and of no meaning for this pipe.
  const foreign = await run('setUp("error", "auto"); all();', { JOURNAL_STREAM: "8:1" });
  assert.match(foreign.stderr, /^\d{4}-\S+Z error {3}E n=1\n$/);
  const own = await run(
    `import { fstatSync } from "node:fs";
     const { dev, ino } = fstatSync(2);
     Deno.env.set("JOURNAL_STREAM", dev + ":" + ino);
     setUp("error", "auto"); all();`,
  );
  assert.equal(own.stderr, "<3>E n=1\n");
});

Deno.test("what the system log takes is not on standard error, what it does not take is, and that it takes none is said", async () => {
  const { stdout, stderr } = await run(`
    const taken = [];
    const takes = { configure: () => undefined, write: (severity, text) => text !== "W" && taken.push([severity, text]) > 0 };
    console.log(setUp("debug", "journal", takes, "daemon"));
    all();
    setUp("error", "json", takes, "daemon");
    all();
    console.log(JSON.stringify(taken));
    console.log(setUp("warning", "journal", { configure: () => "Cannot connect", write: () => false }, "daemon"));
    log.error("E");`);
  const [format, taken, still] = stdout.trimEnd().split("\n");
  const json = JSON.parse(JSON.parse(taken)[3][1]);
  assert.deepEqual([format, JSON.parse(taken).slice(0, 3)], ["syslog", [[7, "D"], [6, "I"], [3, "E n=1"]]]);
  assert.deepEqual([json.level, json.message, json.n], ["error", "E", 1]);
  assert.equal(stderr, '<4>W\n<4>Messages go to standard error reason="Cannot connect"\n<3>E\n');
  assert.equal(still, "syslog");
});
