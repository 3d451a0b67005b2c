import assert from "node:assert/strict";
import { SO_RCVBUF, SOL_SOCKET } from "../../ffi/abi/socket.ts";
import { close } from "../../ffi/io.ts";
import { type NetlinkChange, NetlinkMonitor } from "../../ffi/netlink.ts";
import { setIntOption } from "../../ffi/socket.ts";
import { openTun } from "../../ffi/tun.ts";
import { documentation, indexOf, inFreshNamespace, notRoot, quietTun, readable } from "./support.ts";

/** Changes in short, for comparison. */
function short(change: NetlinkChange): string {
  switch (change.kind) {
    case "link":
      return `${change.present ? "+" : "-"}link ${change.link.name} ${change.link.up ? "up" : "down"}`;
    case "address":
      return `${change.present ? "+" : "-"}address ${change.address.address.join(".")}/${change.address.prefixLength}`;
    case "route":
      return `${change.present ? "+" : "-"}route ${change.route.destination.join(".")}/${change.route.prefixLength}`;
    case "overrun":
      return "overrun";
  }
}

/** Reads until `wanted` has come, in short form; all that came before it too. */
function until(monitor: NetlinkMonitor, wanted: string): readonly string[] {
  const seen: string[] = [];
  while (!seen.includes(wanted)) {
    assert.ok(readable(monitor.fd), `no ${wanted} among ${seen.join(", ")}`);
    seen.push(...monitor.read().map(short));
  }
  return seen;
}

Deno.test({
  name: "a monitor tells of interfaces, addresses and IPv4 routes as they come and go",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      using monitor = NetlinkMonitor.open();
      assert.deepEqual(monitor.read(), []);
      const tun = openTun("teredo");
      const index = indexOf(netlink, "teredo");
      netlink.setLink(index, { noAddressGeneration: true, up: true });
      assert.equal(until(monitor, "+link teredo up")[0], "+link teredo down");
      const ipv4 = Uint8Array.of(192, 0, 2, 1);
      netlink.addAddress(index, ipv4, 24);
      assert.ok(until(monitor, "+route 192.0.2.0/24").includes("+address 192.0.2.1/24"));
      const ipv6 = documentation(0, 1);
      netlink.addAddress(index, ipv6, 64, { noDad: true });
      until(monitor, `+address ${ipv6.join(".")}/64`);
      netlink.removeAddress(index, ipv4, 24);
      until(monitor, "-address 192.0.2.1/24");
      close(tun.fd);
      until(monitor, "-link teredo down");
    });
  },
});

Deno.test({
  name: "changes that had to be thrown away are reported as an overrun, and later ones come again",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      using monitor = NetlinkMonitor.open();
      assert.equal(setIntOption(monitor.fd, SOL_SOCKET, SO_RCVBUF, 1), 0);
      const tun = quietTun(netlink);
      for (let i = 1; i <= 100; i++) netlink.addAddress(tun.index, documentation(0, i), 64, { noDad: true });
      assert.ok(monitor.read().some((change) => change.kind === "overrun"));
      netlink.addAddress(tun.index, Uint8Array.of(192, 0, 2, 1), 32);
      until(monitor, "+address 192.0.2.1/32");
      close(tun.fd);
    });
  },
});
