/**
 * What the lab needs inside a namespace instead of ping, curl and a web server:
 *
 * ```
 *   tool.ts ping6 ADDRESS [--count N] [--interval MS] [--timeout MS] [--size OCTETS]
 *   tool.ts first6 ADDRESS [--interval MS] [--timeout MS]
 *   tool.ts serve [--port P] [--octets N]
 *   tool.ts get URL
 * ```
 *
 * Every line of output is one JSON value. Exit code 1 when nothing came back.
 */

import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { AF_INET6, sockaddr_in6 } from "../../ffi/abi/socket.ts";
import { errno, errnoName } from "../../ffi/errno.ts";
import { libc } from "../../ffi/libc.ts";
import { nativeBuffer } from "../../ffi/memory.ts";
import { Poller, pollerLength, POLLIN } from "../../ffi/poll.ts";
import { openRawIcmpv6 } from "../../ffi/raw_ipv6.ts";
import { readU16, writeU16 } from "../../lib/wire/bytes.ts";
import { ICMPV6_DESTINATION_UNREACHABLE, ICMPV6_ECHO_REPLY, ICMPV6_ECHO_REQUEST } from "../../lib/wire/icmpv6.ts";
import { parseIpv6 } from "../../lib/wire/ipv6_address.ts";

const ICMPV6_HEADER_LENGTH = 8;
const CHUNK_LENGTH = 65536;

/** One line of `ping6`: an echo request and what came of it. */
export interface PingLine {
  readonly sequence: number;
  /** Round trip, milliseconds; undefined: no reply. */
  readonly ms?: number;
  /** Why not: `timeout`, `unreachable` or the name of an error. */
  readonly failure?: string;
}

/** The last line of `ping6`. */
export interface PingSummary {
  readonly sent: number;
  readonly received: number;
  readonly minimum: number;
  readonly average: number;
  readonly maximum: number;
}

/** The line of `first6`. */
export interface FirstLine {
  /** From the first request sent to the first answer, to whichever request, milliseconds; undefined: none came. */
  readonly ms?: number;
  /** Requests sent until then. */
  readonly sent: number;
}

/** The first line of `serve`. */
export interface ServeLine {
  readonly port: number;
  readonly octets: number;
  readonly sha256: string;
}

/** The line of `get`. */
export interface GetLine {
  readonly octets: number;
  readonly sha256: string;
  readonly ms: number;
  readonly mbits: number;
}

function say(line: FirstLine | PingLine | PingSummary | ServeLine | GetLine): void {
  console.log(JSON.stringify(line));
}

/** A struct sockaddr_in6. */
function socketAddress(address: Uint8Array): Uint8Array<ArrayBuffer> {
  const octets = new Uint8Array(new ArrayBuffer(sockaddr_in6.size));
  new DataView(octets.buffer).setUint16(sockaddr_in6.sin6_family, AF_INET6, true);
  octets.set(address, sockaddr_in6.sin6_addr);
  return octets;
}

interface PingOptions {
  readonly count: number;
  readonly interval: number;
  readonly timeout: number;
  readonly size: number;
}

/** Sends echo requests until one is answered. @returns exit code */
function first6(destination: string, interval: number, timeout: number): number {
  const address = parseIpv6(destination);
  if (address === undefined) throw new Error(`Cannot ping "${destination}": not an IPv6 address`);
  const fd = openRawIcmpv6([ICMPV6_ECHO_REPLY]);
  const target = socketAddress(address);
  const request = new Uint8Array(new ArrayBuffer(ICMPV6_HEADER_LENGTH));
  const identifier = crypto.getRandomValues(new Uint16Array(1))[0];
  request[0] = ICMPV6_ECHO_REQUEST;
  writeU16(identifier, request, 4);
  const received = new Uint8Array(new ArrayBuffer(65536));
  const poller = new Poller(nativeBuffer(new ArrayBuffer(pollerLength(1))), 0, 1);
  poller.set(0, fd, POLLIN);
  const start = performance.now();
  for (let sent = 0; performance.now() - start < timeout;) {
    writeU16(++sent, request, 6);
    libc().sendto(fd, request, request.length, 0, target, target.length);
    for (;;) {
      const left = start + sent * interval - performance.now();
      if (left <= 0) break;
      poller.wait(left);
      const length = libc().readBuffer(fd, received, received.length);
      if (length < ICMPV6_HEADER_LENGTH || readU16(received, 4) !== identifier) continue;
      say({ ms: performance.now() - start, sent });
      return 0;
    }
    if (performance.now() - start >= timeout) say({ sent });
  }
  return 1;
}

