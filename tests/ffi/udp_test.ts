import assert from "node:assert/strict";
import { EAGAIN, EINVAL, EMSGSIZE } from "../../ffi/abi/errno.ts";
import {
  IP_MTU_DISCOVER,
  IP_PMTUDISC_DONT,
  IP_TOS,
  IPPROTO_IP,
  SO_RCVBUF,
  SO_SNDBUF,
  SOL_SOCKET,
} from "../../ffi/abi/socket.ts";
import { close } from "../../ffi/io.ts";
import { nativeBuffer } from "../../ffi/memory.ts";
import type { Netlink } from "../../ffi/netlink.ts";
import { intOption } from "../../ffi/socket.ts";
import {
  CONTROL_LENGTH,
  DatagramSocketIo,
  joinGroup,
  localEndpoint,
  multicastOptions,
  openUdp,
} from "../../ffi/udp.ts";
import { inFreshNamespace, nextPacket, notRoot, quietTun, readable } from "./support.ts";

const LOOPBACK = 0x7f000001;
const HERE = 0xc0000201; // 192.0.2.1
const SECOND = 0xc0000203; // 192.0.2.3
const THERE = 0xc0000202; // 192.0.2.2
const GROUP = 0xe00000fd; // 224.0.0.253
const TEREDO_PORT = 3544;

/** Where things lie in the memory of these tests. */
const CONTROL_AT = 64;
const OUT_AT = 0x1000;
const IN_AT = 0x20000;

function makeIo(): { readonly memory: ReturnType<typeof nativeBuffer>; readonly io: DatagramSocketIo } {
  const memory = nativeBuffer(new ArrayBuffer(0x40000));
  return { memory, io: new DatagramSocketIo(memory, CONTROL_AT) };
}

/** A TUN with 192.0.2.1 and 192.0.2.3, all else of 192.0.2.0/24 behind it. */
function ipv4Tun(netlink: Netlink): ReturnType<typeof quietTun> {
  const tun = quietTun(netlink);
  netlink.addAddress(tun.index, Uint8Array.of(192, 0, 2, 1), 24);
  netlink.addAddress(tun.index, Uint8Array.of(192, 0, 2, 3), 24);
  return tun;
}

Deno.test("a datagram arrives with its octets, source, port and destination", () => {
  const { memory, io } = makeIo();
  const receiver = openUdp({ address: 0, port: 0 });
  const sender = openUdp({ address: LOOPBACK, port: 0 });
  try {
    const { port } = localEndpoint(receiver);
    assert.equal(io.receive(receiver, IN_AT, 2048), -EAGAIN);
    memory.bytes.set([1, 2, 3, 4, 5], OUT_AT);
    assert.equal(io.send(sender, OUT_AT, 5, LOOPBACK + 1, port), 5);
    assert.ok(readable(receiver));
    assert.equal(io.receive(receiver, IN_AT, 2048), 5);
    assert.deepEqual([...memory.bytes.subarray(IN_AT, IN_AT + 6)], [1, 2, 3, 4, 5, 0]);
    assert.equal(io.sourceAddress, LOOPBACK);
    assert.equal(io.sourcePort, localEndpoint(sender).port);
    assert.equal(io.destination, LOOPBACK + 1);
    assert.equal(io.truncated, false);
  } finally {
    close(receiver);
    close(sender);
  }
});

Deno.test("a datagram too long for its place is cut and says so, and the next is whole again", () => {
  const { memory, io } = makeIo();
  const fd = openUdp({ address: LOOPBACK, port: 0 });
  try {
    const { port } = localEndpoint(fd);
    memory.bytes.fill(7, OUT_AT, OUT_AT + 10);
    io.send(fd, OUT_AT, 10, LOOPBACK, port);
    io.send(fd, OUT_AT, 0, LOOPBACK, port);
    assert.equal(io.receive(fd, IN_AT, 4), 4);
    assert.equal(io.truncated, true);
    assert.deepEqual([...memory.bytes.subarray(IN_AT, IN_AT + 5)], [7, 7, 7, 7, 0]);
    assert.equal(io.receive(fd, IN_AT, 4), 0);
    assert.equal(io.truncated, false);
  } finally {
    close(fd);
  }
});

