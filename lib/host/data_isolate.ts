/**
 * The main isolate's end of the data isolate: starts the Worker, talks to it, and when it dies starts another on the same descriptors.
 *
 * ```
 *   main ── postMessage, then eventfd ──▶ data
 *   main ◀──────── postMessage ───────── data      counters: shared memory
 *
 *   [loading] ─ loaded ─▶ [waiting] ─ run ─▶ [running] ─ died ─▶ [loading] ─▶ [running]
 *       └─ died: loaded rejects                  └─ stop ─▶ [ended]
 * ```
 */

import { getLogger } from "@logtape/logtape";
import { close, makeEventFd, signalEventFd } from "../../ffi/io.ts";
import type { MachineEvent } from "../core/events.ts";
import {
  type Descriptors,
  type FromData,
  type MachineSetup,
  type ServerAddresses,
  SharedState,
  type ToData,
} from "./messages.ts";

const log = getLogger(["miredo", "data"]);

/** Wait before a successor starts, milliseconds: nearly none, but a second when one died in the last minute already. */
const RESTART_DELAY = 50;
const RESTART_DELAY_AGAIN = 1_000;
const AGAIN_WINDOW = 60_000;

/** How long a data isolate may take to end in good order, milliseconds. */
const STOP_TIMEOUT = 100;

/** What the owner of a data isolate hears. */
export interface DataIsolateOptions {
  readonly onEvent: (event: MachineEvent) => void;
  /** Called when a data isolate died, before its successor is set up: what the machine said until then is void. */
  readonly onDeath: () => void;
  /** Another program in the Worker's place, for tests. */
  readonly worker?: URL;
}

/** A data isolate: made, then {@link run}, then {@link stop}ped. Dispose of it to close what it holds. */
export class DataIsolate implements Disposable {
  readonly shared = new SharedState();
  readonly #options: DataIsolateOptions;
  readonly #wake = makeEventFd();
  #work: { readonly machine: MachineSetup; readonly descriptors: Omit<Descriptors, "wake"> } | undefined;
  #worker: Worker;
  #lastDeath = -Infinity;
  #loaded = Promise.withResolvers<void>();
  #ready = Promise.withResolvers<void>();
  #stopped: PromiseWithResolvers<void> | undefined;
  #restart: ReturnType<typeof setTimeout> | undefined;

  constructor(options: DataIsolateOptions) {
    this.#options = options;
    // Whoever does not wait for it does not want to hear of it either.
    this.#loaded.promise.catch(() => {});
    this.#worker = this.#launch();
  }

  /** Resolves when the program is in memory: it reads no file afterwards. Rejects when it cannot be loaded. */
  get loaded(): Promise<void> {
    return this.#loaded.promise;
  }

  /** Resolves when the present data isolate has its machine running. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Runs `machine` on descriptors that stay open until this is disposed of. Once only. */
  run(machine: MachineSetup, descriptors: Omit<Descriptors, "wake">): void {
    this.#work = { machine, descriptors };
    this.#postSetup();
  }

  /** Lets the client qualify with `server`, now and after any restart. */
  start(server: ServerAddresses): void {
    const machine = this.machine;
    if (machine?.role === "client") this.remember({ ...machine, server });
    this.#post({ type: "start", server });
  }

  /** Replaces the machine by one with other options, on the same descriptors. */
  replace(machine: MachineSetup): void {
    this.remember(machine);
    this.#postSetup();
  }

  /** Changes what a successor will be started with, without touching the running machine. */
  remember(machine: MachineSetup): void {
    if (this.#work !== undefined) this.#work = { ...this.#work, machine };
  }

  /** What the machine was last set up with; undefined before {@link run}. */
  get machine(): MachineSetup | undefined {
    return this.#work?.machine;
  }

  /** Ends the machine in good order; returns in any case within {@link STOP_TIMEOUT} milliseconds. */
  async stop(): Promise<void> {
    clearTimeout(this.#restart);
    const stopped = this.#stopped = Promise.withResolvers<void>();
    this.#post({ type: "stop" });
    const timeout = setTimeout(() => stopped.resolve(), STOP_TIMEOUT);
    await stopped.promise;
    clearTimeout(timeout);
    this.#worker.terminate();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#restart);
    this.#worker.terminate();
    for (const descriptor of this.shared.leftOpen()) close(descriptor);
    close(this.#wake);
  }

  #launch(): Worker {
    const worker = this.#options.worker === undefined
      ? new Worker(new URL("./data_worker.ts", import.meta.url), { type: "module", name: "data" })
      : new Worker(this.#options.worker, { type: "module", name: "data" });
    this.#worker = worker;
    this.shared.messages = 0;
    let dead = false; // it dies once, and what it still has to say then is void
    const die = (reason: string): void => {
      if (dead) return;
      dead = true;
      this.#died(reason);
    };
    worker.onmessage = ({ data: message }: MessageEvent<FromData>): void => {
      if (dead) return;
      if (message.type === "failed") die(message.reason);
      else this.#receive(message);
    };
    worker.onerror = (error): void => {
      error.preventDefault();
      die(error.message);
    };
    return worker;
  }

  #receive(message: Exclude<FromData, { type: "failed" }>): void {
    switch (message.type) {
      case "loaded":
        this.#loaded.resolve();
        break;
      case "ready":
        log.info("Carrying packets", { ...message.offloads });
        this.#ready.resolve();
        break;
      case "event":
        this.#options.onEvent(message.event);
        break;
      case "stopped":
        this.#stopped?.resolve();
        break;
    }
  }

  #postSetup(): void {
    if (this.#work === undefined) return;
    const { machine, descriptors } = this.#work;
    this.#post({
      type: "setup",
      machine,
      descriptors: { ...descriptors, wake: this.#wake },
      shared: this.shared.buffer,
    });
  }

  /** Counted after it was posted: whoever has seen the count can rely on the message coming. */
  #post(message: ToData): void {
    this.#worker.postMessage(message);
    this.shared.messages++;
    signalEventFd(this.#wake);
  }

  #died(reason: string): void {
    this.#worker.terminate();
    if (this.#stopped !== undefined) {
      this.#stopped.resolve();
      return;
    }
    if (this.#work === undefined) {
      this.#loaded.reject(new Error(`Cannot load the data isolate: ${reason}`));
      return;
    }
    const delay = performance.now() - this.#lastDeath < AGAIN_WINDOW ? RESTART_DELAY_AGAIN : RESTART_DELAY;
    this.#lastDeath = performance.now();
    log.error("Data isolate died", { reason, restartInMs: delay });
    this.#ready = Promise.withResolvers<void>();
    this.#restart = setTimeout(() => {
      this.#launch();
      this.#postSetup();
    }, delay);
    this.#options.onDeath();
  }
}
