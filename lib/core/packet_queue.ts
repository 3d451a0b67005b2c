/**
 * Packets that wait for a peer: first in, first out, bounded per peer and over all peers (RFC 4380 5.4.1 "SHOULD limit"; 5.2.4).
 *
 * ```
 *   push ─▶ [p1][p2][p3] ─▶ drain        octets(p1..p3) <= maxOctets, and of all queues together <= budget
 *
 *   block, 128 octets:   next block (4) | next packet (4) | length (4) | octets of the packet ...
 *                        next block (4) | octets of the packet ...
 * ```
 *
 * A packet that does not fit is refused whole, the ones already waiting stay: order and completeness of the head are worth more to TCP
 * than the newest segment.
 *
 * The octets lie in blocks that all queues share, so that a flood of new peers costs no objects and no collection of garbage.
 */

/** Octets of a block: a SYN or a small datagram fits into one. */
const BLOCK = 128;
const BLOCK_WORDS = BLOCK / 4;
/** Blocks that are fetched at a time. */
const CHUNK_BLOCKS = 1024;
/** Words of a block: number of the next one of the packet; in the first one, of the next packet's first one; and the packet's length. */
const NEXT = 0;
const NEXT_PACKET = 1;
const LENGTH = 2;
/** Where octets begin in a packet's first block, and in the others. */
const FIRST_DATA = 12;
const DATA = 4;
const NO_BLOCK = -1;

interface Chunk {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

function makeChunk(): Chunk {
  const bytes = new Uint8Array(CHUNK_BLOCKS * BLOCK);
  return { bytes, words: new Int32Array(bytes.buffer) };
}

/** Octets that all queues of one machine may hold together, and the memory for them. */
export class QueueBudget {
  readonly #total: number;
  #used = 0;
  #packets = 0;
  #chunks: Chunk[] = [];
  /** Blocks that were never used begin here. */
  #fresh = 0;
  #free = NO_BLOCK;

  /** @param total octets, 0 = no packet is ever queued */
  constructor(total: number) {
    this.#total = total;
  }

  /** Octets that wait now. */
  get used(): number {
    return this.#used;
  }

  /** Keeps a copy of `length` octets at `bytes[at]`. @returns its number, or -1 when there is no room for all of them */
  keep(bytes: Uint8Array, at: number, length: number): number {
    if (this.#used + length > this.#total) return NO_BLOCK;
    this.#used += length;
    this.#packets++;
    const first = this.#allocate();
    this.#set(first, LENGTH, length);
    this.#set(first, NEXT_PACKET, NO_BLOCK);
    for (let block = first, from = FIRST_DATA, done = 0;;) {
      const { bytes: memory } = this.#chunk(block);
      const to = (block % CHUNK_BLOCKS) * BLOCK, count = Math.min(length - done, BLOCK - from);
      for (let i = 0; i < count; i++) memory[to + from + i] = bytes[at + done + i];
      done += count;
      if (done === length) return first;
      const next = this.#allocate();
      this.#set(block, NEXT, next);
      block = next;
      from = DATA;
    }
  }

  /** The number of the packet that follows another one, or -1. */
  after(packet: number): number {
    return this.#get(packet, NEXT_PACKET);
  }

  /** Lets `next` follow `packet`. */
  chain(packet: number, next: number): void {
    this.#set(packet, NEXT_PACKET, next);
  }

  /** A copy of a packet that was kept. */
  copy(packet: number): Uint8Array {
    const out = new Uint8Array(this.#get(packet, LENGTH));
    for (let block = packet, from = FIRST_DATA, done = 0; done < out.length; block = this.#get(block, NEXT)) {
      const { bytes: memory } = this.#chunk(block);
      const at = (block % CHUNK_BLOCKS) * BLOCK, count = Math.min(out.length - done, BLOCK - from);
      for (let i = 0; i < count; i++) out[done + i] = memory[at + from + i];
      done += count;
      from = DATA;
    }
    return out;
  }

  /** Forgets a packet that was kept. */
  release(packet: number): void {
    const length = this.#get(packet, LENGTH);
    this.#used -= length;
    this.#packets--;
    let left = length - (BLOCK - FIRST_DATA);
    for (let block = packet;;) {
      const next = this.#get(block, NEXT);
      this.#set(block, NEXT, this.#free);
      this.#free = block;
      if (left <= 0) break;
      left -= BLOCK - DATA;
      block = next;
    }
  }

  /** Gives the memory back once nothing waits any more. */
  trim(): void {
    if (this.#packets > 0 || this.#chunks.length <= 1) return;
    this.#chunks = [];
    this.#fresh = 0;
    this.#free = NO_BLOCK;
  }

  #allocate(): number {
    const block = this.#free;
    if (block !== NO_BLOCK) {
      this.#free = this.#get(block, NEXT);
      return block;
    }
    if (this.#fresh === this.#chunks.length * CHUNK_BLOCKS) this.#chunks.push(makeChunk());
    return this.#fresh++;
  }

  #chunk(block: number): Chunk {
    return this.#chunks[Math.floor(block / CHUNK_BLOCKS)];
  }

  #get(block: number, word: number): number {
    return this.#chunk(block).words[(block % CHUNK_BLOCKS) * BLOCK_WORDS + word];
  }

  #set(block: number, word: number, value: number): void {
    this.#chunk(block).words[(block % CHUNK_BLOCKS) * BLOCK_WORDS + word] = value;
  }
}

/** The packets that wait for one peer. */
export class PacketQueue {
  readonly #budget: QueueBudget;
  readonly #maxOctets: number;
  #first = NO_BLOCK;
  #last = NO_BLOCK;
  #length = 0;
  #octets = 0;

  /** @param maxOctets what this queue alone may hold */
  constructor(budget: QueueBudget, maxOctets: number) {
    this.#budget = budget;
    this.#maxOctets = maxOctets;
  }

  /** Packets that wait. */
  get length(): number {
    return this.#length;
  }

  /** Octets that wait. */
  get octets(): number {
    return this.#octets;
  }

  /** Appends a copy of `length` octets at `bytes[at]`. @returns false when it does not fit */
  push(bytes: Uint8Array, at: number, length: number): boolean {
    if (this.#octets + length > this.#maxOctets) return false;
    const packet = this.#budget.keep(bytes, at, length);
    if (packet === NO_BLOCK) return false;
    if (this.#first === NO_BLOCK) this.#first = packet;
    else this.#budget.chain(this.#last, packet);
    this.#last = packet;
    this.#octets += length;
    this.#length++;
    return true;
  }

  /** Empties the queue, oldest packet first. What `deliver` pushes meanwhile waits for the next call. */
  drain(deliver: (packet: Uint8Array) => void): void {
    this.#empty(deliver);
  }

  /** Throws everything away. @returns how many packets */
  clear(): number {
    return this.#empty(undefined);
  }

  #empty(deliver: ((packet: Uint8Array) => void) | undefined): number {
    const budget = this.#budget, count = this.#length;
    let packet = this.#first;
    this.#first = this.#last = NO_BLOCK;
    this.#length = this.#octets = 0;
    for (let left = count; left > 0; left--) {
      const next = budget.after(packet);
      const octets = deliver === undefined ? undefined : budget.copy(packet);
      budget.release(packet);
      packet = next;
      if (octets !== undefined) deliver?.(octets);
    }
    budget.trim();
    return count;
  }
}
