/** Ends of daemons and what others do to them: nothing is left behind, and the next start works at once. */

import assert from "node:assert/strict";
import { close } from "../../../ffi/io.ts";
import { newNetworkNamespace } from "../../../ffi/namespaces.ts";
import { miredoCommand } from "../../lab/programs.ts";
import {
  CLIENT,
  count,
  Directory,
  hasDefaultRoute,
  launch,
  qualifications,
  rootTest,
  SERVER,
  startServer,
  TEREDO,
  traces,
  untilTrue,
  World,
} from "./support.ts";

const TABLE = 4242;
const WITH_TABLE = ["--set", `interface.policy_table=${TABLE}`];

/** Rules that lead to the policy table. */
function rules(world: World): number {
  return world.client.netlink((netlink) => netlink.rules().filter(({ table }) => table === TABLE).length);
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  rootTest(`${signal} takes away the policy rule with everything else`, async () => {
    await using world = await World.open();
    await startServer(world.server, SERVER);
    const before = traces(world.client);
    const client = launch(world.client, "client", SERVER, ...WITH_TABLE);
    await client.line(/Qualified/);
    await untilTrue("the rule", () => rules(world) === 1);
    await client.signal(signal);
    assert.equal((await client.ended()).code, 0);
    assert.deepEqual(traces(world.client), before);
  });
}

rootTest("a policy rule that survives SIGKILL leads nowhere, and goes at the next start", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  const before = traces(world.client);
  for (let round = 0; round < 2; round++) {
    const client = launch(world.client, "client", SERVER, ...WITH_TABLE);
    await client.line(/Qualified/);
    await untilTrue("the rule", () => rules(world) === 1);
    await client.signal("SIGKILL");
    await client.ended();
    const left = traces(world.client).filter((trace) => !before.includes(trace));
    assert.equal(left.length, 1, left.join("\n"));
    assert.match(left[0], /^rule 2001:0:/);
    // An empty table: the look-up goes on in the main one.
    assert.deepEqual(world.client.netlink((netlink) => netlink.routes({ table: TABLE })), []);
  }
  const client = launch(world.client, "client", SERVER, ...WITH_TABLE);
  await client.line(/Qualified/);
  await client.end();
  assert.deepEqual(traces(world.client), before);
});

rootTest("after SIGKILL every role starts again at once", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const roles = [
    [world.server, /Serving/, "server", SERVER],
    [world.client, /Qualified/, "client", SERVER],
    [world.other, /Relaying/, "relay"],
  ] as const;
  for (const [host, word, ...args] of roles) {
    for (let killed = 0;; killed++) {
      const daemon = host.start(miredoCommand(...args, "--set", `status.socket=${directory.path}/${args[0]}.sock`));
      await daemon.line(word);
      // A socket file that was left is no obstacle either.
      assert.equal(count(daemon, /control socket/), 0, daemon.output);
      if (killed === 2) break;
      await daemon.signal("SIGKILL");
      await daemon.ended();
    }
  }
});

rootTest("an address and a route that others took away are no reason to end badly", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  const before = traces(world.client);
  const client = launch(world.client, "client", SERVER, ...WITH_TABLE);
  await client.line(/Qualified/);
  await untilTrue("the default route", () => hasDefaultRoute(world.client));
  world.client.netlink((netlink) => {
    const index = netlink.linkIndex(TEREDO) ?? 0;
    for (const { address, prefixLength } of netlink.addresses().filter((address) => address.index === index)) {
      netlink.removeAddress(index, address, prefixLength);
    }
    netlink.removeRoute({ destination: new Uint8Array(16), prefixLength: 0, index, metric: 1029 });
    for (const rule of netlink.rules().filter(({ table }) => table === TABLE)) netlink.removeRule(rule);
  });
  await client.signal("SIGTERM");
  assert.equal((await client.ended()).code, 0, client.output);
  assert.deepEqual(traces(world.client), before);
});

rootTest("an interface that was set down has its address and routes again when it comes up", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  const client = launch(world.client, "client", SERVER);
  await client.line(/Qualified/);
  await untilTrue("the default route", () => hasDefaultRoute(world.client));
  const before = traces(world.client);
  const setUp = (up: boolean) =>
    world.client.netlink((netlink) => netlink.setLink(netlink.linkIndex(TEREDO) ?? 0, { up }));
  setUp(false);
  await client.line(/warning Interface was set down/);
  setUp(true);
  await untilTrue("what was there before", () => traces(world.client).join() === before.join());
  assert.equal(count(client, /Qualifying/), 1);
});

rootTest("a daemon whose interface was removed ends with the reason and exit code 1", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  for (const [args, word] of [[["client", SERVER], /Qualified/], [["relay"], /Relaying/]] as const) {
    const daemon = launch(world.client, ...args);
    await daemon.line(word);
    // The kernel removes it with the namespace it is in.
    const namespace = newNetworkNamespace();
    world.client.netlink((netlink) => netlink.setLink(netlink.linkIndex(TEREDO) ?? 0, { namespace }));
    close(namespace);
    assert.equal((await daemon.ended()).code, 1, daemon.output);
    assert.equal(daemon.lines.at(-1)?.text, 'miredo: Cannot go on: interface "teredo" was removed');
  }
});

rootTest("new IPv4 addresses of the host make the client qualify again", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  const client = launch(world.client, "client", SERVER);
  await client.line(/Qualified/);
  world.client.netlink((netlink) => {
    netlink.addAddress(netlink.linkIndex("lo") ?? 0, Uint8Array.of(198, 51, 100, 77), 32);
  });
  await client.line(/IPv4 addresses changed/);
  await client.whileRunning("a second qualification", () => qualifications(client)[1]);
  const [first, second] = qualifications(client);
  assert.ok(first.mapped.startsWith(`${CLIENT}:`));
  assert.deepEqual(second, first);
});
