/** The network check tells the truth about every NAT of the simulation, and about servers that do less than they should. */

import assert from "node:assert/strict";
import type { Millis } from "../../lib/core/machine.ts";
import { type CheckedServer, Netcheck, type NetcheckOptions } from "../../lib/core/netcheck/netcheck.ts";
import { judge, judgePorts, type NetcheckReport, type PortFinding } from "../../lib/core/netcheck/netcheck_report.ts";
import type { LinkOptions } from "./link.ts";
import { NAT_KINDS, type NatOptions } from "./nat.ts";
import { Network } from "./network.ts";
import { forSeeds } from "./diagram.ts";
import { MachineNode, ServerNode } from "./nodes.ts";
import { SERVER } from "./world.ts";

const make = (seed: number) => new Network(seed);
const SEEDS = [1, 2, 3, 4, 5, 6];
const LAN = { address: 0x0a000100, prefixLength: 24 };
const INSIDE = 0x0a000102;
const OUTSIDE = 0xc6336401;
/** 203.0.113.1: where no server is, or a second one. */
const ELSEWHERE = 0xcb007101;
const CHECKED: CheckedServer = { name: "teredo.example.net", ...SERVER };
/** A check takes no longer, its lifetime part apart. */
const LIMIT: Millis = 40_000;

interface Scene {
  readonly nat?: Partial<NatOptions> | "none";
  readonly link?: LinkOptions;
  readonly server?: "absent" | "one-address" | "no-cone-answers";
  readonly options?: Partial<NetcheckOptions>;
  readonly limit?: Millis;
}

/** Runs a check in a scene. */
function check(network: Network, scene: Scene): NetcheckReport {
  const link = scene.link ?? { delay: 10 };
  const behind = scene.nat !== "none";
  const zone = behind ? network.zone("lan", LAN) : network.internet;
  if (scene.nat !== "none") {
    network.nat("nat", zone, network.internet, { addresses: [OUTSIDE], ...scene.nat }, link);
  }
  if (scene.server !== "absent") {
    const secondary = scene.server === "one-address" ? undefined : SERVER.secondary;
    const server = new ServerNode(network, "server", { primary: SERVER.primary, secondary, link });
    assert.ok(server.host.plugged);
  }
  const address = behind ? INSIDE : OUTSIDE;
  const host = network.host("alice", zone, [address], link);
  const options: NetcheckOptions = {
    servers: [CHECKED],
    credentials: undefined,
    subnets: [{ address, prefixLength: 24 }],
    localAddress: address,
    lifetime: false,
    ...scene.options,
  };
  const node = new MachineNode(network, host, (environment) => new Netcheck(options, environment), () => {});
  node.machine.start(network.now);
  node.rearm();
  const took = network.clock.runUntil(() => node.machine.stage === "done", scene.limit ?? LIMIT);
  assert.notEqual(took, undefined, `not done: ${node.machine.stage}`);
  return node.machine.report;
}

const MAPPINGS = ["endpoint-independent", "address-dependent", "address-and-port-dependent"] as const;
const FILTERINGS = MAPPINGS;
const HAIRPINS = ["none", "external-source", "internal-source"] as const;
const PORTS: readonly (readonly [NonNullable<NatOptions["ports"]>, PortFinding])[] = [
  [{ kind: "preserving" }, { kind: "preserving" }],
  [{ kind: "sequential", step: 1 }, { kind: "sequential", step: 1 }],
  [{ kind: "sequential", step: 2 }, { kind: "sequential", step: 2 }],
  [{ kind: "random" }, { kind: "random" }],
];

Deno.test("every combination of mapping, filtering, ports and hairpinning is told as it is, or as not checked", () => {
  for (const mapping of MAPPINGS) {
    for (const filtering of FILTERINGS) {
      for (const hairpin of HAIRPINS) {
        for (const [ports, expectedPorts] of PORTS) {
          const what = JSON.stringify({ mapping, filtering, hairpin, ports });
          const report = check(make(7), { nat: { mapping, filtering, hairpin, ports } });
          const independent = mapping === "endpoint-independent";
          assert.equal(report.nat, "yes", what);
          assert.equal(report.udp, "yes", what);
          assert.equal(report.bubbles, "yes", what);
          assert.equal(report.mapping, independent ? "endpoint-independent" : "endpoint-dependent", what);
          assert.deepEqual(report.ports, expectedPorts, what);
          const open = filtering === "endpoint-independent";
          const strict = independent ? "address-dependent-or-stricter" : "not-checked";
          assert.equal(report.filtering, open ? "endpoint-independent" : strict, what);
          // With a mapping for each destination, the one the bubble comes to has never let anything out but to the server.
          const seen = hairpin !== "none" && (independent || open);
          assert.equal(report.hairpin, seen ? "yes" : independent ? "no" : "not-checked", what);
          const source = hairpin === "internal-source" ? "internal" : "external";
          assert.equal(report.hairpinSource, seen ? source : undefined, what);
          assert.equal(judge(report).teredo, independent ? "yes" : "limited", what);
        }
      }
    }
  }
});

