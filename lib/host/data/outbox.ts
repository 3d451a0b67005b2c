/**
 * Datagrams on their way out: collected, joined to messages where they go to one address and have one size (UDP GSO), and sent with few
 * calls.
 *
 * ```
 *   datagrams   a a a b a a'     (a' shorter)
 *   messages    │ a a a │ b │ a a' │  ─▶  sendmmsg
 * ```
 *
 * What cannot be sent is dropped and counted, never tried for ever:
 *
 * | error | what is done |
 * |---|---|
 * | EAGAIN | wait a moment for room, then drop what is left |
 * | EIO, EINVAL, EMSGSIZE of a joined message | send its datagrams one by one; join nothing to this address any more |
 * | ECONNREFUSED and such, left by an earlier datagram | try once more |
 * | any other | drop the message |
 */

import {
  EAGAIN,
  ECONNREFUSED,
  EHOSTUNREACH,
  EINTR,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENETUNREACH,
} from "../../../ffi/abi/errno.ts";
import { Poller, pollerLength, POLLOUT } from "../../../ffi/poll.ts";
import { DatagramSender, senderLength } from "../../../ffi/udp_batch.ts";
import { counterIndex, type Counters } from "../../core/counters.ts";
import { SCRATCH_LENGTH } from "../../core/machine.ts";
import type { Ipv4 } from "../../wire/ipv4.ts";
import type { Arena } from "./arena.ts";

/** Most messages sent with one call, and pieces they consist of. */
const MESSAGES = 64;
const PIECES = 1024;

/** One more message, for the datagrams of a joined message that was refused. */
const SPARE = MESSAGES;

/** Most datagrams of a joined message (UDP_MAX_SEGMENTS, linux/udp.h before 6.9) and its octets (65,535 less IPv4 and UDP header). */
const MAX_SEGMENTS = 64;
const MAX_OCTETS = 65_507;

/** Room for copies of datagrams that a machine built in its scratch area, octets. */
const COPIES_LENGTH = 32_768;

/** How long to wait for room in a full socket, milliseconds. */
const FULL_WAIT = 10;

/** Addresses remembered to which nothing can be joined; a power of 2. */
const PLAIN_TARGETS = 256;

const UDP_TX_DATAGRAMS = counterIndex("udp_tx_datagrams");
const UDP_TX_OCTETS = counterIndex("udp_tx_octets");
const UDP_SEND_FAILED = counterIndex("udp-send-failed");

/** The datagrams of one data isolate. Nothing here allocates per packet. */
export class Outbox {
  readonly #bytes: Uint8Array;
  readonly #scratch: number;
  readonly #values: Float64Array;
  readonly #sender: DatagramSender;
  readonly #poller: Poller;
  readonly #copiesAt: number;
  #copied = 0;
  /** Join datagrams where possible. */
  #join: boolean;

  #descriptor = -1;
  #messages = 0;
  #pieces = 0;
  /** The last message: its target as signed numbers, datagrams, their size, octets in all; 1 when no more may follow. */
  readonly #target = new Int32Array(2);
  #segments = 0;
  #segmentLength = 0;
  #octets = 0;
  #closed = true;
  /** Of each message: first piece, pieces, datagrams, segment length, octets. */
  readonly #firstPiece = new Int32Array(MESSAGES);
  readonly #pieceCount = new Int32Array(MESSAGES);
  readonly #segmentCount = new Int32Array(MESSAGES);
  readonly #segmentLengths = new Int32Array(MESSAGES);
  readonly #octetCount = new Int32Array(MESSAGES);
  readonly #targets = new Int32Array(2 * MESSAGES);
  /** Address and port, by a hash of both: joined messages to them were refused. */
  readonly #plain = new Int32Array(2 * PLAIN_TARGETS);

