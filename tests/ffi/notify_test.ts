/** sd_notify(3): datagrams on paths and abstract names, and the clock that goes with them. */

import assert from "node:assert/strict";
import { AF_UNIX } from "../../ffi/abi/socket.ts";
import { monotonicMicroseconds } from "../../ffi/clock.ts";
import { SystemError } from "../../ffi/errno.ts";
import { readTextFile } from "../../ffi/io.ts";
import { datagramAddress, UnixDatagram } from "../../ffi/unix_datagram.ts";
import { NotifyReceiver } from "./notify_receiver.ts";

/** A name that no other program has. */
function unique(): string {
  return `miredo-notify-${Deno.pid}-${crypto.randomUUID()}`;
}

Deno.test("the address of a path ends with its NUL, that of an abstract name where the name ends (unix(7))", () => {
  const path = datagramAddress("/run/n");
  assert.deepEqual([...path], [AF_UNIX, 0, ...new TextEncoder().encode("/run/n"), 0]);
  const abstract = datagramAddress("@n");
  assert.deepEqual([...abstract], [AF_UNIX, 0, 0, 0x6e]);
});

Deno.test("names that are neither, or longer than the kernel takes, are refused", () => {
  assert.throws(() => datagramAddress("run/n"), /Cannot use socket "run\/n": it is neither/);
  assert.throws(() => datagramAddress(""), RangeError);
  assert.throws(() => datagramAddress(`/${"n".repeat(107)}`), /more than 107 octets/);
  assert.equal(datagramAddress(`/${"n".repeat(106)}`).length, 110);
  assert.equal(datagramAddress(`@${"n".repeat(107)}`).length, 110);
  assert.throws(() => datagramAddress(`@${"n".repeat(108)}`), RangeError);
});

for (const kind of ["a path", "an abstract name"] as const) {
  Deno.test(`messages arrive whole on ${kind}`, () => {
    const directory = Deno.makeTempDirSync({ prefix: "miredo-notify-" });
    try {
      using manager = new NotifyReceiver(kind === "a path" ? `${directory}/notify` : `@${unique()}`);
      using socket = new UnixDatagram(manager.name, "the manager");
      assert.equal(socket.send("READY=1\nSTATUS=über alles"), 0);
      assert.equal(socket.send("WATCHDOG=1"), 0);
      assert.deepEqual(manager.all(), ["READY=1\nSTATUS=über alles", "WATCHDOG=1"]);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  });
}

Deno.test("a manager that is not there is an error that names it", () => {
  assert.throws(
    () => new UnixDatagram("/nonexistent/notify", "the service manager"),
    (error) =>
      error instanceof SystemError && error.code === "ENOENT" && error.message.includes('"/nonexistent/notify"'),
  );
});

Deno.test("a manager that does not read, or has gone, never makes the sender wait", () => {
  const manager = new NotifyReceiver(`@${unique()}`);
  using socket = new UnixDatagram(manager.name, "the manager");
  let result = 0;
  for (let sent = 0; sent < 100_000 && result === 0; sent++) result = socket.send("WATCHDOG=1");
  assert.equal(result, -11); // EAGAIN
  manager[Symbol.dispose]();
  assert.equal(socket.send("WATCHDOG=1"), -111); // ECONNREFUSED
});

Deno.test("the monotonic clock is the kernel's, which does not count time asleep", () => {
  const first = monotonicMicroseconds();
  const second = monotonicMicroseconds();
  assert.ok(first > 0n && second >= first);
  // /proc/uptime counts time asleep too, in hundredths of a second.
  const uptime = Number(readTextFile("/proc/uptime").split(" ", 1)[0]);
  assert.ok(Number(second) / 1e6 <= uptime + 0.02, `${second} µs, but up for ${uptime} s`);
});
