/**
 * A client of ours behind Debian's miniupnpd, a real router of Linux: the port is mapped by each of the three protocols, used, and given
 * back at the end.
 *
 * ```
 *   alice ── veth ── router: nft masquerade, miniupnpd ── lab's internet ── server
 *   192.168.77.2     192.168.77.1          128.66.0.77
 * ```
 *
 * The router lets nothing in but what its own hosts asked for; what miniupnpd maps is let in from everybody.
 */

import assert from "node:assert/strict";
import { until } from "../lab/child.ts";
import type { Child } from "../lab/child.ts";
import type { LabHost } from "../lab/lab.ts";
import { firstAnswer, type RunningClient, startClient, startServer } from "../lab/programs.ts";
import { labTest, LabWorld, SERVER } from "../lab/world.ts";
import { parseIpv4 } from "../../lib/wire/ipv4.ts";
import { parseIpv6 } from "../../lib/wire/ipv6_address.ts";
import { parseTeredoAddress } from "../../lib/wire/teredo_address.ts";

/** TEST-B-NET of old (RFC 5737 3.1): miniupnpd maps nothing where its address is one of today's documentation addresses. */
const ROUTER = "128.66.0.77";
const PROGRAMS: readonly string[] = ["/usr/sbin/miniupnpd", "/usr/sbin/nft", "/sbin/ip"];
/** Patience for a ping through an open port. */
const PING_LIMIT = 5_000;
/** How long it is seen that none comes through a closed one. */
const CLOSED = 3_000;

/** As Debian's nft_init.sh makes them, and a NAT that filters by endpoint. */
const RULES = `
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan" accept
    jump miniupnpd
  }
  chain input {
    type filter hook input priority 0; policy accept;
    SILENT
  }
  chain miniupnpd { }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    jump prerouting_miniupnpd
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    jump postrouting_miniupnpd
    oifname "eth0" masquerade
  }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}`;

type Protocol = "pcp" | "nat-pmp" | "upnp";

/** What takes the protocols away that miniupnpd cannot be told to leave: version 2 is the first octet of a PCP request. */
const SILENT: Readonly<Record<Protocol, string>> = {
  pcp: "",
  "nat-pmp": "udp dport 5351 @th,64,8 2 drop",
  upnp: "",
};

function interopTest(name: string, body: () => Promise<void>): void {
  const missing = PROGRAMS.find((path) => {
    try {
      return !Deno.statSync(path).isFile;
    } catch {
      return true;
    }
  });
  if (missing === undefined) labTest(name, body);
  else Deno.test({ name: `${name} (skipped: ${missing} is not installed)`, ignore: true, fn: body });
}

