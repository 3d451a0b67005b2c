/**
 * The environment of a machine that is fuzzed, and the rules that hold for whatever it does.
 *
 * ```
 *   │ poison │ headroom │ input │ poison │ ...  │ scratch │
 * ```
 *
 * Each call of the machine is checked: nothing is sent but inside of it, no octet beside the input is written, nothing happens without a
 * trace in the counters, no timer lies in the past.
 */

import assert from "node:assert/strict";
import { COUNTER_NAMES, Counters, DROP_REASONS } from "../../lib/core/counters.ts";
import {
  type Environment,
  HEADROOM,
  type Machine,
  type Millis,
  SCRATCH_LENGTH,
  Socket,
} from "../../lib/core/machine.ts";
import { Datagram } from "../../lib/wire/encapsulation.ts";
import { formatIpv4, type Ipv4 } from "../../lib/wire/ipv4.ts";
import type { SeededRandom } from "../sim/random.ts";

const INPUT_AT = 256;
const INPUT_LENGTH = 70_000;
const POISON = 0xa5;
const POISON_LENGTH = 64;

/** Sockets that the host opens for a machine at most. */
const MAX_SOCKETS = 64;

/** Datagrams sent that are remembered, to be answered. */
const REMEMBERED = 12;

/** Timers that may be due one after the other within one pause. */
const MAX_TIMERS = 200_000;

/** The largest UDP payload over IPv4. */
const MAX_DATAGRAM = 65_507;

/** A datagram that a machine sent. */
export interface Sent {
  readonly socket: number;
  readonly bytes: Uint8Array;
  readonly address: Ipv4;
  readonly port: number;
}

/** Which of a machine's methods runs. */
export type Call = "none" | "tun" | "super" | "udp" | "timer" | "control";

/** What holds for the output of one role; each throws where it does not. */
export interface Rules {
  /** Decoded is what is sent, undefined for a super-packet. */
  sent(sent: Sent, datagram: Datagram | undefined, call: Call): void;
  /** A packet of `length` octets at `at`; `made`: it stands in the scratch area. */
  written(bytes: Uint8Array, at: number, length: number, made: boolean, call: Call): void;
  /** Whether the headroom before a datagram is the machine's to write. */
  readonly headroom: boolean;
}

/** One machine and what it does. */
export class Watch {
  readonly environment: Environment;
  readonly counters = new Counters();
  readonly bytes: Uint8Array;
  /** Latest datagrams, oldest first. */
  readonly sent: Sent[] = [];
  readonly sockets = new Set<number>();
  /** Calls of the sink since the machine was called. */
  outputs = 0;
  now: Millis = 1_000_000;
  readonly #rules: Rules;
  #call: Call = "none";
  readonly #datagram = new Datagram();
  readonly #random: SeededRandom;

