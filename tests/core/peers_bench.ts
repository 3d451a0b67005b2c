/**
 * What finding a peer costs, in a small table and in one of a million: every packet asks once.
 */

import type { Random } from "../../lib/core/machine.ts";
import { PeerTable } from "../../lib/core/peers.ts";

/** Lookups of one measurement. */
const LOOKUPS = 1000;

/** Different peers asked for, measurement after measurement. */
const ASKED = 2 ** 20;

/** xorshift32: quick, and the same in every run. */
class Xorshift implements Random {
  #state = 0x9e3779b9;

  u32(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }

  fill(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at++) bytes[at] = this.u32();
  }
}

/** Results go here, so that no lookup can be left out. */
let sink = 0;

for (const [name, peers] of [["a thousand", 1000], ["a million", 1_000_000]] as const) {
  const random = new Xorshift();
  const table = new PeerTable({ maxPeers: peers, random });
  const keys = new Uint8Array(16 * peers);
  random.fill(keys);
  for (let peer = 0; peer < peers; peer++) table.insert(keys, 16 * peer, 0);
  // Many, and in no order, so that the caches of the processor help no more than they do in life.
  const asked = Uint32Array.from({ length: ASKED }, () => 16 * (random.u32() % peers));
  let next = 0;
  const unknown = new Uint8Array(16 * LOOKUPS);
  random.fill(unknown);

  Deno.bench(`find ${LOOKUPS} of ${name} peers`, { group: "known", baseline: peers === 1000 }, () => {
    for (let round = 0; round < LOOKUPS; round++) sink += table.find(keys, asked[next++ % ASKED]);
  });

  Deno.bench(`look ${LOOKUPS} strangers up among ${name} peers`, { group: "unknown", baseline: peers === 1000 }, () => {
    for (let round = 0; round < LOOKUPS; round++) sink += table.find(unknown, 16 * round);
  });
}
