/** The other end of the control socket: what `miredo status` and its like use to talk to a daemon. */

import { EAGAIN, EINTR } from "../../../ffi/abi/errno.ts";
import { SystemError } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/io.ts";
import { POLLIN, POLLOUT, waitAside } from "../../../ffi/poll.ts";
import { connectUnix, receiveStream, sendStream } from "../../../ffi/stream.ts";
import { formatRequest, LineReader, parseResponse, type Request } from "../../control/protocol.ts";

/** Longest line a daemon sends, characters: peers come in bounded pieces. */
const MAX_LINE = 4_000_000;
const RECEIVE_LENGTH = 65_536;
/** How long a daemon may be silent before it is given up, milliseconds. */
const PATIENCE = 10_000;

/** Nobody listens there: no socket, or one that a daemon left behind. */
export class NotRunning extends Error {}

/** A line of an answer, or its end. */
export type Answer = { readonly kind: "item" | "result"; readonly value: unknown };

/** A connection to a daemon. Dispose of it to close it. */
export class ControlClient implements Disposable {
  readonly path: string;
  readonly #fd: number;
  readonly #lines = new LineReader(MAX_LINE);
  readonly #buffer = new Uint8Array(new ArrayBuffer(RECEIVE_LENGTH));
  #ready: string[] = [];
  #requests = 0;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /**
   * Connects to the daemon at `path`.
   * @throws NotRunning, or SystemError when it may not be talked to
   */
  static connect(path: string): ControlClient {
    try {
      const hints = { EACCES: "needs root or the group of status.group: sudo miredo ..." };
      return new ControlClient(path, connectUnix(path, hints));
    } catch (cause) {
      if (cause instanceof SystemError && ["ENOENT", "ECONNREFUSED", "ENOTDIR"].includes(cause.code)) {
        throw new NotRunning(`No miredo listens on ${JSON.stringify(path)}`, { cause });
      }
      throw cause;
    }
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }

  /**
   * Asks, and gives the lines of the answer as they come; the last one is the result.
   * @throws Error with the daemon's words, or when it goes away
   */
  async *ask(method: string, params: Request["params"] = {}): AsyncGenerator<Answer> {
    const id = ++this.#requests;
    await this.#send(new TextEncoder().encode(formatRequest({ id, method, params })));
    for (;;) {
      const response = parseResponse(await this.#line());
      if (response === undefined) throw new Error(`Cannot understand the daemon at ${JSON.stringify(this.path)}`);
      if (response.kind === "error") throw new Error(response.message);
      yield response;
      if (response.kind === "result") return;
    }
  }

  /** Asks and returns the result. */
  async result(method: string, params: Request["params"] = {}): Promise<unknown> {
    let last: unknown;
    for await (const { value } of this.ask(method, params)) last = value;
    return last;
  }

  async #send(octets: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let rest = octets; rest.length > 0;) {
      const sent = sendStream(this.#fd, rest);
      if (sent >= 0) rest = rest.subarray(sent);
      else if (sent === -EAGAIN || sent === -EINTR) await this.#wait(POLLOUT);
      else throw this.#gone();
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const next = this.#ready.shift();
      if (next !== undefined) return next;
      const received = receiveStream(this.#fd, this.#buffer);
      if (received === -EAGAIN || received === -EINTR) {
        await this.#wait(POLLIN);
        continue;
      }
      if (received <= 0) throw this.#gone();
      const lines = this.#lines.push(this.#buffer.subarray(0, received));
      if (lines === undefined) throw new Error(`Cannot understand the daemon at ${JSON.stringify(this.path)}`);
      this.#ready = [...lines];
    }
  }

  async #wait(events: number): Promise<void> {
    const start = performance.now();
    const [ready] = await waitAside([{ fd: this.#fd, events }], PATIENCE);
    if (ready === 0 && performance.now() - start >= PATIENCE) {
      throw new Error(`Cannot talk to the daemon at ${JSON.stringify(this.path)}: it does not answer`);
    }
  }

  #gone(): Error {
    return new NotRunning(`The daemon at ${JSON.stringify(this.path)} has ended`);
  }
}
