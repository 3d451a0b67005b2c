/**
 * Cuts a super-packet of the kernel (TCP or UDP) into the packets it stands for. Only headers are written: the payload stays where it
 * was read.
 *
 * ```
 *   super-packet   │ IPv6 │ TCP │ payload 0 │ payload 1 │ payload 2 │
 *                                    ▲           ▲           ▲
 *   headers        │ IPv6 │ TCP │────┘           │           │
 *                  │ IPv6 │ TCP │────────────────┘           │
 *                  │ IPv6 │ TCP │────────────────────────────┘
 * ```
 *
 * As Linux does it: FIN and PSH stay with the last packet, CWR with the first (RFC 3168 6.1.2); sequence numbers count on.
 *
 * A checksum is the sum of what all packets share, taken once, and of length, sequence number, flags and payload of each. The shared part
 * starts from the checksum field, in which the kernel left the sum of the pseudo-header with the length of the whole.
 */

import { IPV6_HEADER_LENGTH, NEXT_HEADER_TCP, NEXT_HEADER_UDP } from "../../../wire/ipv6.ts";
import { fold, type OffloadMemory, Tcp, TCP_HEADER_LENGTH, TcpFlag, Udp, UDP_HEADER_LENGTH } from "./memory.ts";
import type { VirtioHeader } from "./virtio_header.ts";

/** Room for the headers of one packet, octets: IPv6, the longest TCP header, and 92 octets of extension headers. */
export const SEGMENT_HEADER_LENGTH = 192;

/** Flags that only the first or the last packet has. */
const EDGE_FLAGS = TcpFlag.fin | TcpFlag.psh | TcpFlag.cwr;

/** Cuts one super-packet after the other: {@link start}, then {@link next} until it says there is none. */
export class Segmenter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #memory: OffloadMemory;

  /** Octets of the headers of each packet. */
  headerLength: number = 0;
  /** Where the payload of the packet just made lies. */
  payloadAt: number = 0;
  payloadLength: number = 0;
  /** How many packets this super-packet gives. */
  segments: number = 0;
  /** Octets of the largest of them. */
  largest: number = 0;

  #at = 0;
  #tcp = false;
  #transport = 0;
  #segmentLength = 0;
  #shared = 0;
  /** Payload octets in all, and handed out so far. */
  #total = 0;
  #done = 0;

  constructor(memory: OffloadMemory) {
    this.#bytes = memory.bytes;
    this.#view = memory.view;
    this.#memory = memory;
  }

  /**
   * Begins with the super-packet of `length` octets at `at`, a multiple of 4.
   * @returns false when it is none that can be cut: its lengths do not fit together
   */
  start(at: number, length: number, header: VirtioHeader): boolean {
    const bytes = this.#bytes, view = this.#view;
    const { protocol, segmentLength, checksumFrom: transport, checksumField } = header;
    const tcp = protocol === NEXT_HEADER_TCP;
    if (!tcp && protocol !== NEXT_HEADER_UDP) return false;
    if (length < IPV6_HEADER_LENGTH || bytes[at] >>> 4 !== 6) return false;
    if (view.getUint16(at + 4) !== length - IPV6_HEADER_LENGTH) return false;
    if (!header.needsChecksum || segmentLength === 0) return false;
    if (checksumField !== (tcp ? Tcp.checksum : Udp.checksum)) return false;
    const behindHeader = transport === IPV6_HEADER_LENGTH && bytes[at + 6] === protocol;
    const behindExtensions = transport > IPV6_HEADER_LENGTH && bytes[at + 6] !== protocol && (transport & 7) === 0;
    if (!behindHeader && !behindExtensions) return false;
    if (transport + (tcp ? TCP_HEADER_LENGTH : UDP_HEADER_LENGTH) > length) return false;
    const dataOffset = tcp ? (bytes[at + transport + Tcp.dataOffset] >>> 4) << 2 : UDP_HEADER_LENGTH;
    if (tcp && dataOffset < TCP_HEADER_LENGTH) return false;
    const headerLength = transport + dataOffset;
    if (headerLength > SEGMENT_HEADER_LENGTH || headerLength >= length) return false;

    this.#at = at;
    this.#tcp = tcp;
    this.#transport = transport;
    this.#segmentLength = segmentLength;
    this.#total = length - headerLength;
    this.#done = 0;
    this.headerLength = headerLength;
    this.segments = Math.ceil(this.#total / segmentLength);
    this.largest = headerLength + (this.#total < segmentLength ? this.#total : segmentLength);
    this.#shared = this.#sharedSum(at + transport, dataOffset, length - transport);
    return true;
  }

  /** The sum of transport header and pseudo-header without what differs from packet to packet (RFC 1624: x - y is x + ~y). */
  #sharedSum(transport: number, headerLength: number, whole: number): number {
    const view = this.#view;
    const sum = this.#memory.sum(transport, headerLength) + (0xffff & ~fold(whole));
    if (!this.#tcp) return fold(sum + (0xffff & ~view.getUint16(transport + Udp.length)));
    return fold(
      sum + (0xffff & ~view.getUint16(transport + Tcp.sequence)) +
        (0xffff & ~view.getUint16(transport + Tcp.sequence + 2)) +
        (0xffff & ~(this.#bytes[transport + Tcp.flags] & EDGE_FLAGS)),
    );
  }

  /**
   * Writes the {@link headerLength} octets of headers of the next packet to `to`, a multiple of 4 with {@link SEGMENT_HEADER_LENGTH}
   * octets of room; {@link payloadAt} and {@link payloadLength} then say what follows them.
   * @returns false when there is none left
   */
  next(to: number): boolean {
    const { headerLength } = this;
    const bytes = this.#bytes, view = this.#view;
    const at = this.#at, done = this.#done, transport = this.#transport;
    const left = this.#total - done;
    if (left <= 0) return false;
    const payload = left < this.#segmentLength ? left : this.#segmentLength;
    this.#done = done + payload;
    this.payloadAt = at + headerLength + done;
    this.payloadLength = payload;

    for (let i = 0; i < headerLength; i += 4) view.setInt32(to + i, view.getInt32(at + i, true), true);
    view.setUint16(to + 4, headerLength - IPV6_HEADER_LENGTH + payload);
    const length = headerLength - transport + payload;
    const header = to + transport;
    let sum = this.#shared + length + this.#memory.sum(this.payloadAt, payload);
    if (this.#tcp) {
      const sequence = (view.getUint32(at + transport + Tcp.sequence) + done) >>> 0;
      view.setUint32(header + Tcp.sequence, sequence);
      let flags = bytes[header + Tcp.flags];
      if (done !== 0) flags &= ~TcpFlag.cwr;
      if (payload !== left) flags &= ~(TcpFlag.fin | TcpFlag.psh);
      bytes[header + Tcp.flags] = flags;
      sum += (sequence >>> 16) + (sequence & 0xffff) + (flags & EDGE_FLAGS);
      view.setUint16(header + Tcp.checksum, 0xffff & ~fold(sum));
    } else {
      view.setUint16(header + Udp.length, length);
      const checksum = 0xffff & ~fold(sum + length);
      view.setUint16(header + Udp.checksum, checksum === 0 ? 0xffff : checksum);
    }
    return true;
  }
}