Deno.test("a datagram that cannot be sent gives a negative errno", () => {
  const { io } = makeIo();
  const fd = openUdp({ address: LOOPBACK, port: 0 });
  try {
    assert.equal(io.send(fd, OUT_AT, 65508, LOOPBACK, TEREDO_PORT), -EMSGSIZE);
    assert.equal(io.send(fd, OUT_AT, 1, LOOPBACK, 0), -EINVAL);
  } finally {
    close(fd);
  }
});

Deno.test("the control area stays within its octets", () => {
  const { memory, io } = makeIo();
  const fd = openUdp({ address: LOOPBACK, port: 0 });
  try {
    memory.bytes.fill(0xaa, 0, CONTROL_AT);
    memory.bytes.fill(0xaa, CONTROL_AT + CONTROL_LENGTH, OUT_AT);
    io.send(fd, OUT_AT, 9, LOOPBACK, localEndpoint(fd).port, LOOPBACK);
    assert.equal(io.receive(fd, IN_AT, 100), 9);
    assert.ok(memory.bytes.subarray(0, CONTROL_AT).every((octet) => octet === 0xaa));
    assert.ok(memory.bytes.subarray(CONTROL_AT + CONTROL_LENGTH, OUT_AT).every((octet) => octet === 0xaa));
  } finally {
    close(fd);
  }
});

Deno.test("[ENC-09 ENC-11] a socket never sets DF and has TOS 0", () => {
  const fd = openUdp({ address: LOOPBACK, port: 0 });
  try {
    assert.equal(intOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, "IP_MTU_DISCOVER"), IP_PMTUDISC_DONT);
    assert.equal(intOption(fd, IPPROTO_IP, IP_TOS, "IP_TOS"), 0);
  } finally {
    close(fd);
  }
});

