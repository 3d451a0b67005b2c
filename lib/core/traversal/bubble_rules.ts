/**
 * The two rules for bubbles to a peer (RFC 4380 5.2.6): none within 2 s of the last transmission to it, and no more than 4 in 300 s
 * without a direct response.
 *
 * A direct and an indirect bubble of the same moment count as one. How many there were since the last response stands in the peer's
 * entry, so it outlasts every conversation; when the last four were, in its traversal state. Where that is gone, the 300 s are counted
 * from the last transmission, which is never less than the rule asks.
 */

import type { Millis } from "../machine.ts";
import type { PeerTable } from "../peers.ts";
import type { Traversal } from "./traversal.ts";

/** Wait for an answer to a bubble or an echo request, and least distance of a bubble from the last transmission. */
export const ANSWER_WAIT: Millis = 2_000;

/** Bubbles to a peer without direct response ... */
const BUBBLE_BUDGET = 4;

/** ... in this time. */
const BUBBLE_WINDOW: Millis = 300_000;

/** What the rules say of a bubble. */
export type BubbleVerdict = "allowed" | "too-soon" | "spent";

/** Whether a bubble may go to `peer` now. */
export function judgeBubble(
  table: PeerTable,
  peer: number,
  traversal: Traversal | undefined,
  now: Millis,
): BubbleVerdict {
  const silence = now - table.lastTransmission(peer);
  if (silence < ANSWER_WAIT) return "too-soon";
  if (silence >= BUBBLE_WINDOW || table.bubbles(peer) < BUBBLE_BUDGET) return "allowed";
  if (traversal === undefined || traversal.bubbles.length < BUBBLE_BUDGET) return "spent";
  return now - traversal.bubbles[0] >= BUBBLE_WINDOW ? "allowed" : "spent";
}

/** A bubble goes to the peer. @param lastTransmission the moment before which the window begins anew */
export function countBubble(table: PeerTable, traversal: Traversal, lastTransmission: Millis, now: Millis): void {
  const { peer } = traversal;
  table.setBubbles(peer, (now - lastTransmission < BUBBLE_WINDOW ? table.bubbles(peer) : 0) + 1);
  table.setLastTransmission(peer, now);
  traversal.bubbles = [...traversal.bubbles, now].slice(-BUBBLE_BUDGET);
}
