import assert from "node:assert/strict";
import { close } from "../../ffi/io.ts";
import { Netlink, type Rule } from "../../ffi/netlink.ts";
import { openTun } from "../../ffi/tun.ts";
import { documentation, indexOf, inFreshNamespace, notRoot, quietTun } from "./support.ts";

/** Metric of a Teredo default route: behind every native one. */
const METRIC = 1029;

/** 2001::/32, where Teredo addresses are. */
const TEREDO = Uint8Array.from([0x20, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const ANYWHERE = new Uint8Array(16);

Deno.test({
  name: "an interface is found by name, or not at all",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = openTun("teredo");
      const index = indexOf(netlink, "teredo");
      assert.equal(netlink.link(index)?.name, "teredo");
      assert.equal(netlink.linkIndex("tered"), undefined);
      assert.equal(netlink.linkIndex("a name of more than fifteen octets"), undefined);
      assert.equal(netlink.link(4711), undefined);
      assert.ok(netlink.links().some((link) => link.name === "teredo" && link.index === index));
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "a link takes MTU, flags and name, and keeps what is not named",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = openTun("teredo");
      const index = indexOf(netlink, "teredo");
      const before = netlink.link(index);
      assert.ok(before !== undefined);
      assert.deepEqual([before.up, before.multicast, before.mtu], [false, true, 1500]);
      netlink.setLink(index, { mtu: 1280 });
      assert.deepEqual(netlink.link(index), { ...before, mtu: 1280 });
      netlink.setLink(index, { multicast: false, noArp: true, noAddressGeneration: true, name: "renamed", up: true });
      assert.deepEqual(netlink.link(index), {
        index,
        name: "renamed",
        up: true,
        running: true,
        multicast: false,
        noArp: true,
        mtu: 1280,
        noAddressGeneration: true,
      });
      netlink.setLink(index, { up: false, multicast: true, noAddressGeneration: false });
      const after = netlink.link(index);
      assert.deepEqual([after?.up, after?.multicast, after?.noAddressGeneration], [false, true, false]);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "without address generation an interface that comes up has no address",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      assert.deepEqual(netlink.addresses().filter((address) => address.index === tun.index), []);
      close(tun.fd);
      const plain = openTun("plain");
      const index = indexOf(netlink, "plain");
      netlink.setLink(index, { noAddressGeneration: false, up: true });
      assert.equal(netlink.addresses().filter((address) => address.index === index).length, 1);
      close(plain.fd);
    });
  },
});

Deno.test({
  name: "addresses of both families come and go, IPv6 without duplicate address detection",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      const ours = (): readonly unknown[] =>
        netlink.addresses().filter((address) => address.index === tun.index)
          .map(({ address, prefixLength, noDad, scope }) => [[...address], prefixLength, noDad, scope]);
      const [ipv6, ipv4] = [documentation(0, 1), Uint8Array.of(192, 0, 2, 1)];
      const linkLocal = Uint8Array.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
      netlink.addAddress(tun.index, ipv6, 32, { noDad: true });
      netlink.addAddress(tun.index, ipv4, 24);
      netlink.addAddress(tun.index, linkLocal, 64, { noDad: true });
      assert.deepEqual(ours(), [
        [[...ipv4], 24, false, 0],
        [[...ipv6], 32, true, 0],
        [[...linkLocal], 64, true, 253],
      ]);
      netlink.removeAddress(tun.index, ipv6, 32);
      netlink.removeAddress(tun.index, ipv4, 24);
      assert.deepEqual(ours(), [[[...linkLocal], 64, true, 253]]);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "an address brings the route of its prefix unless told not to",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      const prefixes = (): readonly number[] =>
        netlink.routes({ family: 6, table: 254 }).filter((route) => route.index === tun.index)
          .map((route) => route.prefixLength);
      netlink.addAddress(tun.index, documentation(0, 1), 64, { noDad: true, noPrefixRoute: true });
      assert.deepEqual(prefixes(), []);
      netlink.addAddress(tun.index, documentation(1, 1), 64, { noDad: true });
      assert.deepEqual(prefixes(), [64]);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "routes have metric and table, a default route too, and go again",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      const { index } = tun;
      const teredo = { destination: TEREDO, prefixLength: 32, index };
      const anywhere = { destination: ANYWHERE, prefixLength: 0, index, metric: METRIC };
      const apart = { ...anywhere, table: 3544 };
      const ipv4 = { destination: Uint8Array.of(198, 51, 100, 0), prefixLength: 24, index, metric: 5 };
      [teredo, anywhere, apart, ipv4].forEach((route) => netlink.addRoute(route));
      const all = netlink.routes().filter((route) => route.index === index && route.type === 1);
      const short = all.map((r) => [r.destination.length, r.destination[0], r.prefixLength, r.metric, r.table]);
      // 1024 is the kernel's metric for IPv6 routes that name none; 254 is the main table.
      assert.deepEqual(short.toSorted(), [
        [16, 0, 0, METRIC, 254],
        [16, 0, 0, METRIC, 3544],
        [16, 0x20, 32, 1024, 254],
        [
          4,
          198,
          24,
          5,
          254,
        ],
      ]);
      assert.throws(() => netlink.addRoute(apart), {
        code: "EEXIST",
        message: `Cannot add route ::/0 on interface ${index} in table 3544: EEXIST (it is there already)`,
      });
      [teredo, anywhere, apart, ipv4].forEach((route) => netlink.removeRoute(route));
      assert.deepEqual(netlink.routes().filter((route) => route.index === index && route.type === 1), []);
      assert.throws(() => netlink.removeRoute(teredo), {
        code: "ESRCH",
        message: `Cannot remove route 2001::/32 on interface ${index}: ESRCH (no such route)`,
      });
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "a route through a gateway names it",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      const gateway = Uint8Array.of(192, 0, 2, 254);
      netlink.addAddress(tun.index, Uint8Array.of(192, 0, 2, 1), 24);
      const route = { destination: new Uint8Array(4), prefixLength: 0, index: tun.index, gateway };
      netlink.addRoute(route);
      const [found] = netlink.routes({ family: 4, table: 254 }).filter((each) => each.prefixLength === 0);
      assert.deepEqual(found?.gateway, gateway);
      assert.deepEqual(netlink.sourceFor(Uint8Array.of(203, 0, 113, 5)), Uint8Array.of(192, 0, 2, 1));
      netlink.removeRoute(route);
      assert.equal(netlink.sourceFor(Uint8Array.of(203, 0, 113, 5)), undefined);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "the kernel is asked which source it would take, native before Teredo",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const [teredo, native] = [quietTun(netlink), quietTun(netlink, "native")];
      const destination = documentation(9, 9);
      assert.equal(netlink.sourceFor(destination), undefined);
      const address = Uint8Array.from([0x20, 1, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
      netlink.addAddress(teredo.index, address, 32, { noDad: true });
      netlink.addRoute({ destination: ANYWHERE, prefixLength: 0, index: teredo.index, metric: METRIC });
      assert.deepEqual(netlink.sourceFor(destination), address);
      netlink.addAddress(native.index, documentation(1, 1), 64, { noDad: true });
      netlink.addRoute({ destination: ANYWHERE, prefixLength: 0, index: native.index, metric: 1024 });
      assert.deepEqual(netlink.sourceFor(destination), documentation(1, 1));
      close(teredo.fd);
      close(native.fd);
    });
  },
});