Deno.test("losses, jitter and repeated datagrams do not change what is told", () => {
  const link: LinkOptions = { delay: 15, jitter: 25, loss: 0.03, duplication: 0.03, reordering: 0.05, reorderBy: 60 };
  for (const [name, kind] of Object.entries(NAT_KINDS)) {
    forSeeds(SEEDS, make, (network) => {
      const report = check(network, { nat: { ...kind, ports: { kind: "preserving" } }, link });
      assert.equal(report.mapping, name === "symmetric" ? "endpoint-dependent" : "endpoint-independent");
      assert.equal(report.ports.kind, "preserving");
      const strict = name === "symmetric" ? "not-checked" : "address-dependent-or-stricter";
      assert.equal(report.filtering, name === "cone" ? "endpoint-independent" : strict);
      assert.equal(report.bubbles, "yes");
    });
  }
});

Deno.test("a pool of addresses with any for each mapping is told as a mapping that depends on the destination", () => {
  const addresses = [0xc6336450, 0xc6336451, 0xc6336452, 0xc6336453];
  const report = check(make(3), { nat: { ...NAT_KINDS.symmetric, addresses, pooling: "arbitrary" } });
  assert.equal(report.mapping, "endpoint-dependent");
});

Deno.test("without a NAT that is said, and hairpinning is not asked for", () => {
  const report = check(make(1), { nat: "none" });
  assert.equal(report.nat, "no");
  assert.equal(report.mapping, "endpoint-independent");
  assert.equal(report.filtering, "endpoint-independent");
  assert.equal(report.hairpin, "not-checked");
  assert.deepEqual(report.servers[0].primary.mapped, report.local);
  assert.match(judge(report).words, /there is no NAT/);
});

Deno.test("round trips are those of the line", () => {
  const [server] = check(make(1), { nat: NAT_KINDS.cone, link: { delay: 10 } }).servers;
  // Host's line, NAT's line, server's line, each way 10 ms: 3 lines there, 3 back; the server has no second line.
  assert.equal(server.primary.roundTrip, server.secondary?.roundTrip);
  assert.ok(server.primary.roundTrip !== undefined && server.primary.roundTrip > 0);
  assert.equal((server.primary.roundTrip ?? 0) % 20, 0);
});

Deno.test("a server that does not answer: Teredo cannot work, and nothing is said of the NAT", () => {
  const report = check(make(1), { server: "absent", nat: NAT_KINDS.cone });
  assert.equal(report.udp, "not-checked");
  assert.equal(report.nat, "not-checked");
  assert.equal(report.mapping, "not-checked");
  assert.equal(report.filtering, "not-checked");
  assert.equal(report.ports.kind, "not-checked");
  assert.equal(report.hairpin, "not-checked");
  assert.equal(report.bubbles, "not-checked");
  assert.deepEqual(judge(report), {
    teredo: "no",
    words:
      "Teredo cannot work here: the server does not answer: it is down, wants a secret, or UDP port 3544 is blocked on the way",
  });
});

Deno.test("a server with one address cannot show the mapping nor the filtering, and that is said", () => {
  for (const secondary of [undefined, SERVER.secondary]) {
    const servers = [{ ...CHECKED, secondary }];
    const report = check(make(1), { server: "one-address", nat: NAT_KINDS.symmetric, options: { servers } });
    assert.equal(report.mapping, "not-checked");
    assert.equal(report.filtering, "not-checked");
    assert.equal(report.bubbles, "yes");
    const verdict = judge(report);
    assert.equal(verdict.teredo, "yes");
    assert.match(verdict.words, /a symmetric NAT would not have shown/);
  }
});

