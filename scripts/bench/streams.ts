/**
 * TCP streams whose octets are compared at both ends, by SHA-256. Each end is run as a program inside its namespace, and prints one line of
 * JSON: the digests, by the number of the stream.
 *
 * ```
 *   deno run -A streams.ts receive PORT STREAMS
 *   deno run -A streams.ts send ADDRESS PORT STREAMS OCTETS
 *
 *   one stream:  number (1 octet) │ OCTETS of noise, in writes of odd sizes
 * ```
 */

import { createHash, type Hash } from "node:crypto";

/** Longest write, octets. */
const LONGEST = 100_003;
const CHUNK = 1 << 16;

/** Noise that repeats for nobody: xorshift32. */
class Noise {
  #state: number;

  constructor(seed: number) {
    this.#state = seed + 1;
  }

  u32(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }

  octets(length: number): Uint8Array<ArrayBuffer> {
    const words = new Uint32Array(Math.ceil(length / 4));
    for (let i = 0; i < words.length; i++) words[i] = this.u32();
    return new Uint8Array(words.buffer, 0, length);
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

async function send(hostname: string, port: number, number: number, octets: number): Promise<string> {
  const noise = new Noise(number), hash = createHash("sha256");
  using connection = await Deno.connect({ hostname, port });
  await writeAll(connection, Uint8Array.of(number));
  for (let left = octets; left > 0;) {
    const length = Math.min(left, 1 + noise.u32() % LONGEST);
    const piece = noise.octets(length);
    hash.update(piece);
    await writeAll(connection, piece);
    left -= length;
  }
  await connection.closeWrite();
  // The other end closes when it has read all.
  await connection.read(new Uint8Array(1));
  return hash.digest("hex");
}

async function receive(connection: Deno.Conn): Promise<[number, string]> {
  using open = connection;
  const buffer = new Uint8Array(CHUNK), hash: Hash = createHash("sha256");
  let number = -1;
  for (let count = await open.read(buffer); count !== null; count = await open.read(buffer)) {
    const first = number < 0 ? 1 : 0;
    if (first === 1) number = buffer[0];
    hash.update(buffer.subarray(first, count));
  }
  return [number, hash.digest("hex")];
}

async function receiveAll(port: number, streams: number): Promise<string[]> {
  using listener = Deno.listen({ hostname: "::", port });
  console.log("listening");
  const pending: Promise<[number, string]>[] = [];
  while (pending.length < streams) pending.push(receive(await listener.accept()));
  const digests: string[] = Array.from({ length: streams }, () => "");
  for (const [number, digest] of await Promise.all(pending)) digests[number] = digest;
  return digests;
}

if (import.meta.main) {
  const [what, ...args] = Deno.args;
  if (what === "receive") {
    console.log(JSON.stringify(await receiveAll(Number(args[0]), Number(args[1]))));
  } else {
    const [hostname, port, streams, octets] = args;
    const numbers = Array.from({ length: Number(streams) }, (_, number) => number);
    const digests = await Promise.all(numbers.map((number) => send(hostname, Number(port), number, Number(octets))));
    console.log(JSON.stringify(digests));
  }
}
