/**
 * Serves stream connections of any kind of listener, in one loop that waits on another thread (poll(2)): no permission of the runtime is
 * needed, and nothing a client does can hold the daemon up.
 *
 * ```
 *   [open] ── end(), or the client has no more to ask; all sent ──▶ closed
 *      └── does not read, or asks nothing, for too long ──▶ cut off
 * ```
 */

import { getLogger } from "@logtape/logtape";
import { EAGAIN, EINTR, EPIPE } from "../../../ffi/abi/errno.ts";
import { close, drainEventFd, makeEventFd, signalEventFd } from "../../../ffi/io.ts";
import { POLLIN, POLLOUT, waitAside, type Wanted } from "../../../ffi/poll.ts";
import { acceptStream, receiveStream, sendStream } from "../../../ffi/stream.ts";
import { reasonOf } from "../system/advice.ts";

const log = getLogger(["miredo", "control"]);

/** Connections of one server at a time; more wait in the kernel. */
const MAX_CONNECTIONS = 32;
/** Octets taken from a connection at a time. */
const RECEIVE_LENGTH = 16_384;
/** A sender of answers pauses while this many octets wait, so that a slow reader costs no memory. */
const HIGH_WATER = 262_144;
/** A client that reads nothing of what waits for it, or makes no whole request, for this long is cut off, milliseconds. */
const PATIENCE = 30_000;
/** How often that is looked at, milliseconds. */
const LOOK_EVERY = 1_000;

/** What is done with one connection. */
export interface StreamHandler {
  /** Octets came. */
  receive(octets: Uint8Array): void;
  /** Since when (performance.now()) the client could have made a request; undefined while one is being answered. */
  readonly idleSince: number | undefined;
  /** The connection is gone, for whatever reason. */
  closed(): void;
}

/** A place that connections come from. The server closes the descriptor. */
export interface StreamListener {
  readonly fd: number;
  open(connection: StreamConnection): StreamHandler;
}

/** One connection, for whoever answers on it. */
export class StreamConnection {
  readonly fd: number;
  readonly #changed: () => void;
  #unsent: Uint8Array<ArrayBuffer>[] = [];
  #unsentLength = 0;
  #drained: PromiseWithResolvers<void> | undefined;
  #ending = false;
  #open = true;

  /** @param changed called when the server has something new to wait for */
  constructor(fd: number, changed: () => void) {
    this.fd = fd;
    this.#changed = changed;
  }

  /** False once it is closed: whoever answers may stop. */
  get open(): boolean {
    return this.#open;
  }

  get unsent(): number {
    return this.#unsentLength;
  }

  /** True when it is to be closed now. */
  get done(): boolean {
    return this.#ending && this.#unsentLength === 0;
  }

