/** The peer table of a client with its counters: entries that come, turn trusted and go (RFC 4380 5.2). */

import type { Ipv4 } from "../../wire/ipv4.ts";
import { counterIndex, type Counters } from "../counters.ts";
import type { Millis } from "../machine.ts";
import { PeerTable, type PeerTableOptions } from "../peers.ts";

const PEERS_EVICTED = counterIndex("peers_evicted");

/** How often idle entries are looked for, milliseconds, and in how many steps the whole table is looked at. */
const EXPIRY_INTERVAL: Millis = 5_000;
const EXPIRY_STEPS = 12;

/** Peers and their counts. The hot path reads {@link table} directly. */
export class PeerEntries {
  readonly table: PeerTable;
  readonly #counters: Counters;
  /** When idle entries are looked for next; never while there are none. */
  #deadline: Millis = Infinity;

  constructor(options: PeerTableOptions, counters: Counters) {
    this.table = new PeerTable(options);
    this.#counters = counters;
  }

  /** The entry of the address at `bytes[at]`, made untrusted if there is none; -1 when the table is full of better ones. */
  make(bytes: Uint8Array, at: number, now: Millis): number {
    const { table } = this;
    const known = table.find(bytes, at);
    if (known >= 0) return known;
    const peer = table.insert(bytes, at, now);
    if (peer >= 0) {
      this.#counters.count("peers_created");
      if (this.#deadline === Infinity) this.#deadline = now + EXPIRY_INTERVAL;
    }
    this.#counters.values[PEERS_EVICTED] = table.evicted;
    return peer;
  }

  /** A direct packet proved that the peer is at `address`:`port`. */
  trust(peer: number, address: Ipv4, port: number, now: Millis): void {
    const { table } = this;
    if (!table.trusted(peer)) {
      table.setTrusted(peer, true);
      this.#counters.count("peers_trusted");
    }
    table.setMapping(peer, address, port);
    table.setLastReception(peer, now);
    table.setBubbles(peer, 0);
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    return this.#deadline;
  }

  /** Removes idle entries among the next ones. */
  onTimer(now: Millis): void {
    if (now < this.#deadline) return;
    const { table } = this;
    const removed = table.expire(now, Math.ceil(table.occupied / EXPIRY_STEPS));
    for (let i = 0; i < removed; i++) this.#counters.count("peers_expired");
    this.#deadline = table.size > 0 ? now + EXPIRY_INTERVAL : Infinity;
  }

  /** Forgets every peer. */
  clear(): void {
    this.table.clear();
    this.#deadline = Infinity;
  }
}
