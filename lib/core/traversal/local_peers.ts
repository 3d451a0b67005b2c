/**
 * Peers that were seen on this link: where a discovery bubble came from (RFC 4380 5.2.8). Known for 600 s after the last one.
 *
 * Kept beside the peer table: only a packet that finds no valid entry there asks here.
 */

import { readU16 } from "../../wire/bytes.ts";
import type { Endpoint } from "../../wire/ipv4.ts";
import type { Millis } from "../machine.ts";

/** How long a discovery bubble is good for (RFC 4380 5.2.4 case 3). */
export const LOCAL_PEER_LIFETIME: Millis = 600_000;

/** Most peers remembered; the one heard longest ago makes room. */
const MAX_LOCAL_PEERS = 4096;

interface LocalPeer {
  readonly endpoint: Endpoint;
  readonly heard: Millis;
}

/** Local endpoints by Teredo address. */
export class LocalPeers {
  /** In order of the last discovery bubble, oldest first. */
  readonly #peers: Map<string, LocalPeer> = new Map();

  /** Remembers that the peer whose address is at `bytes[at]` spoke from `endpoint`. */
  learn(bytes: Uint8Array, at: number, endpoint: Endpoint, now: Millis): void {
    const key = keyOf(bytes, at);
    this.#peers.delete(key);
    this.#peers.set(key, { endpoint, heard: now });
    if (this.#peers.size <= MAX_LOCAL_PEERS) return;
    for (const oldest of this.#peers.keys()) {
      this.#peers.delete(oldest);
      return;
    }
  }

  /** The local endpoint of the peer whose address is at `bytes[at]`, if it was heard lately. */
  find(bytes: Uint8Array, at: number, now: Millis): Endpoint | undefined {
    if (this.#peers.size === 0) return undefined;
    const key = keyOf(bytes, at);
    const peer = this.#peers.get(key);
    if (peer === undefined) return undefined;
    if (now - peer.heard < LOCAL_PEER_LIFETIME) return peer.endpoint;
    this.#peers.delete(key);
    return undefined;
  }

  forget(bytes: Uint8Array, at: number): void {
    this.#peers.delete(keyOf(bytes, at));
  }

  clear(): void {
    this.#peers.clear();
  }
}

/** The 16 octets as a string of eight code units. */
function keyOf(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(
    readU16(bytes, at),
    readU16(bytes, at + 2),
    readU16(bytes, at + 4),
    readU16(bytes, at + 6),
    readU16(bytes, at + 8),
    readU16(bytes, at + 10),
    readU16(bytes, at + 12),
    readU16(bytes, at + 14),
  );
}
