/** What an operator asks running daemons: status, ping, wait and metrics, over real kernels. */

import assert from "node:assert/strict";
import { statusProblems } from "../control/status_schema.ts";
import { until } from "./child.ts";
import type { LabHost } from "./lab.ts";
import {
  type Daemon,
  firstAnswer,
  launchClient,
  miredoCommand,
  startClient,
  startRelay,
  startServer,
  terminate,
} from "./programs.ts";
import { labTest, LabWorld, SERVER, WEB } from "./world.ts";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs our program on a host to its end. */
async function miredo(host: LabHost, ...args: readonly string[]): Promise<Outcome> {
  const child = host.start(miredoCommand(...args));
  const { code } = await child.ended();
  const of = (wanted: string): string =>
    child.lines.filter(({ stream }) => stream === wanted).map(({ text }) => text).join("\n");
  return { code, stdout: of("stdout"), stderr: of("stderr") };
}

/** Sockets of a test, in a directory of its own: hosts of the lab share the file system. */
class Sockets implements AsyncDisposable {
  readonly directory: string;

  constructor() {
    this.directory = Deno.makeTempDirSync({ prefix: "miredo-sockets-" });
    Deno.chmodSync(this.directory, 0o777);
  }

  of(name: string): string {
    return `${this.directory}/${name}.sock`;
  }

