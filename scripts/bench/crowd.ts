/**
 * Very many Teredo clients of one relay, and the IPv6 host that speaks to each once. Run inside a namespace, it prints a line of JSON when
 * all are known ({@link Filled}), and one at the end ({@link Held}).
 *
 * ```
 *   deno run -A crowd.ts PEERS HOLD_SECONDS
 *
 *   crowd                                             relay
 *     IPv6 packet for client i ─────────────────────▶   unknown: keeps it
 *     server 192.0.2.1:3544    ◀───── indirect bubble   asks the client
 *     198.18.0.0/15, many ports ───── bubble ───────▶   client i is trusted
 *     dropped and counted (nft) ◀──── the packet kept
 *
 *     a probe every millisecond ────────────────────▶   through to a client that is known already: how long does it take?
 * ```
 */

import { AF_INET, IPPROTO_RAW, SOCK_RAW } from "../../ffi/abi/socket.ts";
import { type NativeBuffer, nativeBuffer } from "../../ffi/memory.ts";
import { Poller, pollerLength, POLLIN } from "../../ffi/poll.ts";
import { openRawIpv6, RAW_CONTROL_LENGTH, RawIpv6Sender } from "../../ffi/raw_ipv6.ts";
import { openSocket } from "../../ffi/socket.ts";
import { DatagramReceiver, DatagramSender, receiverLength, senderLength } from "../../ffi/udp_batch.ts";
import { openUdp } from "../../ffi/udp.ts";
import { readU32, writeU16, writeU32 } from "../../lib/wire/bytes.ts";
import type { Endpoint } from "../../lib/wire/ipv4.ts";
import { DESTINATION_AT, IPV6_HEADER_LENGTH, SOURCE_AT, writeIpv6Header } from "../../lib/wire/ipv6.ts";
import { formTeredoAddress, mappedAddressAt, mappedPortAt, TEREDO_PORT } from "../../lib/wire/teredo_address.ts";
import { CROWD, CROWD_SERVER, CROWD_V6, PROBE } from "./crowd_network.ts";
import { median, quantile } from "./results.ts";

/** Printed when every client is known to the relay, or when time is up. */
export interface Filled {
  /** Clients that the relay asked for, and that answered. */
  readonly answered: number;
  readonly seconds: number;
  /** Longest way of a probe while the table filled, milliseconds. */
  readonly worst: number;
}

/** Printed at the end. */
export interface Held {
  /** Ways of a probe through the full relay, milliseconds. */
  readonly middle: number;
  readonly p99: number;
  readonly worst: number;
  /** Probes that did not arrive, of all. */
  readonly lost: number;
}

/** Clients behind one address of {@link CROWD}, at consecutive ports. */
const PORTS = 64;
const FIRST_PORT = 1024;
/** Clients that are asked for at one time. */
const WINDOW = 128;
/** Unanswered for so long, a client is asked for again, milliseconds. */
const LOST_AFTER = 20;
/** A relay asks again no sooner (RFC 4380 5.2.6), milliseconds. */
const PASS_PAUSE = 2100;
/** What any number of clients may take to become known, seconds: 5 s and a part for each. */
const LIMIT = { seconds: 5, peersPerSecond: 7_000 };
const PROBE_INTERVAL = 1;
/** Keeps the probed client trusted, milliseconds. */
const REFRESH_INTERVAL = 5000;

const BATCH = 32;
const SLOT = 128;
const IPV4_HEADER = 20;
const UDP_HEADER = 8;
const PROTOCOL_UDP = 17;
/** Octets of an IPv6 packet to a client: a UDP header nobody reads, and the time in a probe. */
const STAMP_AT = IPV6_HEADER_LENGTH + UDP_HEADER;
const PACKET = STAMP_AT + 8;
/** Octets of an IPv4 packet with a bubble. */
const ANSWER = IPV4_HEADER + UDP_HEADER + IPV6_HEADER_LENGTH;

/** The mapped endpoint of client `i`. */
function clientEndpoint(i: number): Endpoint {
  return { address: CROWD.address + 1 + Math.floor(i / PORTS), port: FIRST_PORT + i % PORTS };
}

/** Which client has the Teredo address at `bytes[at]`; -1: the probed one. */
function clientAt(bytes: Uint8Array, at: number): number {
  const address = mappedAddressAt(bytes, at);
  if (address === PROBE.address) return -1;
  return (address - CROWD.address - 1) * PORTS + mappedPortAt(bytes, at) - FIRST_PORT;
}

