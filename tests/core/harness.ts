/**
 * What a machine needs to run in a unit test: memory, a seeded random source, and a sink that writes down everything that comes out.
 *
 * ```ts
 * const bench = new Bench();
 * const machine = new Relay(options, bench.environment);
 * bench.tun(machine, packet, 0);
 * assert.deepEqual(bench.take(), [{ kind: "udp", socket: 0, bytes, address, port }]);
 * ```
 */

import { type CounterName, Counters, type DropReason } from "../../lib/core/counters.ts";
import type { MachineEvent } from "../../lib/core/events.ts";
import { type Environment, HEADROOM, type Machine, type Random, SCRATCH_LENGTH } from "../../lib/core/machine.ts";
import type { Millis, Sink } from "../../lib/core/machine.ts";
import { type Ipv4, parseIpv4 } from "../../lib/wire/ipv4.ts";
import type { Ipv6 } from "../../lib/wire/ipv6.ts";
import { parseIpv6 } from "../../lib/wire/ipv6_address.ts";

/** One thing that came out of a machine. Octets are copies. */
export type Output =
  | {
    readonly kind: "udp";
    readonly socket: number;
    readonly bytes: Uint8Array;
    readonly address: Ipv4;
    readonly port: number;
  }
  | { readonly kind: "ipv6"; readonly bytes: Uint8Array }
  | { readonly kind: "open"; readonly socket: number; readonly port: number }
  | { readonly kind: "close"; readonly socket: number }
  | { readonly kind: "event"; readonly event: MachineEvent };

export type UdpOutput = Extract<Output, { kind: "udp" }>;
export type Ipv6Output = Extract<Output, { kind: "ipv6" }>;

/** Where {@link Bench} puts input packets; scratch lies behind. */
const INPUT_AT = 256;
const INPUT_LENGTH = 70_000;

/** More calls than this before the end of a {@link Bench.run} are taken for a machine that goes round in circles. */
const MAX_TIMER_RUNS = 100_000;

/** A small seeded generator (xorshift32): the same seed gives the same test. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number = 1) {
    this.#state = (seed | 0) || 0x9e3779b9;
  }

  u32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return Math.imul(x, 0x9e3779b1) >>> 0;
  }

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.u32() >>> 24;
  }
}

/** Environment of one machine, and all that it put out since the last {@link Bench.take}. */
export class Bench {
  readonly environment: Environment;
  readonly counters: Counters = new Counters();
  /** All outputs since the last take, oldest first. */
  outputs: Output[] = [];
  /** Port that the next {@link Sink.openSocket} gives; 0 refuses. */
  nextPort = 50_000;
  /** Offset in the arena and of the last {@link Sink.sendUdp} or {@link Sink.writeIpv6}, to see that packets are not copied. */
  lastAt = -1;
  readonly #memory: Uint8Array;

  constructor(seed: number = 1) {
    this.#memory = new Uint8Array(INPUT_AT + INPUT_LENGTH + SCRATCH_LENGTH);
    const bytes = this.#memory;
    const sink: Sink = {
      sendUdp: (socket, at, length, address, port) => {
        this.lastAt = at;
        this.outputs.push({ kind: "udp", socket, bytes: bytes.slice(at, at + length), address, port });
      },
      writeIpv6: (at, length) => {
        this.lastAt = at;
        this.outputs.push({ kind: "ipv6", bytes: bytes.slice(at, at + length) });
      },
      openSocket: (socket) => {
        const port = this.nextPort === 0 ? 0 : this.nextPort++;
        this.outputs.push({ kind: "open", socket, port });
        return port;
      },
      closeSocket: (socket) => {
        this.outputs.push({ kind: "close", socket });
      },
      event: (event) => {
        this.outputs.push({ kind: "event", event });
      },
    };
    this.environment = {
      memory: { bytes, view: new DataView(bytes.buffer), scratch: INPUT_AT + INPUT_LENGTH },
      sink,
      random: new SeededRandom(seed),
      counters: this.counters,
    };
  }

