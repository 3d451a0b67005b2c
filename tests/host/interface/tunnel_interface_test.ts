/** The tunnel interface, read back from the kernel. */

import assert from "node:assert/strict";
import { close, readTextFile } from "../../../ffi/io.ts";
import { inNetworkNamespace, newNetworkNamespace } from "../../../ffi/namespaces.ts";
import { Netlink, type Route } from "../../../ffi/netlink.ts";
import { formatAddress } from "../../../ffi/text.ts";
import { TunnelInterface } from "../../../lib/host/interface/tunnel_interface.ts";
import { parseIpv6 } from "../../../lib/wire/ipv6_address.ts";

const notRoot = Deno.uid() !== 0;

const MAIN_TABLE = 254;
const TABLE = 4242;
const ADDRESS = ipv6("2001:0:c000:201:1234:ffff:39cc:9bfe");
const OTHER_ADDRESS = ipv6("2001:0:c000:201:4321:ffff:39cc:9bfe");
const OPTIONS = { name: "teredo", mtu: 1280, metric: 1029, policyTable: 0 };

function ipv6(text: string): Uint8Array {
  return parseIpv6(text) ?? assert.fail(text);
}

/** A test in a network namespace of its own, in which nothing is but a loopback that is down. */
function interfaceTest(name: string, body: (netlink: Netlink) => void): void {
  Deno.test({
    name: notRoot ? `${name} (skipped: needs root)` : name,
    ignore: notRoot,
    fn: () => {
      const namespace = newNetworkNamespace();
      try {
        inNetworkNamespace(namespace, () => {
          using netlink = Netlink.open();
          body(netlink);
        });
      } finally {
        close(namespace);
      }
    },
  });
}

/** Everything there is, as text. */
function state(netlink: Netlink): Readonly<Record<string, readonly string[]>> {
  const name = (index: number): string => netlink.link(index)?.name ?? String(index);
  const route = ({ destination, prefixLength, index, metric, table }: Route): string =>
    `${formatAddress(destination)}/${prefixLength} ${name(index)} metric ${metric}` +
    (table === MAIN_TABLE ? "" : ` table ${table}`);
  return {
    links: netlink.links().map(({ name, up, mtu }) => `${name} ${up ? "up" : "down"} ${mtu}`),
    addresses: netlink.addresses().map(({ address, prefixLength, index }) =>
      `${formatAddress(address)}/${prefixLength} ${name(index)}`
    ).toSorted(),
    routes: netlink.routes({ family: 6 }).filter(({ table, type }) => type === 1 && table !== 255).map(route)
      .toSorted(),
    rules: netlink.rules().filter(({ table }) => table === TABLE).map(({ source, prefixLength, priority }) =>
      `${formatAddress(source)}/${prefixLength} priority ${priority}`
    ),
  };
}

const LOOPBACK = "lo down 65536";
const LINK_LOCAL = "fe80::ffff:ffff:ffff/64 teredo";
const LINK_LOCAL_ROUTE = "fe80::/64 teredo metric 256";
/** The kernel's own route to the prefix of an address. */
const SERVICE_ROUTE = "2001::/32 teredo metric 256";
const DEFAULT_ROUTE = "::/0 teredo metric 1029";
const BARE = { links: [LOOPBACK], addresses: [], routes: [], rules: [] };
const UNQUALIFIED = {
  links: [LOOPBACK, "teredo up 1280"],
  addresses: [LINK_LOCAL],
  routes: [LINK_LOCAL_ROUTE],
  rules: [],
};

/** With a Teredo address. */
const qualified = (address: Uint8Array, mtu = 1280) => ({
  links: [LOOPBACK, `teredo up ${mtu}`],
  addresses: [`${formatAddress(address)}/32 teredo`, LINK_LOCAL].toSorted(),
  routes: [SERVICE_ROUTE, DEFAULT_ROUTE, LINK_LOCAL_ROUTE].toSorted(),
  rules: [],
});

interfaceTest("a new interface is up, quiet and has its link-local address alone", (netlink) => {
  using tunnel = new TunnelInterface(OPTIONS);
  assert.deepEqual(state(netlink), UNQUALIFIED);
  const link = netlink.link(tunnel.index);
  assert.equal(link?.noArp, true);
  assert.equal(link?.multicast, false);
  assert.equal(link?.noAddressGeneration, true);
  assert.equal(readTextFile("/proc/sys/net/ipv6/conf/teredo/accept_ra"), "0\n");
  assert.equal(tunnel.change(), undefined);
});

interfaceTest("the interface and all that hangs on it goes when it is closed", (netlink) => {
  const tunnel = new TunnelInterface({ ...OPTIONS, policyTable: TABLE });
  tunnel.setAddress(ADDRESS, 32, 1280);
  tunnel[Symbol.dispose]();
  assert.deepEqual(state(netlink), BARE);
});

interfaceTest("a client's address brings the default route that native ones win over", (netlink) => {
  using tunnel = new TunnelInterface(OPTIONS);
  tunnel.setAddress(ADDRESS, 32, 1400);
  assert.deepEqual(state(netlink), qualified(ADDRESS, 1400));
  tunnel.clearAddress();
  assert.deepEqual(state(netlink), { ...UNQUALIFIED, links: [LOOPBACK, "teredo up 1400"] });
  tunnel.clearAddress();
});

