/** The lab itself: packets between kernels, programs in namespaces, and nothing left behind. */

import assert from "node:assert/strict";
import { Lab, UPLINK } from "./lab.ts";
import { ping } from "./programs.ts";
import { until } from "./child.ts";
import { labTest, LabWorld, WEB } from "./world.ts";

/** Rows of /proc/net/dev etc. are namespaced; this counts what could be left in the namespace of the test itself. */
function interfaces(): readonly string[] {
  return Deno.networkInterfaces().map(({ name, address }) => `${name} ${address}`).sort();
}

labTest("hosts of the IPv6 internet reach each other, larger packets than the MTU too", async () => {
  await using world = await LabWorld.open();
  for (const size of [56, 3000]) {
    const { received, lines } = await ping(world.server, WEB, { count: 3, interval: 10, size });
    assert.equal(received, 3, JSON.stringify(lines));
  }
});

labTest("the delay of a line is what a program measures", async () => {
  await using world = await LabWorld.open({ link: { delay: 20 } });
  const { minimum } = await ping(world.server, WEB, { count: 3, interval: 10 });
  // Two lines there, two back.
  assert.ok(minimum >= 80, `${minimum} ms`);
});

labTest("a host behind a NAT has no IPv6, and its uplink no address but its own", async () => {
  await using world = await LabWorld.open();
  const { host } = await world.home("alice");
  assert.deepEqual(host.interfaces(), ["lo", UPLINK]);
  assert.equal(host.globalIpv6(UPLINK), undefined);
  assert.deepEqual(host.addressesOf(UPLINK).map(({ address }) => [...address]), [[192, 168, 1, 2]]);
  const { lines } = await ping(host, WEB, { count: 1 });
  assert.equal(lines[0].failure, "ENETUNREACH");
});

labTest("programs end with the lab, and nothing of it stays", async () => {
  const before = interfaces();
  let pid = 0;
  {
    await using lab = await Lab.open();
    const host = await lab.host("host", { ipv4: ["192.0.2.1/24"] });
    pid = await host.start(["sleep", "1000"]).pid();
    assert.ok((await Deno.stat(`/proc/${pid}`)).isDirectory);
  }
  await assert.rejects(Deno.stat(`/proc/${pid}`), Deno.errors.NotFound);
  assert.deepEqual(interfaces(), before);
});

labTest("a lab that is killed takes its programs with it", async () => {
  const script = `
    import { Lab } from ${JSON.stringify(new URL("./lab.ts", import.meta.url).href)};
    const lab = await Lab.open();
    const host = await lab.host("host", { ipv4: ["192.0.2.1/24"] });
    console.log(await host.start(["setsid", "sleep", "1000"]).pid());
    await new Promise(() => setInterval(() => {}, 1000));
  `;
  const directory = await Deno.makeTempDir();
  await Deno.writeTextFile(`${directory}/lab.ts`, script);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--config", config, `${directory}/lab.ts`],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const pid = Number(new TextDecoder().decode(value));
  assert.ok((await Deno.stat(`/proc/${pid}`)).isDirectory);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  await until("the end of the program", async () => {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => undefined);
    // Gone, or dead and waiting for the reaper of this system.
    return stat === undefined || / [ZX] /.test(stat) ? true : undefined;
  });
  await Deno.remove(directory, { recursive: true });
});

labTest("the carrier goes on while the test is busy, and leaves the test its time", async () => {
  await using world = await LabWorld.open();
  const pinging = ping(world.server, WEB, { count: 100, interval: 5, timeout: 2000 });
  // Blocks this isolate, not the carrier.
  const end = performance.now() + 300;
  await new Promise((resolve) => setTimeout(resolve, 100));
  while (performance.now() < end);
  const { received } = await pinging;
  assert.equal(received, 100);
  assert.equal((await world.lab.stats()).refused, 0);
});