  /** Offset at which input packets stand. */
  get inputAt(): number {
    return INPUT_AT;
  }

  /** Hands one packet from the TUN to the machine. Everything around it is filled with rubbish, as in a used arena. */
  tun(machine: Machine, packet: Uint8Array, now: Millis): void {
    this.#place(packet);
    machine.fromTun(INPUT_AT, packet.length, now);
  }

  /** Hands one datagram to the machine. */
  udp(
    machine: Machine,
    datagram: Uint8Array,
    from: { readonly address: Ipv4; readonly port: number },
    now: Millis,
    to: { readonly socket?: number; readonly destination?: Ipv4 } = {},
  ): void {
    this.#place(datagram);
    machine.fromUdp(to.socket ?? 0, INPUT_AT, datagram.length, from.address, from.port, to.destination ?? 0, now);
  }

  /** Runs the machine's timers, each at its own moment, up to and including `until`. */
  run(machine: Machine, until: Millis): void {
    let runs = 0;
    for (let next = machine.nextTimer(); next <= until; next = machine.nextTimer()) {
      if (++runs > MAX_TIMER_RUNS) throw new Error(`Cannot get past ${next}: the machine keeps asking for timers`);
      machine.onTimer(next);
    }
  }

  /** Everything put out since the last call. */
  take(): Output[] {
    const outputs = this.outputs;
    this.outputs = [];
    return outputs;
  }

  /** As {@link take}, datagrams only. */
  takeUdp(): UdpOutput[] {
    return this.take().filter((output) => output.kind === "udp");
  }

  /** As {@link take}, IPv6 packets only. */
  takeIpv6(): Ipv6Output[] {
    return this.take().filter((output) => output.kind === "ipv6");
  }

  /** As {@link take}, events only. */
  takeEvents(): MachineEvent[] {
    return this.take().filter((output) => output.kind === "event").map(({ event }) => event);
  }

  /** Value of a counter. */
  count(name: CounterName | DropReason): number {
    return this.counters.get(name);
  }

  #place(packet: Uint8Array): void {
    this.#memory.fill(0xa5, INPUT_AT - HEADROOM, INPUT_AT + packet.length + HEADROOM);
    this.#memory.set(packet, INPUT_AT);
  }
}

/** Octets written in hexadecimal; white space and `# comments` are skipped. */
export function hex(text: string): Uint8Array {
  const digits = text.replaceAll(/#.*$/gm, "").replaceAll(/\s+/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new SyntaxError(`Cannot read "${text}": not hexadecimal`);
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** Lower-case hexadecimal, for readable differences. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** One array of all parts. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** A dotted quad that must be right. */
export function ip4(text: string): Ipv4 {
  const address = parseIpv4(text);
  if (address === undefined) throw new SyntaxError(`Cannot read "${text}": not an IPv4 address`);
  return address;
}

/** An IPv6 address that must be right. */
export function ip6(text: string): Ipv6 {
  const address = parseIpv6(text);
  if (address === undefined) throw new SyntaxError(`Cannot read "${text}": not an IPv6 address`);
  return address;
}

/** An IPv6 packet with the given payload. */
export function packet(
  source: Ipv6,
  destination: Ipv6,
  options: { readonly nextHeader?: number; readonly hopLimit?: number; readonly payload?: Uint8Array } = {},
): Uint8Array {
  const payload = options.payload ?? new Uint8Array(0);
  const bytes = new Uint8Array(40 + payload.length);
  bytes[0] = 0x60;
  bytes[4] = payload.length >>> 8;
  bytes[5] = payload.length;
  bytes[6] = options.nextHeader ?? 59;
  bytes[7] = options.hopLimit ?? 64;
  bytes.set(source, 8);
  bytes.set(destination, 24);
  bytes.set(payload, 40);
  return bytes;
}
