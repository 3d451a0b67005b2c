/** From configuration to machine options: units, texts and this host's addresses. */

import assert from "node:assert/strict";
import { loadConfig } from "../../../config/mod.ts";
import type { HostAddresses } from "../../../lib/host/system/host_addresses.ts";
import { clientOptions, relayOptions, serverOptions } from "../../../lib/host/roles/options.ts";
import { parseIpv4 } from "../../../lib/wire/ipv4.ts";
import { parseIpv6 } from "../../../lib/wire/ipv6_address.ts";

const NOWHERE = { directory: "/nonexistent" };
const ipv4 = (text: string): number => parseIpv4(text) ?? assert.fail(text);
const ipv6 = (text: string): Uint8Array => parseIpv6(text) ?? assert.fail(text);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const HOST: HostAddresses = {
  ipv4: [{ address: ipv4("127.0.0.1"), prefixLength: 8 }, { address: ipv4("198.51.100.1"), prefixLength: 24 }],
  ipv4Source: ipv4("198.51.100.1"),
  ipv6: [ipv6("::1"), ipv6("2001:db8::1")],
  nativeSource: ipv6("2001:db8::1"),
};

function client(...set: readonly string[]) {
  return clientOptions(loadConfig("client", { ...NOWHERE, set: ['client.servers=["192.0.2.1"]', ...set] }), {
    local: { address: ipv4("198.51.100.1"), port: 4000 },
    addresses: HOST,
    remembered: undefined,
  });
}
const relay = (...set: readonly string[]) => relayOptions(loadConfig("relay", { ...NOWHERE, set }), HOST);
const server = (...set: readonly string[]) =>
  serverOptions(loadConfig("server", { ...NOWHERE, set: ["server.address=192.0.2.1", ...set] }), HOST);

Deno.test("a client's seconds become milliseconds, its limits stay numbers", () => {
  const options = client("client.refresh_interval=45", "limits.max_peers=7", "limits.queue_octets_per_peer=2000");
  assert.equal(options.refreshInterval, 45_000);
  assert.equal(options.maxPeers, 7);
  assert.equal(options.queueOctetsPerPeer, 2000);
  // RFC 4380 5.2: T = 4 s, N = 3.
  assert.deepEqual([options.solicitationTimeout, options.solicitationAttempts], [4000, 3]);
});

Deno.test("a client knows where it is: local endpoint, subnets, remembered mapping", () => {
  const remembered = { mapped: { address: ipv4("203.0.113.1"), port: 5000 }, flags: 0x1234 };
  const config = loadConfig("client", { ...NOWHERE, set: ['client.servers=["192.0.2.1"]'] });
  const options = clientOptions(config, { local: { address: 1, port: 2 }, addresses: HOST, remembered });
  assert.deepEqual(options.localEndpoint, { address: 1, port: 2 });
  assert.deepEqual(options.subnets, HOST.ipv4);
  assert.deepEqual(options.remembered, remembered);
});

Deno.test("identifier and secret of a client become octets, or stay away", () => {
  assert.deepEqual([client().identifier, client().secret], [undefined, undefined]);
  const options = client('client.identifier="zoë"', 'client.secret="s"');
  assert.deepEqual(options.identifier, text("zoë"));
  assert.deepEqual(options.secret, text("s"));
});

Deno.test("the legacy cone switch of a client turns on both halves, and nothing else does", () => {
  assert.deepEqual([client().conePhase, client().honourCone], [false, false]);
  const legacy = client("client.legacy_cone=true");
  assert.deepEqual([legacy.conePhase, legacy.honourCone], [true, true]);
});

Deno.test("a relay serves anybody, or the host's own addresses alone", () => {
  assert.equal(relay().served, "any");
  assert.deepEqual(relay("relay.host_only=true").served, HOST.ipv6.map((address) => ({ address, length: 128 })));
});