/** Lets the router route, translate and map. @returns the host behind it, and miniupnpd */
async function startRouter(world: LabWorld, protocol: Protocol): Promise<{
  readonly router: LabHost;
  readonly alice: LabHost;
  readonly daemon: Child;
}> {
  const router = await world.lab.host("router", { ipv4: [`${ROUTER}/24`] });
  const alice = await world.lab.host("alice", { ipv4: [] });
  const run = async (host: LabHost, ...command: readonly string[]) => void await host.start(command).result();
  await run(router, "ip", "link", "add", "lan", "type", "veth", "peer", "name", "wan");
  await run(router, "ip", "link", "set", "wan", "netns", `/proc/${Deno.pid}/fd/${alice.namespace}`);
  await run(router, "ip", "address", "add", "192.168.77.1/24", "dev", "lan");
  await run(router, "ip", "link", "set", "lan", "up");
  await run(alice, "ip", "address", "add", "192.168.77.2/24", "dev", "wan");
  await run(alice, "ip", "link", "set", "wan", "up");
  await run(alice, "ip", "route", "replace", "default", "via", "192.168.77.1");
  router.sysctl("net/ipv4/ip_forward", 1);
  const directory = await Deno.makeTempDir({ prefix: "miredo-mapping-" });
  const rules = RULES.replace("SILENT", SILENT[protocol]);
  await Deno.writeTextFile(`${directory}/rules`, rules);
  await run(router, "nft", "-f", `${directory}/rules`);
  await Deno.writeTextFile(
    `${directory}/conf`,
    [
      "ext_ifname=eth0",
      "listening_ip=lan",
      `enable_natpmp=${protocol === "upnp" ? "no" : "yes"}`,
      `enable_upnp=${protocol === "upnp" ? "yes" : "no"}`,
      "http_port=0",
      "secure_mode=yes",
      "system_uptime=yes",
      "uuid=00000000-0000-4000-8000-000000000001",
      "allow 1024-65535 192.168.77.0/24 1024-65535",
      "deny 0-65535 0.0.0.0/0 0-65535",
      "upnp_table_name=filter",
      "upnp_nat_table_name=filter",
      "upnp_forward_chain=miniupnpd",
      "upnp_nat_chain=prerouting_miniupnpd",
      "upnp_nat_postrouting_chain=postrouting_miniupnpd",
    ].map((line) => `${line}\n`).join(""),
  );
  // It puts itself under no supervisor: -d stays in the foreground.
  const command = ["miniupnpd", "-d", "-f", `${directory}/conf`, "-P", `${directory}/pid`];
  const daemon = router.start(command, { name: "miniupnpd" });
  void daemon.ended().then(() => Deno.remove(directory, { recursive: true })).catch(() => {});
  await daemon.line(/HTTP listening|Listening for|listening|version/i);
  return { router, alice, daemon };
}

/** The rules of the router as nft tells them. */
async function rulesOf(router: LabHost): Promise<string> {
  return await router.start(["nft", "list", "ruleset"]).result();
}

/** The mapping in a client's Teredo address. */
function mappedOf(client: RunningClient): { readonly address: number; readonly port: number } {
  const parts = parseTeredoAddress(parseIpv6(client.address) ?? new Uint8Array(16));
  assert.ok(parts !== undefined);
  return parts.mapped;
}

interopTest("without a mapping this router keeps strangers out", async () => {
  await using world = await LabWorld.open();
  await startServer(world.server, [SERVER]);
  const { router, alice } = await startRouter(world, "pcp");
  const args = ["--set", "nat.relay_paths=false"];
  const client = await startClient(alice, [SERVER], { args: [...args, "--set", "nat.port_mapping=false"] });
  const { host } = await world.home("bob", "symmetric");
  const bob = await startClient(host, [SERVER], { args });
  assert.equal((await firstAnswer(bob.host, client.address, CLOSED)).ms, undefined);
  assert.doesNotMatch(await rulesOf(router), /dnat/);
});

for (const protocol of ["pcp", "nat-pmp", "upnp"] as const) {
  interopTest(
    `miniupnpd maps the port by ${protocol}; it is in the address, lets strangers in, and is gone at the end`,
    async () => {
      await using world = await LabWorld.open();
      await startServer(world.server, [SERVER]);
      const { router, alice, daemon } = await startRouter(world, protocol);
      const args = ["--set", "bind.port=40123", "--set", "nat.relay_paths=false"];
      const client = await startClient(alice, [SERVER], { args });
      const { text } = await client.child.line(/Port mapped/);
      assert.match(text, new RegExp(`protocol=${protocol}`), daemon.output);
      await until("the rule of the router", async () => /dport 40123/.test(await rulesOf(router)) ? true : undefined);
      assert.deepEqual(mappedOf(client), { address: parseIpv4(ROUTER), port: 40123 });
      // From behind a symmetric NAT whose ports cannot be foretold, only an open port can be reached.
      const { host } = await world.home("bob", "symmetric");
      const bob = await startClient(host, [SERVER], { args: ["--set", "nat.relay_paths=false"] });
      const { ms } = await firstAnswer(bob.host, client.address, PING_LIMIT);
      assert.notEqual(ms, undefined, `${client.child.output}\n${daemon.output}`);
      await client.child.end();
      assert.doesNotMatch(await rulesOf(router), /dport 40123/);
    },
  );
}
