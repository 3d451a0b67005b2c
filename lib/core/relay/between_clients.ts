/**
 * What a relay lets one client send to another. Two clients between whom no direct way can be found meet here.
 *
 * ```
 *   client A ─▶ relay: has A answered a bubble of ours? B too? ─▶ client B        hop limit - 1
 *                 │ A not: one bubble to A, the packet waits          │ B not: the usual bubbles to B, the packet waits
 * ```
 *
 * Both mappings are verified by the relay itself, by bubbles whose answers cannot be guessed: never does a packet go between clients
 * on the word of one of them. Nothing is sent that is larger than what came in, and each client has a rate.
 */

import { findUpperLayer } from "../../wire/extension_headers.ts";
import { equalBytes } from "../../wire/bytes.ts";
import type { Ipv4 } from "../../wire/ipv4.ts";
import { DESTINATION_AT, hopLimit, SOURCE_AT } from "../../wire/ipv6.ts";
import { counterIndex, type DropReason } from "../counters.ts";
import { isNeighborDiscovery } from "../guards.ts";
import { SourceLimiter } from "../limits.ts";
import type { Environment, Millis } from "../machine.ts";

/** Packets of clients not verified yet that lead to a bubble: per IPv4 address, a second and at once. */
const VERIFICATIONS = { perSecond: 2, burst: 8, slots: 4096 } as const;

/** Offset of the hop limit in an IPv6 header (RFC 8200 3). */
const HOP_LIMIT_AT = 7;

/** Clients whose rate is remembered. */
const RATED_CLIENTS = 16_384;

const PACKETS_BETWEEN = counterIndex("packets_between_clients");

/** Limits and tests for packets between clients. */
export class BetweenClients {
  readonly #environment: Environment;
  readonly #rate: SourceLimiter;
  readonly #verifications: SourceLimiter;

  constructor(options: { readonly betweenClientsRate: number }, environment: Environment) {
    const perSecond = Math.max(1, options.betweenClientsRate);
    const { random } = environment;
    this.#environment = environment;
    this.#rate = new SourceLimiter({ perSecond, burst: perSecond, slots: RATED_CLIENTS, random });
    this.#verifications = new SourceLimiter({ ...VERIFICATIONS, random });
  }

  /** Whether a packet from a client at `address` that has not answered a bubble yet may lead to one. */
  mayVerify(address: Ipv4, now: Millis): boolean {
    return this.#verifications.take(address, now);
  }

  /**
   * Why the packet of `size` octets at `at`, from a verified client at `address`, must not go to another client; else its hop limit is
   * one less.
   */
  fault(bytes: Uint8Array, at: number, size: number, address: Ipv4, now: Millis): DropReason | undefined {
    if (equalBytes(bytes, at + SOURCE_AT, bytes, at + DESTINATION_AT, 16)) return "loop";
    if (!this.#rate.take(address, now)) return "rate-limited";
    if (findUpperLayer(bytes, at, size)?.sourceRouted !== false) return "routing-header";
    if (isNeighborDiscovery(bytes, at, size)) return "icmpv6-type";
    if (hopLimit(bytes, at) <= 1) return "hop-limit";
    bytes[at + HOP_LIMIT_AT]--;
    return undefined;
  }

  /** One packet went from client to client. */
  count(): void {
    this.#environment.counters.add(PACKETS_BETWEEN);
  }
}