Deno.test("a relay knows its prefix, its addresses and the source of its errors", () => {
  assert.equal(relay().prefix, 0x20010000);
  const options = relay("teredo.prefix=2001:db8::/32", "relay.direct_bubbles=false", "interface.mtu=1400");
  assert.equal(options.prefix, 0x20010db8);
  assert.equal(options.directBubbles, false);
  assert.equal(options.mtu, 1400);
  assert.deepEqual(options.ownAddresses, HOST.ipv4.map(({ address }) => address));
  assert.deepEqual(options.errorSource, HOST.nativeSource);
});

Deno.test("a server's second address is the next one, another or none", () => {
  assert.equal(server().secondary, ipv4("192.0.2.2"));
  assert.equal(server("server.secondary_address=198.51.100.9").secondary, ipv4("198.51.100.9"));
  assert.equal(server("server.secondary_address=none").secondary, undefined);
});

Deno.test("a server finds secrets by the octets of the identifier, one character each", () => {
  const { secrets } = server('server.secrets.alice="wonder"', 'server.secrets."zoë"="sée"');
  assert.deepEqual([...secrets.keys()].toSorted(), ["alice", "zo\u00c3\u00ab"]);
  assert.deepEqual(secrets.get("zo\u00c3\u00ab"), text("sée"));
});

Deno.test("a server's rates, MTU and switches pass through", () => {
  const options = server(
    "server.rate_per_source=3",
    "server.rate_total=0",
    "server.advertised_mtu=1400",
    "server.native_forwarding=false",
    "server.forward_foreign=true",
  );
  assert.deepEqual([options.ratePerSource, options.rateTotal, options.mtu], [3, 0, 1400]);
  assert.deepEqual([options.nativeForwarding, options.forwardForeign], [false, true]);
});

Deno.test("a client's ways through NATs follow their keys, and its relay is read as an endpoint", () => {
  const { symmetricNatSupport, traversal } = client();
  assert.equal(symmetricNatSupport, true);
  assert.deepEqual(traversal, {
    portPreserving: true,
    sequential: true,
    hairpinning: true,
    serverLoadReduction: true,
    relayPaths: true,
    relay: undefined,
    relayProbe: undefined,
    localAddresses: [ipv4("198.51.100.1")],
  });
  const other = client(
    "nat.symmetric=false",
    "nat.port_preserving=false",
    "nat.sequential=false",
    "nat.hairpinning=false",
    "nat.server_load_reduction=false",
    "nat.relay_paths=false",
    "client.relay=203.0.113.9:3545",
    "client.relay_probe=2001:db8::7",
  );
  assert.equal(other.symmetricNatSupport, false);
  assert.deepEqual(other.traversal, {
    portPreserving: false,
    sequential: false,
    hairpinning: false,
    serverLoadReduction: false,
    relayPaths: false,
    relay: { address: ipv4("203.0.113.9"), port: 3545 },
    relayProbe: ipv6("2001:db8::7"),
    localAddresses: [ipv4("198.51.100.1")],
  });
});

Deno.test("of a host's addresses, peers inside the NAT are told the one towards the Internet first, and never loopback", () => {
  const config = loadConfig("client", { ...NOWHERE, set: ['client.servers=["192.0.2.1"]'] });
  const addresses = {
    ...HOST,
    ipv4: [...HOST.ipv4, { address: ipv4("192.168.1.5"), prefixLength: 24 }],
    ipv4Source: ipv4("192.168.1.5"),
  };
  const { traversal } = clientOptions(config, { local: { address: 0, port: 2 }, addresses, remembered: undefined });
  assert.deepEqual(traversal.localAddresses, [ipv4("192.168.1.5"), ipv4("198.51.100.1")]);
});

Deno.test("a relay passes packets between clients unless told not to, at the rate given", () => {
  assert.deepEqual([relay().betweenClients, relay().betweenClientsRate], [true, 1000]);
  const other = relay("relay.between_clients=false", "relay.between_clients_rate=5");
  assert.deepEqual([other.betweenClients, other.betweenClientsRate], [false, 5]);
});