interfaceTest("another address takes the place of the first, the same one changes the MTU alone", (netlink) => {
  using tunnel = new TunnelInterface(OPTIONS);
  tunnel.setAddress(ADDRESS, 32, 1280);
  tunnel.setAddress(OTHER_ADDRESS, 32, 1280);
  assert.deepEqual(state(netlink), qualified(OTHER_ADDRESS));
  tunnel.setAddress(OTHER_ADDRESS, 32, 1300);
  assert.deepEqual(state(netlink), qualified(OTHER_ADDRESS, 1300));
});

interfaceTest("a relay's route leads to its prefix with the metric it is told", (netlink) => {
  using tunnel = new TunnelInterface({ ...OPTIONS, metric: 1024 });
  tunnel.addRoute(ipv6("2001::"), 32);
  assert.deepEqual(state(netlink), {
    ...UNQUALIFIED,
    routes: ["2001::/32 teredo metric 1024", LINK_LOCAL_ROUTE].toSorted(),
  });
});

interfaceTest("a route that is taken is refused with the key that helps", () => {
  using tunnel = new TunnelInterface(OPTIONS);
  tunnel.addRoute(ipv6("2001::"), 32);
  assert.throws(() => tunnel.addRoute(ipv6("2001::"), 32), {
    message: `Cannot add route 2001::/32 on interface ${tunnel.index}: EEXIST ` +
      "(another route has this metric: end what set it, or set interface.metric)",
  });
});

interfaceTest("a policy table gets the default route too, and a rule for the address", (netlink) => {
  using tunnel = new TunnelInterface({ ...OPTIONS, policyTable: TABLE });
  tunnel.setAddress(ADDRESS, 32, 1280);
  const { routes, rules } = state(netlink);
  assert.deepEqual(routes, [...qualified(ADDRESS).routes, `${DEFAULT_ROUTE} table ${TABLE}`].toSorted());
  assert.deepEqual(rules, [`${formatAddress(ADDRESS)}/128 priority 32765`]);
  tunnel.setAddress(OTHER_ADDRESS, 32, 1280);
  assert.deepEqual(state(netlink).rules, [`${formatAddress(OTHER_ADDRESS)}/128 priority 32765`]);
  tunnel.clearAddress();
  assert.deepEqual(state(netlink), UNQUALIFIED);
});

interfaceTest("rules that a predecessor left are taken away, those of others stay", (netlink) => {
  const source = { source: ADDRESS, prefixLength: 128 };
  netlink.addRule({ ...source, table: TABLE, priority: 32765 });
  netlink.addRule({ ...source, table: TABLE, priority: 1000 });
  using _tunnel = new TunnelInterface({ ...OPTIONS, policyTable: TABLE });
  assert.deepEqual(state(netlink).rules, [`${formatAddress(ADDRESS)}/128 priority 1000`]);
});

interfaceTest("what others took away is no error when it is to be taken away", (netlink) => {
  using tunnel = new TunnelInterface({ ...OPTIONS, policyTable: TABLE });
  tunnel.setAddress(ADDRESS, 32, 1280);
  for (const rule of netlink.rules().filter(({ table }) => table === TABLE)) netlink.removeRule(rule);
  netlink.removeAddress(tunnel.index, ADDRESS, 32);
  netlink.removeRoute({ destination: new Uint8Array(16), prefixLength: 0, index: tunnel.index, metric: 1029 });
  tunnel.clearAddress();
  assert.deepEqual(state(netlink), UNQUALIFIED);
});

interfaceTest("an interface that was down is told from one that is flushed, and is restored", (netlink) => {
  using tunnel = new TunnelInterface({ ...OPTIONS, policyTable: TABLE });
  tunnel.setAddress(ADDRESS, 32, 1280);
  tunnel.addRoute(ipv6("2001:db8::"), 32);
  const before = state(netlink);
  netlink.setLink(tunnel.index, { up: false });
  assert.equal(tunnel.change(), "down");
  assert.equal(tunnel.change(), undefined);
  netlink.setLink(tunnel.index, { up: true });
  assert.equal(tunnel.change(), "flushed");
  assert.equal(tunnel.change(), "flushed");
  tunnel.restore();
  assert.equal(tunnel.change(), "up");
  assert.deepEqual(state(netlink), before);
});

interfaceTest("an address that comes while the interface is down is there when it is up", (netlink) => {
  using tunnel = new TunnelInterface(OPTIONS);
  netlink.setLink(tunnel.index, { up: false });
  assert.throws(() => tunnel.setAddress(ADDRESS, 32, 1280), /ENET|EINVAL/);
  netlink.setLink(tunnel.index, { up: true });
  assert.equal(tunnel.change(), "flushed");
  tunnel.restore();
  assert.deepEqual(state(netlink), qualified(ADDRESS));
});

interfaceTest("an interface that went elsewhere is gone", (netlink) => {
  using tunnel = new TunnelInterface(OPTIONS);
  const elsewhere = newNetworkNamespace();
  netlink.setLink(tunnel.index, { namespace: elsewhere });
  assert.equal(tunnel.change(), "gone");
  close(elsewhere);
});

interfaceTest("an interface that was refused leaves nothing behind", (netlink) => {
  using _first = new TunnelInterface(OPTIONS);
  const before = state(netlink);
  assert.throws(() => new TunnelInterface(OPTIONS), /^Error: Cannot create interface "teredo": EEXIST \(/);
  assert.throws(
    () => new TunnelInterface({ ...OPTIONS, name: "lo" }),
    /^Error: Cannot create interface "lo": EEXIST \(/,
  );
  assert.throws(() => new TunnelInterface({ ...OPTIONS, name: "huge", mtu: 70_000 }), /MTU/);
  assert.deepEqual(state(netlink), before);
});
