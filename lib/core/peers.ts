/**
 * The peer list of a client or relay (RFC 4380 5.2, 5.4): one fixed record per IPv6 address that we speak with.
 *
 * ```
 *   index   u32[2^n]          hash tag | record + 1, 0 = empty      open addressing, linear probing, real deletion
 *   records 8 words each      0..3 IPv6 address   4 mapped IPv4   5 port << 16 | flags   6 last reception   7 last transmission
 * ```
 *
 * The tag (the hash bits that the record number leaves free) is compared first, so that a look-up touches one line of the index and
 * one record. Both arrays are made once for the largest number of peers; the kernel commits pages as they are used. 5 million peers:
 * 160 MB of records and 34 MB of index.
 *
 * A record number is stable from {@link PeerTable.insert} to removal and is then used again. Methods that take one expect a live one.
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

/** Largest table, peers: records then take 2 GiB. */
export const MAX_TABLE = 2 ** 26;

/** Records that one insertion into a full table looks at for something to evict: keeps a flood of new peers cheap. */
const EVICTION_WINDOW = 256;

/** Most of the index in use: beyond that, probing gets long. */
const MAX_LOAD = 0.75;

const RECORD_WORDS = 8;
const ADDRESS = 4;
const PORT_FLAGS = 5;
const RECEPTION = 6;
const TRANSMISSION = 7;

