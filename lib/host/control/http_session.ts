/** One connection to the metrics address: one HTTP/1.1 request, one answer, and the connection ends (RFC 9112). */

import { METRICS_TYPE } from "../../control/metrics.ts";
import { reasonOf } from "../system/advice.ts";
import type { StreamConnection, StreamHandler } from "./stream_server.ts";

/** Longest head of a request, octets. */
const MAX_HEAD = 16_384;

const TEXT_TYPE = "text/plain; charset=utf-8";

const encoder = new TextEncoder();

export class HttpSession implements StreamHandler {
  readonly #connection: StreamConnection;
  readonly #metrics: () => Promise<string>;
  readonly #openedAt = performance.now();
  #head = "";
  #answering = false;

  constructor(connection: StreamConnection, metrics: () => Promise<string>) {
    this.#connection = connection;
    this.#metrics = metrics;
  }

  get idleSince(): number | undefined {
    return this.#answering ? undefined : this.#openedAt;
  }

  receive(octets: Uint8Array): void {
    if (this.#answering) return;
    this.#head += Array.from(octets, (octet) => String.fromCharCode(octet)).join("");
    if (this.#head.length > MAX_HEAD) return this.#end(431, TEXT_TYPE, "The head of the request is too long\n");
    if (!/\r?\n\r?\n/.test(this.#head)) return;
    this.#answering = true;
    void this.#answer();
  }

  closed(): void {}

  async #answer(): Promise<void> {
    const request = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r?\n/.exec(this.#head);
    if (request === null) return this.#end(400, TEXT_TYPE, "This is no HTTP/1.1 request\n");
    const [, method, target] = request;
    const path = target.replace(/^https?:\/\/[^/]*/, "").replace(/\?.*$/, "");
    if (method !== "GET" && method !== "HEAD") return this.#end(405, TEXT_TYPE, "Only GET is understood\n");
    if (path !== "/metrics") return this.#end(404, TEXT_TYPE, "There is /metrics only\n");
    try {
      this.#end(200, METRICS_TYPE, await this.#metrics(), method === "HEAD");
    } catch (cause) {
      this.#end(500, TEXT_TYPE, `${reasonOf(cause)}\n`);
    }
  }

  #end(status: number, type: string, body: string, headOnly = false): void {
    this.#answering = true;
    const octets = encoder.encode(body);
    const head = [
      `HTTP/1.1 ${status} ${REASONS[status]}`,
      `Content-Type: ${type}`,
      `Content-Length: ${octets.length}`,
      "Connection: close",
      ...(status === 405 ? ["Allow: GET, HEAD"] : []),
    ];
    this.#connection.send(encoder.encode(`${head.join("\r\n")}\r\n\r\n`));
    if (!headOnly) this.#connection.send(octets);
    this.#connection.end();
  }
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
};
