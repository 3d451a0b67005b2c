/** The lab's side of the carrier thread: starts it, asks it, ends it. */

import { close, makeEventFd, signalEventFd } from "../../ffi/io.ts";
import type { Command, FromCarrier, Sighting, Start, Stats } from "./carrier_messages.ts";

/** What a carrier is started with. */
export interface CarrierOptions {
  readonly pcap?: string;
  /** Called for every Teredo control datagram on the public internet. */
  readonly onSighting?: (sighting: Sighting) => void;
  readonly seed?: number;
}

/** A running carrier. */
export class Carrier {
  readonly #worker: Worker;
  readonly #eventFd: number;
  readonly #onSighting: ((sighting: Sighting) => void) | undefined;
  readonly #waiting = new Map<number, PromiseWithResolvers<number | Stats>>();
  readonly #started = Promise.withResolvers<void>();
  /** Commands go one at a time: one signal, one message. */
  #last: Promise<unknown> = Promise.resolve();
  #nextId = 1;

  private constructor(options: CarrierOptions) {
    this.#onSighting = options.onSighting;
    this.#eventFd = makeEventFd();
    this.#worker = new Worker(new URL("./carrier_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = (event: MessageEvent<FromCarrier>) => this.#receive(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Error(`The carrier died: ${event.message}`));
    };
    const start: Start = {
      kind: "start",
      eventFd: this.#eventFd,
      pcap: options.pcap,
      sightings: options.onSighting !== undefined,
      seed: options.seed ?? 1,
    };
    this.#worker.postMessage(start);
  }

  /** Starts a carrier without hosts. */
  static async start(options: CarrierOptions): Promise<Carrier> {
    const carrier = new Carrier(options);
    await carrier.#started.promise;
    return carrier;
  }

  /** Has something done. @returns what that gives, 0 mostly */
  async request(command: Command): Promise<number | Stats> {
    const done = this.#last.then(() => this.#send(command));
    this.#last = done.catch(() => {});
    return await done;
  }

  /** Ends the thread. */
  async stop(): Promise<void> {
    await this.request({ kind: "stop" });
    this.#worker.terminate();
    close(this.#eventFd);
  }

  #send(command: Command): Promise<number | Stats> {
    const id = this.#nextId++;
    const answer = Promise.withResolvers<number | Stats>();
    this.#waiting.set(id, answer);
    this.#worker.postMessage({ kind: "request", id, command });
    signalEventFd(this.#eventFd);
    return answer.promise;
  }

  #receive(message: FromCarrier): void {
    switch (message.kind) {
      case "started":
        return this.#started.resolve();
      case "sighting":
        return this.#onSighting?.(message);
      case "reply": {
        const answer = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        if (message.error !== undefined) answer?.reject(new Error(message.error));
        else answer?.resolve(message.result ?? 0);
      }
    }
  }

  #fail(error: Error): void {
    this.#started.reject(error);
    for (const answer of this.#waiting.values()) answer.reject(error);
    this.#waiting.clear();
  }
}
