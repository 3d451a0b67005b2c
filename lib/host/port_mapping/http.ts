/**
 * One HTTP request to a gateway (RFC 9112), over a socket of the C library: no permission of the runtime is needed, and nothing a gateway
 * answers can be large or late.
 */

import { EAGAIN, EINTR } from "../../../ffi/abi/errno.ts";
import { close } from "../../../ffi/io.ts";
import { POLLIN, POLLOUT, waitAside } from "../../../ffi/poll.ts";
import { connectTcp, receiveStream, sendStream } from "../../../ffi/stream.ts";
import { formatEndpoint, type Ipv4 } from "../../wire/ipv4.ts";

/** Most octets of an answer: descriptions of real gateways have 5 to 20 thousand. */
const MOST_OCTETS = 65_536;

/** Longest time for one request, milliseconds. */
const PATIENCE = 3_000;

/** A request. */
export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly address: Ipv4;
  readonly port: number;
  /** Path and query. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

const encoder = new TextEncoder();

/** Asks. @returns undefined when no whole answer came in time */
export async function requestHttp(request: HttpRequest, patience: number = PATIENCE): Promise<HttpAnswer | undefined> {
  const end = performance.now() + patience;
  const fd = connectTcp(request.address, request.port);
  if (fd < 0) return undefined;
  try {
    let unsent = encoder.encode(requestText(request));
    const received = new Uint8Array(new ArrayBuffer(MOST_OCTETS));
    let length = 0;
    for (;;) {
      const left = Math.ceil(end - performance.now());
      if (left <= 0) return undefined;
      const [ready] = await waitAside([{ fd, events: unsent.length > 0 ? POLLOUT : POLLIN }], left);
      if (ready === 0) continue;
      if (unsent.length > 0) {
        const sent = sendStream(fd, unsent);
        if (sent >= 0) unsent = unsent.slice(sent);
        else if (sent !== -EAGAIN && sent !== -EINTR) return undefined;
        continue;
      }
      const taken = receiveStream(fd, received.subarray(length));
      if (taken === -EAGAIN || taken === -EINTR) continue;
      if (taken < 0) return undefined;
      length += taken;
      const answer = parseHttpAnswer(received.subarray(0, length), taken === 0);
      if (answer !== undefined) return answer === "bad" ? undefined : answer;
      if (taken === 0 || length === received.length) return undefined;
    }
  } finally {
    close(fd);
  }
}

function requestText({ method, address, port, target, headers = {}, body = "" }: HttpRequest): string {
  const all = {
    Host: formatEndpoint({ address, port }),
    ...headers,
    "Content-Length": String(encoder.encode(body).length),
    Connection: "close",
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `${method} ${target} HTTP/1.1\r\n${lines}\r\n${body}`;
}

/**
 * Reads an answer from what has come so far.
 * @param ended the other side says no more
 * @returns undefined while there is more to come
 */
export function parseHttpAnswer(octets: Uint8Array, ended: boolean): HttpAnswer | "bad" | undefined {
  // Octets and characters are the same number in latin1: headers and chunk lengths count octets.
  const text = latin1(octets);
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return ended ? "bad" : undefined;
  const status = /^HTTP\/1\.[01] (\d{3})(?: |\r|$)/.exec(text);
  if (status === null) return "bad";
  const headers = new Map(
    text.slice(0, head).split("\r\n").slice(1).map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const rest = text.slice(head + 4);
  const body = headers.get("transfer-encoding")?.toLowerCase() === "chunked"
    ? unchunk(rest)
    : wholeBody(rest, headers.get("content-length"), ended);
  if (body === undefined) return ended ? "bad" : undefined;
  return { status: Number(status[1]), body: new TextDecoder().decode(Uint8Array.from(body, (c) => c.charCodeAt(0))) };
}

function wholeBody(rest: string, length: string | undefined, ended: boolean): string | undefined {
  if (length === undefined) return ended ? rest : undefined;
  if (!/^\d{1,6}$/.test(length)) return undefined;
  return rest.length >= Number(length) ? rest.slice(0, Number(length)) : undefined;
}

/** The content of a body in chunks; undefined while the last one has not come. */
function unchunk(rest: string): string | undefined {
  let body = "";
  for (let at = 0;;) {
    const line = rest.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = /^([0-9a-fA-F]{1,5})(?:;|$)/.exec(rest.slice(at, line));
    if (size === null) return undefined;
    const length = parseInt(size[1], 16);
    if (length === 0) return body;
    if (rest.length < line + 2 + length + 2) return undefined;
    body += rest.slice(line + 2, line + 2 + length);
    at = line + 2 + length + 2;
  }
}

function latin1(octets: Uint8Array): string {
  let text = "";
  for (let at = 0; at < octets.length; at += 8192) text += String.fromCharCode(...octets.subarray(at, at + 8192));
  return text;
}
