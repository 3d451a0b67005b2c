/** The outbox and the receiving side over real sockets of the loopback interface. */

import assert from "node:assert/strict";
import { EAGAIN } from "../../../ffi/abi/errno.ts";
import { close } from "../../../ffi/io.ts";
import { libc } from "../../../ffi/libc.ts";
import { inNetworkNamespace, newNetworkNamespace } from "../../../ffi/namespaces.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { DatagramReceiver, enableUdpGro, receiverLength } from "../../../ffi/udp_batch.ts";
import { localEndpoint, openUdp } from "../../../ffi/udp.ts";
import { Counters } from "../../../lib/core/counters.ts";
import { SCRATCH_LENGTH } from "../../../lib/core/machine.ts";
import type { Machine } from "../../../lib/core/machine.ts";
import { Arena } from "../../../lib/host/data/arena.ts";
import { Outbox } from "../../../lib/host/data/outbox.ts";
import { UdpPort } from "../../../lib/host/data/udp_port.ts";

libc(); // opened once for all tests

const LOOPBACK = 0x7f000001;

/** An outbox, sockets, and what arrives. */
class Fixture implements Disposable {
  readonly arena = new Arena();
  readonly counters = new Counters();
  readonly outbox: Outbox;
  readonly out = openUdp({ address: LOOPBACK, port: 0 });
  readonly packetsAt: number;
  readonly #open: number[] = [this.out];
  readonly #receiver: DatagramReceiver;
  readonly #slots: number;

