/** The thread that tends a client's interface, over a real kernel. */

import assert from "node:assert/strict";
import { parseIpv6 } from "../../../lib/wire/ipv6_address.ts";
import { InterfaceThread } from "../../../lib/host/threads/interface_thread.ts";
import { inFreshNamespace, notRoot } from "../../ffi/support.ts";

const OPTIONS = { name: "teredo", mtu: 1280, metric: 1029, policyTable: 0 };
const ADDRESS = parseIpv6("2001:0:c000:201::1") ?? new Uint8Array(16);

Deno.test({
  name:
    "an interface tended by another thread gets its address and loses it, each before the call returns, and goes with it",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const has = (): boolean => netlink.addresses().some(({ address }) => address.join() === ADDRESS.join());
      {
        using tunnel = new InterfaceThread(OPTIONS);
        assert.equal(netlink.linkIndex("teredo"), tunnel.index);
        assert.equal(tunnel.adopted, false);
        tunnel.setAddress(ADDRESS, 32, 1280);
        assert.ok(has());
        assert.equal(tunnel.change(), undefined);
        netlink.setLink(tunnel.index, { up: false });
        assert.equal(tunnel.change(), "down");
        netlink.setLink(tunnel.index, { up: true });
        assert.equal(tunnel.change(), "flushed");
        tunnel.restore();
        assert.ok(has());
        tunnel.clearAddress();
        assert.ok(!has());
      }
      assert.equal(netlink.linkIndex("teredo"), undefined);
    });
  },
});

Deno.test({
  name: "what goes wrong in the thread is thrown in its words where it was called",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      using first = new InterfaceThread(OPTIONS);
      assert.throws(() => new InterfaceThread(OPTIONS), /^Error: Cannot create interface "teredo": EEXIST \(/);
      assert.equal(netlink.linkIndex("teredo"), first.index);
    });
  },
});