  constructor(random: SeededRandom, rules: Rules) {
    this.#random = random;
    this.#rules = rules;
    const scratch = INPUT_AT + INPUT_LENGTH;
    const bytes = this.bytes = new Uint8Array(scratch + SCRATCH_LENGTH);
    bytes.fill(POISON, 0, INPUT_AT);
    this.environment = {
      memory: { bytes, view: new DataView(bytes.buffer), scratch },
      random: random.fork(),
      counters: this.counters,
      sink: {
        sendUdp: (socket, at, length, address, port) => {
          this.#output();
          this.#checkPlace(at, length);
          assert.ok(length >= 40 && length <= MAX_DATAGRAM, `sends ${length} octets`);
          assert.ok(Number.isInteger(port) && port > 0 && port < 65_536, `sends to port ${port}`);
          assert.ok(Number.isInteger(address) && address > 0 && address < 2 ** 32, `sends to ${address}`);
          assert.ok(socket < Socket.extra || this.sockets.has(socket), `sends from closed socket ${socket}`);
          const each = { socket, bytes: bytes.slice(at, at + length), address, port };
          const known = this.#call !== "super";
          assert.ok(!known || this.#datagram.decode(bytes, at, length), "sends what nobody can decode");
          if (known) this.#datagram.decode(each.bytes, 0, length);
          try {
            this.#rules.sent(each, known ? this.#datagram : undefined, this.#call);
          } catch (error) {
            const text = `to ${formatIpv4(address)}:${port} in ${this.#call}: ${each.bytes.subarray(0, 160).toHex()}`;
            throw error instanceof Error ? new Error(`${error.message}; ${text}`, { cause: error }) : error;
          }
          this.sent.push(each);
          if (this.sent.length > REMEMBERED) this.sent.shift();
        },
        writeIpv6: (at, length) => {
          this.#output();
          this.#checkPlace(at, length);
          assert.ok(length >= 40 && bytes[at] >>> 4 === 6, "writes what is no IPv6 packet");
          assert.equal(length, 40 + bytes[at + 4] * 256 + bytes[at + 5], "writes another length than the packet says");
          try {
            this.#rules.written(bytes, at, length, at >= scratch, this.#call);
          } catch (error) {
            const text = `in ${this.#call}: ${bytes.subarray(at, at + Math.min(length, 160)).toHex()}`;
            throw error instanceof Error ? new Error(`${error.message}; ${text}`, { cause: error }) : error;
          }
        },
        openSocket: (socket) => {
          this.#output();
          assert.ok(socket >= Socket.extra && !this.sockets.has(socket), `opens socket ${socket} twice`);
          if (this.sockets.size >= MAX_SOCKETS || random.chance(0.05)) return 0;
          this.sockets.add(socket);
          return random.integer(1024, 65_535);
        },
        closeSocket: (socket) => {
          this.#output();
          assert.ok(this.sockets.delete(socket), `closes socket ${socket}, which is not open`);
        },
        event: () => this.#output(),
      },
    };
  }

  /** Hands a packet from the host to the machine. */
  tun(machine: Machine, packet: Uint8Array): void {
    this.#give("tun", packet, () => machine.fromTun(INPUT_AT, packet.length, this.now));
    this.#checkTimer(machine);
  }

  /** Hands a super-packet of which no packet is larger than `largest` to the machine. */
  tunSuper(machine: Machine, packet: Uint8Array, largest: number): void {
    let taken = false;
    this.#give("super", packet, () => {
      taken = machine.fromTunSuper(INPUT_AT, packet.length, largest, this.now, Math.ceil(packet.length / largest));
      this.outputs += taken ? 0 : 1; // a refusal is an answer as well
    });
    assert.equal(this.outputs, 1, taken ? "takes a super-packet and sends it not once" : "refuses what it sends");
    this.#checkTimer(machine);
  }

  /** Hands a datagram to the machine. */
  udp(machine: Machine, datagram: Uint8Array, address: Ipv4, port: number, socket: number, destination: Ipv4): void {
    this.#give(
      "udp",
      datagram,
      () => machine.fromUdp(socket, INPUT_AT, datagram.length, address, port, destination, this.now),
      socket >= Socket.extra,
    );
    this.#checkTimer(machine);
  }

  /** Lets the host do something with the machine that is no packet. */
  control(machine: Machine, work: () => void): void {
    this.#run("control", work);
    this.#checkTimer(machine);
  }

  /** Lets time pass; timers run when they are due, now and then late, and sometimes for nothing. */
  pass(machine: Machine, millis: Millis): void {
    const until = this.now + millis;
    const late = this.#random.chance(0.1) ? this.#random.integer(0, 3_000) : 0;
    if (this.#random.chance(0.05)) this.#run("timer", () => machine.onTimer(this.now));
    let times = 0;
    for (let next = machine.nextTimer(); next <= until; next = machine.nextTimer()) {
      assert.ok(++times < MAX_TIMERS, "asks for timers without end");
      this.now = Math.max(this.now, Math.min(until, next + late));
      this.#run("timer", () => machine.onTimer(this.now));
      assert.ok(machine.nextTimer() > this.now, `wants a timer at ${machine.nextTimer()}, and it is ${this.now}`);
    }
    this.now = until;
  }

  /** How many packets were dropped, by whatever name. */
  get drops(): number {
    return sum(this.counters.values, COUNTER_NAMES.length, COUNTER_NAMES.length + DROP_REASONS.length);
  }

  /** @param answers the packet may be taken without a trace: answers of the server to tests on sockets of their own are counted nowhere */
  #give(call: Call, packet: Uint8Array, work: () => void, answers: boolean = false): void {
    const { bytes } = this;
    const end = INPUT_AT + packet.length;
    bytes.set(packet, INPUT_AT);
    bytes.fill(POISON, end, end + POISON_LENGTH);
    const before = sum(this.counters.values, 0, this.counters.values.length);
    this.#run(call, work);
    const after = sum(this.counters.values, 0, this.counters.values.length);
    assert.ok(answers || after > before || this.outputs > 0, `a packet vanished: ${packet.subarray(0, 160).toHex()}`);
    const free = this.#rules.headroom ? HEADROOM : 0;
    for (let i = INPUT_AT - POISON_LENGTH - HEADROOM; i < INPUT_AT - free; i++) {
      if (bytes[i] !== POISON) assert.fail(`writes ${INPUT_AT - i} octets before the packet`);
    }
    for (let i = end; i < end + POISON_LENGTH; i++) {
      if (bytes[i] !== POISON) assert.fail(`writes ${i - end} octets behind the packet`);
    }
    bytes.fill(POISON, INPUT_AT - HEADROOM, INPUT_AT);
  }

  #run(call: Call, work: () => void): void {
    this.#call = call;
    this.outputs = 0;
    work();
    this.#call = "none";
  }

  #output(): void {
    this.outputs++;
    assert.notEqual(this.#call, "none", "sends without being asked");
  }

  #checkPlace(at: number, length: number): void {
    const { scratch } = this.environment.memory;
    const made = at >= scratch && at + length <= scratch + SCRATCH_LENGTH;
    const given = at >= INPUT_AT - HEADROOM && at + length <= scratch;
    assert.ok(made || given, `sends ${length} octets at ${at}, which are not its own`);
  }

  /** No timer is in the past, and one that is due now is done after once. */
  #checkTimer(machine: Machine): void {
    const next = machine.nextTimer();
    assert.ok(!Number.isNaN(next), "wants a timer at no time");
    assert.ok(next >= this.now, `wants a timer at ${next}, and it is ${this.now}`);
    if (next > this.now) return;
    this.#run("timer", () => machine.onTimer(this.now));
    assert.ok(machine.nextTimer() > this.now, `wants a timer at ${machine.nextTimer()}, and it is ${this.now}`);
  }
}

function sum(values: Float64Array, from: number, to: number): number {
  let total = 0;
  for (let i = from; i < to; i++) total += values[i];
  return total;
}
