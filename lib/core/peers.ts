/**
 * The peer list of a client or relay (RFC 4380 5.2, 5.4): one fixed record per IPv6 address that we speak with.
 *
 * ```
 *   bucket, 64 octets = one line of the cache:   record 2n | record 2n + 1
 *   record, 8 words:   0..3 IPv6 address   4 mapped IPv4   5 port << 16 | bubbles << 8 | overflow << 4 | flags
 *                      6 last reception    7 last transmission
 *   behind all records, 2 words each:          packets received | packets sent
 * ```
 *
 * The keyed hash of an address names its home bucket; who finds it full goes to the next one with room. Each bucket counts how many records
 * went past it (the overflow nibbles of its two records together), so that a search ends at the first bucket that none went past: nearly
 * always at home, after a single line. A removal counts back and leaves nothing behind. Records never move, so a record number is stable
 * from {@link PeerTable.insert} to removal. Methods that take one expect a live one.
 *
 * The memory is made once for the largest number of peers, and the kernel commits its pages as they are used: 246 MB for 5 million peers.
 */

import type { Ipv4 } from "../wire/ipv4.ts";
import type { Ipv6 } from "../wire/ipv6.ts";
import { KeyedHash } from "./keyed_hash.ts";
import type { Millis, Random } from "./machine.ts";

/** An entry may be used for sending until this long after its last reception, milliseconds (RFC 4380 5.2.4). */
export const PEER_VALIDITY: Millis = 30_000;

/**
 * Idle records are removed after this long without a packet in either direction, milliseconds. It is the longest memory that a rule
 * asks of every entry: 4 bubbles per 300 s (RFC 4380 5.2.6).
 */
export const PEER_LIFETIME: Millis = 300_000;

/** Largest table, peers: its memory then takes 3.1 GiB of address space. */
export const MAX_TABLE = 2 ** 26;

/** Records that one insertion into a full table looks at for something to evict: keeps a flood of new peers cheap. */
const EVICTION_WINDOW = 256;

/** Most of the records in use: beyond that, too many searches leave their home bucket. */
const MAX_LOAD = 0.8125;

const RECORD_WORDS = 8;
const BUCKET_RECORDS = 2;
const BUCKET_WORDS = BUCKET_RECORDS * RECORD_WORDS;
const TRAFFIC_WORDS = 2;

/** Records of one page of the kernel, 4096 octets: where none is in use, none is looked at. */
const PAGE_RECORDS = 128;

/** Memory from this size on comes in whole pages of WebAssembly, which begin at a line of the cache, octets. */
const WASM_PAGE = 65_536;

/** Most records that {@link PeerTable.expire} should look at in one go, so that packets never wait long for it. */
export const EXPIRY_STEP = 2048;

const ADDRESS = 4;
const PORT_FLAGS = 5;
const RECEPTION = 6;
const TRANSMISSION = 7;

const USED = 0x1;
const TRUSTED = 0x2;
const PINNED = 0x4;
const STEERED = 0x8;
/** The nibble of the overflow count; the second record of a bucket has the upper one. */
const OVERFLOW = 0xf0;
const OVERFLOW_SHIFT = 4;
/** A count that got this far stays, as it no longer knows how far it would have got. */
const OVERFLOW_MAX = 0xff;
const BUBBLES_SHIFT = 8;
const BUBBLES_MASK = 0xff00;

/** How far before the first moment seen the 32-bit clock of the records begins, milliseconds. */
const EPOCH_MARGIN = 3_600_000;

export interface PeerTableOptions {
  /** Largest number of peers, 1 to {@link MAX_TABLE}. */
  readonly maxPeers: number;
  /** Where the key of the hash comes from. */
  readonly random: Random;
  /** Called for each record that goes away for whatever reason, while it can still be read. */
  readonly onRemove?: (peer: number) => void;
}

export class PeerTable {
  /** Largest number of peers. */
  readonly capacity: number;
  readonly #hash: KeyedHash;
  readonly #onRemove: ((peer: number) => void) | undefined;
  readonly #words: Int32Array;
  readonly #unsigned: Uint32Array;
  /** Packets received and sent, by record: apart, so that a bucket stays one line of the cache. */
  readonly #traffic: Uint32Array;
  readonly #buckets: number;
  /** Records in use in each page. */
  readonly #inPage: Uint8Array;
  #pages = 0;
  #size = 0;
  #evicted = 0;
  #expiryCursor = 0;
  #evictionCursor = 0;
  /** Moment of tick 0; ticks are whole milliseconds. */
  #epoch = NaN;

