/**
 * The TUN side of the data path: packets and super-packets out of the kernel, packets joined to super-packets into it.
 *
 * ```
 *   kernel ─▶ │ virtio │ packet ...  │ ─▶ checksum completed ─▶ machine, packet by packet
 *             │ virtio │ super-packet│ ─▶ machine: one look-up ─▶ Outbox, cut to datagrams
 *                                              └─ no ─▶ cut to packets ─▶ machine, packet by packet
 *   machine ─▶ Coalescer ─▶ kernel
 * ```
 */

import { EAGAIN, EBADF, EBADFD, EINTR, EINVAL, EIO, ENODEV } from "../../../ffi/abi/errno.ts";
import { SystemError } from "../../../ffi/errno.ts";
import { GATHER_LENGTH, GatherWriter } from "../../../ffi/gather.ts";
import { hasVnetHeader } from "../../../ffi/tun.ts";
import { counterIndex, type Counters } from "../../core/counters.ts";
import { HEADROOM, type Machine, type Millis, SCRATCH_LENGTH } from "../../core/machine.ts";
import type { Ipv4 } from "../../wire/ipv4.ts";
import { NEXT_HEADER_TCP } from "../../wire/ipv6.ts";
import type { Arena } from "./arena.ts";
import { Coalescer, type CoalescerOutput, MAX_RUN, RUN_HEADER_LENGTH } from "./offload/coalescer.ts";
import { SEGMENT_HEADER_LENGTH, Segmenter } from "./offload/segmenter.ts";
import { completeChecksum, VIRTIO_HEADER_LENGTH, VirtioHeader } from "./offload/virtio_header.ts";
import type { Outbox } from "./outbox.ts";
import type { TunOffload } from "./tun_offload.ts";

/** Packets read before the sockets get their turn. */
const BATCH = 64;

/** Octets of the longest packet: an IPv6 header and its largest payload. */
const MAX_PACKET = 40 + 65_535;

/** Where packets are read to: a batch of ordinary ones, or some super-packets. */
const AREA_LENGTH = 1 << 20;

/** Headers of packets cut out of super-packets that wait in the outbox. */
const HEADERS = 512;

/** Packets cut out of super-packets that the machine takes one by one; holds every packet of the smallest segments in few rounds. */
const SINGLES_LENGTH = 128 * 1024;

const TUN_RX_PACKETS = counterIndex("tun_rx_packets");
const TUN_RX_OCTETS = counterIndex("tun_rx_octets");
const TUN_TX_PACKETS = counterIndex("tun_tx_packets");
const TUN_TX_OCTETS = counterIndex("tun_tx_octets");
const TUN_WRITE_FAILED = counterIndex("tun-write-failed");
const MALFORMED = counterIndex("malformed");

/** One TUN. Nothing here allocates per packet. */
export class TunPort implements CoalescerOutput {
  readonly #arena: Arena;
  readonly #fd: number;
  readonly #outbox: Outbox;
  readonly #values: Float64Array;
  readonly #scratch: number;
  readonly #gather: GatherWriter;
  /** Octets before each packet. */
  readonly #before: number;
  readonly #areaAt: number;
  /** Packets to read next time: one at first, twice as many whenever so many were there. Saves a lone packet the read that finds nothing. */
  #expected = 1;

  readonly #header = new VirtioHeader();
  readonly #segmenter: Segmenter;
  readonly #headersAt: number;
  #headersUsed = 0;
  readonly #singlesAt: number;
  /** The super-packet that the machine is being asked about, -1 for none. */
  #superAt = -1;

  readonly #coalescer: Coalescer | undefined;
  /** A virtio header that asks for nothing. */
  readonly #nothingAt: number;

