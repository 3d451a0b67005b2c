/** One connection to the control socket: requests come, and are answered one after another (lib/control/protocol.ts). */

import {
  formatResponse,
  LineReader,
  MAX_REQUEST,
  parseRequest,
  type Request,
  RequestError,
} from "../../control/protocol.ts";
import { reasonOf } from "../system/advice.ts";
import type { StreamConnection, StreamHandler } from "./stream_server.ts";

/** Requests that may wait behind the one being answered; more are impolite. */
const MAX_WAITING = 64;

/** A piece of an answer; the last one is a result. */
export type Outcome = { readonly item: unknown } | { readonly result: unknown };

const encoder = new TextEncoder();

export class ControlSession implements StreamHandler {
  readonly #connection: StreamConnection;
  readonly #answer: (request: Request) => AsyncGenerator<Outcome>;
  readonly #lines = new LineReader(MAX_REQUEST);
  #waiting: string[] = [];
  #idleSince: number | undefined = performance.now();

  /** @param answer makes the pieces of an answer; may throw RequestError */
  constructor(connection: StreamConnection, answer: (request: Request) => AsyncGenerator<Outcome>) {
    this.#connection = connection;
    this.#answer = answer;
  }

  get idleSince(): number | undefined {
    return this.#idleSince;
  }

  receive(octets: Uint8Array): void {
    const lines = this.#lines.push(octets);
    if (lines === undefined || this.#waiting.length + lines.length > MAX_WAITING) {
      const error = new RequestError("bad-request", "Cannot answer: the request is too long, or there are too many");
      this.#send(formatResponse(0, { error }));
      this.#waiting = [];
      this.#connection.end();
      return;
    }
    this.#waiting.push(...lines);
    if (this.#idleSince !== undefined) void this.#work();
  }

  closed(): void {
    this.#waiting = [];
  }

  async #work(): Promise<void> {
    for (let line = this.#waiting.shift(); line !== undefined; line = this.#waiting.shift()) {
      this.#idleSince = undefined;
      await this.#respond(line);
    }
    this.#idleSince = performance.now();
    // The server may wait for nothing else than the end of this work.
    this.#connection.touch();
  }

  async #respond(line: string): Promise<void> {
    let id = 0;
    try {
      const request = parseRequest(line);
      id = request.id;
      for await (const outcome of this.#answer(request)) {
        if (!this.#connection.open) return;
        this.#send(formatResponse(id, outcome));
        await this.#connection.writable();
      }
    } catch (cause) {
      const error = cause instanceof RequestError ? cause : new RequestError("internal", reasonOf(cause));
      this.#send(formatResponse(id, { error }));
    }
  }

  #send(text: string): void {
    this.#connection.send(encoder.encode(text));
  }
}