Deno.test({
  name: "rules send a source prefix to a table, and all of a table and priority go at once",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const rule: Rule = { source: documentation(1, 1), prefixLength: 128, table: 3544, priority: 1000 };
      const ipv4: Rule = { source: Uint8Array.of(192, 0, 2, 0), prefixLength: 24, table: 3544, priority: 1000 };
      const other: Rule = { ...rule, source: documentation(1, 2), priority: 1001 };
      const ours = (): readonly Rule[] => netlink.rules().filter((each) => each.table === 3544);
      const before = netlink.rules();
      assert.ok(before.some((each) => each.table === 254 && each.priority === 32766 && each.prefixLength === 0));
      [rule, ipv4, other].forEach((each) => netlink.addRule(each));
      assert.deepEqual(ours(), [ipv4, rule, other]);
      assert.throws(() => netlink.addRule(rule), {
        code: "EEXIST",
        message: "Cannot add rule from 2001:db8:0:1::1/128 to table 3544: EEXIST (it is there already)",
      });
      netlink.removeRules(3544, 1000);
      assert.deepEqual(ours(), [other]);
      netlink.removeRules(3544, 1000);
      netlink.removeRule(other);
      assert.throws(() => netlink.removeRule(other), { code: "ENOENT", message: /ENOENT \(no such rule\)$/ });
      assert.deepEqual(netlink.rules(), before);
    });
  },
});

Deno.test({
  name: "what cannot be changed is refused in one line that says why",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      const { index } = tun;
      const refusals: readonly (readonly [() => void, string])[] = [
        [() => netlink.setLink(4711, { up: true }), "Cannot bring up interface 4711: ENODEV (no such interface)"],
        [
          () => netlink.setLink(index, { mtu: 20 }),
          `Cannot set the MTU of interface ${index} to 20: EINVAL (out of the range this interface can have)`,
        ],
        [
          () => netlink.setLink(index, { name: "lo" }),
          `Cannot rename interface ${index} to "lo": EEXIST (an interface of that name exists)`,
        ],
        [
          () => netlink.removeAddress(index, documentation(0, 1), 64),
          `Cannot remove address 2001:db8::1/64 from interface ${index}: EADDRNOTAVAIL (the interface does not have it)`,
        ],
        [
          () => {
            netlink.addAddress(index, documentation(0, 1), 64, { noDad: true });
            netlink.addAddress(index, documentation(0, 1), 64, { noDad: true });
          },
          `Cannot add address 2001:db8::1/64 to interface ${index}: EEXIST (it is there already)`,
        ],
      ];
      for (const [work, message] of refusals) assert.throws(work, { name: "SystemError", message });
      assert.throws(() => netlink.addAddress(index, new Uint8Array(5), 8), RangeError);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "a connection stays in the namespace it was opened in",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((outer) => {
      const tun = openTun("teredo");
      inFreshNamespace((inner) => {
        assert.equal(inner.linkIndex("teredo"), undefined);
        assert.notEqual(outer.linkIndex("teredo"), undefined);
      });
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "a dump longer than one datagram is read to its end",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      const count = 700; // about 70 octets each, the kernel fills 32 KiB at most
      for (let i = 1; i <= count; i++) netlink.addAddress(tun.index, documentation(0, i), 64, { noDad: true });
      const hosts = netlink.addresses().filter((address) => address.index === tun.index)
        .map(({ address }) => (address[14] << 8) | address[15]);
      assert.deepEqual(hosts.toSorted((a, b) => a - b), Array.from({ length: count }, (_, i) => i + 1));
      close(tun.fd);
    });
  },
});

Deno.test("addresses can be listed by anyone", () => {
  using netlink = Netlink.open();
  assert.equal(typeof netlink.linkIndex("lo"), "number");
  assert.ok(netlink.addresses().every(({ address }) => address.length === 4 || address.length === 16));
});
