/**
 * The main isolate's end of the data isolate: starts the Worker, talks to it, and when it dies starts another on the same descriptors.
 *
 * ```
 *   main ── postMessage, then eventfd ──▶ data
 *   main ◀──────── postMessage ───────── data      counters: shared memory
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

/** What the owner of a data isolate says and hears. */
export interface DataIsolateOptions {
  readonly machine: MachineSetup;
  readonly descriptors: Omit<Descriptors, "wake">;
  readonly onEvent: (event: MachineEvent) => void;
  /** Called when a data isolate died, before its successor is set up: what the machine said until then is void. */
  readonly onDeath: () => void;
  /** Another program in the Worker's place, for tests. */
  readonly worker?: URL;
}

/** A running data isolate. Dispose of it to close what it holds. */
export class DataIsolate implements Disposable {
  readonly shared = new SharedState();
  readonly #options: DataIsolateOptions;
  readonly #wake: number;
  #machine: MachineSetup;
  #worker: Worker;
  #lastDeath = -Infinity;
  #ready = Promise.withResolvers<void>();
  #stopped: PromiseWithResolvers<void> | undefined;
  #restart: ReturnType<typeof setTimeout> | undefined;

  constructor(options: DataIsolateOptions) {
    this.#options = options;
    this.#machine = options.machine;
    this.#wake = makeEventFd();
    this.#worker = this.#launch();
  }

  /** Resolves when the present data isolate has its machine running. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Lets the client qualify with `server`, now and after any restart. */
  start(server: ServerAddresses): void {
    if (this.#machine.role === "client") this.#machine = { ...this.#machine, server };
    this.#post({ type: "start", server });
  }

  /** Replaces the machine by one with other options, on the same descriptors. */
  replace(machine: MachineSetup): void {
    this.#machine = machine;
    this.#post(this.#setup());
  }

  /** Changes what a successor will be started with, without touching the running machine. */
  remember(machine: MachineSetup): void {
    this.#machine = machine;
  }

  /** What the machine was last set up with. */
  get machine(): MachineSetup {
    return this.#machine;
  }

  /** Ends the machine in good order; returns in any case within {@link STOP_TIMEOUT} milliseconds. */
  async stop(): Promise<void> {
    clearTimeout(this.#restart);
    this.#stopped = Promise.withResolvers<void>();
    this.#post({ type: "stop" });
    const timeout = setTimeout(() => this.#stopped?.resolve(), STOP_TIMEOUT);
    await this.#stopped.promise;
    clearTimeout(timeout);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#restart);
    this.#worker.terminate();
    for (const descriptor of this.shared.leftOpen()) close(descriptor);
    close(this.#wake);
  }

  #setup(): ToData {
    return {
      type: "setup",
      machine: this.#machine,
      descriptors: { ...this.#options.descriptors, wake: this.#wake },
      shared: this.shared.buffer,
    };
  }

  #launch(): Worker {
    const worker = this.#options.worker === undefined
      ? new Worker(new URL("./data_worker.ts", import.meta.url), { type: "module", name: "data" })
      : new Worker(this.#options.worker, { type: "module", name: "data" });
    this.#worker = worker;
    this.shared.messages = 0;
    worker.onmessage = (message: MessageEvent<FromData>): void => this.#receive(message.data);
    worker.onerror = (error): void => {
      error.preventDefault();
      this.#died(error.message);
    };
    this.#post(this.#setup());
    return worker;
  }

  #receive(message: FromData): void {
    switch (message.type) {
      case "ready":
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

  #post(message: ToData): void {
    this.shared.messages++;
    this.#worker.postMessage(message);
    signalEventFd(this.#wake);
  }

  #died(reason: string): void {
    this.#worker.terminate();
    if (this.#stopped !== undefined) {
      this.#stopped.resolve();
      return;
    }
    const delay = performance.now() - this.#lastDeath < AGAIN_WINDOW ? RESTART_DELAY_AGAIN : RESTART_DELAY;
    this.#lastDeath = performance.now();
    log.error("Data isolate died", { reason, restartInMs: delay });
    this.#ready = Promise.withResolvers<void>();
    this.#options.onDeath();
    this.#restart = setTimeout(() => this.#launch(), delay);
  }
}
