/**
 * What a client keeps about the way to a Teredo peer beside its entry (RFC 6081 5.2.1, 5.3.1, 5.4.1, 5.6.1): nonces, ports, flags.
 *
 * ```
 *   bubble to or from a peer ─▶ made ─▶ kept as long as the entry, or until newer ones need its place
 *                                          │
 *                                          └─ steers: data leaves another way than by the entry alone
 * ```
 *
 * Most peers need nothing of this once they are reached; the few whose packets leave from a random port, or go elsewhere than they
 * come from, have a mark in their entry, so that only their packets cost a second look-up.
 */

import type { Endpoint } from "../../wire/ipv4.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import type { Millis, Random } from "../machine.ts";
import type { PeerTable } from "../peers.ts";

/** No socket. */
export const NO_SOCKET = -1;

/** The variables of RFC 6081 for one peer. 0 stands for "none" in nonces and ports. */
export interface Traversal {
  /** Record in the peer table. */
  readonly peer: number;
  readonly address: Ipv6;
  /** When the last four bubbles that count went to the peer, oldest first. */
  bubbles: readonly Millis[];
  /** Nonce of the last indirect bubble to the peer. */
  nonceSent: number;
  /** When {@link nonceSent} last came back. */
  provedAt: Millis;
  /** Nonce of the last indirect bubble from the peer. */
  nonceReceived: number;
  /** An indirect bubble came from the peer since the negotiation began. */
  asked: boolean;
  /** Indirect bubbles that came although we reach the peer, as it seemed: it does not hear us. */
  unheard: number;
  /** Until then the peer is known not to hear us directly, although we hear it. */
  deafUntil: Millis;
  /** Direct bubbles of the peer come from elsewhere than its address says (RFC 6081 5.3.1). */
  symmetricPeer: boolean;
  /** Further endpoints that the peer named in its last indirect bubble (RFC 6081 5.6.1). */
  alternates: readonly Endpoint[];
  /** Our external port for this peer, as far as it can be foretold (RFC 6081 5.4.1: Random Port). */
  randomPort: number;
  /** The socket behind it. */
  randomSocket: number;
  /** Something was sent from that socket to the peer. */
  randomUsed: boolean;
  /** The port that the peer foretold. */
  peerRandomPort: number;
  /** Direct Receive on Primary Port, Direct Receive on Random Port (RFC 6081 5.4.1). */
  onPrimary: boolean;
  onRandom: boolean;
  /** Connection Refresh Count. */
  refreshes: number;
  lastData: Millis;
  /** The entry's mapping is a relay's. */
  viaRelay: boolean;
  /** When a relay was last found to lead to the peer. */
  relayedAt: Millis;
}

/** The traversal states by record, bounded in number. */
export class Traversals {
  readonly #table: PeerTable;
  readonly #limit: number;
  readonly #onDrop: (traversal: Traversal) => void;
  /** In the order of their making. */
  readonly #all: Map<number, Traversal> = new Map();

  /**
   * @param limit most states; at least 1
   * @param onDrop called with each that goes away, so that what belongs to it can go too
   */
  constructor(table: PeerTable, limit: number, onDrop: (traversal: Traversal) => void) {
    this.#table = table;
    this.#limit = limit;
    this.#onDrop = onDrop;
  }

  /** States that are kept. */
  get size(): number {
    return this.#all.size;
  }

  /** The state for the record `peer`, if there is one. */
  find(peer: number): Traversal | undefined {
    return this.#all.get(peer);
  }

  /** The state for the record `peer`, made if need be. */
  of(peer: number): Traversal {
    const known = this.#all.get(peer);
    if (known !== undefined) return known;
    if (this.#all.size >= this.#limit) this.#makeRoom();
    const traversal: Traversal = {
      peer,
      address: this.#table.key(peer),
      bubbles: [],
      nonceSent: 0,
      provedAt: -Infinity,
      nonceReceived: 0,
      asked: false,
      unheard: 0,
      deafUntil: -Infinity,
      symmetricPeer: false,
      alternates: [],
      randomPort: 0,
      randomSocket: NO_SOCKET,
      randomUsed: false,
      peerRandomPort: 0,
      onPrimary: false,
      onRandom: false,
      refreshes: 0,
      lastData: -Infinity,
      viaRelay: false,
      relayedAt: -Infinity,
    };
    this.#all.set(peer, traversal);
    return traversal;
  }

  /** Forgets the state for the record `peer`. */
  drop(peer: number): void {
    const traversal = this.#all.get(peer);
    if (traversal === undefined) return;
    this.#all.delete(peer);
    this.#onDrop(traversal);
  }

  /** Forgets all. */
  clear(): void {
    for (const peer of [...this.#all.keys()]) this.drop(peer);
  }

  /** The oldest goes; one that steers an entry takes the trust in it along. Those being negotiated with stay where possible. */
  #makeRoom(): void {
    let oldest = -1;
    for (const peer of this.#all.keys()) {
      if (oldest < 0) oldest = peer;
      if (this.#table.pinned(peer) || this.#table.steered(peer)) continue;
      oldest = peer;
      break;
    }
    if (this.#table.steered(oldest)) this.#table.setTrusted(oldest, false);
    this.#table.setSteered(oldest, false);
    this.drop(oldest);
  }
}

/** A new nonce for an indirect bubble: random, never 0. */
export function drawNonce(random: Random): number {
  for (;;) {
    const nonce = random.u32();
    if (nonce !== 0) return nonce;
  }
}