  /** @param join whether the kernel cuts joined messages */
  constructor(arena: Arena, counters: Counters, join: boolean) {
    this.#bytes = arena.bytes;
    this.#scratch = arena.memory.scratch;
    this.#values = counters.values;
    this.#join = join;
    this.#sender = new DatagramSender(
      arena.native,
      arena.reserve(senderLength(MESSAGES + 1, PIECES)),
      MESSAGES + 1,
      PIECES,
    );
    this.#poller = new Poller(arena.native, arena.reserve(pollerLength(1)), 1);
    this.#copiesAt = arena.reserve(COPIES_LENGTH);
  }

  /**
   * Takes one datagram, the `length` octets at `at`. They must stay until {@link flush}, unless they lie in the scratch area.
   * @param address target, host order
   */
  add(descriptor: number, at: number, length: number, address: Ipv4, port: number): void {
    if (at >= this.#scratch && at < this.#scratch + SCRATCH_LENGTH) {
      if (this.#copied + length > COPIES_LENGTH) this.flush();
      if (this.#messages === 0) this.#copied = 0; // no copy is needed any more
      if (length > COPIES_LENGTH) {
        this.#append(descriptor, 0, 0, at, length, address, port);
        return this.flush();
      }
      const copy = this.#copiesAt + this.#copied;
      this.#bytes.copyWithin(copy, at, at + length);
      this.#copied += length;
      return this.#append(descriptor, 0, 0, copy, length, address, port);
    }
    this.#append(descriptor, 0, 0, at, length, address, port);
  }

  /** Takes one datagram of two pieces, a header and a payload, which both must stay until {@link flush}. */
  addSegment(
    descriptor: number,
    headerAt: number,
    headerLength: number,
    payloadAt: number,
    payloadLength: number,
    address: Ipv4,
    port: number,
  ): void {
    this.#append(descriptor, headerAt, headerLength, payloadAt, payloadLength, address, port);
  }

  #append(
    descriptor: number,
    headerAt: number,
    headerLength: number,
    payloadAt: number,
    payloadLength: number,
    address: Ipv4,
    port: number,
  ): void {
    if (descriptor !== this.#descriptor || this.#pieces + 2 > PIECES) {
      this.flush();
      this.#descriptor = descriptor;
    }
    const length = headerLength + payloadLength;
    if (!this.#continues(length, address, port)) this.#open(length, address, port);
    const sender = this.#sender;
    if (headerLength > 0) sender.setPiece(this.#pieces++, headerAt, headerLength);
    sender.setPiece(this.#pieces++, payloadAt, payloadLength);
    this.#segments++;
    this.#octets += length;
    if (length < this.#segmentLength) this.#closed = true;
  }

  /** Whether a datagram of `length` octets may be joined to the last message. */
  #continues(length: number, address: Ipv4, port: number): boolean {
    const target = this.#target;
    return !this.#closed && length <= this.#segmentLength && target[0] === (address | 0) && target[1] === port &&
      this.#segments < MAX_SEGMENTS && this.#octets + length <= MAX_OCTETS;
  }

  #open(length: number, address: Ipv4, port: number): void {
    this.#finish();
    if (this.#messages === MESSAGES) this.flush();
    const target = this.#target;
    target[0] = address;
    target[1] = port;
    this.#firstPiece[this.#messages] = this.#pieces;
    this.#sender.setTarget(this.#messages, address, port);
    this.#messages++;
    this.#segmentLength = length;
    this.#segments = 0;
    this.#octets = 0;
    this.#closed = !this.#join || length === 0 || this.#isPlain(address, port);
  }

  /** Writes down what the last message has become. */
  #finish(): void {
    const i = this.#messages - 1;
    if (i < 0) return;
    const first = this.#firstPiece[i];
    this.#pieceCount[i] = this.#pieces - first;
    this.#segmentCount[i] = this.#segments;
    this.#segmentLengths[i] = this.#segmentLength;
    this.#octetCount[i] = this.#octets;
    this.#targets[2 * i] = this.#target[0];
    this.#targets[2 * i + 1] = this.#target[1];
    this.#sender.setMessage(i, first, this.#pieces - first, this.#segments > 1 ? this.#segmentLength : 0);
  }

  /** Sends everything. Afterwards no octet that was handed in is needed any more. */
  flush(): void {
    const count = this.#messages;
    if (count === 0) return;
    this.#finish();
    this.#messages = 0;
    this.#pieces = 0;
    this.#closed = true;
    let waited = false, retried = -1;
    for (let first = 0; first < count;) {
      const sent = this.#sender.send(this.#descriptor, first, count - first);
      if (sent > 0) {
        this.#count(first, first + sent);
        first += sent;
        continue;
      }
      switch (-sent) {
        case EAGAIN:
          if (waited || !this.#waitForRoom()) {
            this.#drop(first, count);
            return;
          }
          waited = true;
          break;
        case EIO:
        case EINVAL:
        case EMSGSIZE:
          if (this.#segmentCount[first] > 1) this.#sendApart(first);
          else this.#drop(first, first + 1);
          first++;
          break;
        case EINTR:
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH:
          if (retried === first) this.#drop(first, ++first);
          else retried = first;
          break;
        default:
          this.#drop(first, ++first);
      }
    }
  }

  #waitForRoom(): boolean {
    this.#poller.set(0, this.#descriptor, POLLOUT);
    return this.#poller.wait(FULL_WAIT) > 0;
  }

  /** Sends the datagrams of joined message `i` one by one, now and from now on. */
  #sendApart(i: number): void {
    this.#remember(this.#targets[2 * i], this.#targets[2 * i + 1]);
    const sender = this.#sender, length = this.#segmentLengths[i];
    const end = this.#firstPiece[i] + this.#pieceCount[i];
    sender.copyTarget(SPARE, i);
    for (let piece = this.#firstPiece[i]; piece < end;) {
      const first = piece;
      let octets = 0;
      while (piece < end && octets < length) octets += sender.pieceLength(piece++);
      sender.setMessage(SPARE, first, piece - first, 0);
      if (sender.send(this.#descriptor, SPARE, 1) < 0) this.#values[UDP_SEND_FAILED]++;
      else {
        this.#values[UDP_TX_DATAGRAMS]++;
        this.#values[UDP_TX_OCTETS] += octets;
      }
    }
  }

  #remember(address: number, port: number): void {
    const slot = plainSlot(address, port);
    this.#plain[slot] = address;
    this.#plain[slot + 1] = port;
  }

  #isPlain(address: Ipv4, port: number): boolean {
    const slot = plainSlot(address, port);
    return this.#plain[slot] === (address | 0) && this.#plain[slot + 1] === port;
  }

  #count(from: number, to: number): void {
    for (let i = from; i < to; i++) {
      this.#values[UDP_TX_DATAGRAMS] += this.#segmentCount[i];
      this.#values[UDP_TX_OCTETS] += this.#octetCount[i];
    }
  }

  #drop(from: number, to: number): void {
    for (let i = from; i < to; i++) this.#values[UDP_SEND_FAILED] += this.#segmentCount[i];
  }
}

function plainSlot(address: number, port: number): number {
  return (Math.imul(address ^ Math.imul(port, 0x9e3779b1), 0x85ebca6b) >>> 24) * 2;
}