Deno.test("two servers with one address each show the mapping", () => {
  const network = make(1);
  const other = new ServerNode(network, "other", { primary: ELSEWHERE, secondary: undefined });
  const servers = [{ ...CHECKED, secondary: undefined }, { name: "other", ...other.addresses }];
  const report = check(network, { nat: NAT_KINDS.symmetric, server: "one-address", options: { servers } });
  assert.equal(report.mapping, "endpoint-dependent");
});

Deno.test("the first server that answers is the one that is asked on, and silent ones are named", () => {
  const servers = [{ name: "silent", primary: ELSEWHERE, secondary: undefined }, CHECKED];
  const report = check(make(1), { nat: NAT_KINDS["port-restricted"], options: { servers } });
  assert.equal(report.servers[0].primary.mapped, undefined);
  assert.equal(report.mapping, "endpoint-independent");
  assert.equal(judge(report).teredo, "yes");
});

Deno.test("a fault that the kernel told of stands in the verdict", () => {
  const network = make(1);
  const host = network.host("alice", network.internet, [OUTSIDE]);
  const options: NetcheckOptions = {
    servers: [{ ...CHECKED, secondary: undefined }],
    credentials: undefined,
    subnets: [],
    localAddress: OUTSIDE,
    lifetime: false,
  };
  for (const local of [true, false]) {
    const node = new MachineNode(network, host, (environment) => new Netcheck(options, environment), () => {});
    node.machine.start(network.now);
    node.machine.onFault(SERVER.primary, "ENETUNREACH", local);
    node.rearm();
    network.clock.runUntil(() => node.machine.stage === "done", LIMIT);
    assert.equal(node.machine.report.udp, local ? "no" : "not-checked");
    const words = local
      ? "Teredo cannot work here: this host cannot send: ENETUNREACH"
      : "Teredo cannot work here: ENETUNREACH";
    assert.equal(judge(node.machine.report).words, words);
  }
});

Deno.test("the lifetime of a mapping is between what was told, whatever refreshes it", () => {
  for (const refresh of ["outbound", "both"] as const) {
    for (const lifetime of [7_000, 25_000, 40_000, 100_000, 150_000]) {
      const scene = { nat: { lifetime, refresh }, options: { lifetime: true }, limit: 400_000 };
      const found = check(make(1), scene).lifetime;
      const what = `${refresh} ${lifetime}: ${JSON.stringify(found)}`;
      assert.ok(found !== undefined && found.alive < lifetime, what);
      assert.ok(found.dead !== undefined && found.dead >= lifetime, what);
      assert.ok(found.dead <= Math.max(15_000, 2 * lifetime), what);
    }
  }
  const long = check(make(1), { nat: { lifetime: 3_600_000 }, options: { lifetime: true }, limit: 400_000 }).lifetime;
  assert.deepEqual(long, { alive: 300_000, dead: undefined });
});

Deno.test("a check ends with all of its sockets closed", () => {
  const network = make(1);
  const host = network.host("alice", network.internet, [OUTSIDE]);
  const ports: number[] = [];
  const options = { servers: [CHECKED], credentials: undefined, subnets: [], localAddress: 0, lifetime: false };
  const node = new MachineNode(network, host, (environment) => new Netcheck(options, environment), () => {});
  node.machine.start(network.now);
  ports.push(node.machine.report.local.port);
  node.rearm();
  network.clock.runUntil(() => node.machine.stage === "done", LIMIT);
  for (const port of ports) host.bind(port, () => {});
});

Deno.test("ports are called sequential or random only when that is seen", () => {
  const pairs = (...external: number[]) => external.map((port, i) => ({ local: 40_000 + 7 * i, external: port }));
  assert.deepEqual(judgePorts(pairs(1024, 1025, 1026)), { kind: "not-checked" }, "too few");
  assert.deepEqual(judgePorts(pairs(1024, 1025, 1026, 1027, 1028)), { kind: "sequential", step: 1 });
  assert.deepEqual(judgePorts(pairs(65534, 65535, 1024, 1025, 1026)), { kind: "sequential", step: 1 }, "begins again");
  assert.deepEqual(judgePorts(pairs(2000, 1998, 1996, 1994, 1992)), { kind: "sequential", step: -2 });
  assert.deepEqual(judgePorts(pairs(2000, 2003, 2004, 2010, 2017)), { kind: "not-checked" }, "others use it too");
  assert.deepEqual(judgePorts(pairs(2000, 31_003, 7004, 52_010, 12_017)), { kind: "random" });
  assert.deepEqual(judgePorts(pairs(40_000, 40_007, 9, 40_021, 40_028)), { kind: "preserving" }, "one was taken");
});
