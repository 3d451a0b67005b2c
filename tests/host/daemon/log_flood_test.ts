/** A flood of datagrams of every kind is counted, and logged not at all: what anybody can send must not fill a disk. */

import assert from "node:assert/strict";
import { close } from "../../../ffi/io.ts";
import { libc } from "../../../ffi/libc.ts";
import { ipv4SocketAddress } from "../../../ffi/socket.ts";
import { localEndpoint, openUdp } from "../../../ffi/udp.ts";
import { formTeredoAddress } from "../../../lib/wire/teredo_address.ts";
import { parseIpv6 } from "../../../lib/wire/ipv6_address.ts";
import { ip4 } from "../../core/harness.ts";
import { Cast } from "../../fuzz/cast.ts";
import { pick } from "../../fuzz/mutation.ts";
import { Packets, ROOM } from "../../fuzz/packets.ts";
import type { Child } from "../../lab/child.ts";
import type { LabHost } from "../../lab/lab.ts";
import { miredoCommand } from "../../lab/programs.ts";
import { SeededRandom } from "../../sim/random.ts";
import { CLIENT, Directory, OTHER_CLIENT, rootTest, SERVER, SERVER_SECONDARY, World } from "./support.ts";

const DATAGRAMS = 20_000;
/** Datagrams sent before the daemon gets time to take them from its socket. */
const BURST = 100;
/** Sockets of the attacker: each can be a peer that is where its address says. */
const SOCKETS = 32;
/** Lines that a flood may make at the most talkative level: transitions of those peers and of the client itself. */
const FEW = 4 * SOCKETS;

/** Sends everything there is from `host` to an endpoint. @param own the IPv6 address of who is there */
async function flood(host: LabHost, address: string, port: number, own: Uint8Array | undefined): Promise<void> {
  const random = new SeededRandom(port);
  const cast = new Cast(random, [ip4(SERVER), ip4(SERVER_SECONDARY)]);
  if (own !== undefined) cast.own.push(own);
  cast.ownIpv4.push(ip4(address));
  const packets = new Packets(random, cast);
  const sockets = host.inside(() =>
    Array.from({ length: SOCKETS }, () => openUdp({ address: ip4(OTHER_CLIENT), port: 0 }))
  );
  const honest = sockets.map((fd) => formTeredoAddress({ server: ip4(SERVER), flags: 0, mapped: localEndpoint(fd) }));
  const target = ipv4SocketAddress(ip4(address), port);
  const buffer = new Uint8Array(new ArrayBuffer(ROOM));
  for (let sent = 0; sent < DATAGRAMS; sent++) {
    const socket = random.integer(0, SOCKETS - 1);
    const source = random.chance(0.5) ? honest[socket] : random.chance(0.5) ? pick(random, honest) : cast.ipv6();
    const length = packets.datagram(buffer, source, cast.ownAddress());
    libc().sendto(sockets[socket], buffer, length, 0, target, target.length);
    if (sent % BURST === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  sockets.forEach(close);
}

/** Datagrams that a daemon has received, and all that it has dropped. */
async function counted(
  host: LabHost,
  socket: string,
): Promise<{ readonly received: number; readonly dropped: number }> {
  const child = host.start(miredoCommand("status", "--json", "--socket", socket));
  await child.ended();
  const { counters, drops } = JSON.parse(child.lines.find(({ stream }) => stream === "stdout")?.text ?? "");
  const dropped = Object.values(drops).reduce((sum: number, count) => sum + Number(count), 0);
  return { received: counters.udp_rx_datagrams, dropped };
}

/** How a role is started on a host, the line that says it is ready, and where it is attacked. */
interface Victim {
  readonly args: readonly string[];
  readonly ready: RegExp;
  readonly place: (
    child: Child,
  ) => { readonly address: string; readonly port: number; readonly own: Uint8Array | undefined };
}

const VICTIMS: Readonly<Record<string, Victim>> = {
  client: {
    args: ["client", SERVER, "--set", 'state.file=""', "--set", "bind.port=4096"],
    ready: /Qualified/,
    place: (child) => {
      const [, address] = /Qualified address=(\S+)/.exec(child.output) ?? [];
      return { address: CLIENT, port: 4096, own: parseIpv6(address) };
    },
  },
  relay: {
    args: ["relay", "--set", "bind.port=4096"],
    ready: /Relaying/,
    place: () => ({ address: CLIENT, port: 4096, own: parseIpv6("2001:db8::1") }),
  },
  server: {
    args: ["server", CLIENT, "--set", "server.secondary_address=none"],
    ready: /Serving/,
    place: () => ({ address: CLIENT, port: 3544, own: undefined }),
  },
};

for (const [role, { args, ready, place }] of Object.entries(VICTIMS)) {
  rootTest(`a ${role} counts a flood of datagrams of every kind and says nothing of it`, async () => {
    await using world = await World.open();
    await using directory = await Directory.make();
    await Deno.chmod(directory.path, 0o777);
    const server = world.server.start(miredoCommand("server", SERVER, "--set", 'status.socket=""'));
    await server.line(/Serving/);
    const socket = `${directory.path}/s`;
    const daemon = world.client.start(
      miredoCommand(...args, "--log-level", "debug", "--set", `status.socket=${socket}`),
    );
    await Promise.all([daemon.line(ready), daemon.line(/Carrying packets/)]);
    const { address, port, own } = place(daemon);
    const before = { lines: daemon.lines.length, ...await counted(world.client, socket) };
    await flood(world.other, address, port, own);
    const after = { lines: daemon.lines.length, ...await counted(world.client, socket) };
    assert.ok(after.received - before.received > DATAGRAMS / 2, `it received ${after.received - before.received}`);
    assert.ok(after.dropped - before.dropped > DATAGRAMS / 10, `it dropped ${after.dropped - before.dropped}`);
    const lines = daemon.lines.slice(before.lines).map(({ text }) => text);
    assert.deepEqual(lines.filter((line) => !/ debug +Peer /.test(line)), []);
    assert.ok(lines.length <= FEW, `${lines.length} lines:\n${lines.slice(0, 10).join("\n")}`);
    assert.equal(daemon.running, true);
  });
}