  /** Arguments of a daemon. */
  set(name: string): { readonly args: readonly string[] } {
    return { args: ["--set", `status.socket=${this.of(name)}`] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

labTest("status, ping and metrics tell how two clients and the IPv6 Internet are reached", async () => {
  await using sockets = new Sockets();
  await using world = await LabWorld.open({ link: { delay: 5 } });
  const server = await startServer(world.server, [SERVER], sockets.set("server"));
  await startRelay(world.relay, sockets.set("relay"));
  const homes = [await world.home("alice"), await world.home("bob")];
  const [alice, bob] = await Promise.all(
    homes.map(({ host }) => startClient(host, [SERVER], sockets.set(host.name))),
  );
  const ask = (host: LabHost, command: string, ...args: readonly string[]): Promise<Outcome> =>
    miredo(host, command, ...args, "--socket", sockets.of(host.name));

  const waited = await ask(alice.host, "wait", "--timeout", "10s");
  assert.deepEqual(waited, { code: 0, stdout: "", stderr: "" });

  const first = await ask(alice.host, "ping", bob.address, "-n", "2", "--interval", "100ms");
  assert.equal(first.code, 0, first.stdout + first.stderr);
  assert.match(first.stdout, /queued/);
  assert.match(first.stdout, /direct bubble to 198\.51\.100\.2:/);
  assert.match(first.stdout, /indirect bubble by way of server 192\.0\.2\.1:3544/);
  assert.match(first.stdout, /hole open: direct to 198\.51\.100\.2:/);
  assert.match(first.stdout, /^2 sent, 2 answered, .* direct to 198\.51\.100\.2:\d+$/m);

  const native = await ask(alice.host, "ping", WEB, "-n", "1");
  assert.equal(native.code, 0, native.stdout + native.stderr);
  assert.match(native.stdout, /connectivity test by way of server 192\.0\.2\.1:3544/);
  assert.match(native.stdout, /relay found: through relay 192\.0\.2\.9:/);

  const fromRelay = await ask(world.relay, "ping", bob.address, "-n", "1");
  assert.equal(fromRelay.code, 0, fromRelay.stdout + fromRelay.stderr);
  const foreign = await ask(world.relay, "ping", WEB);
  assert.equal(foreign.code, 1);
  assert.match(foreign.stderr, /a relay reaches 2001::\/32 only$/);
  const ownAddress = await ask(alice.host, "ping", alice.address);
  assert.match(ownAddress.stderr, /own address$/);

  const { code, stdout } = await ask(alice.host, "status", "--json", "--peers");
  assert.equal(code, 0, stdout);
  const status = JSON.parse(stdout);
  assert.equal(status.schema, 1);
  assert.deepEqual(statusProblems(status), []);
  for (const host of [world.server, world.relay]) {
    assert.deepEqual(
      statusProblems(JSON.parse((await ask(host, "status", "--json", "--peers")).stdout)),
      [],
      host.name,
    );
  }
  assert.equal(status.state, "qualified");
  assert.equal(status.address, alice.address);
  assert.equal(status.server.address, SERVER);
  assert.ok(status.server.round_trip_ms >= 10, "two links of 5 ms each way at least");
  assert.match(status.mapped, /^198\.51\.100\.1:\d+$/);
  assert.equal(status.nat.mapping_varies, "no");
  assert.deepEqual(status.health, []);
  const paths = status.peers.list.map((
    peer: { address: string; path: string; state: string },
  ) => [peer.address, peer.path, peer.state]);
  assert.deepEqual(paths.toSorted(), [[bob.address, "direct", "open"], [WEB, "relay", "open"]].toSorted());
  const toBob = status.peers.list.find(({ address }: { address: string }) => address === bob.address);
  // Two pings, the one from the relay not among them.
  assert.ok(toBob.rx_packets >= 2 && toBob.tx_packets >= 2, JSON.stringify(toBob));
  assert.ok(status.histograms.first_packet_seconds.count >= 1);
  assert.equal(status.histograms.qualification_seconds.count, 1);

  const nat = await until("the test of the NAT", async () => {
    const { nat } = JSON.parse((await ask(alice.host, "status", "--json")).stdout);
    return nat.hairpin === "not checked" ? undefined : nat;
  });
  assert.deepEqual([nat.filtering_open, nat.hairpin], ["no", "no"]);

  const metrics = await ask(alice.host, "metrics");
  assert.match(metrics.stdout, /^miredo_state\{state="qualified"\} 1$/m);
  assert.match(metrics.stdout, /^miredo_qualifications_total 1$/m);
  const refused = await ask(world.server, "ping", bob.address);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /a server has no tunnel/);

  // The server goes away: the client notices, says what is wrong, and what waits for it gives up with 3.
  await terminate(server);
  assert.equal((await ask(world.server, "status")).code, 3);
});

labTest("status and ping show a client that is met at the relay as such", async () => {
  await using sockets = new Sockets();
  await using world = await LabWorld.open();
  await Promise.all([startServer(world.server, [SERVER]), startRelay(world.relay)]);
  const homes = [await world.home("alice", "symmetric"), await world.home("bob", "symmetric")];
  const probe = ["--set", `client.relay_probe="${WEB}"`];
  const [alice, bob] = await Promise.all(
    homes.map(({ host }) => startClient(host, [SERVER], { args: [...sockets.set(host.name).args, ...probe] })),
  );
  const ask = (command: string, ...args: readonly string[]): Promise<Outcome> =>
    miredo(alice.host, command, ...args, "--socket", sockets.of("alice"));
  assert.notEqual((await firstAnswer(alice.host, bob.address, 15_000)).ms, undefined);
  const { stdout } = await ask("ping", bob.address, "-n", "1");
  assert.match(stdout, /echo request sent through relay 192\.0\.2\.9:/);
  const { peers } = JSON.parse((await ask("status", "--json", "--peers")).stdout);
  const shown = peers.list.find(({ address }: { address: string }) => address === bob.address);
  assert.deepEqual([shown?.path, shown?.state], ["relay", "open"]);
});

labTest("a client without a server says so, and wait gives up", async () => {
  await using sockets = new Sockets();
  await using world = await LabWorld.open();
  const { host } = await world.home("alice");
  const child = launchClient(host, [SERVER], sockets.set("alice"));
  await child.line(/Qualifying/);
  const socket = ["--socket", sockets.of("alice")];
  const waited = await miredo(host, "wait", "--timeout", "300ms", ...socket);
  assert.equal(waited.code, 3);
  assert.match(waited.stderr, /^miredo: Cannot wait any longer than 0\.3 s: the client is qualifying/);
  await child.line(/No Teredo service/);
  const { code, stdout } = await miredo(host, "status", ...socket);
  assert.equal(code, 1);
  assert.match(stdout, /SERVER-SILENT/);
  const pinged = await miredo(host, "ping", WEB, ...socket);
  assert.equal(pinged.code, 1);
  assert.match(pinged.stderr, /this client is (offline|qualifying)$/);
  await child.end();
});

labTest("a killed daemon's socket is taken over, a live one's is not", async () => {
  await using sockets = new Sockets();
  await using world = await LabWorld.open();
  const options = sockets.set("server");
  const status = (): Promise<Outcome> => miredo(world.server, "status", "--json", "--socket", sockets.of("server"));
  const pid = async (): Promise<number> => JSON.parse((await status()).stdout).pid;

  const first: Daemon = await startServer(world.server, [SERVER, "none"], options);
  await until("the socket of the first", async () => (await status()).code === 3 ? undefined : true);
  const firstPid = await pid();
  // Another daemon that was given the same socket serves without one.
  const { host } = await world.home("alice");
  const other = launchClient(host, [SERVER], options);
  await other.line(/No control socket.*another miredo does/);
  assert.equal(await pid(), firstPid);
  await other.end();
  assert.equal(await pid(), firstPid);

  await first.child.signal("SIGKILL");
  await first.child.ended();
  assert.ok(Deno.lstatSync(sockets.of("server")).isSocket);
  assert.equal((await status()).code, 3);
  const second = await startServer(world.server, [SERVER, "none"], options);
  await until("the socket of the second", async () => (await status()).code === 3 ? undefined : true);
  assert.notEqual(await pid(), firstPid);
  await terminate(second);
  assert.throws(() => Deno.lstatSync(sockets.of("server")), Deno.errors.NotFound);
});
