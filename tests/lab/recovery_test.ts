/** Servers that go away and come back, over real kernels: fail-over, recovery, and the same address after a restart. */

import assert from "node:assert/strict";
import { parseIpv4 } from "../../lib/wire/ipv4.ts";
import { parseIpv6 } from "../../lib/wire/ipv6_address.ts";
import { parseTeredoAddress } from "../../lib/wire/teredo_address.ts";
import { until } from "./child.ts";
import type { LabHost } from "./lab.ts";
import { startClient, startServer, terminate } from "./programs.ts";
import { labTest, LabWorld, SERVER } from "./world.ts";

const TEREDO = "teredo";
const OTHER_SERVER = "203.0.113.33";
/** Maintenance as often as the configuration allows, so that a silent server is noticed soon. */
const OFTEN = ["--set", "client.refresh_interval=5"];

/** Longest wait until that silence is noticed, milliseconds: 5 s to the question, 4 s for each of its three repeats, and time to run. */
const NOTICED = 30_000;

/** The server that a host's Teredo address names; undefined while it has none. */
function serverOf(host: LabHost): number | undefined {
  const address = host.globalIpv6(TEREDO);
  return address === undefined ? undefined : parseTeredoAddress(parseIpv6(address) ?? new Uint8Array(16))?.server;
}

labTest("a client whose server is gone goes to the next, and one that starts then does so at once", async () => {
  await using world = await LabWorld.open();
  const otherHost = await world.lab.host("other", { ipv4: [`${OTHER_SERVER}/24`, "203.0.113.34/24"] });
  const [server] = await Promise.all([startServer(world.server, [SERVER]), startServer(otherHost, [OTHER_SERVER])]);
  const { host } = await world.home("alice");
  const servers = [SERVER, OTHER_SERVER];
  const alice = await startClient(host, servers, { args: OFTEN });
  assert.equal(serverOf(host), parseIpv4(SERVER));
  await terminate(server);
  await alice.child.line(/Lost qualification/, NOTICED);
  await until("an address of the other server", () => serverOf(host) === parseIpv4(OTHER_SERVER) ? true : undefined);
  const { host: late } = await world.home("bob");
  await startClient(late, servers);
  assert.equal(serverOf(late), parseIpv4(OTHER_SERVER));
});

labTest("a client takes up the service of a server that was restarted, with the address it had", async () => {
  await using world = await LabWorld.open();
  const server = await startServer(world.server, [SERVER]);
  const { host } = await world.home("alice");
  const alice = await startClient(host, [SERVER], { args: OFTEN });
  await terminate(server);
  await alice.child.line(/Lost qualification/, NOTICED);
  assert.equal(host.globalIpv6(TEREDO), undefined);
  await startServer(world.server, [SERVER]);
  await until("the old address", () => host.globalIpv6(TEREDO) === alice.address ? true : undefined);
});

labTest("a client that is started again has the same address, and another one where its port is taken", async () => {
  await using world = await LabWorld.open();
  await startServer(world.server, [SERVER]);
  const { host } = await world.home("alice");
  const directory = await Deno.makeTempDir({ prefix: "miredo-lab-" });
  try {
    await Deno.chmod(directory, 0o777);
    const args = ["--set", `state.file="${directory}/client.json"`];
    const first = await startClient(host, [SERVER], { args });
    await terminate(first);
    const second = await startClient(host, [SERVER], { args });
    assert.equal(second.address, first.address);
    // Nothing is told at a kill either.
    await second.child.signal("SIGKILL");
    await second.child.ended();
    const third = await startClient(host, [SERVER], { args });
    assert.equal(third.address, first.address);
    // The same file, while its port is in use.
    const others = [
      "--set",
      "interface.name=other",
      "--set",
      "interface.metric=2000",
      "--set",
      "client.local_discovery=false",
    ];
    const fourth = await startClient(host, [SERVER], { args: [...args, ...others], interface: "other" });
    await fourth.child.line(/The last UDP port is taken/);
    assert.notEqual(fourth.address, first.address);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

labTest("a client that was stopped for a while, as by a suspend, qualifies again once it runs", async () => {
  await using world = await LabWorld.open();
  await startServer(world.server, [SERVER]);
  const { host } = await world.home("alice");
  const alice = await startClient(host, [SERVER]);
  await alice.child.suspend();
  await new Promise((resolve) => setTimeout(resolve, 14_000));
  alice.child.resume();
  await alice.child.line(/Host or process slept: qualifying again/);
  const qualified = (): number => alice.child.lines.filter(({ text }) => / Qualified /.test(text)).length;
  await until("a second qualification", () => qualified() === 2 ? true : undefined);
  await until("the same address", () => host.globalIpv6(TEREDO) === alice.address ? true : undefined);
});