const USED = 0x1;
const TRUSTED = 0x2;
const PINNED = 0x4;
const STEERED = 0x8;
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
  readonly #index: Int32Array;
  readonly #indexMask: number;
  /** Bits of an index cell that hold record + 1; the others are the tag. */
  readonly #recordMask: number;
  #size = 0;
  #evicted = 0;
  /** Records never used so far start here. */
  #fresh = 0;
  /** Head of the list of freed records (linked through word 0), or -1. */
  #free = -1;
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
    const records = new ArrayBuffer(maxPeers * RECORD_WORDS * 4);
    this.#words = new Int32Array(records);
    this.#unsigned = new Uint32Array(records);
    const cells = 2 ** Math.max(3, Math.ceil(Math.log2(maxPeers / MAX_LOAD)));
    this.#index = new Int32Array(cells);
    this.#indexMask = cells - 1;
    this.#recordMask = 2 ** Math.ceil(Math.log2(maxPeers + 1)) - 1;
  }

  /** Peers in the table now. */
  get size(): number {
    return this.#size;
  }

  /** Records that were thrown out so far because the table was full. */
  get evicted(): number {
    return this.#evicted;
  }

  /** Records below this number have been used at some time: what {@link expire} walks over. */
  get highWater(): number {
    return this.#fresh;
  }

  /** Memory of a full table, octets. */
  get octets(): number {
    return this.#words.byteLength + this.#index.byteLength;
  }

  /** Whether this record number, below {@link highWater}, is a live one. */
  isLive(peer: number): boolean {
    return (this.#words[peer * RECORD_WORDS + PORT_FLAGS] & USED) !== 0;
  }

  /** The record of the IPv6 address at `bytes[at]`, or -1. Allocates nothing. */
  find(bytes: Uint8Array, at: number): number {
    const w0 = word(bytes, at), w1 = word(bytes, at + 4), w2 = word(bytes, at + 8), w3 = word(bytes, at + 12);
    const hash = this.#hash.of4(w0, w1, w2, w3);
    const index = this.#index, mask = this.#indexMask, recordMask = this.#recordMask, words = this.#words;
    for (let cell = hash & mask;; cell = (cell + 1) & mask) {
      const value = index[cell];
      if (value === 0) return -1;
      if (((value ^ hash) & ~recordMask) !== 0) continue;
      const peer = (value & recordMask) - 1, r = peer * RECORD_WORDS;
      if (words[r + 3] === w3 && words[r + 2] === w2 && words[r + 1] === w1 && words[r] === w0) return peer;
    }
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
    let peer = this.#allocate();
    if (peer < 0) {
      const victim = this.#victim(now);
      if (victim < 0) return -1;
      this.#evicted++;
      this.remove(victim);
      peer = this.#allocate();
    }
    const words = this.#words, r = peer * RECORD_WORDS;
    words[r] = word(bytes, at);
    words[r + 1] = word(bytes, at + 4);
    words[r + 2] = word(bytes, at + 8);
    words[r + 3] = word(bytes, at + 12);
    words[r + ADDRESS] = 0;
    words[r + PORT_FLAGS] = USED;
    this.#unsigned[r + RECEPTION] = this.#unsigned[r + TRANSMISSION] = this.#ticks(now - PEER_VALIDITY);
    const hash = this.#hashOf(peer);
    let cell = hash & this.#indexMask;
    while (this.#index[cell] !== 0) cell = (cell + 1) & this.#indexMask;
    this.#index[cell] = (hash & ~this.#recordMask) | (peer + 1);
    this.#size++;
    return peer;
  }

  /** Removes a record; its number may come back for another address. */
  remove(peer: number): void {
    const r = peer * RECORD_WORDS;
    if ((this.#words[r + PORT_FLAGS] & USED) === 0) return;
    this.#onRemove?.(peer);
    const index = this.#index, mask = this.#indexMask, recordMask = this.#recordMask;
    let hole = this.#hashOf(peer) & mask;
    while ((index[hole] & recordMask) !== peer + 1) hole = (hole + 1) & mask;
    // Close the gap: what stands behind it and could stand in it moves up, so that no marker of deletion is needed.
    for (let cell = (hole + 1) & mask; index[cell] !== 0; cell = (cell + 1) & mask) {
      const home = this.#hashOf((index[cell] & recordMask) - 1) & mask;
      if (((cell - home) & mask) < ((cell - hole) & mask)) continue;
      index[hole] = index[cell];
      hole = cell;
    }
    index[hole] = 0;
    this.#words[r + PORT_FLAGS] = 0;
    this.#words[r] = this.#free;
    this.#free = peer;
    this.#size--;
  }

  /** Removes every peer. */
  clear(): void {
    for (let peer = 0; peer < this.#fresh && this.#size > 0; peer++) this.remove(peer);
  }

  /**
   * Looks at up to `budget` records, going on where the last call ended, and removes those without a packet in either direction for
   * {@link PEER_LIFETIME} that are not pinned.
   * @returns how many were removed
   */
  expire(now: Millis, budget: number): number {
    let removed = 0;
    for (let left = Math.min(budget, this.#fresh); left > 0; left--) {
      if (this.#expiryCursor >= this.#fresh) this.#expiryCursor = 0;
      const peer = this.#expiryCursor++;
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

  #hashOf(peer: number): number {
    const words = this.#words, r = peer * RECORD_WORDS;
    return this.#hash.of4(words[r], words[r + 1], words[r + 2], words[r + 3]);
  }

  #allocate(): number {
    const peer = this.#free;
    if (peer >= 0) {
      this.#free = this.#words[peer * RECORD_WORDS];
      return peer;
    }
    return this.#fresh < this.capacity ? this.#fresh++ : -1;
  }

  #idle(peer: number, now: Millis): boolean {
    return now - Math.max(this.lastReception(peer), this.lastTransmission(peer)) > PEER_LIFETIME;
  }

  /** A record of a full table that may go, or -1. */
  #victim(now: Millis): number {
    let untrusted = -1;
    for (let left = Math.min(EVICTION_WINDOW, this.capacity); left > 0; left--) {
      if (this.#evictionCursor >= this.capacity) this.#evictionCursor = 0;
      const peer = this.#evictionCursor++;
      if (this.pinned(peer)) continue;
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
    for (let peer = 0; peer < this.#fresh && shift > 0; peer++) {
      const r = peer * RECORD_WORDS;
      this.#unsigned[r + RECEPTION] = Math.max(0, this.#unsigned[r + RECEPTION] - shift);
      this.#unsigned[r + TRANSMISSION] = Math.max(0, this.#unsigned[r + TRANSMISSION] - shift);
    }
    this.#epoch = epoch;
    return EPOCH_MARGIN;
  }
}

/** Four octets in network order as a signed number. */
function word(bytes: Uint8Array, at: number): number {
  return bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
}