  constructor(arena: Arena, fd: number, offload: TunOffload, outbox: Outbox, counters: Counters) {
    this.#arena = arena;
    this.#fd = fd;
    this.#outbox = outbox;
    this.#values = counters.values;
    this.#scratch = arena.memory.scratch;
    this.#gather = new GatherWriter(arena.native, arena.reserve((MAX_RUN + 1) * GATHER_LENGTH), MAX_RUN + 1);
    this.#before = hasVnetHeader(fd) ? VIRTIO_HEADER_LENGTH : 0;
    this.#areaAt = arena.reserve(AREA_LENGTH);
    this.#segmenter = new Segmenter(arena);
    this.#headersAt = arena.reserve(HEADERS * SEGMENT_HEADER_LENGTH);
    this.#singlesAt = arena.reserve(SINGLES_LENGTH);
    this.#nothingAt = arena.reserve(VIRTIO_HEADER_LENGTH);
    const tcp = offload === "tcp" || offload === "tcp+udp";
    this.#coalescer = tcp
      ? new Coalescer(arena, arena.reserve(RUN_HEADER_LENGTH), this, { tcp, udp: offload === "tcp+udp" })
      : undefined;
  }

  // ---- out of the kernel

  /**
   * Reads what is there, up to a batch, and hands it to `machine`. What it sends is sent when this returns.
   * @throws SystemError when the interface is gone
   */
  drain(machine: Machine, now: Millis): void {
    const before = this.#before;
    const end = this.#areaAt + AREA_LENGTH - HEADROOM - MAX_PACKET - HEADROOM;
    const expected = this.#expected;
    let place = this.#areaAt, count = 0;
    for (; count < expected && place < end; count++) {
      const at = place + HEADROOM;
      const result = this.#gather.read(this.#fd, at - before, MAX_PACKET + before);
      if (result < 0) {
        this.#readFailed(-result);
        break;
      }
      const length = result - before;
      place = (at + length + 63) & ~63;
      if (length > 0) this.#take(machine, at, length, now);
    }
    this.#expected = count < expected ? Math.max(1, count) : Math.min(BATCH, 2 * expected);
    this.#outbox.flush();
    this.#headersUsed = 0;
  }

