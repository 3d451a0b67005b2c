/**
 * The carrier: a thread that moves packets between the TUNs of the lab's hosts, through {@link Internet}. It blocks in ppoll on the
 * TUNs, the next delayed packet and an eventfd by which the main thread asks for attention.
 *
 * ```
 *   ppoll ─┬─ TUN readable ─▶ read, NAT, links ─▶ write to another TUN
 *          ├─ time over ────▶ delayed packets
 *          └─ eventfd ──────▶ commands from the main thread
 * ```
 */

import { drainEventFd, read, write } from "../../ffi/io.ts";
import { nativeBuffer } from "../../ffi/memory.ts";
import { Poller, pollerLength, POLLIN } from "../../ffi/poll.ts";
import type { Millis } from "../../lib/core/machine.ts";
import { describeTeredo } from "../sim/diagram.ts";
import { Protocol } from "../sim/nat.ts";
import { type Command, MAX_HOSTS, type Request, type Sighting, type Start, type Stats } from "./carrier_messages.ts";
import { Internet } from "./internet.ts";
import { headerOf, kindOf } from "./ipv4_packet.ts";
import { PcapWriter } from "./pcap.ts";

/** Packets taken from one TUN before the others have their turn. */
const BATCH = 64;
const SLOT_LENGTH = 65536;
/** Turns of the event loop that a posted message may need. */
const MESSAGE_TURNS = 50;
/** Largest Teredo control datagram that is worth telling of, octets: more is data. */
const CONTROL_LENGTH = 150;
/** How often the capture file is brought up to date. */
const FLUSH_EVERY: Millis = 250;
const IPV4_UDP_HEADERS = 28;

class Carrier {
  readonly #poller: Poller;
  readonly #slot: Uint8Array;
  readonly #slotPointer: Deno.PointerValue;
  readonly #outPointer: Deno.PointerValue;
  readonly #out: Uint8Array;
  readonly #tuns: number[] = [];
  readonly #eventFd: number;
  readonly #sightings: boolean;
  readonly #pcap: PcapWriter | undefined;
  readonly #internet: Internet;
  readonly #queue: Request[] = [];
  #handled = 0;
  #stopped = false;
  #wakeups = 0;
  #packets = 0;
  #refused = 0;
  #longestTurn: Millis = 0;
  #lastFlush: Millis = 0;

  constructor(start: Start) {
    const pollerAt = 2 * SLOT_LENGTH;
    const memory = nativeBuffer(new ArrayBuffer(pollerAt + pollerLength(MAX_HOSTS + 1)));
    this.#slot = memory.bytes.subarray(0, SLOT_LENGTH);
    this.#out = memory.bytes.subarray(SLOT_LENGTH, 2 * SLOT_LENGTH);
    this.#slotPointer = memory.pointer(0);
    this.#outPointer = memory.pointer(SLOT_LENGTH);
    this.#poller = new Poller(memory, pollerAt, MAX_HOSTS + 1);
    this.#poller.set(0, start.eventFd, POLLIN);
    this.#eventFd = start.eventFd;
    this.#sightings = start.sightings;
    this.#pcap = start.pcap === undefined ? undefined : new PcapWriter(start.pcap, performance.timeOrigin);
    this.#internet = new Internet({
      deliver: (id, packet) => this.#deliver(id, packet),
      tap: (packet, now) => this.#tap(packet, now),
    }, start.seed);
  }

  /** A command came; it is done between two turns. */
  post(request: Request): void {
    this.#queue.push(request);
  }

  /** Carries until it is told to stop. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      if (this.#turn()) await this.#obey();
    }
    this.#pcap?.[Symbol.dispose]();
  }

  /** Waits, then moves what there is. @returns true when the main thread wants attention */
  #turn(): boolean {
    const { clock } = this.#internet;
    const due = clock.next;
    const wait = due === Infinity ? -1 : Math.max(0, due - performance.now());
    this.#poller.wait(wait);
    const began = performance.now();
    this.#wakeups++;
    if (began - this.#lastFlush > FLUSH_EVERY) {
      this.#lastFlush = began;
      this.#pcap?.flush();
    }
    clock.run(Math.max(0, began - clock.now));
    for (let id = 0; id < this.#tuns.length; id++) {
      if (this.#poller.revents(id + 1) !== 0) this.#drain(id);
    }
    const turn = performance.now() - began;
    if (turn > this.#longestTurn) this.#longestTurn = turn;
    return this.#poller.revents(0) !== 0 && drainEventFd(this.#eventFd);
  }

  #drain(id: number): void {
    for (let i = 0; i < BATCH; i++) {
      const length = read(this.#tuns[id], this.#slotPointer, SLOT_LENGTH);
      if (length <= 0) return;
      this.#packets++;
      this.#internet.fromHost(id, this.#slot.subarray(0, length), performance.now());
    }
  }

  #deliver(id: number, packet: Uint8Array): void {
    let pointer = this.#slotPointer;
    if (packet.buffer !== this.#slot.buffer) {
      this.#out.set(packet);
      pointer = this.#outPointer;
    }
    if (write(this.#tuns[id], pointer, packet.length) !== packet.length) this.#refused++;
  }

  #tap(packet: Uint8Array, now: Millis): void {
    if (packet[0] >>> 4 !== 4) return;
    this.#pcap?.add(packet, now);
    if (
      !this.#sightings || packet.length > CONTROL_LENGTH || packet[9] !== Protocol.udp || kindOf(packet) !== "whole"
    ) return;
    const { source, destination } = headerOf(packet);
    const sighting: Sighting = {
      kind: "sighting",
      at: performance.timeOrigin + now,
      source,
      destination,
      text: describeTeredo(packet.subarray(IPV4_UDP_HEADERS)),
    };
    self.postMessage(sighting);
  }

  /** Lets posted messages in, and does what they say. */
  async #obey(): Promise<void> {
    const before = this.#handled;
    for (let turn = 0; turn < MESSAGE_TURNS && this.#handled === before; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      for (const { id, command } of this.#queue.splice(0)) {
        this.#handled++;
        self.postMessage({ kind: "reply", id, ...this.#try(command) });
      }
    }
  }

  #try(command: Command): { readonly result: number | Stats } | { readonly error: string } {
    try {
      return { result: this.#do(command) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }

  #do(command: Command): number | Stats {
    switch (command.kind) {
      case "add-host": {
        const id = this.#internet.addHost(command.plan);
        this.#tuns.push(command.tun);
        this.#poller.set(id + 1, command.tun, POLLIN);
        return id;
      }
      case "add-nat":
        this.#internet.addNat(command.plan);
        return 0;
      case "reboot-nat":
        this.#internet.rebootNat(command.name, command.addresses);
        return 0;
      case "set-link":
        this.#internet.setLink(command.name, command.link);
        return 0;
      case "set-up":
        this.#internet.setUp(command.name, command.up);
        return 0;
      case "stats": {
        const stats = {
          packets: this.#packets,
          wakeups: this.#wakeups,
          refused: this.#refused,
          longestTurn: this.#longestTurn,
          drops: this.#internet.dropCounts(),
        };
        this.#longestTurn = 0;
        return stats;
      }
      case "stop":
        this.#stopped = true;
        return 0;
    }
  }
}

let carrier: Carrier | undefined;

self.onmessage = (event: MessageEvent<Start | Request>) => {
  const message = event.data;
  if (message.kind === "request") return carrier?.post(message);
  carrier = new Carrier(message);
  self.postMessage({ kind: "started" });
  void carrier.run();
};
