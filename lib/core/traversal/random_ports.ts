/**
 * Random ports (RFC 6081 3.3, 5.4): behind a symmetric NAT a socket of its own for a peer, whose external port can be foretold. Behind
 * a NAT that keeps ports it is the local one; else the Echo Test measures it.
 *
 * ```
 *                       indirect bubble out                    direct bubble came on it
 *   (no random port) ──────────────────────▶ opened, announced ────────────────────────▶ in use: data, bubbles and every
 *          ▲                                   │                                         30 s a refresh leave from it
 *          └── direct bubble on the primary ───┴── the peer moved, or was given up, or went away ──────┘
 * ```
 *
 * The number of sockets is bounded; the one that waits longest for a peer not yet heard makes room.
 */

import { type Environment, type Millis, Socket } from "../machine.ts";
import type { PeerTable } from "../peers.ts";
import { NO_SOCKET, type Traversal, type Traversals } from "./traversal.ts";

/** First socket of the random ports: the one before it belongs to interval determination. */
const FIRST_SOCKET = Socket.extra + 1;

/** Random ports open at one time. */
export const MOST_RANDOM_PORTS = 48;

/** Peer Refresh Timer (RFC 6081 5.4.2.1). */
const REFRESH_INTERVAL: Millis = 30_000;
/** Refreshes of a conversation without data. */
const MOST_REFRESHES = 20;

/** What an accepted direct bubble of a peer with random ports means (RFC 6081 5.4.4.5). */
export type Arrival =
  /** The peer is where it came from. */
  | "accept"
  /** It changes nothing. */
  | "ignore"
  /** The peer moved: it is to be negotiated with anew. */
  | "restart";

/** The sockets, whose they are, and the timer that keeps them alive. */
export class RandomPorts {
  readonly #environment: Environment;
  readonly #table: PeerTable;
  readonly #traversals: () => Traversals;
  /** Record that each socket belongs to, by socket minus {@link FIRST_SOCKET}; -1 = closed. */
  readonly #owners = new Int32Array(MOST_RANDOM_PORTS).fill(-1);
  readonly #ports = new Int32Array(MOST_RANDOM_PORTS);
  /** In the order of opening. */
  readonly #open: Set<number> = new Set();
  /** When the open ones are looked at next: every 30 s from the first one on, so that a timer runs only while there are any. */
  #refreshAt: Millis = Infinity;

  constructor(environment: Environment, table: PeerTable, traversals: () => Traversals) {
    this.#environment = environment;
    this.#table = table;
    this.#traversals = traversals;
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    return this.#open.size > 0 ? this.#refreshAt : Infinity;
  }

  /** Sockets that are open. */
  get size(): number {
    return this.#open.size;
  }

  /** The record that a random port's socket belongs to; -1 for any other socket. */
  owner(socket: number): number {
    const at = socket - FIRST_SOCKET;
    return at >= 0 && at < MOST_RANDOM_PORTS ? this.#owners[at] : -1;
  }

  /**
   * Opens a random port for a peer that has none.
   * @returns its local port, or 0 when there are too many
   */
  open(traversal: Traversal, now: Millis): number {
    if (traversal.randomSocket !== NO_SOCKET) return this.#ports[traversal.randomSocket - FIRST_SOCKET];
    if (this.#open.size >= MOST_RANDOM_PORTS && !this.#makeRoom()) return 0;
    const at = this.#owners.indexOf(-1);
    const port = this.#environment.sink.openSocket(FIRST_SOCKET + at);
    if (port === 0) return 0;
    if (this.#open.size === 0) this.#refreshAt = now + REFRESH_INTERVAL;
    this.#owners[at] = traversal.peer;
    this.#ports[at] = port;
    this.#open.add(FIRST_SOCKET + at);
    traversal.randomSocket = FIRST_SOCKET + at;
    traversal.randomUsed = false;
    return port;
  }

  /** Random Port = 0 and stop listening. */
  close(traversal: Traversal): void {
    const socket = traversal.randomSocket;
    traversal.randomPort = 0;
    traversal.onRandom = false;
    traversal.randomUsed = false;
    if (socket === NO_SOCKET) return;
    traversal.randomSocket = NO_SOCKET;
    this.#owners[socket - FIRST_SOCKET] = -1;
    this.#open.delete(socket);
    this.#environment.sink.closeSocket(socket);
  }

  /**
   * Keeps the port that a peer foretold in an indirect bubble (RFC 6081 5.4.4.4).
   * @param recent the peer was heard within the last 30 s
   */
  learn(traversal: Traversal, port: number, recent: boolean, symmetric: boolean): void {
    const known = traversal.peerRandomPort;
    if (port === 0 || port === known || (known !== 0 && recent)) return;
    traversal.peerRandomPort = port;
    // Our own port was meant for the old one: its mapping is of no use for the new one. One that is still fresh is.
    if (known !== 0 && symmetric && traversal.randomUsed) this.close(traversal);
  }

  /**
   * A direct bubble from `traversal`'s peer, which has proved itself, arrived (RFC 6081 5.4.4.5): what becomes of ports and flags.
   * @param same whether it came from the entry's mapping
   * @param recent whether there was an exchange within the last 30 s
   */
  arrive(traversal: Traversal, socket: number, trusted: boolean, same: boolean, recent: boolean): Arrival {
    if (socket === Socket.service) {
      if (!trusted || (!traversal.onPrimary && traversal.onRandom)) {
        this.close(traversal);
        traversal.onPrimary = true;
        return "accept";
      }
      if (same || !traversal.onPrimary) return "accept";
      if (recent) return "ignore";
      traversal.onPrimary = false;
      return "restart";
    }
    if (!trusted) {
      traversal.onRandom = true;
      traversal.onPrimary = false;
      traversal.refreshes = 0;
      return "accept";
    }
    if (same) {
      traversal.onRandom = true;
      return "accept";
    }
    this.close(traversal);
    return "restart";
  }

  /** Refreshes what is idle, when that is due. @param refresh sends a direct bubble */
  onTimer(now: Millis, refresh: (traversal: Traversal) => void): void {
    if (now < this.#refreshAt) return;
    this.#refreshAt = now + REFRESH_INTERVAL;
    for (const socket of this.#open) {
      const traversal = this.#traversals().find(this.owner(socket));
      if (traversal === undefined || !traversal.onRandom) continue;
      if (now - traversal.lastData <= REFRESH_INTERVAL) traversal.refreshes = 0;
      else if (traversal.refreshes < MOST_REFRESHES) {
        traversal.refreshes++;
        refresh(traversal);
      }
    }
  }

  #makeRoom(): boolean {
    for (const socket of this.#open) {
      const peer = this.owner(socket);
      const traversal = this.#traversals().find(peer);
      if (traversal === undefined || (this.#table.trusted(peer) && traversal.onRandom)) continue;
      this.close(traversal);
      return true;
    }
    return false;
  }
}
