import assert from "node:assert/strict";
import { EAGAIN } from "../../ffi/abi/errno.ts";
import { close, read, write } from "../../ffi/io.ts";
import { nativeBuffer } from "../../ffi/memory.ts";
import { setIpv6Setting } from "../../ffi/sysctl.ts";
import { openTun } from "../../ffi/tun.ts";
import { DatagramSocketIo, openUdp } from "../../ffi/udp.ts";
import { documentation, inFreshNamespace, nextPacket, notRoot, quietTun, readable, settle } from "./support.ts";

const memory = nativeBuffer(new ArrayBuffer(4096));

Deno.test({
  name: "a TUN has the name asked for and goes with its descriptor",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = openTun("teredo");
      assert.equal(tun.name, "teredo");
      assert.notEqual(netlink.linkIndex("teredo"), undefined);
      close(tun.fd);
      assert.equal(netlink.linkIndex("teredo"), undefined);
    });
  },
});

Deno.test({
  name: "a pattern gives the first free name",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace(() => {
      const tuns = [openTun("teredo%d"), openTun("teredo%d")];
      assert.deepEqual(tuns.map((tun) => tun.name), ["teredo0", "teredo1"]);
      tuns.forEach((tun) => close(tun.fd));
    });
  },
});

Deno.test({
  name: "reading an empty TUN does not block",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      assert.equal(read(tun.fd, memory.pointer(0), 2048), -EAGAIN);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "a packet written to a TUN is answered by the kernel, whole packets without a header before them",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      const [here, there] = [documentation(0, 1), documentation(0, 2)];
      netlink.addAddress(tun.index, here, 64, { noDad: true });
      settle(netlink, here);
      // An echo request, RFC 4443 4.1: from there to here, identifier 0x1234, sequence 1, no data.
      const packet = Uint8Array.of(0x60, 0, 0, 0, 0, 8, 58, 64, ...there, ...here, 128, 0, 0, 0, 0x12, 0x34, 0, 1);
      const sum = checksum(packet);
      packet.set([sum >> 8, sum & 255], 42);
      memory.bytes.set(packet);
      assert.equal(write(tun.fd, memory.pointer(0), packet.length), packet.length);
      const answer = nextPacket(tun.fd);
      assert.deepEqual(answer.subarray(4, 7), Uint8Array.of(0, 8, 58));
      assert.deepEqual(answer.subarray(8, 40), Uint8Array.of(...here, ...there));
      assert.deepEqual([answer[40], ...answer.subarray(44)], [129, 0x12, 0x34, 0, 1]);
      close(tun.fd);
    });
  },
});

/** ICMPv6 checksum of a packet whose checksum field is 0, sums of 16-bit words (RFC 4443 2.3). */
function checksum(packet: Uint8Array): number {
  const view = new DataView(packet.buffer);
  let sum = view.getUint16(4) + packet[6];
  for (let at = 8; at < packet.length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return 0xffff & ~sum;
}

Deno.test({
  name: "with a vnet header ten octets come before each packet",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = openTun("teredo", { vnetHeader: true });
      const index = netlink.linkIndex("teredo") ?? 0;
      netlink.setLink(index, { multicast: false, noAddressGeneration: true, up: true });
      netlink.addAddress(index, Uint8Array.of(192, 0, 2, 1), 24);
      const socket = openUdp({ address: 0xc0000201, port: 0 });
      const io = new DatagramSocketIo(memory, 0);
      assert.equal(io.send(socket, 1024, 1, 0xc0000202, 3544), 1);
      const packet = nextPacket(tun.fd);
      assert.equal(packet.length, 10 + 20 + 8 + 1);
      assert.equal(packet[10], 0x45);
      close(socket);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "the kernel sends nothing of its own into a TUN without multicast that refuses router advertisements",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      const linkLocal = Uint8Array.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
      netlink.addAddress(tun.index, linkLocal, 64, { noDad: true });
      netlink.addAddress(tun.index, documentation(0, 1), 32, { noDad: true });
      netlink.addRoute({ destination: new Uint8Array(16), prefixLength: 0, index: tun.index, metric: 1029 });
      // The first router solicitation would come within MAX_RTR_SOLICITATION_DELAY, a second (RFC 4861 10).
      assert.equal(readable(tun.fd, 1200), false);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "a TUN that cannot be made is refused in one line that says why",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      assert.throws(() => openTun("teredo"), {
        code: "EBUSY",
        message: 'Cannot create interface "teredo": EBUSY (another process holds it)',
      });
      assert.throws(() => openTun("lo"), {
        code: "EINVAL",
        message: /^Cannot create interface "lo": EINVAL \(an inter/,
      });
      close(tun.fd);
    });
  },
});

Deno.test("a name that no interface can have is refused before the kernel is asked", () => {
  for (const name of ["", ".", "..", "a b", "a/b", "a:b", "a\0b", "sixteen octets--", "fünfzehn-oktette"]) {
    assert.throws(() => openTun(name), {
      code: "EINVAL",
      message: /^Cannot create interface ".*": EINVAL \(a name has/,
    });
  }
});

Deno.test({
  name: "a setting of an interface that is not there is refused by name",
  ignore: notRoot,
  fn: () => {
    assert.throws(() => inFreshNamespace(() => setIpv6Setting("teredo", "accept_ra", 0)), {
      code: "ENOENT",
      message: 'Cannot open "/proc/sys/net/ipv6/conf/teredo/accept_ra": ENOENT ' +
        "(no such interface or setting, or IPv6 is disabled)",
    });
  },
});
