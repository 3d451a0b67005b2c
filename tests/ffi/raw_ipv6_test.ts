import assert from "node:assert/strict";
import { EAGAIN, EMSGSIZE, ENETUNREACH } from "../../ffi/abi/errno.ts";
import { close, read } from "../../ffi/io.ts";
import { nativeBuffer } from "../../ffi/memory.ts";
import { openRawIcmpv6, openRawIpv6, RAW_CONTROL_LENGTH, RawIpv6Sender } from "../../ffi/raw_ipv6.ts";
import { documentation, indexOf, inFreshNamespace, nextPacket, notRoot, quietTun, settle } from "./support.ts";

const memory = nativeBuffer(new ArrayBuffer(65536));
const CONTROL_AT = 64;
const PACKET_AT = 0x1003; // odd on purpose
const HERE = documentation(0, 1);
const THERE = documentation(0, 2);

/** An IPv6 packet without payload, next header 59, from a source that is not this host's (RFC 8200 3). */
function put(destination: Uint8Array, payload = new Uint8Array(0), nextHeader = 59): Uint8Array {
  const packet = Uint8Array.of(
    ...[0x61, 0x23, 0x45, 0x67, payload.length >> 8, payload.length & 255, nextHeader, 21],
    ...documentation(7, 7),
    ...destination,
    ...payload,
  );
  memory.bytes.set(packet, PACKET_AT);
  return packet;
}

Deno.test({
  name: "a whole IPv6 packet leaves as it is, foreign source, class, label and hop limit included",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      netlink.addAddress(tun.index, HERE, 64, { noDad: true });
      settle(netlink, HERE);
      const fd = openRawIpv6();
      const sender = new RawIpv6Sender(memory, CONTROL_AT);
      for (const destination of [THERE, documentation(0, 3)]) {
        const packet = put(destination);
        assert.equal(sender.send(fd, PACKET_AT, packet.length), packet.length);
        assert.deepEqual(nextPacket(tun.fd), packet);
      }
      close(fd);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "a link-local destination is sent on the interface named",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const [first, second] = [quietTun(netlink, "first"), quietTun(netlink, "second")];
      const linkLocal = Uint8Array.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99]);
      for (const { index } of [first, second]) {
        netlink.addAddress(index, linkLocal.with(15, index), 64, { noDad: true });
      }
      const fd = openRawIpv6();
      const sender = new RawIpv6Sender(memory, CONTROL_AT);
      const packet = put(linkLocal);
      assert.equal(sender.send(fd, PACKET_AT, packet.length, second.index), packet.length);
      assert.deepEqual(nextPacket(second.fd), packet);
      [fd, first.fd, second.fd].forEach(close);
    });
  },
});

Deno.test({
  name: "a packet that cannot leave gives a negative errno",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      const tun = quietTun(netlink);
      const fd = openRawIpv6();
      const sender = new RawIpv6Sender(memory, CONTROL_AT);
      assert.equal(sender.send(fd, PACKET_AT, put(THERE).length), -ENETUNREACH);
      netlink.addAddress(tun.index, HERE, 64, { noDad: true });
      settle(netlink, HERE);
      assert.equal(sender.send(fd, PACKET_AT, put(THERE, new Uint8Array(1241)).length), -EMSGSIZE);
      close(fd);
      close(tun.fd);
    });
  },
});

Deno.test({
  name: "the control area stays within its octets",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace(() => {
      memory.bytes.fill(0xaa, 0, CONTROL_AT);
      memory.bytes.fill(0xaa, CONTROL_AT + RAW_CONTROL_LENGTH, 0x1000);
      const fd = openRawIpv6();
      new RawIpv6Sender(memory, CONTROL_AT).send(fd, PACKET_AT, put(THERE).length, 1);
      assert.ok(memory.bytes.subarray(0, CONTROL_AT).every((octet) => octet === 0xaa));
      assert.ok(memory.bytes.subarray(CONTROL_AT + RAW_CONTROL_LENGTH, 0x1000).every((octet) => octet === 0xaa));
      close(fd);
    });
  },
});

Deno.test({
  name: "a raw ICMPv6 socket hears the types let through and no other",
  ignore: notRoot,
  fn: () => {
    inFreshNamespace((netlink) => {
      netlink.addAddress(indexOf(netlink, "lo"), HERE, 128, { noDad: true });
      settle(netlink, HERE);
      const raw = openRawIpv6();
      const [some, none] = [openRawIcmpv6([200, 33]), openRawIcmpv6([])];
      const sender = new RawIpv6Sender(memory, CONTROL_AT);
      // Types of private experimentation (RFC 4443 2.1), with the checksum of these addresses.
      for (const type of [201, 200]) {
        const message = Uint8Array.of(type, 0, 0, 0);
        const packet = put(HERE, message, 58);
        const sum = checksum(packet);
        memory.bytes.set([sum >> 8, sum & 255], PACKET_AT + 42);
        assert.equal(sender.send(raw, PACKET_AT, packet.length), packet.length);
      }
      assert.deepEqual(nextPacket(some).subarray(0, 2), Uint8Array.of(200, 0));
      const pointer = memory.pointer(0x8000);
      assert.equal(read(some, pointer, 100), -EAGAIN);
      assert.equal(read(none, pointer, 100), -EAGAIN);
      [raw, some, none].forEach(close);
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
