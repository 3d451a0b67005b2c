/** `miredo netcheck` and `miredo mire` over real kernels: behind every kind of NAT, with servers that fail in every way. */

import assert from "node:assert/strict";
import type { NatOptions } from "../sim/nat.ts";
import type { LabHost } from "./lab.ts";
import { miredoCommand, ping, startClient, startRelay, startServer } from "./programs.ts";
import { labTest, LabWorld, SERVER, SERVER_SECONDARY } from "./world.ts";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function netcheck(host: LabHost, ...args: readonly string[]): Promise<Outcome> {
  const child = host.start(miredoCommand("netcheck", "--server", SERVER, ...args));
  const { code } = await child.ended();
  const of = (wanted: string) =>
    child.lines.filter(({ stream }) => stream === wanted).map(({ text }) => text).join("\n");
  return { code, stdout: of("stdout"), stderr: of("stderr") };
}

/** The answer for programs, without what differs from run to run. */
async function findings(host: LabHost, ...args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const { stdout, stderr, code } = await netcheck(host, "--json", ...args);
  assert.equal(stderr, "", "nothing but the answer in a pipe");
  const { schema, teredo, udp, nat, mapping, ports, filtering, hairpin, bubbles, native_ipv6 } = JSON.parse(stdout);
  assert.equal(schema, 1);
  assert.equal(code, teredo === "no" ? 1 : 0);
  return { teredo, udp, nat, mapping, ports: ports.kind, filtering, hairpin, bubbles, native_ipv6 };
}

const USUAL = { teredo: "yes", udp: "yes", nat: "yes", bubbles: "yes", native_ipv6: "no" } as const;
const STRICT = "address-dependent-or-stricter";

labTest("netcheck tells every kind of NAT over real kernels", async () => {
  await using world = await LabWorld.open({ link: { delay: 5 } });
  await startServer(world.server, [SERVER]);
  const independent = { mapping: "endpoint-independent", ports: "random", hairpin: "no" } as const;
  const kinds: readonly (readonly [Omit<NatOptions, "addresses">, Readonly<Record<string, string>>])[] = [
    [{ filtering: "endpoint-independent" }, { ...independent, filtering: "endpoint-independent" }],
    [{ filtering: "address-dependent" }, { ...independent, filtering: STRICT }],
    [{ ports: { kind: "preserving" } }, { ...independent, ports: "preserving", filtering: STRICT }],
    [{ ports: { kind: "sequential", step: 1 } }, { ...independent, ports: "sequential", filtering: STRICT }],
    [{ hairpin: "external-source" }, { ...independent, hairpin: "yes", filtering: STRICT }],
    // The kernel drops what comes from outside with its own address as source.
    [{ hairpin: "internal-source" }, { ...independent, filtering: STRICT }],
    [{ mapping: "address-and-port-dependent" }, {
      teredo: "limited",
      mapping: "endpoint-dependent",
      ports: "random",
      filtering: "not-checked",
      hairpin: "not-checked",
    }],
  ];
  const found = await Promise.all(kinds.map(async ([nat], i) => {
    const { host } = await world.home(`home${i}`, nat);
    return await findings(host);
  }));
  kinds.forEach(([nat, expected], i) => assert.deepEqual(found[i], { ...USUAL, ...expected }, JSON.stringify(nat)));
});

labTest("netcheck draws the path and gives its verdict in words", async () => {
  await using world = await LabWorld.open();
  await startServer(world.server, [SERVER]);
  const { host } = await world.home("alice", { ports: { kind: "preserving" } });
  const { code, stdout } = await netcheck(host);
  assert.equal(code, 0);
  const lines = stdout.split("\n");
  assert.match(lines[0], /^this host +outside the NAT +server$/);
  assert.match(lines[1], /^192\.168\.1\.2:(\d+) --- 198\.51\.100\.1:\1 +-\+- 192\.0\.2\.1:3544 +[\d.]+ ms$/);
  assert.match(lines[2], /^ +\+- 192\.0\.2\.2:3544 +[\d.]+ ms$/);
  assert.equal(lines.at(-1), "Teredo can work here: the NAT keeps one mapping for all destinations.");
});

labTest("netcheck without a NAT, beside native IPv6", async () => {
  await using world = await LabWorld.open();
  await startServer(world.server, [SERVER]);
  const { nat, mapping, filtering, native_ipv6, teredo } = await findings(world.relay);
  assert.deepEqual({ nat, mapping, filtering, native_ipv6, teredo }, {
    nat: "no",
    mapping: "endpoint-independent",
    filtering: "endpoint-independent",
    native_ipv6: "yes",
    teredo: "yes",
  });
});

labTest(
  "netcheck tells a server with one address, one that is not running, one that is gone, and no way there",
  async () => {
    await using world = await LabWorld.open();
    const { host, nat } = await world.home("alice");
    // Nobody listens: the kernel of the server's host says so.
    const refused = await netcheck(host);
    assert.equal(refused.code, 1);
    assert.match(
      refused.stdout,
      /Teredo cannot work here: 192\.0\.2\.1 is up but nobody listens on its UDP port 3544\.$/,
    );

    const server = await startServer(world.server, [SERVER, "--set", "server.secondary_address=none"]);
    for (const args of [[], ["--secondary", "none"]]) {
      const one = await findings(host, ...args);
      assert.deepEqual([one.teredo, one.mapping, one.filtering, one.bubbles], [
        "yes",
        "not-checked",
        "not-checked",
        "yes",
      ]);
    }
    await server.child.end();
    await startServer(world.server, [SERVER, SERVER_SECONDARY]);

    await nat.setLink({ loss: 1 });
    const silent = await netcheck(host);
    assert.equal(silent.code, 1);
    assert.match(
      silent.stdout,
      /the server does not answer: it is down, wants a secret, or UDP port 3544 is blocked on the way\.$/,
    );

    const lost = host.start(miredoCommand("netcheck", "nowhere.invalid"));
    assert.equal((await lost.ended()).code, 1);
    assert.match(lost.output, /Cannot resolve "nowhere\.invalid"/);
    assert.match(lost.output, /no server name leads to an address/);
  },
);

labTest("a client and an IPv6 host ping the test responder", async () => {
  await using world = await LabWorld.open();
  const place = await world.lab.host("mire", { ipv4: ["203.0.113.5/24"] });
  await Promise.all([startServer(world.server, [SERVER]), startRelay(world.relay)]);
  const mire = place.start(miredoCommand("mire"));
  const { text: address } = await mire.line(/^2001:0:cb00:7105:/);
  const { host } = await world.home("alice");
  await startClient(host, [SERVER]);
  for (const from of [host, world.web]) {
    const { received, lines } = await ping(from, address, { count: 3, interval: 50 });
    assert.equal(received, 3, `${from.name}: ${JSON.stringify(lines)}`);
  }
  await mire.signal("SIGTERM");
  assert.equal((await mire.ended()).code, 0);
  assert.match(mire.output, /Answered \d+ packets/);
});