class Crowd {
  readonly #buffer: NativeBuffer;
  readonly #server = openUdp({ address: CROWD_SERVER, port: TEREDO_PORT });
  readonly #probe = openUdp(PROBE);
  readonly #raw4 = openSocket(AF_INET, SOCK_RAW, IPPROTO_RAW, "open a raw IPv4 socket");
  readonly #raw6 = openRawIpv6();
  readonly #receiver: DatagramReceiver;
  readonly #answers: DatagramSender;
  readonly #packets: RawIpv6Sender;
  readonly #poller: Poller;
  readonly #slots: number;
  readonly #answersAt: number;
  readonly #packetAt: number;
  readonly #probeAt: number;
  /** Clients that have answered. */
  readonly #known: Uint8Array;
  answered = 0;
  probes = 0;
  ways: number[] = [];
  #lastBubble = 0;
  #nextProbe = 0;
  #nextRefresh = 0;
  /** The bubble with which the probed client answers; its length is 0 until the relay has asked. */
  #refresh = 0;

  constructor(peers: number) {
    this.#known = new Uint8Array(peers);
    let length = 0;
    const place = (octets: number): number => {
      const at = length;
      length = at + octets + 7 & ~7;
      return at;
    };
    const receiverAt = place(receiverLength(BATCH)), answersAt = place(senderLength(BATCH + 1, BATCH + 1));
    const packetsAt = place(RAW_CONTROL_LENGTH), pollerAt = place(pollerLength(2));
    this.#slots = place(BATCH * SLOT);
    this.#answersAt = place((BATCH + 1) * SLOT);
    this.#packetAt = place(PACKET);
    this.#probeAt = place(PACKET);
    this.#buffer = nativeBuffer(new ArrayBuffer(length));
    const slots = { at: this.#slots, stride: SLOT, length: SLOT };
    this.#receiver = new DatagramReceiver(this.#buffer, receiverAt, BATCH, slots);
    this.#answers = new DatagramSender(this.#buffer, answersAt, BATCH + 1, BATCH + 1);
    this.#packets = new RawIpv6Sender(this.#buffer, packetsAt);
    this.#poller = new Poller(this.#buffer, pollerAt, 2);
    this.#poller.set(0, this.#server, POLLIN);
    this.#poller.set(1, this.#probe, POLLIN);
    this.#writePacket(this.#packetAt, clientEndpoint(0));
    this.#writePacket(this.#probeAt, PROBE);
    for (let i = 0; i <= BATCH; i++) this.#writeAnswerFrame(i);
  }

  /** An IPv6 packet to a client. */
  #writePacket(at: number, mapped: Endpoint): void {
    const destination = formTeredoAddress({ server: CROWD_SERVER, flags: 0, mapped });
    const payloadLength = PACKET - IPV6_HEADER_LENGTH;
    writeIpv6Header(
      {
        trafficClass: 0,
        flowLabel: 0,
        payloadLength,
        nextHeader: PROTOCOL_UDP,
        hopLimit: 64,
        source: CROWD_V6,
        destination,
      },
      this.#buffer.bytes,
      at,
    );
    writeU16(payloadLength, this.#buffer.bytes, at + IPV6_HEADER_LENGTH + 4);
  }

  /** What all answers have in common. The kernel fills the IPv4 checksum in; UDP may have none over IPv4. */
  #writeAnswerFrame(i: number): void {
    const { bytes } = this.#buffer, at = this.#answersAt + i * SLOT;
    bytes[at] = 0x45;
    bytes[at + 8] = 64;
    bytes[at + 9] = PROTOCOL_UDP;
    writeU16(UDP_HEADER + IPV6_HEADER_LENGTH, bytes, at + IPV4_HEADER + 4);
    bytes[at + IPV4_HEADER + UDP_HEADER] = 0x60;
    bytes[at + IPV4_HEADER + UDP_HEADER + 6] = 59;
    bytes[at + IPV4_HEADER + UDP_HEADER + 7] = 21;
    this.#answers.setPiece(i, at, ANSWER);
    this.#answers.setMessage(i, i, 1, 0);
  }

  /** Makes answer `i` the bubble of the client that message `m` asks for. */
  #writeAnswer(i: number, m: number): void {
    const { bytes } = this.#buffer, question = this.#slots + m * SLOT, at = this.#answersAt + i * SLOT;
    const client = question + DESTINATION_AT, relay = this.#receiver.sourceAddress(m);
    writeU32(mappedAddressAt(bytes, client), bytes, at + 12);
    writeU32(relay, bytes, at + 16);
    const udp = at + IPV4_HEADER, bubble = udp + UDP_HEADER;
    writeU16(mappedPortAt(bytes, client), bytes, udp);
    writeU16(this.#receiver.sourcePort(m), bytes, udp + 2);
    bytes.copyWithin(bubble + SOURCE_AT, client, client + 16);
    bytes.copyWithin(bubble + DESTINATION_AT, question + SOURCE_AT, question + SOURCE_AT + 16);
    this.#answers.setTarget(i, relay, this.#receiver.sourcePort(m));
  }

