/**
 * Packets through the kernel: joined into one TUN, forwarded, and cut again out of another, with every degree of offload.
 *
 * ```
 *   packets ─▶ TunPort.write ─▶ tun "in" ═ kernel forwards ═ tun "out" ─▶ TunPort.drain ─▶ machine ─▶ UDP
 * ```
 */

import assert from "node:assert/strict";
import { EAGAIN } from "../../../ffi/abi/errno.ts";
import { SystemError } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/io.ts";
import { libc } from "../../../ffi/libc.ts";
import { inNetworkNamespace, newNetworkNamespace } from "../../../ffi/namespaces.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { setIpv6Setting } from "../../../ffi/sysctl.ts";
import { openTun, setTunOffload } from "../../../ffi/tun.ts";
import { DatagramReceiver, receiverLength } from "../../../ffi/udp_batch.ts";
import { localEndpoint, openUdp } from "../../../ffi/udp.ts";
import { Counters } from "../../../lib/core/counters.ts";
import { HEADROOM, type Machine } from "../../../lib/core/machine.ts";
import { Arena } from "../../../lib/host/data/arena.ts";
import { Outbox } from "../../../lib/host/data/outbox.ts";
import { negotiateTunOffload, type TunOffload } from "../../../lib/host/data/tun_offload.ts";
import { TunPort } from "../../../lib/host/data/tun_port.ts";
import { ACK, flowOf, type Packet, PSH, read, TCP, UDP, write } from "./offload_reference.ts";

libc(); // opened once for all tests

const LOOPBACK = 0x7f000001;
const SLOT = 2048;

/** `packet()` of the reference has addresses 2001:db8::N: each end is one /128 behind its TUN. */
const SOURCE = 1;
const DESTINATION = 2;

function host(last: number): Uint8Array {
  return Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last);
}

/** One end: a TUN with all that a data isolate puts around it. */
class End implements Disposable {
  readonly arena = new Arena();
  readonly counters = new Counters();
  readonly outbox: Outbox;
  readonly tun: number;
  readonly offload: TunOffload;
  readonly port: TunPort;
  readonly packetsAt: number;
  #open = true;

  constructor(netlink: Netlink, name: string, address: number, vnetHeader: boolean) {
    this.tun = openTun(name, { vnetHeader }).fd;
    const index = netlink.linkIndex(name) ?? assert.fail(`no ${name}`);
    setIpv6Setting(name, "accept_ra", 0);
    netlink.setLink(index, { mtu: 1280, multicast: false, noAddressGeneration: true, up: true });
    netlink.addRoute({ destination: host(address), prefixLength: 128, index, metric: 1 });
    this.outbox = new Outbox(this.arena, this.counters, true);
    this.offload = negotiateTunOffload(this.tun);
    this.port = new TunPort(this.arena, this.tun, this.offload, this.outbox, this.counters);
    this.packetsAt = this.arena.reserve(0x40000);
  }

