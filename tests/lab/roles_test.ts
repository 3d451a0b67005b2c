/** Client, relay and server of ours over real kernels, behind port-restricted NATs. */

import assert from "node:assert/strict";
import { parseTeredoAddress } from "../../lib/wire/teredo_address.ts";
import { parseIpv6 } from "../../lib/wire/ipv6_address.ts";
import { parseIpv4 } from "../../lib/wire/ipv4.ts";
import { until } from "./child.ts";
import type { LabHost } from "./lab.ts";
import { download, launchClient, ping, serve, startClient, startRelay, startServer, terminate } from "./programs.ts";
import { labTest, LabWorld, SERVER, WEB } from "./world.ts";

const TEREDO = "teredo";
/** What a download moves, octets. */
const CONTENT = 2_000_000;
/** A graceful end takes less, milliseconds: a bound on hanging, not a measurement. */
const END_LIMIT = 2000;

async function assertReaches(from: LabHost, to: string): Promise<void> {
  const { received, lines } = await ping(from, to, { count: 3, interval: 50 });
  assert.equal(received, 3, `${from.name} to ${to}: ${JSON.stringify(lines)}`);
}

/** Everything of miredo on a host: interfaces, routes and rules that its bare namespace does not have. */
function traces(host: LabHost): readonly string[] {
  return host.netlink((netlink) => [
    ...netlink.links().map(({ name }) => `interface ${name}`),
    ...netlink.routes().map(({ destination, prefixLength, index }) => `route ${destination}/${prefixLength} ${index}`),
    ...netlink.rules().map((rule) => `rule ${JSON.stringify(rule)}`),
    ...netlink.addresses().map(({ address, index }) => `address ${address} ${index}`),
  ]).toSorted();
}

labTest("three roles carry ICMPv6 and TCP between two homes and the IPv6 internet, in every direction", async () => {
  await using world = await LabWorld.open();
  await Promise.all([startServer(world.server, [SERVER]), startRelay(world.relay)]);
  const homes = [await world.home("alice"), await world.home("bob")];
  const [alice, bob] = await Promise.all(homes.map(({ host }) => startClient(host, [SERVER])));

  const parts = parseTeredoAddress(parseIpv6(alice.address) ?? new Uint8Array(16));
  assert.equal(parts?.server, parseIpv4(SERVER));
  assert.equal(parts?.mapped.address, parseIpv4("198.51.100.1"));

  await assertReaches(alice.host, bob.address);
  await assertReaches(bob.host, alice.address);
  await assertReaches(alice.host, WEB);
  await assertReaches(world.web, bob.address);

  for (
    const [from, to, address] of [
      [alice.host, bob.host, bob.address],
      [bob.host, alice.host, alice.address],
      [alice.host, world.web, WEB],
      [world.web, bob.host, bob.address],
    ] as const
  ) {
    const port = 8000 + Math.floor(performance.now()) % 1000;
    const server = await serve(to, CONTENT, port);
    const got = await download(from, address, port);
    assert.equal(got.octets, CONTENT);
    assert.equal(got.sha256, server.sha256);
    await server.child.end();
  }
});

labTest("a server with one address serves", async () => {
  await using world = await LabWorld.open();
  await Promise.all([
    startServer(world.server, [SERVER], { args: ["--set", "server.secondary_address=none"] }),
    startRelay(world.relay),
  ]);
  const { host } = await world.home("alice");
  await startClient(host, [SERVER], { args: ["--set", "client.secondary=none"] });
  await assertReaches(host, WEB);
});

labTest(
  "the tunnel has MTU 1280 and the default route that loses to native IPv6, and the kernel puts nothing of its own on it",
  async () => {
    await using world = await LabWorld.open();
    await startServer(world.server, [SERVER]);
    const { host } = await world.home("alice");
    await startClient(host, [SERVER]);
    const global = host.addressesOf(TEREDO).filter(({ address }) => address.length === 16 && address[0] === 0x20);
    assert.equal(global.length, 1);
    const index = global[0].index;
    assert.equal(host.netlink((netlink) => netlink.link(index)?.mtu), 1280);
    const routes = host.netlink((netlink) => netlink.routes({ family: 6 }));
    assert.equal(routes.find((route) => route.index === index && route.prefixLength === 0)?.metric, 1029);
    const statistics = await host.start(["cat", "/proc/net/dev"]).result();
    // Behind the name: eight numbers about reception, then octets and packets sent into the tunnel.
    const numbers = /^\s*teredo:\s*(.*)$/m.exec(statistics)?.[1].split(/\s+/).map(Number);
    assert.deepEqual(numbers?.slice(8, 10), [0, 0], statistics);
  },
);

labTest("SIGHUP keeps the Teredo address and the conversations", async () => {
  await using world = await LabWorld.open();
  await Promise.all([startServer(world.server, [SERVER]), startRelay(world.relay)]);
  const { host } = await world.home("alice");
  const alice = await startClient(host, [SERVER]);
  await assertReaches(host, WEB);
  const pinging = ping(host, WEB, { count: 20, interval: 50, timeout: 3000 });
  await alice.child.signal("SIGHUP");
  await alice.child.line(/Reloaded/);
  const { received } = await pinging;
  assert.equal(received, 20);
  assert.equal(host.globalIpv6(TEREDO), alice.address);
});

