import assert from "node:assert/strict";
import { close } from "../../ffi/io.ts";
import { currentNetworkNamespace, inNetworkNamespace, newNetworkNamespace } from "../../ffi/namespaces.ts";
import { Netlink } from "../../ffi/netlink.ts";
import { openTun } from "../../ffi/tun.ts";
import { notRoot } from "./support.ts";

const here = (): string => Deno.readLinkSync("/proc/thread-self/ns/net");

Deno.test({
  name: "a new namespace is another one, empty, and this thread stays where it was",
  ignore: notRoot,
  fn: () => {
    const home = here();
    const namespace = newNetworkNamespace();
    assert.equal(here(), home);
    const names = inNetworkNamespace(namespace, () => {
      assert.notEqual(here(), home);
      using netlink = Netlink.open();
      return netlink.links().map((link) => link.name).filter((name) => name === "lo" || name.startsWith("teredo"));
    });
    assert.deepEqual(names, ["lo"]);
    assert.equal(here(), home);
    close(namespace);
  },
});

Deno.test({
  name: "work that throws comes back home as well, and so does work within work",
  ignore: notRoot,
  fn: () => {
    const home = here();
    const [outer, inner] = [newNetworkNamespace(), newNetworkNamespace()];
    assert.throws(() =>
      inNetworkNamespace(outer, () => {
        const first = here();
        assert.notEqual(inNetworkNamespace(inner, here), first);
        assert.equal(here(), first);
        throw new RangeError("Cannot go on");
      }), RangeError);
    assert.equal(here(), home);
    close(outer);
    close(inner);
  },
});

Deno.test({
  name: "an interface moves into another namespace and its descriptor stays usable",
  ignore: notRoot,
  fn: () => {
    const [from, to] = [newNetworkNamespace(), newNetworkNamespace()];
    const tun = inNetworkNamespace(from, () => {
      const tun = openTun("teredo");
      using netlink = Netlink.open();
      const index = netlink.linkIndex("teredo") ?? 0;
      netlink.setLink(index, { namespace: to, up: true });
      assert.equal(netlink.linkIndex("teredo"), undefined);
      return tun;
    });
    inNetworkNamespace(to, () => {
      using netlink = Netlink.open();
      assert.notEqual(netlink.linkIndex("teredo"), undefined);
      close(tun.fd);
      assert.equal(netlink.linkIndex("teredo"), undefined);
    });
    close(from);
    close(to);
  },
});

Deno.test("entering what is no namespace is refused and stays at home", () => {
  const home = here();
  assert.throws(() => inNetworkNamespace(-1, () => assert.fail("entered")), {
    message: "Cannot enter a network namespace: EBADF",
  });
  assert.equal(here(), home);
});

Deno.test("the current namespace has a descriptor", () => {
  const fd = currentNetworkNamespace();
  assert.equal(Deno.readLinkSync(`/proc/self/fd/${fd}`), here());
  close(fd);
});