  constructor(options: PeerTableOptions) {
    const { maxPeers } = options;
    if (!Number.isInteger(maxPeers) || maxPeers < 1 || maxPeers > MAX_TABLE) {
      throw new RangeError(`Cannot make a table of ${maxPeers} peers: allowed are 1 to ${MAX_TABLE}`);
    }
    this.capacity = maxPeers;
    this.#hash = new KeyedHash(options.random);
    this.#onRemove = options.onRemove;
    this.#buckets = Math.max(2, Math.ceil(maxPeers / MAX_LOAD / BUCKET_RECORDS));
    const recordOctets = this.#buckets * BUCKET_WORDS * 4;
    const records = alignedMemory(recordOctets + this.highWater * TRAFFIC_WORDS * 4);
    this.#words = new Int32Array(records, 0, this.#buckets * BUCKET_WORDS);
    this.#unsigned = new Uint32Array(records, 0, this.#buckets * BUCKET_WORDS);
    this.#traffic = new Uint32Array(records, recordOctets, this.highWater * TRAFFIC_WORDS);
    this.#inPage = new Uint8Array(Math.ceil(this.highWater / PAGE_RECORDS));
  }

  /** Peers in the table now. */
  get size(): number {
    return this.#size;
  }

  /** Records that were thrown out so far because the table was full. */
  get evicted(): number {
    return this.#evicted;
  }

  /** Every record number is below this one. */
  get highWater(): number {
    return this.#buckets * BUCKET_RECORDS;
  }

