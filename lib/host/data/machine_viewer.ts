/** In the data isolate: looks at the machine for the main isolate, in pieces too small to hold packets up. */

import { Client } from "../../core/client/client.ts";
import type { Machine, Millis } from "../../core/machine.ts";
import type { PeerTable } from "../../core/peers.ts";
import { Relay } from "../../core/relay/relay.ts";
import { readU32 } from "../../wire/bytes.ts";
import { PEER_PATHS } from "./peer_view.ts";
import { type MachineView, PEER_NEGOTIATING, PEER_TRUSTED, PEER_WORDS, type SharedState } from "./messages.ts";

/** Most peers of one piece, and most records looked at for them: about 0.1 ms. */
const PEERS_PER_LOOK = 256;
const RECORDS_PER_LOOK = 16_384;

/** The longest age that is told, milliseconds. */
const MAX_AGE = 0xffff_ffff;

/** Answers what {@link SharedState.want} asks for. */
export class MachineViewer {
  readonly #shared: SharedState;
  readonly #machine: Machine;
  /** The peers of the machine, if its role has any. */
  readonly table: PeerTable | undefined;
  #seen: number;

  constructor(shared: SharedState, machine: Machine) {
    this.#shared = shared;
    this.#machine = machine;
    this.table = machine instanceof Client || machine instanceof Relay ? machine.table : undefined;
    this.#seen = 0;
  }

  /** The view that was asked for since the last call. */
  look(now: Millis): MachineView | undefined {
    const { wanted } = this.#shared;
    if (wanted === this.#seen) return undefined;
    this.#seen = wanted;
    const machine = this.#machine, table = this.table;
    const client = machine instanceof Client ? machine : undefined;
    const state = client?.state;
    const heard = client?.serverHeard;
    return {
      peers: table?.size ?? 0,
      maxPeers: table?.capacity ?? 0,
      roundTrip: client?.roundTrip,
      serverHeard: heard === undefined ? undefined : now - heard,
      refreshInterval: state?.status === "qualified" ? state.refreshInterval : undefined,
      nat: state?.status === "qualified" ? state.nat : undefined,
      ...piece(table, client, this.#shared.wantedFrom, now),
    };
  }
}

function piece(
  table: PeerTable | undefined,
  client: Client | undefined,
  from: number,
  now: Millis,
): Pick<MachineView, "list" | "next"> {
  if (table === undefined || from < 0) return { list: new Uint32Array(0), next: 0 };
  const list = new Uint32Array(PEERS_PER_LOOK * PEER_WORDS);
  const key = new Uint8Array(16);
  let length = 0, peer = table.skipEmpty(from);
  for (let left = RECORDS_PER_LOOK; left > 0 && length < list.length; left--, peer = table.skipEmpty(peer + 1)) {
    if (peer >= table.highWater) break;
    if (!table.isLive(peer)) continue;
    table.keyInto(peer, key, 0);
    for (let word = 0; word < 4; word++) list[length + word] = readU32(key, 4 * word);
    const flags = (table.trusted(peer) ? PEER_TRUSTED : 0) | (table.pinned(peer) ? PEER_NEGOTIATING : 0) |
      PEER_PATHS[client?.pathOf(peer, now) ?? "direct"];
    list[length + 4] = table.address(peer);
    list[length + 5] = table.port(peer) << 16 | flags;
    list[length + 6] = age(now, table.lastReception(peer));
    list[length + 7] = age(now, table.lastTransmission(peer));
    list[length + 8] = table.received(peer);
    list[length + 9] = table.sent(peer);
    length += PEER_WORDS;
  }
  return { list: list.slice(0, length), next: peer < table.highWater ? peer : 0 };
}

function age(now: Millis, then: Millis): number {
  return Math.max(0, Math.min(MAX_AGE, Math.round(now - then)));
}
