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
import { close, makeEventFd, signalEventFd } from "../../../ffi/io.ts";
import type { MachineEvent } from "../../core/events.ts";
import type { Endpoint } from "../../wire/ipv4.ts";
import {
  type Descriptors,
  type FromData,
  type MachineSetup,
  type MachineView,
  type Offloads,
  type ServerAddresses,
  SharedState,
  type ToData,
} from "../data/messages.ts";
import type { Probe, ProbeStep } from "../data/prober.ts";
import { takeThread } from "./role_threads.ts";

const log = getLogger(["miredo", "data"]);

/**
 * Wait before a successor starts, milliseconds: nearly none, then twice as long after each death, so that one that dies at once costs
 * little. After as long without a death all is forgotten.
 */
const RESTART_MINIMUM = 50;
const RESTART_MAXIMUM = 5_000;
const RESTART_MEMORY = 60_000;

/** How long a data isolate may take to end in good order, milliseconds. */
const STOP_TIMEOUT = 100;

/** How long a look may take, milliseconds: the data isolate answers between two packets, or is being started again. */
const LOOK_TIMEOUT = 1_000;

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
  #restartDelay = RESTART_MINIMUM;
  #loaded = Promise.withResolvers<void>();
  #ready = Promise.withResolvers<void>();
  #stopped: PromiseWithResolvers<void> | undefined;
  #restart: ReturnType<typeof setTimeout> | undefined;
  #offloads: Offloads | undefined;
  /** The look under way; one at a time, the others wait for it. */
  #looked: PromiseWithResolvers<MachineView | undefined> | undefined;
  #looks: Promise<unknown> = Promise.resolve();
  readonly #probes: Map<number, (step: ProbeStep) => void> = new Map();

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

  /** Tells the client what its NAT forwards, now and after any restart. */
  portMapping(mapping: Endpoint | undefined): void {
    const machine = this.machine;
    if (machine?.role === "client") this.remember({ ...machine, mapping });
    this.#post({ type: "mapping", mapping });
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

  /** What the kernel does in bulk; undefined until the machine runs. */
  get offloads(): Offloads | undefined {
    return this.#offloads;
  }

  /**
   * Looks at the machine.
   * @param from record of the peer list where the piece of it begins that is wanted; -1: no list
   * @returns undefined when the data isolate is away
   */
  look(from: number): Promise<MachineView | undefined> {
    const look = this.#looks.then(async () => {
      const looked = this.#looked = Promise.withResolvers<MachineView | undefined>();
      this.shared.want(from);
      signalEventFd(this.#wake);
      const timeout = setTimeout(() => looked.resolve(undefined), LOOK_TIMEOUT);
      const view = await looked.promise;
      clearTimeout(timeout);
      return view;
    });
    this.#looks = look;
    return look;
  }

  /**
   * Pings a peer through the machine.
   * @param onStep told what happens until {@link endProbe}
   */
  probe(probe: Probe, onStep: (step: ProbeStep) => void): void {
    this.#probes.set(probe.id, onStep);
    this.#post({ type: "probe", probe });
  }

  /** Ends a probe. */
  endProbe(id: number): void {
    if (this.#probes.delete(id)) this.#post({ type: "probe-end", id });
  }

  /** Probes under way. */
  get probes(): ReadonlySet<number> {
    return new Set(this.#probes.keys());
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
    const { worker, said, failed } = this.#options.worker === undefined
      ? takeThread("data")
      : { worker: new Worker(this.#options.worker, { type: "module", name: "data" }), said: [], failed: [] };
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
    for (const event of said) worker.onmessage(event);
    for (const event of failed) worker.onerror(event);
    return worker;
  }

  #receive(message: Exclude<FromData, { type: "failed" }>): void {
    switch (message.type) {
      case "loaded":
        this.#loaded.resolve();
        break;
      case "ready":
        log.info("Carrying packets", { ...message.offloads });
        this.#offloads = message.offloads;
        this.#ready.resolve();
        break;
      case "probe":
        this.#probes.get(message.id)?.(message.step);
        break;
      case "view":
        this.#looked?.resolve(message.view);
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
      this.#loaded.reject(new Error(`Cannot load the data isolate: ${reason.split("\n", 1)[0]}`));
      return;
    }
    const quiet = performance.now() - this.#lastDeath > RESTART_MEMORY;
    const delay = quiet ? RESTART_MINIMUM : Math.min(2 * this.#restartDelay, RESTART_MAXIMUM);
    this.#restartDelay = delay;
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
