/**
 * Joins consecutive packets of a TCP or UDP flow to super-packets for the kernel, over several flows at a time. Payload stays where it was
 * received; one header is written for each super-packet.
 *
 * ```
 *   a0 b0 a1 ping b1 a2 ...  ─▶  │ header │ a0 │ a1 │ a2 │   │ header │ b0 │ b1 │   ping
 * ```
 *
 * The rules are those of Linux GRO (net/ipv4/tcp_offload.c, net/ipv6/ip6_offload.c): a packet joins the run of its flow when
 *
 * * it follows the run at once (TCP: sequence number), and all else in its headers is the same: traffic class, flow label, hop limit,
 *   acknowledgment, window, options, flags but FIN and PSH;
 * * its payload is not empty and not longer than that of the first packet.
 *
 * A shorter packet, and one with FIN or PSH, ends the run. SYN, RST, URG and CWR, empty packets, and packets with extension headers never
 * join. So {@link Segmenter} gives back exactly the packets that came in.
 *
 * The kernel is told to complete the checksum of a super-packet, which would repair a broken one: hence only packets whose checksum is
 * right are joined. Any other is passed on as it came.
 *
 * Packets of one flow leave in the order they came in. Nothing waits longer than until {@link Coalescer.flush}.
 */

import { IPV6_HEADER_LENGTH, NEXT_HEADER_TCP, NEXT_HEADER_UDP } from "../../../wire/ipv6.ts";
import { fold, type OffloadMemory, Tcp, TCP_HEADER_LENGTH, TcpFlag, Udp, UDP_HEADER_LENGTH } from "./memory.ts";
import { pseudoSum, VIRTIO_HEADER_LENGTH, writeSuperHeader } from "./virtio_header.ts";

/** Flows that are joined at a time. */
const FLOWS = 8;

/** Most packets of one super-packet: what the kernel cuts UDP into at most, and more than 64 KiB of TCP hold. */
export const MAX_RUN = 64;

/** Octets of the place where headers of super-packets are made: virtio, IPv6, the longest TCP header. */
export const RUN_HEADER_LENGTH = 128;

/** The IPv6 header lies here in that place, a multiple of 4; the virtio header just before it. */
const IPV6_AT = 12;

/** Largest payload length of an IPv6 packet. */
const MAX_PAYLOAD_LENGTH = 65_535;

/** Flags with which a packet never joins nor begins a run, and those that end one. */
const LONE_FLAGS = TcpFlag.syn | TcpFlag.rst | TcpFlag.urg | TcpFlag.cwr;
const ENDING_FLAGS = TcpFlag.fin | TcpFlag.psh;

/** Where packets and super-packets go. Octets are consumed before a call returns. */
export interface CoalescerOutput {
  /** The packet of `length` octets at `at`, as it came in. */
  packet(at: number, length: number): void;
  /**
   * A super-packet: `headerLength` octets at `headerAt`, which begin with the virtio header, then `count` payloads of `segmentLength` octets
   * each, the last of `lastLength`, at the offsets `payloads[first]` and following. Just before each payload lies its packet's own header.
   */
  run(
    headerAt: number,
    headerLength: number,
    payloads: Int32Array,
    first: number,
    count: number,
    segmentLength: number,
    lastLength: number,
  ): void;
}

/** Which protocols are joined; what the kernel refuses is switched off. */
export interface CoalescerOptions {
  readonly tcp: boolean;
  readonly udp: boolean;
}

/** Joins packets. All state is in arrays of numbers, one entry a run. */
export class Coalescer {
  readonly #memory: OffloadMemory;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #headerAt: number;
  readonly #output: CoalescerOutput;
  /** Whether packets of each kind are joined at all. */
  tcp: boolean;
  udp: boolean;

  /** Number of runs; they are 0 to #runs - 1, those not used lately first. */
  #runs = 0;
  /** Of each run: its first packet, octets of its headers, of the payload of the first and the last packet, of all payloads; packets. */
  readonly #first = new Int32Array(FLOWS);
  readonly #headerLength = new Int32Array(FLOWS);
  readonly #segmentLength = new Int32Array(FLOWS);
  readonly #lastLength = new Int32Array(FLOWS);
  readonly #total = new Int32Array(FLOWS);
  readonly #count = new Int32Array(FLOWS);
  /** The sequence number that would follow, as a signed number; the ending flags of the last packet. */
  readonly #nextSequence = new Int32Array(FLOWS);
  readonly #ending = new Int32Array(FLOWS);
  /** Offsets of payloads, {@link MAX_RUN} a run. */
  readonly #payloads = new Int32Array(FLOWS * MAX_RUN);

