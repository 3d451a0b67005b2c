/**
 * Calls from the main thread to the thread that tends the interface, answered before the caller goes on. One word of shared memory says
 * whose turn it is; the call and its answer are JSON behind it.
 *
 * ```
 *   turn (4) │ length (4) │ JSON
 *   IDLE ─ main writes a call ─▶ CALLED ─ thread writes the answer ─▶ ANSWERED ─ main reads ─▶ IDLE
 * ```
 */

import type { InterfaceOptions, InterfaceState } from "../interface/tunnel_interface.ts";

/** Octets of one call or answer, at most: those there are have a few hundred. */
const ROOM = 8192;
const HEADER = 8;

const IDLE = 0;
const CALLED = 1;
const ANSWERED = 2;

/** How long an answer may take, milliseconds: the kernel answers netlink in microseconds, but a program has to be loaded first. */
const PATIENCE = 10_000;
const LOADING_PATIENCE = 60_000;

/** What the thread can be asked to do. Addresses are 16 numbers. */
export type InterfaceCall =
  | { readonly type: "open"; readonly options: InterfaceOptions }
  | { readonly type: "limit" }
  | { readonly type: "change" }
  | {
    readonly type: "set-address";
    readonly address: readonly number[];
    readonly prefixLength: number;
    readonly mtu: number;
  }
  | { readonly type: "clear-address" }
  | { readonly type: "restore" }
  | { readonly type: "close" };

/** The thread's answer; which values there are depends on the call. */
export interface InterfaceAnswer {
  /** What went wrong, in words. */
  readonly error?: string;
  /** After `open`: the descriptor of the TUN, and what the kernel calls it. */
  readonly opened?: {
    readonly fd: number;
    readonly name: string;
    readonly index: number;
    readonly thread: number;
    readonly adopted: boolean;
  };
  /** After `change`: news. */
  readonly state?: InterfaceState;
}

/** Memory shared by the two threads. */
export class InterfaceMailbox {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #octets: Uint8Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(HEADER + ROOM)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, 2);
    this.#octets = new Uint8Array(buffer, HEADER);
  }

  /** The main thread's side: calls, and blocks until the answer is there. @throws Error when none comes */
  call(call: InterfaceCall): InterfaceAnswer {
    this.#write(JSON.stringify(call), CALLED);
    const patience = call.type === "open" ? LOADING_PATIENCE : PATIENCE;
    if (Atomics.wait(this.#words, 0, CALLED, patience) === "timed-out") {
      throw new Error(`Cannot ${call.type} the interface: the thread that tends it does not answer`);
    }
    const answer: InterfaceAnswer = JSON.parse(this.#read());
    Atomics.store(this.#words, 0, IDLE);
    return answer;
  }

  /** The thread's side: blocks until there is a call. */
  receive(): InterfaceCall {
    for (let turn = Atomics.load(this.#words, 0); turn !== CALLED; turn = Atomics.load(this.#words, 0)) {
      Atomics.wait(this.#words, 0, turn);
    }
    const call: InterfaceCall = JSON.parse(this.#read());
    return call;
  }

  answer(answer: InterfaceAnswer): void {
    this.#write(JSON.stringify(answer), ANSWERED);
  }

  #write(text: string, turn: number): void {
    const octets = new TextEncoder().encode(text);
    if (octets.length > ROOM) throw new RangeError(`Cannot pass ${octets.length} octets between threads`);
    this.#octets.set(octets);
    Atomics.store(this.#words, 1, octets.length);
    Atomics.store(this.#words, 0, turn);
    Atomics.notify(this.#words, 0);
  }

  #read(): string {
    // A decoder takes no shared memory.
    return new TextDecoder().decode(this.#octets.slice(0, Atomics.load(this.#words, 1)));
  }
}
