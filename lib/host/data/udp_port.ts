/**
 * The receiving side of the UDP sockets: messages in batches, each of one datagram or, with UDP GRO, of several of one flow. The machine sees
 * every datagram by itself, with the same rules as if it had come alone.
 */

import { EAGAIN, EBADF, EINTR } from "../../../ffi/abi/errno.ts";
import { DatagramReceiver, receiverLength } from "../../../ffi/udp_batch.ts";
import { counterIndex, type Counters } from "../../core/counters.ts";
import { HEADROOM, type Machine, type Millis } from "../../core/machine.ts";
import type { Arena } from "./arena.ts";
import { NumberCache } from "./number_cache.ts";

/** Messages received with one call. */
const MESSAGES = 64;

/** Octets of the longest message: the UDP maximum, joined or not, rounded up. */
const MAX_MESSAGE = 65_536;

/** Distance of two messages in the arena: not a power of 2, so that their beginnings do not fall on the same lines of the cache. */
const STRIDE = MAX_MESSAGE + HEADROOM + 192;

/** Errors of earlier datagrams, queued on a socket, that are taken off at a time. */
const MAX_ERRORS = 16;

const UDP_RX_DATAGRAMS = counterIndex("udp_rx_datagrams");
const UDP_RX_OCTETS = counterIndex("udp_rx_octets");
const TRUNCATED = counterIndex("truncated");

/** Receives for any number of sockets, one after the other. Nothing here allocates per packet. */
export class UdpPort {
  readonly #values: Float64Array;
  readonly #receiver: DatagramReceiver;
  readonly #at: number;
  readonly #addresses = new NumberCache();

  constructor(arena: Arena, counters: Counters) {
    this.#values = counters.values;
    this.#at = arena.reserve(MESSAGES * STRIDE) + HEADROOM;
    const slots = { at: this.#at, stride: STRIDE, length: MAX_MESSAGE };
    this.#receiver = new DatagramReceiver(arena.native, arena.reserve(receiverLength(MESSAGES)), MESSAGES, slots);
  }

  /**
   * Receives what is there, up to a batch, and hands it to `machine`. The octets stay until the next call.
   * @returns false when `descriptor` is no open socket
   */
  drain(descriptor: number, socket: number, machine: Machine, now: Millis): boolean {
    const receiver = this.#receiver;
    let count = receiver.receive(descriptor);
    // An error queued on the socket (say, ECONNREFUSED of an earlier datagram) is taken off by the call: the rest comes after it.
    for (let errors = 0; count < 0 && errors < MAX_ERRORS; errors++) {
      if (count === -EAGAIN || count === -EINTR) return true;
      if (count === -EBADF) return false;
      count = receiver.receive(descriptor);
    }
    for (let i = 0; i < count; i++) this.#take(i, socket, machine, now);
    return true;
  }

  /** Message `i`. */
  #take(i: number, socket: number, machine: Machine, now: Millis): void {
    const receiver = this.#receiver, values = this.#values;
    const at = this.#at + i * STRIDE, length = receiver.length(i);
    const segmentLength = receiver.segmentLength(i);
    const step = segmentLength > 0 && segmentLength < length ? segmentLength : length;
    values[UDP_RX_OCTETS] += length;
    if (receiver.truncated(i)) {
      values[UDP_RX_DATAGRAMS]++;
      values[TRUNCATED]++;
      return;
    }
    const port = receiver.sourcePort(i);
    const address = this.#addresses.same(receiver.sourceAddress(i));
    const destination = this.#addresses.same(receiver.destination(i));
    if (length === 0) {
      values[UDP_RX_DATAGRAMS]++;
      machine.fromUdp(socket, at, 0, address, port, destination, now);
    }
    for (let offset = 0; offset < length; offset += step) {
      const rest = length - offset;
      values[UDP_RX_DATAGRAMS]++;
      machine.fromUdp(socket, at + offset, rest < step ? rest : step, address, port, destination, now);
    }
  }
}