/** Sends one echo request after another. @returns exit code */
async function ping6(destination: string, { count, interval, timeout, size }: PingOptions): Promise<number> {
  const address = parseIpv6(destination);
  if (address === undefined) throw new Error(`Cannot ping "${destination}": not an IPv6 address`);
  const fd = openRawIcmpv6([ICMPV6_ECHO_REPLY, ICMPV6_DESTINATION_UNREACHABLE]);
  const target = socketAddress(address);
  const request = new Uint8Array(new ArrayBuffer(ICMPV6_HEADER_LENGTH + size));
  const identifier = crypto.getRandomValues(new Uint16Array(1))[0];
  request[0] = ICMPV6_ECHO_REQUEST;
  writeU16(identifier, request, 4);
  const received = new Uint8Array(new ArrayBuffer(65536));
  const memory = nativeBuffer(new ArrayBuffer(pollerLength(1)));
  const poller = new Poller(memory, 0, 1);
  poller.set(0, fd, POLLIN);

  /** Waits for the answer to `sequence`. */
  const answer = (sequence: number, sentAt: number): PingLine => {
    for (;;) {
      const left = sentAt + timeout - performance.now();
      if (left <= 0) return { sequence, failure: "timeout" };
      poller.wait(left);
      const now = performance.now();
      const length = libc().readBuffer(fd, received, received.length);
      if (length < ICMPV6_HEADER_LENGTH) continue;
      const reply = received[0] === ICMPV6_ECHO_REPLY;
      // An error quotes the packet: IPv6 header, then our request.
      const at = reply ? 0 : ICMPV6_HEADER_LENGTH + 40;
      if (readU16(received, at + 4) !== identifier || readU16(received, at + 6) !== sequence) continue;
      return reply ? { sequence, ms: now - sentAt } : { sequence, failure: "unreachable" };
    }
  };

  const times: number[] = [];
  const start = performance.now();
  for (let sequence = 1; sequence <= count; sequence++) {
    writeU16(sequence, request, 6);
    const sentAt = performance.now();
    const sent = libc().sendto(fd, request, request.length, 0, target, target.length);
    const line = sent < 0 ? { sequence, failure: errnoName(errno()) } : answer(sequence, sentAt);
    if (line.ms !== undefined) times.push(line.ms);
    say(line);
    const next = start + sequence * interval - performance.now();
    if (next > 0 && sequence < count) await new Promise((resolve) => setTimeout(resolve, next));
  }
  const sum = times.reduce((total, ms) => total + ms, 0);
  say({
    sent: count,
    received: times.length,
    minimum: times.length === 0 ? 0 : Math.min(...times),
    average: times.length === 0 ? 0 : sum / times.length,
    maximum: times.length === 0 ? 0 : Math.max(...times),
  });
  return times.length === 0 ? 1 : 0;
}

/** The octets that `serve` sends, always the same ones. */
function* content(octets: number): Generator<Uint8Array<ArrayBuffer>> {
  const chunk = new Uint8Array(new ArrayBuffer(CHUNK_LENGTH));
  for (let i = 0; i < CHUNK_LENGTH; i++) chunk[i] = (i * 7919) >>> 5;
  for (let left = octets; left > 0; left -= CHUNK_LENGTH) {
    chunk[0]++;
    yield left < CHUNK_LENGTH ? chunk.slice(0, left) : chunk.slice();
  }
}

/** Answers every request with `octets` of content, for ever. */
async function serve(port: number, octets: number): Promise<never> {
  const hash = createHash("sha256");
  for (const chunk of content(octets)) hash.update(chunk);
  const line = { octets, sha256: hash.digest("hex") };
  const server = Deno.serve({ hostname: "::", port, onListen: (local) => say({ ...line, port: local.port }) }, () => {
    const chunks = content(octets);
    return new Response(
      new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull(controller) {
          const { done, value } = chunks.next();
          if (done === true) controller.close();
          else controller.enqueue(value);
        },
      }),
      { headers: { "content-length": String(octets) } },
    );
  });
  await server.finished;
  throw new Error("Cannot serve any longer");
}

/** Downloads. @returns exit code */
async function get(url: string): Promise<number> {
  const start = performance.now();
  const response = await fetch(url);
  if (!response.ok || response.body === null) throw new Error(`Cannot get "${url}": status ${response.status}`);
  const hash = createHash("sha256");
  let octets = 0;
  for await (const chunk of response.body) {
    octets += chunk.length;
    hash.update(chunk);
  }
  const ms = performance.now() - start;
  say({ octets, sha256: hash.digest("hex"), ms, mbits: octets * 8 / ms / 1000 });
  return 0;
}

/** @returns exit code */
async function main(args: readonly string[]): Promise<number> {
  const { values, positionals: [command, target] } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      count: { type: "string", default: "1" },
      interval: { type: "string", default: "1000" },
      timeout: { type: "string", default: "12000" },
      size: { type: "string", default: "56" },
      port: { type: "string", default: "8080" },
      octets: { type: "string", default: "1048576" },
    },
  });
  switch (command) {
    case "ping6":
      return await ping6(target ?? "", {
        count: Number(values.count),
        interval: Number(values.interval),
        timeout: Number(values.timeout),
        size: Number(values.size),
      });
    case "first6":
      return first6(target ?? "", Number(values.interval), Number(values.timeout));
    case "serve":
      return await serve(Number(values.port), Number(values.octets));
    case "get":
      return await get(target ?? "");
    default:
      throw new Error(`Cannot do "${command}": ping6, first6, serve or get`);
  }
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    Deno.exit(1);
  }
}