Deno.test({
  name: "[ENC-09 ENC-11] a datagram leaves with DF clear and TOS 0, ECN included",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const { io } = makeIo();
      const tun = ipv4Tun(netlink);
      const fd = openUdp({ address: HERE, port: TEREDO_PORT });
      assert.equal(io.send(fd, OUT_AT, 40, THERE, TEREDO_PORT), 40);
      const packet = nextPacket(tun.fd);
      const view = new DataView(packet.buffer);
      assert.equal(packet[0], 0x45);
      assert.equal(packet[1], 0, "TOS");
      assert.equal(view.getUint16(2), 20 + 8 + 40);
      assert.equal(view.getUint16(6), 0, "flags and fragment offset");
      assert.equal(packet[9], 17);
      assert.equal(view.getUint32(12), HERE);
      assert.equal(view.getUint32(16), THERE);
      close(fd);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "[ENC-09] a datagram larger than the link is sent in fragments instead of being refused",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const { io } = makeIo();
      const tun = ipv4Tun(netlink);
      const fd = openUdp({ address: HERE, port: TEREDO_PORT });
      assert.equal(io.send(fd, OUT_AT, 1400, THERE, TEREDO_PORT), 1400);
      const fields = [nextPacket(tun.fd), nextPacket(tun.fd)].map((p) => (p[6] << 8) | p[7]);
      // More fragments with offset 0, then the last; neither with DF (RFC 791 3.1).
      assert.deepEqual(fields, [0x2000, (1280 - 20) >> 3]);
      close(fd);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "a datagram leaves from the local address asked for",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const { io } = makeIo();
      const tun = ipv4Tun(netlink);
      const fd = openUdp({ address: 0, port: TEREDO_PORT });
      for (const [from, seen] of [[SECOND, SECOND], [HERE, HERE], [0, HERE], [SECOND, SECOND]]) {
        assert.equal(io.send(fd, OUT_AT, 1, THERE, TEREDO_PORT, from), 1);
        assert.equal(new DataView(nextPacket(tun.fd).buffer).getUint32(12), seen);
      }
      close(fd);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "a member of 224.0.0.253 hears it on the joined interface, others do not",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const { io } = makeIo();
      const tun = ipv4Tun(netlink);
      netlink.setLink(tun.index, { multicast: true });
      const member = openUdp({ address: 0, port: TEREDO_PORT, reuseAddress: true });
      const other = openUdp({ address: 0, port: TEREDO_PORT, reuseAddress: true });
      joinGroup(member, GROUP, HERE);
      assert.throws(() => joinGroup(member, GROUP, HERE), {
        message: "Cannot join group 224.0.0.253: EADDRINUSE (joined already)",
      });
      multicastOptions(member, { ttl: 1, loop: true, interfaceAddress: HERE });
      assert.equal(io.send(member, OUT_AT, 3, GROUP, TEREDO_PORT), 3);
      assert.ok(readable(member));
      assert.equal(io.receive(member, IN_AT, 100), 3);
      assert.equal(io.destination, GROUP);
      assert.equal(io.receive(other, IN_AT, 100), -EAGAIN);
      multicastOptions(member, { loop: false });
      assert.equal(io.send(member, OUT_AT, 3, GROUP, TEREDO_PORT), 3);
      assert.equal(io.receive(member, IN_AT, 100), -EAGAIN);
      let packet = nextPacket(tun.fd);
      while (packet[9] !== 17) packet = nextPacket(tun.fd); // IGMP reports come first
      assert.equal(packet[8], 1, "TTL");
      close(member);
      close(other);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "as root the socket buffers are 4 MiB whatever the system's limit",
  ignore: notRoot,
  fn: () => {
    const fd = openUdp({ address: LOOPBACK, port: 0 });
    // The kernel doubles what is asked for (socket(7)).
    assert.equal(intOption(fd, SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF"), 2 * (4 << 20));
    assert.equal(intOption(fd, SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF"), 2 * (4 << 20));
    close(fd);
  },
});

Deno.test({
  name: "a socket that cannot be bound is refused in one line that says why",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = ipv4Tun(netlink);
      const fd = openUdp({ address: HERE, port: TEREDO_PORT });
      assert.throws(() => openUdp({ address: HERE, port: TEREDO_PORT }), {
        code: "EADDRINUSE",
        message: "Cannot bind UDP 192.0.2.1:3544: EADDRINUSE (the port is in use)",
      });
      assert.throws(() => openUdp({ address: 0xc6336401, port: TEREDO_PORT }), {
        code: "EADDRNOTAVAIL",
        message: "Cannot bind UDP 198.51.100.1:3544: EADDRNOTAVAIL (the address is not one of this host's)",
      });
      assert.throws(() => openUdp({ address: HERE, port: 0, interface: "nosuch" }), {
        code: "ENODEV",
        message: 'Cannot bind UDP 192.0.2.1:0 to interface "nosuch": ENODEV (no such interface)',
      });
      close(fd);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "ports are shared only where asked for",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace(() => {
      const first = openUdp({ address: LOOPBACK, port: TEREDO_PORT, reusePort: true });
      const second = openUdp({ address: LOOPBACK, port: TEREDO_PORT, reusePort: true });
      assert.throws(() => openUdp({ address: LOOPBACK, port: TEREDO_PORT }), { code: "EADDRINUSE" });
      close(first);
      close(second);
    });
  },
});

Deno.test({
  name: "a socket bound to an interface hears that interface only",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const { io } = makeIo();
      const tun = ipv4Tun(netlink);
      const bound = openUdp({ address: 0, port: TEREDO_PORT, interface: "teredo" });
      const local = openUdp({ address: 0, port: 0 });
      assert.equal(io.send(local, OUT_AT, 1, LOOPBACK, TEREDO_PORT), 1);
      assert.equal(io.receive(bound, IN_AT, 100), -EAGAIN);
      close(bound);
      close(local);
      close(tun.fd);
    });
  },
});
