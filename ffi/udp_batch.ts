/**
 * Many datagrams a call: recvmmsg(2) and sendmmsg(2), with UDP GRO and GSO where the kernel has them (udp(7)).
 *
 * ```
 *   one message received          one message to send
 *   ┌────────┬────────┬─────┐     ┌───────┬───────┬───────┬───────┬─────┐
 *   │ seg 0  │ seg 1  │ s 2 │     │ piece │ piece │ piece │ piece │ ... │   pieces lie anywhere
 *   └────────┴────────┴─────┘     └───────┴───────┴───────┴───────┴─────┘
 *   UDP_GRO: segment length       UDP_SEGMENT: segment length
 * ```
 *
 * All but the last segment of a message have the same length. Structures are filled in once; a call writes what differs. No garbage.
 */

import { UDP_GRO, UDP_SEGMENT } from "./abi/offload.ts";
import {
  AF_INET,
  cmsghdr,
  in_pktinfo,
  iovec,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_UDP,
  mmsghdr,
  MSG_TRUNC,
  msghdr,
  sockaddr_in,
} from "./abi/socket.ts";
import { errno } from "./errno.ts";
import { libc } from "./libc.ts";
import type { NativeBuffer } from "./memory.ts";
import { setIntOption } from "./socket.ts";

/** Lets the kernel hand several datagrams of one flow to `fd` as one message. @returns whether it can (Linux 5.0) */
export function enableUdpGro(fd: number): boolean {
  return setIntOption(fd, IPPROTO_UDP, UDP_GRO, 1) === 0;
}

/** Whether the kernel cuts messages of `fd` into datagrams (Linux 4.18). A route or device may refuse it all the same. */
export function hasUdpSegment(fd: number): boolean {
  return setIntOption(fd, IPPROTO_UDP, UDP_SEGMENT, 0) === 0;
}

/** CMSG_SPACE of a packet info and of the GRO segment length, rounded up. */
const RECEIVED_CONTROL_LENGTH = 64;
const PKTINFO_DESTINATION = cmsghdr.size + in_pktinfo.ipi_addr;

/** CMSG_LEN and CMSG_SPACE of a segment length (u16). */
const SEGMENT_CONTROL_LENGTH = cmsghdr.size + 2;
const SEGMENT_CONTROL_SPACE = (SEGMENT_CONTROL_LENGTH + 7) & ~7;

/** Octets of structures for each message to receive. */
const RECEIVED_SIZE = mmsghdr.size + iovec.size + sockaddr_in.size + RECEIVED_CONTROL_LENGTH;

/** Octets of structures that a {@link DatagramReceiver} of so many messages needs. */
export function receiverLength(messages: number): number {
  return messages * RECEIVED_SIZE;
}

/** Places for received messages: message `i` is stored at `at + i * stride`. */
export interface ReceiveSlots {
  readonly at: number;
  readonly stride: number;
  /** Octets stored of each message at most. */
  readonly length: number;
}

/** Receives batches of messages into fixed places of one buffer, from any number of sockets. */
export class DatagramReceiver {
  readonly #view: DataView;
  readonly #u32: Uint32Array;
  readonly #messages: number;
  readonly #pointer: Deno.PointerValue;
  readonly #names: number;
  readonly #controls: number;
  readonly #headers: number;
  /** Messages of the last call: their headers have to be made ready again. */
  #used: number;

