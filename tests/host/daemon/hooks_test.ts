/** Hooks: what they are told, as whom they run, and that nobody waits for them. */

import assert from "node:assert/strict";
import { Directory, rootTest, SERVER, startClient, startServer, untilTrue, World } from "./support.ts";

const ENVIRONMENT =
  '#!/bin/sh\nenv | grep -v -e ^PATH= -e ^PWD= -e ^_= -e ^SHLVL= | sort | tr "\\n" " "\necho "(uid $(id -u))"\n';

async function script(directory: Directory, name: string, content: string): Promise<string> {
  const path = await directory.write(name, content);
  await Deno.chmod(path, 0o755);
  return path;
}

rootTest(
  "hooks run as the service user with the environment of the original, when the address comes and when it goes",
  async () => {
    await using world = await World.open();
    await using directory = await Directory.make();
    const hook = await script(directory, "hook", ENVIRONMENT);
    await startServer(world.server, SERVER);
    const { child, address } = await startClient(
      world.client,
      SERVER,
      ...["--set", `hooks.up=${hook}`, "--set", `hooks.down=${hook}`],
    );
    const up = await child.line(/STATE=up/);
    await child.line(/Hook done state=up/);
    const index = world.client.netlink((netlink) => netlink.linkIndex("teredo"));
    const has = `ADDRESS=${address} IFACE=teredo IFINDEX=${index} LLADDRESS=fe80::ffff:ffff:ffff MTU=1280`;
    assert.equal(up.text, `${has} STATE=up (uid 65534)`);
    await child.end();
    const down = await child.line(/STATE=down/);
    const had = `OLD_ADDRESS=${address} OLD_LLADDRESS=fe80::ffff:ffff:ffff OLD_MTU=1280 OLD_STATE=up`;
    assert.equal(down.text, `${has} ${had} STATE=down (uid 65534)`);
  },
);

rootTest("a client that is killed has its down hook run all the same, and its shell ends", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const hook = await script(directory, "hook", '#!/bin/sh\necho "now $STATE, was $OLD_STATE"\n');
  await startServer(world.server, SERVER);
  const { child } = await startClient(world.client, SERVER, "--set", `hooks.down=${hook}`);
  await child.signal("SIGKILL");
  await child.ended(); // only when nobody holds its standard error any more, the shell included
  assert.ok(child.lines.some(({ text }) => text === "now down, was up"), child.output);
});

rootTest("a hook that fails or hangs is said to, and the client gives service meanwhile", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const hangs = await script(directory, "hangs", "#!/bin/sh\nsleep 1000\n");
  const fails = await script(directory, "fails", "#!/bin/sh\nexit 7\n");
  await startServer(world.server, SERVER);
  const { child } = await startClient(world.client, SERVER, "--set", `hooks.up=${hangs}`, "--set", "hooks.timeout=1");
  await child.line(/Hook took too long state=up hook=.* seconds=1/);
  assert.notEqual(world.client.globalIpv6("teredo"), undefined);
  const other = await startClient(world.other, SERVER, "--set", `hooks.up=${fails}`);
  await other.child.line(/Hook failed state=up hook=.* status=7/);
});

rootTest("a chroot is entered once everything is open", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const server = await startServer(world.server, SERVER, "--set", `security.chroot=${directory.path}`);
  const pid = await server.pid();
  await untilTrue("the root directory", () => Deno.readLinkSync(`/proc/${pid}/root`) === directory.path);
  await startClient(world.client, SERVER, "--set", `security.chroot=${directory.path}`);
});