  /** Removes the interface. */
  close(): void {
    if (this.#open) close(this.tun);
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A machine that sends all it gets, and what arrives of it. */
class Taker implements Machine, Disposable {
  readonly packets: Uint8Array[] = [];
  supers = 0;
  /** Packets of the kernel's own, such as multicast reports, and their octets. */
  strays = 0;
  strayOctets = 0;
  /** Whether super-packets are wanted as a whole. */
  whole = true;
  readonly #end: End;
  readonly #out = openUdp({ address: LOOPBACK, port: 0 });
  readonly #into = openUdp({ address: LOOPBACK, port: 0 });
  readonly #receiver: DatagramReceiver;
  readonly #slots: number;

  constructor(end: End) {
    this.#end = end;
    this.#slots = end.arena.reserve(64 * SLOT);
    const slots = { at: this.#slots, stride: SLOT, length: SLOT };
    this.#receiver = new DatagramReceiver(end.arena.native, end.arena.reserve(receiverLength(64)), 64, slots);
  }

  fromTun(at: number, length: number): void {
    this.#end.arena.bytes.fill(0xaa, at - HEADROOM, at); // headroom is the machine's
    if (this.#end.arena.bytes[at + 23] !== SOURCE || this.#end.arena.bytes[at + 39] !== DESTINATION) {
      this.strays++;
      this.strayOctets += length;
      return;
    }
    this.#end.outbox.add(this.#out, at, length, LOOPBACK, localEndpoint(this.#into).port);
  }

  fromTunSuper(at: number, _length: number, largest: number): boolean {
    assert.ok(largest <= 1280);
    this.supers++;
    if (!this.whole) return false;
    assert.ok(this.#end.port.isSuper(at));
    this.#end.port.sendSuper(this.#out, LOOPBACK, localEndpoint(this.#into).port);
    return true;
  }

  fromUdp(): void {}
  onTimer(): void {}
  nextTimer(): number {
    return Infinity;
  }

  /** Reads all that the kernel has, and all datagrams sent. */
  drain(): Uint8Array[] {
    const { port, arena } = this.#end;
    for (let i = 0; i < 40; i++) port.drain(this, 0);
    for (let count = this.#receiver.receive(this.#into); count !== -EAGAIN;) {
      for (let i = 0; i < count; i++) {
        const at = this.#slots + i * SLOT;
        this.packets.push(arena.bytes.slice(at, at + this.#receiver.length(i)));
      }
      count = this.#receiver.receive(this.#into);
    }
    return this.packets;
  }

  [Symbol.dispose](): void {
    close(this.#out);
    close(this.#into);
  }
}

function stream(protocol: typeof TCP | typeof UDP, count: number, port: number): Packet[] {
  const first = { protocol, source: SOURCE, destination: DESTINATION, sourcePort: port, destinationPort: 80 };
  const rest = { trafficClass: 0, flowLabel: 0x54321, hopLimit: 64, extension: false, error: 0 };
  return Array.from({ length: count }, (_, i): Packet => ({
    ...first,
    ...rest,
    sequence: protocol === TCP ? (0xffff_f000 + i * 1207) >>> 0 : 0,
    acknowledgment: protocol === TCP ? 99 : 0,
    flags: protocol === UDP ? 0 : i === count - 1 ? ACK | PSH : ACK,
    window: protocol === TCP ? 500 : 0,
    options: [],
    payload: Uint8Array.from({ length: i === count - 1 ? 555 : 1207 }, (_, k) => i + k * 3),
  }));
}

/** Runs `work` with two TUNs between which a kernel forwards. */
function between(
  vnet: { readonly into: boolean; readonly out: boolean },
  work: (into: End, out: End, taker: Taker) => void,
): void {
  const namespace = newNetworkNamespace();
  try {
    inNetworkNamespace(namespace, () => {
      using netlink = Netlink.open();
      netlink.setLink(netlink.linkIndex("lo") ?? 1, { up: true });
      setIpv6Setting("all", "forwarding", 1);
      using into = new End(netlink, "in", SOURCE, vnet.into);
      using out = new End(netlink, "out", DESTINATION, vnet.out);
      using taker = new Taker(out);
      work(into, out, taker);
    });
  } finally {
    close(namespace);
  }
}

/** Puts packets into the kernel, as if they had just been received, and checks that each flow comes out as it was, one hop later. */
function carry(into: Pick<End, "arena" | "port" | "packetsAt">, taker: Taker, packets: readonly Packet[]): void {
  let at = into.packetsAt;
  for (const packet of packets) {
    const octets = write(packet);
    into.arena.bytes.set(octets, at);
    into.port.write(at, octets.length);
    at += octets.length + 1; // as it may lie behind another in a message
  }
  into.port.flush();
  const came = taker.drain();
  assert.equal(came.length, packets.length);
  const expected = Map.groupBy(packets.map((packet) => ({ ...packet, hopLimit: 63 })), flowOf);
  const actual = Map.groupBy(came, (octets) => flowOf(read(octets)));
  for (const [flow, list] of expected) {
    list.forEach((packet, i) => assert.deepEqual([...(actual.get(flow) ?? [])[i]], [...write(packet)]));
  }
}

function mixed(): Packet[] {
  const flows = [stream(TCP, 21, 1000), stream(UDP, 21, 1001), stream(TCP, 21, 1002)];
  return flows[0].flatMap((_, i) => flows.map((flow) => flow[i]));
}

const ignore = Deno.uid() !== 0;

Deno.test({
  name: "packets of several flows cross the kernel as super-packets and come out as they went in",
  ignore,
  fn: () => {
    between({ into: true, out: true }, (into, out, taker) => {
      assert.notEqual(into.offload, "none");
      carry(into, taker, mixed());
      if (into.offload === "tcp+udp") assert.equal(taker.supers, 3);
      assert.equal(taker.packets.length, 63);
      assert.equal(into.counters.get("tun_tx_packets"), 63);
      assert.equal(out.counters.get("tun_rx_packets"), 63 + taker.strays);
      const octets = mixed().reduce((sum, packet) => sum + write(packet).length, 0);
      assert.equal(into.counters.get("tun_tx_octets"), octets);
      assert.equal(out.counters.get("tun_rx_octets"), octets + taker.strayOctets);
    });
  },
});

Deno.test({
  name: "a super-packet that the machine does not want whole reaches it packet by packet",
  ignore,
  fn: () => {
    between({ into: true, out: true }, (into, _out, taker) => {
      taker.whole = false;
      carry(into, taker, [...stream(TCP, 50, 1000), ...stream(UDP, 50, 1001)]);
      assert.ok(taker.supers > 0);
    });
  },
});

Deno.test({
  name: "with fewer offloads, or none, the same packets come out",
  ignore,
  fn: () => {
    for (const vnet of [{ into: true, out: false }, { into: false, out: true }, { into: false, out: false }]) {
      between(vnet, (into, out, taker) => {
        assert.equal(into.offload === "none", !vnet.into);
        assert.equal(out.offload === "none", !vnet.out);
        carry(into, taker, mixed());
      });
    }
    for (const flags of [0, 1]) {
      between({ into: true, out: true }, (into, out, taker) => {
        assert.equal(setTunOffload(out.tun, flags), true);
        carry(into, taker, mixed());
        assert.equal(taker.supers, 0);
      });
    }
  },
});

Deno.test({
  name: "packets that cannot be joined cross the kernel too: empty, urgent, with extension headers",
  ignore,
  fn: () => {
    between({ into: true, out: true }, (into, _out, taker) => {
      const [packet] = stream(TCP, 1, 1000);
      carry(into, taker, [
        { ...packet, payload: new Uint8Array(0) },
        { ...packet, extension: true },
        { ...packet, flags: 0x3f },
      ]);
    });
  },
});

Deno.test({
  name: "a packet with a wrong checksum comes out with the same wrong checksum",
  ignore,
  fn: () => {
    between({ into: true, out: true }, (into, _out, taker) => {
      carry(into, taker, stream(TCP, 9, 1000).map((packet, i) => ({ ...packet, error: i === 4 ? 0x0101 : 0 })));
      assert.equal(taker.supers, 2);
    });
  },
});

Deno.test({
  name: "a TUN that is gone ends the data path, one that is down only loses packets",
  ignore,
  fn: () => {
    between({ into: true, out: true }, (into, out, taker) => {
      using netlink = Netlink.open();
      const index = netlink.linkIndex("in") ?? assert.fail("no interface");
      netlink.setLink(index, { up: false });
      const octets = write(stream(UDP, 1, 1000)[0]);
      into.arena.bytes.set(octets, into.packetsAt);
      into.port.write(into.packetsAt, octets.length);
      into.port.flush();
      assert.equal(into.counters.get("tun-write-failed"), 1);
      into.port.drain(taker, 0);
      out.close();
      assert.throws(() => out.port.drain(taker, 0), SystemError);
    });
  },
});

Deno.test({
  name: "where the kernel refuses super-packets their packets are written one by one, and none is joined any more",
  ignore,
  fn: () => {
    between({ into: false, out: true }, (into, _out, taker) => {
      // Without virtio headers the kernel takes a super-packet for a packet of no known version.
      const { arena, tun, outbox, counters, packetsAt } = into;
      const port = new TunPort(arena, tun, "tcp+udp", outbox, counters);
      for (let round = 1; round <= 2; round++) {
        taker.packets.length = 0;
        carry({ arena, port, packetsAt }, taker, mixed());
        assert.equal(counters.get("tun_tx_packets"), 63 * round);
        assert.equal(counters.get("tun-write-failed"), 0);
      }
    });
  },
});