  /** Sends, or queues what the kernel does not take at once. */
  send(octets: Uint8Array<ArrayBuffer>): void {
    if (!this.#open || octets.length === 0) return;
    this.#unsent.push(octets);
    this.#unsentLength += octets.length;
    this.#changed();
  }

  /** Resolves when more can be sent without piling up; at once when the connection is closed. */
  async writable(): Promise<void> {
    if (!this.#open || this.#unsentLength <= HIGH_WATER) return;
    this.#drained ??= Promise.withResolvers<void>();
    await this.#drained.promise;
  }

  /** Lets the server look at this connection anew. */
  touch(): void {
    if (this.#open) this.#changed();
  }

  /** Closes once all is sent. */
  end(): void {
    this.#ending = true;
    this.#changed();
  }

  /** Gives the kernel what it takes. @returns octets it took, or -errno */
  flush(): number {
    let taken = 0;
    for (let next = this.#unsent[0]; next !== undefined; next = this.#unsent[0]) {
      const sent = sendStream(this.fd, next);
      if (sent < 0) {
        if (sent !== -EAGAIN && sent !== -EINTR) return sent;
        break;
      }
      taken += sent;
      this.#unsentLength -= sent;
      if (sent < next.length) this.#unsent[0] = next.subarray(sent);
      else this.#unsent.shift();
    }
    if (this.#unsentLength <= HIGH_WATER) this.#release();
    return taken;
  }

  /** Forgets everything. */
  abandon(): void {
    this.#open = false;
    this.#unsent = [];
    this.#unsentLength = 0;
    this.#release();
  }

  #release(): void {
    this.#drained?.resolve();
    this.#drained = undefined;
  }
}

interface Served {
  readonly connection: StreamConnection;
  readonly handler: StreamHandler;
  /** When octets last went out, or none waited. */
  movedAt: number;
  /** The client has said that it asks no more. */
  finished: boolean;
}

/** Serves until it is disposed of. */
export class StreamServer implements Disposable {
  readonly #listeners: readonly StreamListener[];
  readonly #patience: number;
  readonly #wake = makeEventFd();
  readonly #served: Set<Served> = new Set();
  readonly #buffer = new Uint8Array(new ArrayBuffer(RECEIVE_LENGTH));
  readonly #finished: Promise<void>;
  #waiting = false;
  #ended = false;

  /** @param patience how long a client may keep its place for nothing, milliseconds */
  constructor(listeners: readonly StreamListener[], patience: number = PATIENCE) {
    this.#patience = patience;
    this.#listeners = listeners;
    this.#finished = this.#run();
  }

  /** Resolves when everything is closed after it was disposed of. */
  get finished(): Promise<void> {
    return this.#finished;
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    signalEventFd(this.#wake);
  }

  async #run(): Promise<void> {
    try {
      while (!this.#ended) await this.#turn();
    } catch (cause) {
      log.error("Control socket is off", { reason: reasonOf(cause) });
    } finally {
      this.#ended = true;
      for (const served of [...this.#served]) this.#close(served);
      for (const { fd } of this.#listeners) close(fd);
      close(this.#wake);
    }
  }

  async #turn(): Promise<void> {
    const served = [...this.#served];
    const full = served.length >= MAX_CONNECTIONS;
    const wanted: Wanted[] = [
      { fd: this.#wake, events: POLLIN },
      ...this.#listeners.map(({ fd }) => ({ fd: full ? -1 : fd, events: POLLIN })),
      ...served.map(({ connection, finished }) => ({
        fd: connection.fd,
        events: eventsOf(connection, finished),
      })),
    ];
    this.#waiting = true;
    const ready = await waitAside(wanted, served.length === 0 ? -1 : Math.min(LOOK_EVERY, this.#patience));
    this.#waiting = false;
    drainEventFd(this.#wake);
    if (this.#ended) return;
    const now = performance.now();
    served.forEach((one, i) => this.#serve(one, ready[1 + this.#listeners.length + i], now));
    this.#listeners.forEach((listener, i) => {
      if (ready[1 + i] !== 0) this.#accept(listener, now);
    });
  }

  #accept(listener: StreamListener, now: number): void {
    const fd = acceptStream(listener.fd);
    if (fd < 0) return; // it went away again, or there are no descriptors left: the next turn tries again
    const connection = new StreamConnection(fd, () => {
      if (this.#waiting && !this.#ended) signalEventFd(this.#wake);
    });
    this.#served.add({ connection, handler: listener.open(connection), movedAt: now, finished: false });
  }

  #serve(served: Served, ready: number, now: number): void {
    const { connection, handler } = served;
    const unsent = connection.unsent;
    const sent = unsent > 0 ? connection.flush() : 0;
    if (sent < 0) return this.#close(served);
    if (unsent === 0 || sent > 0) served.movedAt = now;
    if ((ready & ~POLLOUT) !== 0) {
      const received = served.finished ? -EPIPE : receiveStream(connection.fd, this.#buffer);
      if (received < 0 && received !== -EAGAIN && received !== -EINTR) return this.#close(served);
      if (received === 0) served.finished = true;
      if (received > 0) handler.receive(this.#buffer.slice(0, received));
    }
    const { idleSince } = handler;
    const finished = served.finished && idleSince !== undefined && connection.unsent === 0;
    const late = now - Math.min(served.movedAt, idleSince ?? now) > this.#patience;
    if (connection.done || finished || late) this.#close(served);
  }

  #close(served: Served): void {
    if (!this.#served.delete(served)) return;
    served.connection.abandon();
    served.handler.closed();
    close(served.connection.fd);
  }
}

/** A client that does not read its answers gets no further requests read. */
function eventsOf(connection: StreamConnection, finished: boolean): number {
  const reads = finished || connection.unsent > HIGH_WATER ? 0 : POLLIN;
  return reads | (connection.unsent > 0 ? POLLOUT : 0);
}