labTest("SIGTERM and SIGINT end every role soon, with exit code 0 and nothing left behind", async () => {
  await using world = await LabWorld.open();
  const { host } = await world.home("alice");
  const hosts = [world.server, world.relay, host];
  const before = hosts.map(traces);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const daemons = [
      await startServer(world.server, [SERVER]),
      await startRelay(world.relay),
      await startClient(host, [SERVER]),
    ];
    assert.notDeepEqual(traces(host), before[2]);
    for (const daemon of daemons) {
      if (signal === "SIGINT") await daemon.child.signal(signal);
      const { elapsed, code } = await terminate(daemon);
      assert.equal(code, 0, daemon.child.output);
      assert.ok(elapsed < END_LIMIT, `${daemon.host.name} took ${elapsed} ms`);
    }
    assert.deepEqual(hosts.map(traces), before);
  }
});

labTest("SIGKILL leaves nothing behind, and the next start works", async () => {
  await using world = await LabWorld.open();
  const { host } = await world.home("alice");
  const hosts = [world.server, world.relay, host];
  const before = hosts.map(traces);
  for (let round = 0; round < 2; round++) {
    const daemons = [
      await startServer(world.server, [SERVER]),
      await startRelay(world.relay),
      await startClient(host, [SERVER]),
    ];
    for (const { child } of daemons) {
      await child.signal("SIGKILL");
      await child.ended();
    }
    // The kernel takes interfaces away a moment after their descriptor was closed.
    await until(
      "bare namespaces",
      () => JSON.stringify(hosts.map(traces)) === JSON.stringify(before) ? true : undefined,
    );
  }
});

labTest("a NAT that reboots costs the client its address until maintenance finds the new one", async () => {
  await using world = await LabWorld.open();
  await Promise.all([startServer(world.server, [SERVER]), startRelay(world.relay)]);
  const { host, nat } = await world.home("alice");
  const alice = await startClient(host, [SERVER], { args: ["--set", "client.refresh_interval=5"] });
  await nat.reboot();
  const address = await until("a new address", () => {
    const now = host.globalIpv6(TEREDO);
    return now === undefined || now === alice.address ? undefined : now;
  });
  assert.notEqual(address, alice.address);
  await assertReaches(host, WEB);
  await assertReaches(world.web, address);
});

labTest("a client behind a symmetric NAT that may use RFC 4380 only says why it has no service", async () => {
  await using world = await LabWorld.open();
  await startServer(world.server, [SERVER]);
  const { host } = await world.home("alice", "symmetric");
  const child = launchClient(host, [SERVER], { args: ["--set", "nat.symmetric=false"] });
  await child.line(/symmetric-nat/);
  assert.equal(host.globalIpv6(TEREDO), undefined);
});

labTest("a second client on the same interface is refused with the reason", async () => {
  await using world = await LabWorld.open();
  await startServer(world.server, [SERVER]);
  const { host } = await world.home("alice");
  const first = await startClient(host, [SERVER]);
  const second = launchClient(host, [SERVER], { args: ["--set", "nat.symmetric=false"] });
  const { code } = await second.ended();
  assert.equal(code, 1, second.output);
  assert.match(second.output, /Cannot create interface "teredo": E(EXIST|BUSY) \(/);
  assert.equal(host.globalIpv6(TEREDO), first.address);
});

labTest(
  "[LOC-01] clients on one LAN join 224.0.0.253 and meet by local discovery, though their NAT does not hairpin",
  async () => {
    await using world = await LabWorld.open();
    await startServer(world.server, [SERVER]);
    const { host, nat } = await world.home("alice");
    const neighbour = await world.lab.host("bob", { behind: nat, ipv4: ["192.168.1.3/24"] });
    // The hairpinning extension would find a way of its own.
    const plain = ["--set", "nat.hairpinning=false"];
    const args = [...plain, "--set", "client.local_discovery=true"];
    const [alice, bob] = await Promise.all([host, neighbour].map((one) => startClient(one, [SERVER], { args })));
    // The kernel prints groups as it stores them: the last octet first.
    assert.match(await host.start(["cat", "/proc/net/igmp"]).result(), /FD0000E0/);
    await assertReaches(alice.host, bob.address);
    await assertReaches(bob.host, alice.address);
    const off = await world.lab.host("carol", { behind: nat, ipv4: ["192.168.1.4/24"] });
    const carol = await startClient(off, [SERVER], { args: [...plain, "--set", "client.local_discovery=false"] });
    assert.doesNotMatch(await off.start(["cat", "/proc/net/igmp"]).result(), /FD0000E0/);
    const { received } = await ping(alice.host, carol.address, { count: 1, timeout: 1000 });
    assert.equal(received, 0);
  },
);
