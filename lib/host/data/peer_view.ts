/** Peers as the data isolate tells them, as the status tells them. */

import type { PeerPath, PeerState, PeerStatus } from "../../control/status.ts";
import { PEER_VALIDITY } from "../../core/peers.ts";
import { writeU32 } from "../../wire/bytes.ts";
import { formatEndpoint } from "../../wire/ipv4.ts";
import { formatIpv6 } from "../../wire/ipv6_address.ts";
import { PEER_NEGOTIATING, PEER_TRUSTED, PEER_WORDS } from "./messages.ts";

/** Flags beside those of `messages.ts`: how the peer is reached. */
export const PEER_PATHS = { direct: 0, relay: 4, local: 8 } as const satisfies Record<PeerPath, number>;

/** The peers of a piece of list. */
export function peersOf(list: Uint32Array): PeerStatus[] {
  const peers: PeerStatus[] = [];
  for (let at = 0; at + PEER_WORDS <= list.length; at += PEER_WORDS) {
    const key = new Uint8Array(16);
    for (let word = 0; word < 4; word++) writeU32(list[at + word], key, 4 * word);
    const endpoint = { address: list[at + 4], port: list[at + 5] >>> 16 };
    const [heard, sent] = [list[at + 6], list[at + 7]];
    peers.push({
      address: formatIpv6(key),
      endpoint: endpoint.port === 0 ? null : formatEndpoint(endpoint),
      path: pathOf(list[at + 5]),
      state: stateOf(list[at + 5], heard),
      last_heard_seconds: heard / 1000,
      last_sent_seconds: sent / 1000,
      rx_packets: list[at + 8],
      tx_packets: list[at + 9],
    });
  }
  return peers;
}

function stateOf(flags: number, heard: number): PeerState {
  if ((flags & PEER_TRUSTED) !== 0 && heard < PEER_VALIDITY) return "open";
  if ((flags & PEER_NEGOTIATING) !== 0) return "negotiating";
  return (flags & PEER_TRUSTED) !== 0 ? "idle" : "silent";
}

function pathOf(flags: number): PeerPath {
  if ((flags & PEER_PATHS.relay) !== 0) return "relay";
  return (flags & PEER_PATHS.local) !== 0 ? "local" : "direct";
}
