/**
 * Conversations: what a client keeps about a peer beside its entry while the path to it is being found, and no longer.
 *
 * ```
 *   host packet for a Teredo peer ─▶ [bubbling] ─┬─ direct packet ─▶ closed; the entry is all that is left
 *   host packet for a native node ─▶ [testing]  ─┤
 *   packet from an unproven relay ─▶ [testing]  ─┘
 *                                        │ 4 sent, 2 s each
 *                                        ▼
 *                                 [unreachable] ─ 3 s ─▶ closed; the next packet begins anew
 * ```
 */

import type { Ipv6 } from "../../wire/ipv6.ts";
import type { ClientOptions } from "./client_options.ts";
import type { ConnectivityTest } from "./connectivity.ts";
import type { Millis } from "../machine.ts";
import { PacketQueue, QueueBudget } from "../packet_queue.ts";
import type { PeerTable } from "../peers.ts";
import { TimerHeap } from "../timers.ts";

/** How far a conversation has got. */
export type Stage =
  /** Bubbles are out: `sent` events of a direct and an indirect one. At `until` they have failed. */
  | { readonly kind: "bubbling"; readonly sent: number; readonly until: Millis }
  /**
   * The peer is reached, but cannot know our mapping before its nonce came: `sent` indirect bubbles have asked for it since (RFC 6081 6.1
   * step 6).
   */
  | { readonly kind: "awaiting"; readonly sent: number }
  /** Server load reduction solicitations are out, `sent` of them (RFC 6081 5.7). */
  | { readonly kind: "soliciting"; readonly sent: number }
  /** Echo requests are out: `sent` of them, besides `denied` that the limit held back. */
  | { readonly kind: "testing"; readonly sent: number; readonly denied: number; readonly test: ConnectivityTest }
  /** Given up for a short while; a late answer still helps. */
  | { readonly kind: "unreachable"; readonly test: ConnectivityTest | undefined };

/** One peer that is being negotiated with. */
export interface Conversation {
  /** Record in the peer table, pinned there. */
  readonly peer: number;
  readonly address: Ipv6;
  stage: Stage;
  /** This host has packets for the peer; else only the peer wants to speak. */
  wanted: boolean;
  /** When it began. */
  readonly since: Millis;
  /** Packets of this host that wait for a path. */
  readonly outbound: PacketQueue;
  /** Packets for this host that wait for a proof, each behind {@link ENDPOINT_LENGTH} octets that say where it came from. */
  readonly inbound: PacketQueue;
}

/** IPv4 address (4), port (2) and 2 unused octets before a packet in an inbound queue. */
export const ENDPOINT_LENGTH = 8;

/** All conversations, bounded in number and in queued octets. */
export class Conversations {
  /** Deadlines by record. */
  readonly timers: TimerHeap = new TimerHeap();
  readonly #table: PeerTable;
  readonly #options: Pick<ClientOptions, "maxPending" | "queueOctetsPerPeer">;
  readonly #budget: QueueBudget;
  readonly #open: Map<number, Conversation> = new Map();
  /** Those given up, the oldest first: they make room. */
  readonly #unreachable: Set<number> = new Set();

  constructor(
    table: PeerTable,
    options: Pick<ClientOptions, "maxPending" | "queueOctetsPerPeer" | "queueOctetsTotal">,
  ) {
    this.#table = table;
    this.#options = options;
    this.#budget = new QueueBudget(options.queueOctetsTotal);
  }

  /** Conversations that are open. */
  get size(): number {
    return this.#open.size;
  }

  /** The conversation with `peer`, if there is one. */
  find(peer: number): Conversation | undefined {
    return this.#open.get(peer);
  }

  /** Begins one with `peer`, which has none; undefined when there are too many. */
  open(peer: number, stage: Stage, wanted: boolean, now: Millis): Conversation | undefined {
    if (this.#open.size >= this.#options.maxPending) {
      for (const oldest of this.#unreachable) {
        this.close(oldest);
        break;
      }
      if (this.#open.size >= this.#options.maxPending) return undefined;
    }
    const conversation: Conversation = {
      peer,
      address: this.#table.key(peer),
      stage,
      wanted,
      since: now,
      outbound: new PacketQueue(this.#budget, this.#options.queueOctetsPerPeer),
      inbound: new PacketQueue(this.#budget, this.#options.queueOctetsPerPeer),
    };
    this.#open.set(peer, conversation);
    this.#table.setPinned(peer, true);
    return conversation;
  }

  /** Marks a conversation as given up; its queues must be empty. */
  giveUp(conversation: Conversation, test: ConnectivityTest | undefined): void {
    conversation.stage = { kind: "unreachable", test };
    this.#unreachable.add(conversation.peer);
  }

  /** Ends the conversation with `peer`. Its queues go with it unless the caller still holds and drains them. */
  close(peer: number): void {
    if (!this.#open.delete(peer)) return;
    this.#unreachable.delete(peer);
    this.timers.cancel(peer);
    this.#table.setPinned(peer, false);
  }

  /** Ends all. @returns how many queued packets were thrown away */
  clear(): number {
    let thrown = 0;
    for (const { peer, outbound, inbound } of [...this.#open.values()]) {
      thrown += outbound.clear() + inbound.clear();
      this.close(peer);
    }
    return thrown;
  }
}