  /** @param at where its {@link receiverLength} octets lie in `buffer`, a multiple of 8 */
  constructor(buffer: NativeBuffer, at: number, messages: number, slots: ReceiveSlots) {
    this.#view = buffer.view;
    this.#u32 = buffer.u32;
    this.#messages = messages;
    this.#headers = at;
    const vectors = at + messages * mmsghdr.size;
    this.#names = vectors + messages * iovec.size;
    this.#controls = this.#names + messages * sockaddr_in.size;
    this.#pointer = buffer.pointer(at);
    buffer.bytes.fill(0, at, at + receiverLength(messages));
    for (let i = 0; i < messages; i++) {
      const header = at + i * mmsghdr.size, vector = vectors + i * iovec.size;
      buffer.writePointer(header + msghdr.msg_name, this.#names + i * sockaddr_in.size);
      buffer.writePointer(header + msghdr.msg_iov, vector);
      buffer.u32[(header + msghdr.msg_iovlen) >> 2] = 1;
      buffer.writePointer(header + msghdr.msg_control, this.#controls + i * RECEIVED_CONTROL_LENGTH);
      buffer.writePointer(vector + iovec.iov_base, slots.at + i * slots.stride);
      buffer.u32[(vector + iovec.iov_len) >> 2] = slots.length;
    }
    this.#used = messages;
  }

  /**
   * Receives what is there, up to the number of messages given at construction.
   * @returns how many messages, or -errno (`-EAGAIN` when there is none)
   */
  receive(fd: number): number {
    const u32 = this.#u32;
    for (let i = 0, header = this.#headers; i < this.#used; i++, header += mmsghdr.size) {
      u32[(header + msghdr.msg_namelen) >> 2] = sockaddr_in.size;
      u32[(header + msghdr.msg_controllen) >> 2] = RECEIVED_CONTROL_LENGTH;
    }
    const result = libc().recvmmsg(fd, this.#pointer, this.#messages, 0, null);
    this.#used = result < 0 ? 1 : result;
    return result < 0 ? -errno() : result;
  }

  /** Octets of message `i`. */
  length(i: number): number {
    return this.#u32[(this.#headers + i * mmsghdr.size + mmsghdr.msg_len) >> 2];
  }

  /** Whether message `i` was longer than its place. */
  truncated(i: number): boolean {
    return (this.#u32[(this.#headers + i * mmsghdr.size + msghdr.msg_flags) >> 2] & MSG_TRUNC) !== 0;
  }

  /** IPv4 source of message `i`, host order. */
  sourceAddress(i: number): number {
    return this.#view.getUint32(this.#names + i * sockaddr_in.size + sockaddr_in.sin_addr);
  }

  /** UDP source port of message `i`. */
  sourcePort(i: number): number {
    return this.#view.getUint16(this.#names + i * sockaddr_in.size + sockaddr_in.sin_port);
  }

  /** IPv4 address message `i` was sent to (a group for multicast), host order; 0 when the socket has no packet info. */
  destination(i: number): number {
    const at = this.#control(i, IPPROTO_IP, IP_PKTINFO);
    return at < 0 ? 0 : this.#view.getUint32(at + PKTINFO_DESTINATION);
  }

  /** Octets of each datagram in message `i` but the last, which may be shorter; 0 when it is one datagram. */
  segmentLength(i: number): number {
    const at = this.#control(i, IPPROTO_UDP, UDP_GRO);
    return at < 0 ? 0 : this.#u32[(at + cmsghdr.size) >> 2];
  }

  /** Offset of a control message of message `i`, or -1. */
  #control(i: number, level: number, type: number): number {
    const u32 = this.#u32;
    const start = this.#controls + i * RECEIVED_CONTROL_LENGTH;
    const end = start + u32[(this.#headers + i * mmsghdr.size + msghdr.msg_controllen) >> 2];
    for (let at = start; at + cmsghdr.size < end;) {
      if (u32[(at + cmsghdr.cmsg_level) >> 2] === level && u32[(at + cmsghdr.cmsg_type) >> 2] === type) return at;
      const length = u32[(at + cmsghdr.cmsg_len) >> 2];
      if (length < cmsghdr.size) return -1;
      at += (length + 7) & ~7;
    }
    return -1;
  }
}

/** Octets of structures that a {@link DatagramSender} of so many messages and pieces needs. */
export function senderLength(messages: number, pieces: number): number {
  return messages * (mmsghdr.size + sockaddr_in.size + SEGMENT_CONTROL_SPACE) + pieces * iovec.size;
}

/** Sends batches of messages that consist of pieces of one buffer. */
export class DatagramSender {
  readonly #buffer: NativeBuffer;
  readonly #view: DataView;
  readonly #u32: Uint32Array;
  readonly #headers: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #vectors: number;
  /** To each message's header: a batch can be sent from any message on. */
  readonly #pointers: readonly Deno.PointerValue[];

  /** @param at where its {@link senderLength} octets lie in `buffer`, a multiple of 8 */
  constructor(buffer: NativeBuffer, at: number, messages: number, pieces: number) {
    this.#buffer = buffer;
    this.#view = buffer.view;
    this.#u32 = buffer.u32;
    this.#headers = at;
    this.#names = at + messages * mmsghdr.size;
    this.#controls = this.#names + messages * sockaddr_in.size;
    this.#vectors = this.#controls + messages * SEGMENT_CONTROL_SPACE;
    buffer.bytes.fill(0, at, at + senderLength(messages, pieces));
    const pointers: Deno.PointerValue[] = [];
    for (let i = 0; i < messages; i++) {
      const header = at + i * mmsghdr.size, name = this.#names + i * sockaddr_in.size;
      const control = this.#controls + i * SEGMENT_CONTROL_SPACE;
      pointers.push(buffer.pointer(header));
      buffer.writePointer(header + msghdr.msg_name, name);
      buffer.u32[(header + msghdr.msg_namelen) >> 2] = sockaddr_in.size;
      buffer.writePointer(header + msghdr.msg_control, control);
      buffer.view.setUint16(name + sockaddr_in.sin_family, AF_INET, true);
      buffer.u32[(control + cmsghdr.cmsg_len) >> 2] = SEGMENT_CONTROL_LENGTH;
      buffer.u32[(control + cmsghdr.cmsg_level) >> 2] = IPPROTO_UDP;
      buffer.u32[(control + cmsghdr.cmsg_type) >> 2] = UDP_SEGMENT;
    }
    this.#pointers = pointers;
  }

  /** Piece `k` is the `length` octets at `at`. */
  setPiece(k: number, at: number, length: number): void {
    const vector = this.#vectors + k * iovec.size;
    this.#buffer.writePointer(vector + iovec.iov_base, at);
    this.#u32[(vector + iovec.iov_len) >> 2] = length;
  }

  /** Octets of piece `k`. */
  pieceLength(k: number): number {
    return this.#u32[(this.#vectors + k * iovec.size + iovec.iov_len) >> 2];
  }

  /** Message `i` goes to `address`:`port`, host order. */
  setTarget(i: number, address: number, port: number): void {
    const name = this.#names + i * sockaddr_in.size;
    this.#view.setUint16(name + sockaddr_in.sin_port, port);
    this.#view.setUint32(name + sockaddr_in.sin_addr, address);
  }

  /** Message `i` goes where message `from` goes. */
  copyTarget(i: number, from: number): void {
    const to = (this.#names + i * sockaddr_in.size) >> 2, source = (this.#names + from * sockaddr_in.size) >> 2;
    this.#u32[to] = this.#u32[source];
    this.#u32[to + 1] = this.#u32[source + 1];
  }

  /**
   * Message `i` consists of `count` pieces from piece `first` on.
   * @param segmentLength the kernel cuts it into datagrams of so many octets; 0 sends it as one
   */
  setMessage(i: number, first: number, count: number, segmentLength: number): void {
    const header = this.#headers + i * mmsghdr.size;
    this.#buffer.writePointer(header + msghdr.msg_iov, this.#vectors + first * iovec.size);
    this.#u32[(header + msghdr.msg_iovlen) >> 2] = count;
    this.#u32[(header + msghdr.msg_controllen) >> 2] = segmentLength === 0 ? 0 : SEGMENT_CONTROL_SPACE;
    const control = this.#controls + i * SEGMENT_CONTROL_SPACE;
    this.#view.setUint16(control + cmsghdr.size, segmentLength, true);
  }

  /** Sends `count` messages from message `first` on. @returns how many were sent (at least 1), or -errno of the first */
  send(fd: number, first: number, count: number): number {
    const result = libc().sendmmsg(fd, this.#pointers[first], count, 0);
    return result < 0 ? -errno() : result;
  }
}
