/** Teredo beside other ways to the IPv6 Internet (RFC 4380 5.5). */

import assert from "node:assert/strict";
import { formatIpv6, parseIpv6 } from "../../../lib/wire/ipv6_address.ts";
import type { LabHost } from "../../lab/lab.ts";
import { ping } from "../../lab/programs.ts";
import { labTest, LabWorld, SERVER as LAB_SERVER, WEB } from "../../lab/world.ts";
import {
  count,
  hasDefaultRoute,
  launch,
  qualifications,
  rootTest,
  SERVER,
  startClient,
  startRelay,
  startServer,
  TEREDO,
  untilTrue,
  World,
} from "./support.ts";

const ANY = new Uint8Array(16);
/** Metric of a default route where nobody says otherwise (IP6_RT_PRIO_USER). */
const USUAL_METRIC = 1024;
const SOMEWHERE = "2001:db8:ffff::1";

function octets(address: string): Uint8Array {
  return parseIpv6(address) ?? assert.fail(address);
}

/** Gives the host an IPv6 address on its uplink, and a default route. */
function addNative(host: LabHost, address: string, prefixLength: number): void {
  host.netlink((netlink) => {
    const index = netlink.linkIndex("eth0") ?? assert.fail("no uplink");
    netlink.addAddress(index, octets(address), prefixLength, { noDad: true });
    netlink.addRoute({ destination: ANY, prefixLength: 0, index, metric: USUAL_METRIC });
  });
}

function removeNativeRoute(host: LabHost): void {
  host.netlink((netlink) => {
    const index = netlink.linkIndex("eth0") ?? assert.fail("no uplink");
    netlink.removeRoute({ destination: ANY, prefixLength: 0, index, metric: USUAL_METRIC });
  });
}

rootTest("[SUN-01] a client that stands by gives no service while the host has native IPv6", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  addNative(world.client, "2001:db8:9::1", 64);
  const client = launch(world.client, "client", SERVER, "--set", "client.native_ipv6=standby");
  await client.line(/Standing by while the host has native IPv6/);
  assert.equal(world.client.globalIpv6(TEREDO), undefined);

  removeNativeRoute(world.client);
  await client.line(/Native IPv6 is gone: back in service/);
  await client.line(/Qualified/);
  const [{ address }] = qualifications(client);
  await untilTrue("the address", () => world.client.globalIpv6(TEREDO) === address);
  // Nothing was asked of the server before.
  assert.ok(
    client.lines.findIndex(({ text }) => /Qualifying/.test(text)) >
      client.lines.findIndex(({ text }) => /back in service/.test(text)),
  );

  addNative(world.client, "2001:db8:9::2", 64);
  await client.whileRunning("standing by again", () => count(client, /Standing by/) === 2 ? true : undefined);
  await untilTrue("no address", () => world.client.globalIpv6(TEREDO) === undefined);
  assert.equal(hasDefaultRoute(world.client), false);

  removeNativeRoute(world.client);
  await client.whileRunning("a second qualification", () => qualifications(client)[1]);
  assert.equal(qualifications(client)[1].address, address);
});

for (
  const [kind, address, prefixLength] of [
    ["native", "2001:db8:9::1", 64],
    ["6to4", "2002:c633:6401::1", 16],
  ] as const
) {
  rootTest(`[SUN-02] a ${kind} default route wins over the tunnel's`, async () => {
    await using world = await World.open();
    await startServer(world.server, SERVER);
    const client = await startClient(world.client, SERVER);
    await untilTrue("the default route", () => hasDefaultRoute(world.client));
    const source = (): string | undefined =>
      world.client.netlink((netlink) => {
        const found = netlink.sourceFor(octets(SOMEWHERE));
        return found === undefined ? undefined : formatIpv6(found);
      });
    assert.equal(source(), client.address);
    addNative(world.client, address, prefixLength);
    assert.equal(source(), address);
    removeNativeRoute(world.client);
    assert.equal(hasDefaultRoute(world.client), true);
    // The client gave its service all the time.
    assert.equal(count(client.child, /Qualified/), 1);
    assert.equal(world.client.globalIpv6(TEREDO), client.address);
  });
}

labTest("[SUN-03] a host-only relay serves its own host and nobody else, and follows its addresses", async () => {
  await using world = await LabWorld.open();
  const [, relay] = await Promise.all([
    startServer(world.server, LAB_SERVER),
    startRelay(world.relay, "--set", "relay.host_only=true"),
  ]);
  const { host } = await world.home("alice");
  const alice = await startClient(host, LAB_SERVER);

  const own = await ping(world.relay, alice.address, { count: 2, interval: 50 });
  assert.equal(own.received, 2);
  const foreign = await ping(world.web, alice.address, { count: 2, interval: 50, timeout: 500 });
  assert.equal(foreign.received, 0);
  // To the client too the relay's host is the only one it stands for.
  const towards = await ping(host, WEB, { count: 1, timeout: 500 });
  assert.equal(towards.received, 0);

  world.relay.netlink((netlink) => {
    // Shares fewer bits with Teredo addresses than the one it has: the kernel does not prefer it as source.
    netlink.addAddress(netlink.linkIndex("eth0") ?? 0, octets("3fff::77"), 64, { noDad: true });
  });
  await relay.line(/Addresses of this host changed/);
  const still = await ping(world.relay, alice.address, { count: 2, interval: 50 });
  assert.equal(still.received, 2);
});

rootTest("a server without IPv6 of its own serves", async () => {
  await using world = await World.open();
  for (const which of ["all", "default"]) world.server.sysctl(`net/ipv6/conf/${which}/disable_ipv6`, 1);
  const server = await startServer(world.server, SERVER);
  const clients = await Promise.all([startClient(world.client, SERVER), startClient(world.other, SERVER)]);
  const { received } = await ping(world.client, clients[1].address, { count: 2, interval: 50 });
  assert.equal(received, 2);
  assert.equal(server.running, true);
});

rootTest("a relay on a host that forwards nothing says so, one that forwards does not", async () => {
  await using world = await World.open();
  const silent = launch(world.client, "relay");
  await silent.line(/warning IPv6 forwarding is off: only this host itself reaches clients hint="sysctl -w /);
  world.other.sysctl("net/ipv6/conf/all/forwarding", 1);
  const relay = launch(world.other, "relay");
  await relay.line(/Relaying/);
  assert.equal(count(relay, /forwarding/), 0, relay.output);
});
