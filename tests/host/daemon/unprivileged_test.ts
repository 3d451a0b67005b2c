/** Daemons that are root at no time: ambient capabilities, a TUN made for their user, a user namespace. */

import assert from "node:assert/strict";
import { check } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/io.ts";
import { libc } from "../../../ffi/libc.ts";
import { openTun } from "../../../ffi/tun.ts";
import { parseIpv6 } from "../../../lib/wire/ipv6_address.ts";
import type { LabHost } from "../../lab/lab.ts";
import { miredoCommand } from "../../lab/programs.ts";
import {
  Directory,
  NOBODY,
  readableByAll,
  rootTest,
  SERVER,
  startServer,
  TEREDO,
  threadsOf,
  UNASKED,
  untilTrue,
  World,
} from "./support.ts";

const NET_ADMIN = 1n << 12n;
/** linux/if_tun.h */
const TUNSETPERSIST = 0x400454cb;
const TUNSETOWNER = 0x400454cc;

const AS_NOBODY = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
const AMBIENT = ["--inh-caps=-all,+net_admin,+net_raw", "--ambient-caps=-all,+net_admin,+net_raw"];

/** Makes a TUN that stays and belongs to nobody, up or not. */
function makeTun(host: LabHost, set: { readonly up: boolean; readonly route?: string }): void {
  host.inside(() => {
    const { fd } = openTun(TEREDO);
    check(libc().ioctlNumber(fd, TUNSETOWNER, NOBODY), "ioctl", "give a TUN away");
    check(libc().ioctlNumber(fd, TUNSETPERSIST, 1), "ioctl", "let a TUN stay");
    close(fd);
  });
  host.netlink((netlink) => {
    const index = netlink.linkIndex(TEREDO) ?? 0;
    netlink.setLink(index, { mtu: 1280, multicast: false, noAddressGeneration: true });
    if (set.up) netlink.setLink(index, { up: true });
    const destination = set.route === undefined ? undefined : parseIpv6(set.route);
    if (destination !== undefined) netlink.addRoute({ destination, prefixLength: 32, index, metric: 1024 });
  });
}

rootTest(
  "a client started by a service manager as its user, with ambient capabilities, works and keeps one in one thread",
  async () => {
    await using world = await World.open();
    await using directory = await Directory.make();
    await startServer(world.server, SERVER);
    const command = miredoCommand("client", SERVER, ...UNASKED);
    const child = world.client.start(await readableByAll(directory, command, [...AS_NOBODY, ...AMBIENT]));
    await child.line(/Qualified/);
    await untilTrue("the address", () => world.client.globalIpv6(TEREDO) !== undefined);
    const threads = await threadsOf(child);
    assert.ok(threads.every(({ users }) => users.every((user) => user === String(NOBODY))));
    assert.deepEqual(threads.map(({ capabilities }) => capabilities).filter((set) => set !== 0n), [NET_ADMIN]);
  },
);

rootTest("a server started as its user with ambient capabilities keeps none", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const command = miredoCommand("server", SERVER, ...UNASKED);
  const child = world.server.start(await readableByAll(directory, command, [...AS_NOBODY, ...AMBIENT]));
  await child.line(/Serving/);
  assert.ok((await threadsOf(child)).every(({ capabilities }) => capabilities === 0n));
});

rootTest("a relay without any privilege works on a TUN made for its user, and leaves it behind", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  makeTun(world.other, { up: true, route: "2001::" });
  const command = miredoCommand("relay", ...UNASKED);
  const child = world.other.start(await readableByAll(directory, command, AS_NOBODY));
  await child.line(/Relaying/);
  assert.ok((await threadsOf(child)).every(({ capabilities }) => capabilities === 0n));
  await child.end();
  assert.ok(world.other.interfaces().includes(TEREDO));
});

rootTest("what is missing on a TUN made for its user is said with the command that mends it", async () => {
  await using world = await World.open();
  await using directory = await Directory.make();
  const command = await readableByAll(directory, miredoCommand("relay", ...UNASKED), AS_NOBODY);
  makeTun(world.client, { up: false });
  const down = world.client.start(command);
  assert.equal((await down.ended()).code, 1);
  assert.match(
    down.output,
    /Cannot use interface "teredo" as it is: it is down \(.*: ip link set teredo up mtu 1280\)/,
  );
  makeTun(world.other, { up: true });
  const bare = world.other.start(command);
  assert.equal((await bare.ended()).code, 1);
  assert.match(bare.output, /no route to 2001::\/32 \(.*: ip -6 route add 2001::\/32 dev teredo metric 1024\)/);
});

rootTest("root adopts a TUN that waits, and puts it back as it was", async () => {
  await using world = await World.open();
  await startServer(world.server, SERVER);
  makeTun(world.client, { up: false });
  const child = world.client.start(miredoCommand("client", SERVER, ...UNASKED));
  await child.line(/Qualified/);
  await untilTrue("the address", () => world.client.globalIpv6(TEREDO) !== undefined);
  await child.end();
  assert.deepEqual(world.client.addressesOf(TEREDO), []);
  assert.equal(world.client.netlink((netlink) => netlink.link(netlink.linkIndex(TEREDO) ?? 0)?.up), false);
});

rootTest("the root of a user namespace that has no other user runs a relay, and keeps no capability", async () => {
  await using world = await World.open();
  const command = miredoCommand("relay", ...UNASKED);
  const child = world.other.start(["unshare", "--user", "--map-root-user", "--net", "--", ...command]);
  await child.line(/Relaying/);
  assert.ok((await threadsOf(child)).every(({ capabilities }) => capabilities === 0n));
});
