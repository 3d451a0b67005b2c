/**
 * The table of peers by itself, without packets: run as a program, it answers with one line of JSON ({@link TableFigures}).
 *
 * ```
 *   deno run -A peer_table.ts PEERS
 * ```
 */

import { HUGE_PAGE } from "../../ffi/huge_pages.ts";
import { systemRandom } from "../../lib/host/system/entropy.ts";
import { TablePages } from "../../lib/host/data/table_pages.ts";
import { EXPIRY_STEP, PEER_LIFETIME, PeerTable } from "../../lib/core/peers.ts";
import { median } from "./results.ts";

/** What the program prints. Times are of one call, in the mean, unless named otherwise. */
export interface TableFigures {
  /** Resident octets for each peer, all of the process's growth. */
  readonly octets: number;
  /** Milliseconds to fill it. */
  readonly fill: number;
  /** Nanoseconds to add a peer. */
  readonly insert: number;
  /** Nanoseconds to find one of all peers, in no order: the median of many batches. */
  readonly find: number;
  /** Nanoseconds to find that an address is no peer. */
  readonly miss: number;
  /** Longest time that {@link BATCH} insertions took, milliseconds. */
  readonly worstFill: number;
  /** Longest step of removing them all in the steps of the relay. */
  readonly worstExpiry: number;
  /** The same, nanoseconds for each peer removed. */
  readonly expiry: number;
}

/** Calls timed together. */
const BATCH = 1000;
const LOOKUPS = 1_000_000;
const KEY = 16;

/** Results go here, so that no look-up can be left out. */
let sink = 0;

/** Nanoseconds of one look-up, the median of batches. Keys lie together, as those of packets just received do. */
function lookups(table: PeerTable, keys: Uint8Array, asked: Uint32Array): number {
  const batches: number[] = [];
  const batch = new Uint8Array(BATCH * KEY);
  for (let next = 0; next + BATCH <= asked.length; next += BATCH) {
    for (let i = 0; i < BATCH; i++) batch.set(keys.subarray(asked[next + i], asked[next + i] + KEY), i * KEY);
    const start = performance.now();
    for (let at = 0; at < BATCH * KEY; at += KEY) sink += table.find(batch, at);
    batches.push((performance.now() - start) * 1e6 / BATCH);
  }
  return median(batches);
}

/** Measures a table of so many peers. */
export function measureTable(peers: number): TableFigures {
  const random = systemRandom();
  // Teredo addresses as a relay meets them: prefix and server in common.
  const keys = new Uint8Array(peers * KEY);
  const words = new Uint32Array(keys.buffer);
  for (let peer = 0; peer < peers; peer++) {
    words[peer * 4] = 0x00000120;
    words[peer * 4 + 1] = 0x010200c0;
    words[peer * 4 + 2] = random.u32();
    words[peer * 4 + 3] = random.u32();
  }
  const strangers = new Uint8Array(BATCH * KEY);
  random.fill(strangers);
  const asked = new Uint32Array(LOOKUPS);
  for (let i = 0; i < LOOKUPS; i++) asked[i] = random.u32() % peers * KEY;
  const askedStrangers = Uint32Array.from({ length: LOOKUPS / 4 }, (_, i) => i % BATCH * KEY);

  const before = Deno.memoryUsage().rss;
  const table = new PeerTable({ maxPeers: peers, random });
  let worstFill = 0;
  const start = performance.now();
  for (let first = 0; first < peers; first += BATCH) {
    const began = performance.now();
    const last = Math.min(peers, first + BATCH);
    for (let peer = first; peer < last; peer++) table.insert(keys, peer * KEY, 0);
    worstFill = Math.max(worstFill, performance.now() - began);
  }
  const fill = performance.now() - start;
  const octets = (Deno.memoryUsage().rss - before) / peers;

  // As the relay does, though not while it is filled: a step for each of its sweeps, of which there are more than enough in a minute.
  const pages = new TablePages(table);
  for (let step = 0; step < table.octets / HUGE_PAGE + 2; step++) pages.step();

  const find = lookups(table, keys, asked);
  const miss = lookups(table, strangers, askedStrangers);

  let worstExpiry = 0, expiry = 0;
  for (let left = table.highWater + EXPIRY_STEP; left > 0 && table.size > 0; left -= EXPIRY_STEP) {
    const began = performance.now();
    sink += table.expire(2 * PEER_LIFETIME, EXPIRY_STEP);
    const took = performance.now() - began;
    worstExpiry = Math.max(worstExpiry, took);
    expiry += took;
  }
  if (table.size !== 0) throw new Error(`Cannot empty the table: ${table.size} peers remain`);
  return {
    octets,
    fill,
    insert: fill * 1e6 / peers,
    find,
    miss,
    worstFill,
    worstExpiry,
    expiry: expiry * 1e6 / peers,
  };
}

if (import.meta.main) console.log(JSON.stringify(measureTable(Number(Deno.args[0]))));
