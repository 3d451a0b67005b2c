/** Messages in the system log: from a daemon without privileges, in a chroot, and over a restart of the log. */

import assert from "node:assert/strict";
import { formatSyslog } from "../../../lib/host/system/syslog.ts";
import { NotifyReceiver } from "../../ffi/notify_receiver.ts";
import type { Child } from "../../lab/child.ts";
import { Directory, launch, rootTest, SERVER, untilTrue, World } from "./support.ts";

/** A program of the log: every user may write to it, as to /dev/log. */
function logAt(path: string): NotifyReceiver {
  const receiver = new NotifyReceiver(path);
  Deno.chmodSync(path, 0o666);
  return receiver;
}

/** The program of the log ends: its socket is closed and its path is gone. */
function end(receiver: NotifyReceiver): void {
  receiver[Symbol.dispose]();
  Deno.removeSync(receiver.name);
}

/** Waits for a message that matches; returns all that came by then. */
async function message(receiver: NotifyReceiver, pattern: RegExp): Promise<readonly string[]> {
  const messages: string[] = [];
  await untilTrue(`${pattern} in the system log`, () => {
    messages.push(...receiver.all());
    return messages.some((each) => pattern.test(each));
  });
  return messages;
}

/** Nothing came on standard error. */
function assertQuiet(child: Child): void {
  assert.deepEqual(child.lines.map(({ text }) => text), []);
}

Deno.test("a message has priority, local time, name and process, and is cut between characters", () => {
  const time = new Date(2026, 10, 1, 9, 5, 7);
  assert.equal(formatSyslog(30, "Qualified a=b", time, 4711), "<30>Nov  1 09:05:07 miredo[4711]: Qualified a=b");
  const long = formatSyslog(30, "ü".repeat(4000), time, 1);
  assert.ok(new TextEncoder().encode(long).length <= 2048);
  assert.match(long, /^<30>Nov .* miredo\[1\]: ü+$/);
});

rootTest("messages go to the system log under the facility, also without privileges and over its restart", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const path = `${directory.path}/log`;
  const first = logAt(path);
  const file = await directory.write("server.toml", toml(path, "local3", "info"));
  const server = launch(world.server, "server", "-c", file);
  const messages = await message(first, /Carrying packets/);
  assert.match(messages[0], /^<158>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d miredo\[\d+\]: Starting /);
  assertQuiet(server);

  end(first);
  const second = logAt(path);
  // "Reloaded" is of level info, and unwanted now; that a key has to wait is a warning.
  await directory.write("server.toml", `${toml(path, "local3", "warning")}metrics.listen = "127.0.0.1:9464"\n`);
  await server.signal("SIGHUP");
  const warned = await message(second, /Key changes/);
  assert.deepEqual(warned.map((each) => each.replace(/^(<\d+>).*\]: /, "$1")), [
    "<156>Key changes only at restart key=metrics.listen",
  ]);
  await directory.write("server.toml", toml(path, "daemon", "info"));
  await server.signal("SIGHUP");
  const after = await message(second, /: Reloaded$/);
  assert.deepEqual(after.map((each) => each.replace(/^(<\d+>).*\]: /, "$1")), ["<30>Reloaded"]);
  assertQuiet(server);

  end(second);
  await server.signal("SIGHUP");
  await server.line(/ info {4}Reloaded$/); // nothing is lost while there is no log
  const third = logAt(path);
  await server.signal("SIGHUP");
  await message(third, /: Reloaded$/);
  await directory.write("server.toml", toml(path, "", "info"));
  await server.signal("SIGHUP");
  await untilTrue(
    "a message on standard error",
    () => server.lines.filter(({ text }) => / Reloaded$/.test(text)).length > 1,
  );
  await server.end();
  assert.deepEqual(third.all(), []);
  end(third);
});

rootTest("a daemon in a chroot keeps the system log it began with, and finds another one inside", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const root = `${directory.path}/root`;
  const path = `${directory.path}/log`;
  await Deno.mkdir(`${root}${directory.path}`, { recursive: true });
  const outside = logAt(path);
  const server = launch(
    world.server,
    ...["server", SERVER, "--set", `security.chroot=${root}`],
    ...["--set", "log.syslog_facility=daemon", "--set", `log.syslog_socket=${path}`],
  );
  await message(outside, /Serving/);
  const pid = await server.pid();
  await untilTrue("the root directory", () => Deno.readLinkSync(`/proc/${pid}/root`) === root);
  await server.signal("SIGHUP");
  await message(outside, /: Reloaded$/);
  end(outside);
  const inside = logAt(`${root}${path}`);
  await server.signal("SIGHUP");
  await message(inside, /: Reloaded$/);
  assertQuiet(server);
  await server.end();
  await message(inside, /: Ending signal=SIGTERM$/);
  end(inside);
});

rootTest("without a system log at the start the daemon says so and serves", async () => {
  await using world = await World.open();
  const server = launch(
    world.server,
    ...["server", SERVER, "--set", "log.syslog_facility=daemon", "--set", "log.syslog_socket=/nonexistent/log"],
  );
  await server.line(/ warning Messages go to standard error reason=.*\/nonexistent\/log.*ENOENT/);
  await server.line(/Serving/);
});

function toml(path: string, facility: string, level: string): string {
  return [
    `server.address = "${SERVER}"`,
    `log = { syslog_facility = "${facility}", syslog_socket = "${path}", level = "${level}" }`,
    'status.socket = ""',
    "",
  ].join("\n");
}