  /** Answers the bubbles that wait at the server. @returns how many new clients answered */
  #answerBubbles(now: number): number {
    const count = this.#receiver.receive(this.#server);
    if (count <= 0) return 0;
    this.#lastBubble = now;
    const { bytes } = this.#buffer;
    let answers = 0, fresh = 0;
    for (let m = 0; m < count; m++) {
      if (this.#receiver.length(m) !== IPV6_HEADER_LENGTH) continue;
      const client = clientAt(bytes, this.#slots + m * SLOT + DESTINATION_AT);
      this.#writeAnswer(answers++, m);
      if (client < 0) {
        this.#writeAnswer(BATCH, m);
        this.#refresh = ANSWER;
      } else if (this.#known[client] === 0) {
        this.#known[client] = 1;
        fresh++;
      }
    }
    for (let sent = 0; sent < answers;) {
      const accepted = this.#answers.send(this.#raw4, sent, answers - sent);
      if (accepted <= 0) break;
      sent += accepted;
    }
    this.answered += fresh;
    return fresh;
  }

  /** Sends and receives probes, and keeps their client trusted. */
  #probeNow(now: number): void {
    const { bytes, view } = this.#buffer;
    const count = this.#receiver.receive(this.#probe);
    for (let m = 0; m < count; m++) {
      const at = this.#slots + m * SLOT;
      if (this.#receiver.length(m) === PACKET && readU32(bytes, at) >>> 28 === 6) {
        this.ways.push(performance.now() - view.getFloat64(at + STAMP_AT, true));
      }
    }
    if (now >= this.#nextRefresh && this.#refresh > 0) {
      this.#answers.send(this.#raw4, BATCH, 1);
      this.#nextRefresh = now + REFRESH_INTERVAL;
    }
    if (now < this.#nextProbe) return;
    view.setFloat64(this.#probeAt + STAMP_AT, performance.now(), true);
    this.#packets.send(this.#raw6, this.#probeAt, PACKET);
    this.probes++;
    this.#nextProbe = now + PROBE_INTERVAL;
  }

  /** Sends one packet to client `i`. */
  #speakTo(i: number): void {
    const { bytes } = this.#buffer, at = this.#packetAt + DESTINATION_AT;
    const { address, port } = clientEndpoint(i);
    writeU16(~port & 0xffff, bytes, at + 10);
    writeU32(~address >>> 0, bytes, at + 12);
    this.#packets.send(this.#raw6, this.#packetAt, PACKET);
  }

  /** Makes every client known to the relay. */
  fill(): Filled {
    const peers = this.#known.length;
    const start = performance.now(), end = start + (LIMIT.seconds + peers / LIMIT.peersPerSecond) * 1000;
    let next = 0, unanswered = 0, resume = 0, now = start;
    for (; this.answered < peers && now < end; now = performance.now()) {
      unanswered = Math.max(0, unanswered - this.#answerBubbles(now));
      this.#probeNow(now);
      if (now - this.#lastBubble > LOST_AFTER) {
        unanswered = 0;
        this.#lastBubble = now;
      }
      if (next === peers) {
        // Some bubble was lost. Those without an answer are spoken to once more, as soon as the relay may ask again.
        if (resume === 0) resume = now + PASS_PAUSE;
        if (now >= resume) next = resume = 0;
      }
      let spoken = 0;
      for (; next < peers && unanswered < WINDOW && spoken < BATCH; next++) {
        if (this.#known[next] !== 0) continue;
        this.#speakTo(next);
        unanswered++;
        spoken++;
      }
      if (spoken === 0) this.#poller.wait(PROBE_INTERVAL);
    }
    return { answered: this.answered, seconds: (now - start) / 1000, worst: quantile(this.ways, 1) };
  }

  /** Goes on probing. */
  hold(seconds: number): Held {
    this.ways = [];
    this.probes = 0;
    const end = performance.now() + seconds * 1000;
    for (let now = performance.now(); now < end; now = performance.now()) {
      this.#answerBubbles(now);
      this.#probeNow(now);
      this.#poller.wait(Math.max(0, this.#nextProbe - performance.now()));
    }
    const lost = Math.max(0, this.probes - this.ways.length);
    return { middle: median(this.ways), p99: quantile(this.ways, 0.99), worst: quantile(this.ways, 1), lost };
  }
}

if (import.meta.main) {
  const [peers, seconds] = Deno.args.map(Number);
  const crowd = new Crowd(peers);
  console.log(JSON.stringify(crowd.fill()));
  console.log(JSON.stringify(crowd.hold(seconds)));
}