  /** Nothing more to read, or an interface that is gone; the kernel has dropped the packet of any other error. */
  #readFailed(error: number): void {
    switch (error) {
      case EBADF:
      case EBADFD:
      case EIO:
      case ENODEV:
        throw new SystemError("readv", "read from the tunnel interface", error, { EIO: "it was removed" });
      case EAGAIN:
      case EINTR:
        return;
      default:
        this.#values[MALFORMED]++;
    }
  }

  #take(machine: Machine, at: number, length: number, now: Millis): void {
    const values = this.#values;
    if (this.#before !== 0) {
      const header = this.#header;
      header.read(this.#arena.view, at - VIRTIO_HEADER_LENGTH);
      if (header.protocol !== 0) return this.#takeSuper(machine, at, length, now);
      if (header.needsChecksum && !completeChecksum(this.#arena, at, length, header)) {
        values[MALFORMED]++;
        return;
      }
    }
    values[TUN_RX_PACKETS]++;
    values[TUN_RX_OCTETS] += length;
    machine.fromTun(at, length, now);
  }

  #takeSuper(machine: Machine, at: number, length: number, now: Millis): void {
    const segmenter = this.#segmenter, values = this.#values;
    if (!segmenter.start(at, length, this.#header)) {
      values[MALFORMED]++;
      return;
    }
    const { segments, headerLength } = segmenter;
    values[TUN_RX_PACKETS] += segments;
    values[TUN_RX_OCTETS] += length + (segments - 1) * headerLength;
    this.#superAt = at;
    const sent = machine.fromTunSuper(at, length, segmenter.largest, now, segments);
    this.#superAt = -1;
    if (!sent) this.#takeApart(machine, now);
  }

  /** Whether the datagram that the machine sends is the super-packet it was asked about. */
  isSuper(at: number): boolean {
    return at === this.#superAt;
  }

  /** Sends the super-packet that the machine was asked about, cut to datagrams. */
  sendSuper(descriptor: number, address: Ipv4, port: number): void {
    const segmenter = this.#segmenter, outbox = this.#outbox;
    const { headerLength } = segmenter;
    for (;;) {
      if (this.#headersUsed === HEADERS) {
        outbox.flush();
        this.#headersUsed = 0;
      }
      const headerAt = this.#headersAt + this.#headersUsed * SEGMENT_HEADER_LENGTH;
      if (!segmenter.next(headerAt)) return;
      this.#headersUsed++;
      outbox.addSegment(
        descriptor,
        headerAt,
        headerLength,
        segmenter.payloadAt,
        segmenter.payloadLength,
        address,
        port,
      );
    }
  }

  /** Hands the packets of the super-packet to the machine one by one, each in one piece. */
  #takeApart(machine: Machine, now: Millis): void {
    const segmenter = this.#segmenter, { bytes } = this.#arena;
    const { headerLength, largest } = segmenter;
    const end = this.#singlesAt + SINGLES_LENGTH - largest;
    let place = this.#singlesAt + HEADROOM;
    while (segmenter.next(place)) {
      const { payloadAt, payloadLength } = segmenter;
      bytes.copyWithin(place + headerLength, payloadAt, payloadAt + payloadLength);
      machine.fromTun(place, headerLength + payloadLength, now);
      place = (place + headerLength + payloadLength + HEADROOM + 63) & ~63;
      if (place <= end) continue;
      this.#outbox.flush();
      place = this.#singlesAt + HEADROOM;
    }
    this.#outbox.flush(); // the next super-packet uses the same place
  }

  // ---- into the kernel

  /** Takes one packet for the kernel. Unless it lies in the scratch area, it has to stay until {@link flush}. */
  write(at: number, length: number): void {
    const coalescer = this.#coalescer;
    if (coalescer === undefined || (at >= this.#scratch && at < this.#scratch + SCRATCH_LENGTH)) {
      return this.packet(at, length);
    }
    coalescer.add(at, length);
  }

  /** Writes what waits to be joined. */
  flush(): void {
    this.#coalescer?.flush();
  }

  packet(at: number, length: number): void {
    const gather = this.#gather;
    let written: number;
    if (this.#before === 0) written = gather.write(this.#fd, at, length);
    else {
      gather.setPiece(0, this.#nothingAt, VIRTIO_HEADER_LENGTH);
      gather.setPiece(1, at, length);
      written = gather.writePieces(this.#fd, 2);
    }
    const values = this.#values;
    if (written < 0) {
      values[TUN_WRITE_FAILED]++;
      return;
    }
    values[TUN_TX_PACKETS]++;
    values[TUN_TX_OCTETS] += length;
  }

  run(
    headerAt: number,
    headerLength: number,
    payloads: Int32Array,
    first: number,
    count: number,
    segmentLength: number,
    lastLength: number,
  ): void {
    const gather = this.#gather, values = this.#values;
    gather.setPiece(0, headerAt, headerLength);
    const last = count - 1;
    for (let i = 0; i < last; i++) gather.setPiece(i + 1, payloads[first + i], segmentLength);
    gather.setPiece(count, payloads[first + last], lastLength);
    const written = gather.writePieces(this.#fd, count + 1);
    const packetHeader = headerLength - VIRTIO_HEADER_LENGTH;
    if (written >= 0) {
      values[TUN_TX_PACKETS] += count;
      values[TUN_TX_OCTETS] += written + last * packetHeader - VIRTIO_HEADER_LENGTH;
      return;
    }
    if (written !== -EINVAL) {
      values[TUN_WRITE_FAILED] += count;
      return;
    }
    // The kernel does not take this kind: never again. Each packet still lies whole where it came in.
    this.#refused(payloads[first] - packetHeader);
    for (let i = 0; i <= last; i++) {
      this.packet(payloads[first + i] - packetHeader, packetHeader + (i === last ? lastLength : segmentLength));
    }
  }

  #refused(packetAt: number): void {
    const coalescer = this.#coalescer;
    if (coalescer === undefined) return;
    if (this.#arena.bytes[packetAt + 6] === NEXT_HEADER_TCP) coalescer.tcp = false;
    else coalescer.udp = false;
  }
}