  /** Records in pages where any is in use: what {@link expire} looks at in one round. */
  get occupied(): number {
    return Math.min(this.#pages * PAGE_RECORDS, this.highWater);
  }

  /** The first record number from `peer` on whose page has any record in use, or {@link highWater}. */
  skipEmpty(peer: number): number {
    let page = Math.floor(peer / PAGE_RECORDS);
    if (this.#inPage[page] > 0) return peer;
    while (page < this.#inPage.length && this.#inPage[page] === 0) page++;
    return Math.min(page * PAGE_RECORDS, this.highWater);
  }

  /** Memory of a full table, octets. */
  get octets(): number {
    return this.#words.byteLength + this.#traffic.byteLength + this.#inPage.byteLength;
  }

  /** The memory of the table, which never moves: for who can tell the kernel how it is used. */
  get memory(): ArrayBufferLike {
    return this.#words.buffer;
  }

  /** Whether this record number, below {@link highWater}, is a live one. */
  isLive(peer: number): boolean {
    return (this.#words[peer * RECORD_WORDS + PORT_FLAGS] & USED) !== 0;
  }

  /** The record of the IPv6 address at `bytes[at]`, or -1. Allocates nothing. */
  find(bytes: Uint8Array, at: number): number {
    const w0 = word(bytes, at), w1 = word(bytes, at + 4), w2 = word(bytes, at + 8), w3 = word(bytes, at + 12);
    const words = this.#words, end = words.length;
    let b = this.#home(w0, w1, w2, w3);
    for (let left = this.#buckets; left > 0; left--) {
      if (words[b + 3] === w3 && words[b + 2] === w2 && words[b + 1] === w1 && words[b] === w0) {
        if ((words[b + PORT_FLAGS] & USED) !== 0) return b >>> 3;
      }
      const c = b + RECORD_WORDS;
      if (words[c + 3] === w3 && words[c + 2] === w2 && words[c + 1] === w1 && words[c] === w0) {
        if ((words[c + PORT_FLAGS] & USED) !== 0) return c >>> 3;
      }
      if (((words[b + PORT_FLAGS] | words[c + PORT_FLAGS]) & OVERFLOW) === 0) return -1;
      b += BUCKET_WORDS;
      if (b === end) b = 0;
    }
    return -1;
  }

  /**
   * The record of the IPv6 address at `bytes[at]`, made if there is none: not trusted, not pinned, mapping 0.0.0.0:0, no bubbles, last
   * reception and last transmission 30 s ago (RFC 4380 5.2.6).
   *
   * A full table gives up an expired peer, else one that is not trusted; never a pinned one, never a trusted one that is valid.
   * @returns -1 when the table is full and nothing (within a bounded search) may go
   */
  insert(bytes: Uint8Array, at: number, now: Millis): number {
    const known = this.find(bytes, at);
    if (known >= 0) return known;
    if (this.#size === this.capacity) {
      const victim = this.#victim(now);
      if (victim < 0) return -1;
      this.#evicted++;
      this.remove(victim);
    }
    const words = this.#words;
    const w0 = word(bytes, at), w1 = word(bytes, at + 4), w2 = word(bytes, at + 8), w3 = word(bytes, at + 12);
    let b = this.#home(w0, w1, w2, w3);
    while ((words[b + PORT_FLAGS] & words[b + RECORD_WORDS + PORT_FLAGS] & USED) !== 0) {
      this.#pass(b, 1);
      b = this.#next(b);
    }
    const r = (words[b + PORT_FLAGS] & USED) === 0 ? b : b + RECORD_WORDS, peer = r >>> 3;
    words[r] = w0;
    words[r + 1] = w1;
    words[r + 2] = w2;
    words[r + 3] = w3;
    words[r + ADDRESS] = 0;
    words[r + PORT_FLAGS] = words[r + PORT_FLAGS] & OVERFLOW | USED;
    this.#unsigned[r + RECEPTION] = this.#unsigned[r + TRANSMISSION] = this.#ticks(now - PEER_VALIDITY);
    this.#traffic[peer * TRAFFIC_WORDS] = this.#traffic[peer * TRAFFIC_WORDS + 1] = 0;
    if (this.#inPage[Math.floor(peer / PAGE_RECORDS)]++ === 0) this.#pages++;
    this.#size++;
    return peer;
  }

  /** Removes a record; its number may come back for another address. */
  remove(peer: number): void {
    const words = this.#words, r = peer * RECORD_WORDS;
    if ((words[r + PORT_FLAGS] & USED) === 0) return;
    this.#onRemove?.(peer);
    const stands = r - r % BUCKET_WORDS;
    for (let b = this.#home(words[r], words[r + 1], words[r + 2], words[r + 3]); b !== stands; b = this.#next(b)) {
      this.#pass(b, -1);
    }
    words[r + PORT_FLAGS] &= OVERFLOW;
    if (--this.#inPage[Math.floor(peer / PAGE_RECORDS)] === 0) this.#pages--;
    this.#size--;
  }

  /** Removes every peer. */
  clear(): void {
    for (let peer = 0; peer < this.highWater && this.#size > 0; peer++) this.remove(peer);
  }

  /**
   * Looks at up to `budget` records, used or not, going on where the last call ended, and removes those without a packet in either direction for
   * {@link PEER_LIFETIME} that are not pinned.
   * @returns how many were removed
   */
  expire(now: Millis, budget: number): number {
    let removed = 0;
    const { highWater } = this;
    for (let left = Math.min(budget, this.occupied); left > 0 && this.#size > 0;) {
      const peer = this.skipEmpty(this.#expiryCursor);
      if (peer >= highWater) {
        this.#expiryCursor = 0;
        continue;
      }
      left--;
      this.#expiryCursor = peer + 1;
      if ((this.#words[peer * RECORD_WORDS + PORT_FLAGS] & (USED | PINNED)) !== USED) continue;
      if (!this.#idle(peer, now)) continue;
      this.remove(peer);
      removed++;
    }
    return removed;
  }

  /** Mapped IPv4 address to send to, host order; 0 when none is known. */
  address(peer: number): Ipv4 {
    return this.#unsigned[peer * RECORD_WORDS + ADDRESS];
  }

  /** Mapped UDP port to send to; 0 when none is known. */
  port(peer: number): number {
    return this.#words[peer * RECORD_WORDS + PORT_FLAGS] >>> 16;
  }

  setMapping(peer: number, address: Ipv4, port: number): void {
    const r = peer * RECORD_WORDS;
    this.#words[r + ADDRESS] = address;
    this.#words[r + PORT_FLAGS] = port << 16 | this.#words[r + PORT_FLAGS] & 0xffff;
  }

  /** True when the last proof of the mapping held (RFC 4380 5.2: status "trusted"). */
  trusted(peer: number): boolean {
    return (this.#words[peer * RECORD_WORDS + PORT_FLAGS] & TRUSTED) !== 0;
  }

  /** Whether the peer is trusted and its mapping is `address`:`port`: the test that every packet of an established flow passes. */
  trustedAt(peer: number, address: Ipv4, port: number): boolean {
    const r = peer * RECORD_WORDS, portFlags = this.#words[r + PORT_FLAGS];
    return this.#words[r + ADDRESS] === (address | 0) && portFlags >>> 16 === port && (portFlags & TRUSTED) !== 0;
  }

  setTrusted(peer: number, trusted: boolean): void {
    this.#setFlag(peer, TRUSTED, trusted);
  }

  /** True when state elsewhere belongs to this record: it is neither expired nor evicted. */
  pinned(peer: number): boolean {
    return (this.#words[peer * RECORD_WORDS + PORT_FLAGS] & PINNED) !== 0;
  }

  setPinned(peer: number, pinned: boolean): void {
    this.#setFlag(peer, PINNED, pinned);
  }

  /**
   * One bit that the owner of the table is free to use. A client: packets leave another way than by the service port to the mapping. A
   * relay: a bubble went to the client and came back from there.
   */
  steered(peer: number): boolean {
    return (this.#words[peer * RECORD_WORDS + PORT_FLAGS] & STEERED) !== 0;
  }

  setSteered(peer: number, steered: boolean): void {
    this.#setFlag(peer, STEERED, steered);
  }

  /** Bubbles sent since the last direct response (RFC 4380 5.2.6), 0 to 255. The caller counts. */
  bubbles(peer: number): number {
    return (this.#words[peer * RECORD_WORDS + PORT_FLAGS] & BUBBLES_MASK) >>> BUBBLES_SHIFT;
  }

  setBubbles(peer: number, bubbles: number): void {
    const i = peer * RECORD_WORDS + PORT_FLAGS;
    this.#words[i] = this.#words[i] & ~BUBBLES_MASK | Math.min(bubbles, 255) << BUBBLES_SHIFT;
  }

  /** Moment of the last packet from the peer, rounded down to a millisecond. */
  lastReception(peer: number): Millis {
    return this.#epoch + this.#unsigned[peer * RECORD_WORDS + RECEPTION];
  }

  setLastReception(peer: number, now: Millis): void {
    this.#unsigned[peer * RECORD_WORDS + RECEPTION] = this.#ticks(now);
  }

  /** Moment of the last packet to the peer, rounded down to a millisecond. */
  lastTransmission(peer: number): Millis {
    return this.#epoch + this.#unsigned[peer * RECORD_WORDS + TRANSMISSION];
  }

  setLastTransmission(peer: number, now: Millis): void {
    this.#unsigned[peer * RECORD_WORDS + TRANSMISSION] = this.#ticks(now);
  }

  /** IPv6 packets received from the peer for somebody behind us, modulo 2^32. Bubbles and tests are none. */
  received(peer: number): number {
    return this.#traffic[peer * TRAFFIC_WORDS];
  }

  countReceived(peer: number): void {
    this.#traffic[peer * TRAFFIC_WORDS]++;
  }

  /** IPv6 packets sent to the peer for somebody behind us, modulo 2^32. */
  sent(peer: number): number {
    return this.#traffic[peer * TRAFFIC_WORDS + 1];
  }

  countSent(peer: number, packets: number): void {
    this.#traffic[peer * TRAFFIC_WORDS + 1] += packets;
  }

  /** True when a packet came from the peer less than 30 s ago (RFC 4380 5.2.4). */
  valid(peer: number, now: Millis): boolean {
    return now - this.lastReception(peer) < PEER_VALIDITY;
  }

  /** The peer's IPv6 address, a new array. */
  key(peer: number): Ipv6 {
    const key = new Uint8Array(16);
    this.keyInto(peer, key, 0);
    return key;
  }

  /** Writes the peer's IPv6 address to `bytes[at]`, 16 octets. */
  keyInto(peer: number, bytes: Uint8Array, at: number): void {
    for (let i = 0; i < 4; i++) {
      const w = this.#words[peer * RECORD_WORDS + i];
      bytes[at + 4 * i] = w >>> 24;
      bytes[at + 4 * i + 1] = w >>> 16;
      bytes[at + 4 * i + 2] = w >>> 8;
      bytes[at + 4 * i + 3] = w;
    }
  }

  #setFlag(peer: number, flag: number, on: boolean): void {
    const i = peer * RECORD_WORDS + PORT_FLAGS;
    this.#words[i] = on ? this.#words[i] | flag : this.#words[i] & ~flag;
  }

  /** The first word of the home bucket of an address. */
  #home(w0: number, w1: number, w2: number, w3: number): number {
    return Math.floor((this.#hash.of4(w0, w1, w2, w3) >>> 0) * this.#buckets / 2 ** 32) * BUCKET_WORDS;
  }

  /** The first word of the bucket after the one that begins at word `b`. */
  #next(b: number): number {
    return b + BUCKET_WORDS === this.#words.length ? 0 : b + BUCKET_WORDS;
  }

  /** Counts a record that goes past the bucket at word `b`, or did. */
  #pass(b: number, change: 1 | -1): void {
    const words = this.#words, low = b + PORT_FLAGS, high = low + RECORD_WORDS;
    const count = (words[low] & OVERFLOW) >>> OVERFLOW_SHIFT | words[high] & OVERFLOW;
    if (count === OVERFLOW_MAX) return;
    const after = count + change;
    words[low] = words[low] & ~OVERFLOW | after << OVERFLOW_SHIFT & OVERFLOW;
    words[high] = words[high] & ~OVERFLOW | after & OVERFLOW;
  }

  #idle(peer: number, now: Millis): boolean {
    return now - Math.max(this.lastReception(peer), this.lastTransmission(peer)) > PEER_LIFETIME;
  }

  /** A record of a full table that may go, or -1. */
  #victim(now: Millis): number {
    let untrusted = -1;
    for (let left = Math.min(EVICTION_WINDOW, this.highWater); left > 0; left--) {
      if (this.#evictionCursor >= this.highWater) this.#evictionCursor = 0;
      const peer = this.#evictionCursor++;
      if (!this.isLive(peer) || this.pinned(peer)) continue;
      // An untrusted record that has sent bubbles is worth more than an expired one: it remembers the bubble budget.
      if (!this.valid(peer, now) && (this.trusted(peer) || this.bubbles(peer) === 0)) return peer;
      if (untrusted < 0 && !this.trusted(peer)) untrusted = peer;
    }
    return untrusted;
  }

  /** `now` on the 32-bit millisecond clock of the records. */
  #ticks(now: Millis): number {
    const ticks = Math.floor(now) - this.#epoch;
    return ticks >= 0 && ticks <= 0xffff_ffff ? ticks : this.#rebase(now);
  }

  /** Starts the clock at the first call, and again each time its 32 bits (49.7 days) are used up. */
  #rebase(now: Millis): number {
    if (now < this.#epoch) return 0;
    const epoch = Math.floor(now) - EPOCH_MARGIN;
    const shift = epoch - this.#epoch;
    for (let peer = 0; peer < this.highWater && shift > 0; peer++) {
      if (!this.isLive(peer)) continue;
      const r = peer * RECORD_WORDS;
      this.#unsigned[r + RECEPTION] = Math.max(0, this.#unsigned[r + RECEPTION] - shift);
      this.#unsigned[r + TRANSMISSION] = Math.max(0, this.#unsigned[r + TRANSMISSION] - shift);
    }
    this.#epoch = epoch;
    return EPOCH_MARGIN;
  }
}

/** Memory that begins at a line of the cache if it is large enough for that to matter. Only pages that are written become real. */
function alignedMemory(octets: number): ArrayBufferLike {
  if (octets < WASM_PAGE) return new ArrayBuffer(octets);
  const pages = Math.ceil(octets / WASM_PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer;
}

/** Four octets in network order as a signed number. */
function word(bytes: Uint8Array, at: number): number {
  return bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
}