  constructor(join: boolean) {
    this.outbox = new Outbox(this.arena, this.counters, join);
    this.packetsAt = this.arena.reserve(0x20000);
    this.#slots = this.arena.reserve(64 * 0x1000);
    const slots = { at: this.#slots, stride: 0x1000, length: 0x1000 };
    this.#receiver = new DatagramReceiver(this.arena.native, this.arena.reserve(receiverLength(64)), 64, slots);
  }

  socket(): { readonly fd: number; readonly port: number } {
    const fd = openUdp({ address: LOOPBACK, port: 0 });
    this.#open.push(fd);
    return { fd, port: localEndpoint(fd).port };
  }

  /** Puts a datagram whose octets are all `mark` at `offset`. @returns its place */
  place(offset: number, length: number, mark: number): number {
    this.arena.bytes.fill(mark, this.packetsAt + offset, this.packetsAt + offset + length);
    return this.packetsAt + offset;
  }

  /** What waits on a socket: length and first and last octet of each datagram, and the length of each piece if it was joined. */
  arrived(fd: number): { length: number; first: number; last: number; segment: number }[] {
    const result: { length: number; first: number; last: number; segment: number }[] = [];
    for (let count = this.#receiver.receive(fd); count !== -EAGAIN; count = this.#receiver.receive(fd)) {
      assert.ok(count > 0);
      for (let i = 0; i < count; i++) {
        const at = this.#slots + i * 0x1000, length = this.#receiver.length(i);
        const { bytes } = this.arena;
        result.push({
          length,
          first: bytes[at],
          last: bytes[at + length - 1],
          segment: this.#receiver.segmentLength(i),
        });
      }
    }
    return result;
  }

  [Symbol.dispose](): void {
    this.#open.forEach(close);
  }
}

Deno.test("datagrams to one address are joined while they have one size; a shorter one is the last", () => {
  using fixture = new Fixture(true);
  const { outbox, out, counters } = fixture;
  const { fd, port } = fixture.socket();
  assert.equal(enableUdpGro(fd), true);
  [300, 300, 300, 200, 300, 400].forEach((length, i) => {
    outbox.add(out, fixture.place(i * 512, length, i), length, LOOPBACK, port);
  });
  assert.deepEqual(fixture.arrived(fd), [], "nothing is sent before the flush");
  outbox.flush();
  assert.deepEqual(fixture.arrived(fd), [
    { length: 1100, first: 0, last: 3, segment: 300 },
    { length: 300, first: 4, last: 4, segment: 0 },
    { length: 400, first: 5, last: 5, segment: 0 },
  ]);
  assert.equal(counters.get("udp_tx_datagrams"), 6);
  assert.equal(counters.get("udp_tx_octets"), 1800);
  outbox.flush();
  assert.deepEqual(fixture.arrived(fd), [], "nothing is sent twice");
});

Deno.test("datagrams to several addresses and of several pieces arrive whole and in order", () => {
  for (const join of [true, false]) {
    using fixture = new Fixture(join);
    const { outbox, out } = fixture;
    const sockets = [fixture.socket(), fixture.socket(), fixture.socket()];
    for (let i = 0; i < 240; i++) {
      const { port } = sockets[Math.floor(i / 7) % 3];
      const header = fixture.place(i * 512, 40, i), payload = fixture.place(i * 512 + 100, 160, i);
      outbox.addSegment(out, header, 40, payload, 160, LOOPBACK, port);
    }
    outbox.flush();
    const marks = sockets.map(({ fd }) => fixture.arrived(fd).map(({ length, first, last }) => [length, first, last]));
    for (const [k, list] of marks.entries()) {
      const mine = Array.from({ length: 240 }, (_, i) => i).filter((i) => Math.floor(i / 7) % 3 === k);
      assert.deepEqual(list, mine.map((i) => [200, i, i]));
    }
    assert.equal(fixture.counters.get("udp_tx_datagrams"), 240);
  }
});

Deno.test("what lies in the scratch area is copied at once, however much comes", () => {
  using fixture = new Fixture(true);
  const { outbox, out, arena } = fixture;
  const { scratch } = arena.memory;
  const { fd, port } = fixture.socket();
  for (let i = 0; i < 100; i++) {
    const length = 700 + (i % 3) * 250;
    arena.bytes.fill(i, scratch, scratch + length);
    outbox.add(out, scratch, length, LOOPBACK, port);
    if (i % 10 === 0) outbox.add(fixture.out, fixture.place(0, 20, 200), 20, LOOPBACK, port);
  }
  arena.bytes.fill(250, scratch, scratch + SCRATCH_LENGTH);
  outbox.flush();
  const own = fixture.arrived(fd).filter(({ length }) => length > 20);
  assert.deepEqual(own.map(({ first, last }) => [first, last]), Array.from({ length: 100 }, (_, i) => [i, i]));
});

Deno.test("a datagram larger than the room for copies goes out straight from the scratch area", () => {
  using fixture = new Fixture(true);
  const { outbox, out, arena, counters } = fixture;
  const { fd, port } = fixture.socket();
  arena.bytes.fill(9, arena.memory.scratch, arena.memory.scratch + 40_000);
  outbox.add(out, fixture.place(0, 30, 1), 30, LOOPBACK, port);
  outbox.add(out, arena.memory.scratch, 40_000, LOOPBACK, port);
  assert.equal(counters.get("udp_tx_octets"), 40_030);
  assert.deepEqual(fixture.arrived(fd).map(({ first }) => first), [1, 9]);
});

Deno.test("what the kernel refuses is counted and does not hold up the rest", () => {
  using fixture = new Fixture(true);
  const { outbox, out, counters } = fixture;
  const { fd, port } = fixture.socket();
  const at = fixture.place(0, 100, 5);
  outbox.add(out, at, 100, LOOPBACK, port);
  outbox.add(out, at, 100, 0xffffffff, port); // broadcast without permission
  outbox.add(out, at, 100, LOOPBACK, 0);
  outbox.add(out, at, 100, LOOPBACK, port);
  outbox.flush();
  assert.equal(fixture.arrived(fd).length, 2);
  assert.equal(counters.get("udp-send-failed"), 2);
  outbox.add(-1, at, 100, LOOPBACK, port);
  outbox.flush();
  assert.equal(counters.get("udp-send-failed"), 3);
});

Deno.test({
  name: "where joined messages do not fit the link, their datagrams go one by one, from then on too",
  ignore: Deno.uid() !== 0,
  fn: () => {
    const namespace = newNetworkNamespace();
    try {
      inNetworkNamespace(namespace, () => {
        using netlink = Netlink.open();
        netlink.setLink(netlink.linkIndex("lo") ?? 1, { up: true, mtu: 1000 });
        using fixture = new Fixture(true);
        const { outbox, out, counters } = fixture;
        const { fd, port } = fixture.socket();
        for (let round = 0; round < 3; round++) {
          for (let i = 0; i < 5; i++) {
            outbox.addSegment(out, fixture.place(0, 60, 1), 60, fixture.place(4096, 1200, 2), 1200, LOOPBACK, port);
          }
          outbox.flush();
        }
        const list = fixture.arrived(fd);
        assert.deepEqual(list, new Array(15).fill({ length: 1260, first: 1, last: 2, segment: 0 }));
        assert.equal(counters.get("udp-send-failed"), 0);
        assert.equal(counters.get("udp_tx_datagrams"), 15);
      });
    } finally {
      close(namespace);
    }
  },
});

Deno.test("a machine sees every datagram of a joined message by itself", () => {
  for (const gro of [true, false]) {
    using fixture = new Fixture(true);
    const { outbox, out, arena, counters } = fixture;
    const { fd, port } = fixture.socket();
    if (gro) enableUdpGro(fd);
    const receiving = new UdpPort(arena, counters);
    const seen: number[][] = [];
    const machine: Machine = {
      fromTun: () => {},
      fromTunSuper: () => false,
      fromUdp: (socket, at, length, address, from, destination, now) => {
        assert.deepEqual([socket, address, from, destination, now], [
          7,
          LOOPBACK,
          localEndpoint(out).port,
          LOOPBACK,
          1234,
        ]);
        seen.push([length, arena.bytes[at], arena.bytes[at + length - 1]]);
      },
      onTimer: () => {},
      nextTimer: () => Infinity,
    };
    [123, 123, 123, 50, 77].forEach((length, i) => {
      outbox.add(out, fixture.place(i * 512, length, i + 1), length, LOOPBACK, port);
    });
    outbox.flush();
    assert.equal(receiving.drain(fd, 7, machine, 1234), true);
    assert.deepEqual(seen, [[123, 1, 1], [123, 2, 2], [123, 3, 3], [50, 4, 4], [77, 5, 5]]);
    assert.equal(counters.get("udp_rx_datagrams"), 5);
    assert.equal(counters.get("udp_rx_octets"), 496);
    assert.equal(receiving.drain(fd, 7, machine, 1234), true);
    assert.equal(receiving.drain(-1, 7, machine, 1234), false);
  }
});
