/** What the main isolate and the data isolate say to each other: plain values that survive a structured clone. */

import type { ClientOptions } from "../../core/client/client.ts";
import { COUNTER_COUNT } from "../../core/counters.ts";
import type { NatReport } from "../../core/qualification/nat_behaviour.ts";
import type { NatFindings } from "../../core/qualification/nat_test.ts";
import type { MachineEvent } from "../../core/events.ts";
import type { RelayOptions } from "../../core/relay/relay.ts";
import type { ServerOptions } from "../../core/server/server.ts";
import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import type { Probe, ProbeStep } from "./prober.ts";
import type { TunOffload } from "./tun_offload.ts";

/** The two IPv4 addresses of a Teredo server, as far as it has them. */
export interface ServerAddresses {
  readonly primary: Ipv4;
  readonly secondary: Ipv4 | undefined;
}

/** Which machine to run, with its options; a client also with the server to qualify with, once there is one. */
export type MachineSetup =
  | {
    readonly role: "client";
    readonly options: ClientOptions;
    readonly server: ServerAddresses | undefined;
    /** External endpoint of the service port that the NAT was asked to forward. */
    readonly mapping?: Endpoint | undefined;
  }
  | { readonly role: "relay"; readonly options: RelayOptions }
  | { readonly role: "server"; readonly options: ServerOptions };

/** Open descriptors that the data isolate works with; -1 = none. The main isolate owns and closes them. */
export interface Descriptors {
  readonly tun: number;
  /** By the fixed socket numbers of `lib/core/machine.ts`: service, secondary, discovery. */
  readonly sockets: readonly [number, number, number];
  /** Raw IPv6 socket of a server with native forwarding. */
  readonly rawIpv6: number;
  /** An eventfd: written by the main isolate after each message. */
  readonly wake: number;
}

/** What the kernel does in bulk for the data isolate. */
export interface Offloads {
  readonly tun: TunOffload;
  /** UDP_SEGMENT: it cuts one message into datagrams. */
  readonly udpSegmentation: boolean;
  /** UDP_GRO: it joins datagrams to one message. */
  readonly udpReceive: boolean;
}

/** Main to data. `setup` comes first and again whenever options change; the rest only after it. */
export type ToData =
  | {
    readonly type: "setup";
    readonly machine: MachineSetup;
    readonly descriptors: Descriptors;
    readonly shared: SharedArrayBuffer;
  }
  | { readonly type: "start"; readonly server: ServerAddresses }
  | { readonly type: "mapping"; readonly mapping: Endpoint | undefined }
  | { readonly type: "probe"; readonly probe: Probe }
  | { readonly type: "probe-end"; readonly id: number }
  | { readonly type: "stop" };

/** Data to main. `loaded` comes first, once the program is in memory and can take a `setup`. */
export type FromData =
  | { readonly type: "loaded" }
  | { readonly type: "ready"; readonly offloads: Offloads }
  | { readonly type: "event"; readonly event: MachineEvent }
  | { readonly type: "view"; readonly view: MachineView }
  | { readonly type: "probe"; readonly id: number; readonly step: ProbeStep }
  | { readonly type: "stopped" }
  /** It cannot go on: its last words. */
  | { readonly type: "failed"; readonly reason: string };

/** A look at a machine, at one moment. Ages in milliseconds. */
export interface MachineView {
  /** Peers in the table, and the most there can be; 0 for a machine without. */
  readonly peers: number;
  readonly maxPeers: number;
  /** Of the last answer of a client's server. */
  readonly roundTrip: number | undefined;
  /** Since a qualified client heard its server. */
  readonly serverHeard: number | undefined;
  readonly refreshInterval: number | undefined;
  /** What a client found out about its NAT. */
  readonly nat: (NatReport & NatFindings) | undefined;
  /** A piece of the peer list, {@link PEER_WORDS} words each. */
  readonly list: Uint32Array;
  /** Where the next piece begins; 0 after the last. */
  readonly next: number;
}

/**
 * Words of one peer in {@link MachineView.list}: 4 of its address, mapped IPv4, port << 16 | flags, ages of reception and transmission,
 * packets received and sent.
 */
export const PEER_WORDS = 10;
export const PEER_TRUSTED = 1;
export const PEER_NEGOTIATING = 2;

/** Most extra sockets a data isolate may hold open at a time. */
export const MAX_EXTRA_SOCKETS = 64;

/**
 * Memory that both isolates see: counters (64-bit floats), messages sent so far, descriptors of extra sockets (0 = none), and the look that
 * is wanted. A look is asked for here and not by a message, because the data isolate has to stop carrying packets to receive a message.
 */
export class SharedState {
  readonly buffer: SharedArrayBuffer;
  readonly counters: Float64Array;
  readonly #messages: Int32Array;
  readonly #extra: Int32Array;
  /** Number of the look wanted, and where in the peer list it begins; -1: without the list. */
  readonly #look: Int32Array;

  constructor(
    buffer: SharedArrayBuffer = new SharedArrayBuffer(COUNTER_COUNT * 8 + 8 + MAX_EXTRA_SOCKETS * 4 + 8),
  ) {
    this.buffer = buffer;
    this.counters = new Float64Array(buffer, 0, COUNTER_COUNT);
    this.#messages = new Int32Array(buffer, COUNTER_COUNT * 8, 1);
    this.#extra = new Int32Array(buffer, COUNTER_COUNT * 8 + 8, MAX_EXTRA_SOCKETS);
    this.#look = new Int32Array(buffer, COUNTER_COUNT * 8 + 8 + MAX_EXTRA_SOCKETS * 4, 2);
  }

  /** Messages posted to the present data isolate so far. */
  get messages(): number {
    return Atomics.load(this.#messages, 0);
  }
  set messages(count: number) {
    Atomics.store(this.#messages, 0, count);
  }

  /** Wants a look, with the peers from record `from` on; -1: without any. */
  want(from: number): void {
    Atomics.store(this.#look, 1, from);
    Atomics.add(this.#look, 0, 1);
  }

  /** The number of the look wanted last. */
  get wanted(): number {
    return Atomics.load(this.#look, 0);
  }

  /** Where its list of peers begins. */
  get wantedFrom(): number {
    return Atomics.load(this.#look, 1);
  }

  /** Remembers an extra socket, so that a successor can close what a dead data isolate left open. False when there is no room. */
  keep(descriptor: number): boolean {
    const free = this.#extra.indexOf(0);
    if (free < 0) return false;
    this.#extra[free] = descriptor;
    return true;
  }

  /** Forgets an extra socket that was closed. */
  forget(descriptor: number): void {
    const at = this.#extra.indexOf(descriptor);
    if (at >= 0) this.#extra[at] = 0;
  }

  /** The extra sockets left open. */
  leftOpen(): number[] {
    return [...this.#extra].filter((descriptor) => descriptor > 0);
  }
}
