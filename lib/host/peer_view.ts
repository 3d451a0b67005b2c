/** Peers as the data isolate tells them, as the status tells them. */

import type { PeerPath, PeerState, PeerStatus } from "../control/status.ts";
import { PEER_VALIDITY } from "../core/peers.ts";
import { writeU32 } from "../wire/bytes.ts";
import { formatEndpoint, type Ipv4, isGlobalUnicast } from "../wire/ipv4.ts";
import { formatIpv6 } from "../wire/ipv6_address.ts";
import { isTeredo, mappedAddressAt } from "../wire/teredo_address.ts";
import { PEER_NEGOTIATING, PEER_TRUSTED, PEER_WORDS } from "./messages.ts";

/** Flag beside those of `messages.ts`: a Teredo peer that is reached over a relay. */
export const PEER_RELAYED = 4;

/** The peers of a piece of list. */
export function peersOf(list: Uint32Array, role: "client" | "relay"): PeerStatus[] {
  const peers: PeerStatus[] = [];
  for (let at = 0; at + PEER_WORDS <= list.length; at += PEER_WORDS) {
    const key = new Uint8Array(16);
    for (let word = 0; word < 4; word++) writeU32(list[at + word], key, 4 * word);
    const endpoint = { address: list[at + 4], port: list[at + 5] >>> 16 };
    const [heard, sent] = [list[at + 6], list[at + 7]];
    peers.push({
      address: formatIpv6(key),
      endpoint: endpoint.port === 0 ? null : formatEndpoint(endpoint),
      path: role === "relay" ? "direct" : pathTo(key, endpoint.address, (list[at + 5] & PEER_RELAYED) !== 0),
      state: stateOf(list[at + 5], heard),
      last_heard_seconds: heard / 1000,
      last_sent_seconds: sent / 1000,
    });
  }
  return peers;
}

function stateOf(flags: number, heard: number): PeerState {
  if ((flags & PEER_TRUSTED) !== 0 && heard < PEER_VALIDITY) return "open";
  if ((flags & PEER_NEGOTIATING) !== 0) return "negotiating";
  return (flags & PEER_TRUSTED) !== 0 ? "idle" : "silent";
}

/** How a client reaches the peer of that Teredo or native address at that IPv4 address. */
export function pathTo(key: Uint8Array, address: Ipv4, relayed: boolean = false): PeerPath {
  if (relayed || !isTeredo(key, 0)) return "relay";
  // A NAT may answer from another address than the one it was asked about, but never from a private one.
  return address === 0 || mappedAddressAt(key, 0) === address || isGlobalUnicast(address) ? "direct" : "local";
}
