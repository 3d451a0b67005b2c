/** Namespaces, interfaces and packets for the tests of ffi/. Nothing here touches the namespace the tests were started in. */

import assert from "node:assert/strict";
import { close, read } from "../../ffi/io.ts";
import { nativeBuffer } from "../../ffi/memory.ts";
import { inNetworkNamespace, newNetworkNamespace } from "../../ffi/namespaces.ts";
import { Netlink } from "../../ffi/netlink.ts";
import { Poller, pollerLength, POLLIN } from "../../ffi/poll.ts";
import { setIpv6Setting } from "../../ffi/sysctl.ts";
import { openTun, type Tun } from "../../ffi/tun.ts";

/** For the `ignore` of tests that make namespaces. */
export const notRoot: boolean = Deno.uid() !== 0;

/** Longest wait for something that comes at once, milliseconds: only a broken program waits that long. */
const PATIENCE = 10_000;

const buffer = nativeBuffer(new ArrayBuffer(0x20000));
const POLLER_AT = 0;
const PACKET_AT = 0x10000;
const poller = new Poller(buffer, POLLER_AT, 1);
const packetPointer = buffer.pointer(PACKET_AT);
assert.ok(pollerLength(1) <= PACKET_AT);

/** Runs `work` in an empty network namespace whose loopback is up. */
export function inFreshNamespace<T>(work: (netlink: Netlink) => T): T {
  const namespace = newNetworkNamespace();
  try {
    return inNetworkNamespace(namespace, () => {
      using netlink = Netlink.open();
      netlink.setLink(indexOf(netlink, "lo"), { up: true });
      return work(netlink);
    });
  } finally {
    close(namespace);
  }
}

/** The index of an interface that must be there. */
export function indexOf(netlink: Netlink, name: string): number {
  const index = netlink.linkIndex(name);
  assert.ok(index !== undefined, `no interface ${name}`);
  return index;
}

/** Type of the route by which an address is local (`RTN_LOCAL`). */
const LOCAL = 2;

/** Waits until packets to `address`, just added, are taken in: the kernel makes the route for that a little later. */
export function settle(netlink: Netlink, address: Uint8Array): void {
  const key = address.toString();
  const local = () =>
    netlink.routes().some(({ type, destination }) => type === LOCAL && destination.toString() === key);
  const end = performance.now() + PATIENCE;
  while (!local()) assert.ok(performance.now() < end, `address ${key} does not become local`);
}

/** Whether `fd` becomes readable; only a failing test waits for long, unless `patience` is given. */
export function readable(fd: number, patience: number = PATIENCE): boolean {
  poller.set(0, fd, POLLIN);
  return poller.wait(patience) === 1;
}

/** The next packet of a TUN or raw socket. */
export function nextPacket(fd: number): Uint8Array {
  assert.ok(readable(fd), "no packet came");
  const length = read(fd, packetPointer, 65536);
  assert.ok(length > 0, `read gives ${length}`);
  return buffer.bytes.slice(PACKET_AT, PACKET_AT + length);
}

/** Creates a TUN, up, with MTU 1280, into which the kernel sends nothing of its own; the caller closes its descriptor. */
export function quietTun(netlink: Netlink, name = "teredo"): Tun & { readonly index: number } {
  const tun = openTun(name);
  const index = indexOf(netlink, name);
  setIpv6Setting(name, "accept_ra", 0);
  netlink.setLink(index, { mtu: 1280, multicast: false, noAddressGeneration: true, up: true });
  return { ...tun, index };
}

/** An IPv6 address of 2001:db8::/32: its second 32 bits and its last 16 bits. */
export function documentation(subnet: number, host: number): Uint8Array {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint32(0, 0x20010db8);
  view.setUint32(4, subnet);
  view.setUint16(14, host);
  return address;
}