  /** @param headerAt {@link RUN_HEADER_LENGTH} octets of its own, a multiple of 4 */
  constructor(memory: OffloadMemory, headerAt: number, output: CoalescerOutput, options: CoalescerOptions) {
    this.#memory = memory;
    this.#bytes = memory.bytes;
    this.#view = memory.view;
    this.#headerAt = headerAt;
    this.#output = output;
    this.tcp = options.tcp;
    this.udp = options.udp;
  }

  /** Takes the IPv6 packet of `length` octets at `at`; they must stay untouched until {@link flush}. */
  add(at: number, length: number): void {
    const headerLength = this.#flowHeaderLength(at, length);
    if (headerLength === 0) {
      this.flush(); // extension headers may hide a packet of any flow
      return this.#output.packet(at, length);
    }
    const run = this.#find(at);
    if (!this.#mayJoin(at, length, headerLength)) {
      if (run >= 0) this.#emit(run);
      return this.#output.packet(at, length);
    }
    const payload = length - headerLength;
    const ending = this.#endingFlags(at);
    if (run >= 0 && this.#follows(run, at, headerLength, payload)) {
      this.#append(run, at + headerLength, payload, ending);
      if (ending !== 0 || payload < this.#segmentLength[run] || this.#count[run] === MAX_RUN) this.#emit(run);
      return;
    }
    if (run >= 0) this.#emit(run);
    if (ending !== 0) return this.#output.packet(at, length);
    this.#begin(at, headerLength, payload);
  }

  /** Hands out all runs. */
  flush(): void {
    while (this.#runs > 0) this.#emit(this.#runs - 1);
  }

  /** Octets of IPv6 and transport header when the packet is TCP or UDP without extension headers and whole; 0 if not. */
  #flowHeaderLength(at: number, length: number): number {
    const bytes = this.#bytes;
    if (length < IPV6_HEADER_LENGTH + UDP_HEADER_LENGTH || bytes[at] >>> 4 !== 6) return 0;
    if (this.#view.getUint16(at + 4) !== length - IPV6_HEADER_LENGTH) return 0;
    switch (bytes[at + 6]) {
      case NEXT_HEADER_UDP:
        return IPV6_HEADER_LENGTH + UDP_HEADER_LENGTH;
      case NEXT_HEADER_TCP: {
        if (length < IPV6_HEADER_LENGTH + TCP_HEADER_LENGTH) return 0;
        const dataOffset = (bytes[at + IPV6_HEADER_LENGTH + Tcp.dataOffset] >>> 4) << 2;
        const headerLength = IPV6_HEADER_LENGTH + dataOffset;
        return dataOffset < TCP_HEADER_LENGTH || headerLength > length ? 0 : headerLength;
      }
      default:
        return 0;
    }
  }

  /** The run of the same addresses, ports and protocol, or -1. */
  #find(at: number): number {
    const view = this.#view;
    for (let run = this.#runs - 1; run >= 0; run--) {
      const first = this.#first[run];
      if (
        view.getInt32(at + 40) !== view.getInt32(first + 40) || view.getInt32(at + 20) !== view.getInt32(first + 20)
      ) {
        continue; // ports, or the last octets of the source
      }
      if (this.#bytes[at + 6] === this.#bytes[first + 6] && this.#sameWords(at, first, 8, 40)) return run;
    }
    return -1;
  }

  #sameWords(a: number, b: number, from: number, to: number): boolean {
    const view = this.#view;
    for (let i = from; i < to; i += 4) {
      if (view.getInt32(a + i) !== view.getInt32(b + i)) return false;
    }
    return true;
  }

  /** Whether the packet may be part of a run: payload, no lone flags, right checksum. */
  #mayJoin(at: number, length: number, headerLength: number): boolean {
    if (length === headerLength) return false;
    const bytes = this.#bytes, view = this.#view;
    const transport = at + IPV6_HEADER_LENGTH;
    const protocol = bytes[at + 6], upper = length - IPV6_HEADER_LENGTH;
    if (protocol === NEXT_HEADER_TCP) {
      if (!this.tcp || (bytes[transport + Tcp.flags] & (LONE_FLAGS | TcpFlag.ack)) !== TcpFlag.ack) return false;
    } else {
      if (!this.udp || view.getUint16(transport + Udp.length) !== upper) return false;
      if (view.getUint16(transport + Udp.checksum) === 0) return false;
    }
    return fold(this.#memory.sum(at + 8, length - 8) + protocol + upper) === 0xffff;
  }

  #endingFlags(at: number): number {
    if (this.#bytes[at + 6] !== NEXT_HEADER_TCP) return 0;
    return this.#bytes[at + IPV6_HEADER_LENGTH + Tcp.flags] & ENDING_FLAGS;
  }

  /** Whether the packet, which is of the same flow, continues `run`. */
  #follows(run: number, at: number, headerLength: number, payload: number): boolean {
    const first = this.#first[run], view = this.#view;
    if (payload > this.#segmentLength[run] || headerLength !== this.#headerLength[run]) return false;
    if (headerLength - IPV6_HEADER_LENGTH + this.#total[run] + payload > MAX_PAYLOAD_LENGTH) return false;
    // Version, traffic class, flow label; next header and hop limit.
    if (view.getInt32(at) !== view.getInt32(first) || view.getUint16(at + 6) !== view.getUint16(first + 6)) {
      return false;
    }
    if (this.#bytes[at + 6] === NEXT_HEADER_UDP) return true;
    const here = at + IPV6_HEADER_LENGTH, there = first + IPV6_HEADER_LENGTH;
    if (view.getInt32(here + Tcp.sequence) !== this.#nextSequence[run]) return false;
    if (view.getInt32(here + Tcp.acknowledgment) !== view.getInt32(there + Tcp.acknowledgment)) return false;
    // Data offset, reserved bits, flags and window. The first packet of a run has no ending flags.
    const difference = view.getInt32(here + Tcp.dataOffset) ^ view.getInt32(there + Tcp.dataOffset);
    if ((difference & ~(ENDING_FLAGS << 16)) !== 0) return false;
    if (view.getUint16(here + Tcp.urgent) !== view.getUint16(there + Tcp.urgent)) return false;
    return this.#sameWords(at, first, IPV6_HEADER_LENGTH + TCP_HEADER_LENGTH, headerLength);
  }

  #begin(at: number, headerLength: number, payload: number): void {
    if (this.#runs === FLOWS) this.#emit(0);
    const run = this.#runs++;
    this.#first[run] = at;
    this.#headerLength[run] = headerLength;
    this.#segmentLength[run] = payload;
    this.#total[run] = 0;
    this.#count[run] = 0;
    this.#nextSequence[run] = this.#view.getInt32(at + IPV6_HEADER_LENGTH + Tcp.sequence);
    this.#append(run, at + headerLength, payload, 0);
  }

  #append(run: number, payloadAt: number, payload: number, ending: number): void {
    this.#payloads[run * MAX_RUN + this.#count[run]] = payloadAt;
    this.#count[run]++;
    this.#total[run] += payload;
    this.#lastLength[run] = payload;
    this.#nextSequence[run] += payload; // wraps as sequence numbers do
    this.#ending[run] = ending;
  }

  /** Hands out `run`; the runs after it move up. */
  #emit(run: number): void {
    const headerLength = this.#headerLength[run], first = this.#first[run];
    if (this.#count[run] === 1) this.#output.packet(first, headerLength + this.#segmentLength[run]);
    else this.#emitRun(run, first, headerLength);
    this.#runs--;
    for (let to = run; to < this.#runs; to++) this.#move(to + 1, to);
  }

  #emitRun(run: number, first: number, headerLength: number): void {
    const view = this.#view;
    const at = this.#headerAt + IPV6_AT, transport = at + IPV6_HEADER_LENGTH;
    for (let i = 0; i < headerLength; i += 4) view.setInt32(at + i, view.getInt32(first + i, true), true);
    const protocol = this.#bytes[first + 6];
    const upper = headerLength - IPV6_HEADER_LENGTH + this.#total[run];
    view.setUint16(at + 4, upper);
    const sum = pseudoSum(this.#memory, at, protocol, upper);
    if (protocol === NEXT_HEADER_TCP) {
      this.#bytes[transport + Tcp.flags] |= this.#ending[run];
      view.setUint16(transport + Tcp.checksum, sum);
    } else {
      view.setUint16(transport + Udp.length, upper);
      view.setUint16(transport + Udp.checksum, sum);
    }
    writeSuperHeader(view, at - VIRTIO_HEADER_LENGTH, protocol, headerLength, this.#segmentLength[run]);
    this.#output.run(
      at - VIRTIO_HEADER_LENGTH,
      VIRTIO_HEADER_LENGTH + headerLength,
      this.#payloads,
      run * MAX_RUN,
      this.#count[run],
      this.#segmentLength[run],
      this.#lastLength[run],
    );
  }

  #move(from: number, to: number): void {
    this.#first[to] = this.#first[from];
    this.#headerLength[to] = this.#headerLength[from];
    this.#segmentLength[to] = this.#segmentLength[from];
    this.#lastLength[to] = this.#lastLength[from];
    this.#total[to] = this.#total[from];
    this.#count[to] = this.#count[from];
    this.#nextSequence[to] = this.#nextSequence[from];
    this.#ending[to] = this.#ending[from];
    this.#payloads.copyWithin(to * MAX_RUN, from * MAX_RUN, from * MAX_RUN + this.#count[from]);
  }
}
