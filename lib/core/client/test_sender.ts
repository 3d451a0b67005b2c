/**
 * Sends connectivity tests (RFC 4380 5.2.9), no more than the limits allow: sources can be forged, and each packet from an unproven relay
 * would make us ask a third party (RFC 4380 7.2). A part of the rate is kept for this host's own packets.
 */

import { isTeredo, serverAt, TEREDO_PORT } from "../../wire/teredo_address.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import { type ConnectivityTest, writeTest } from "./connectivity.ts";
import type { Identity } from "./identity.ts";
import { TokenBucket } from "../limits.ts";
import { type Environment, type Millis, Socket } from "../machine.ts";

/** The part of the tests that packets from unproven relays may cause. */
const REMOTE_TESTS_PART = 0.5;

/** Echo requests and their limits. */
export class TestSender {
  readonly #environment: Environment;
  readonly #identity: Identity;
  readonly #tests: TokenBucket;
  readonly #remoteTests: TokenBucket;

  /** @param perSecond echo requests over all peers */
  constructor(environment: Environment, identity: Identity, perSecond: number) {
    const remote = perSecond * REMOTE_TESTS_PART;
    this.#environment = environment;
    this.#identity = identity;
    this.#tests = new TokenBucket(perSecond, Math.max(1, perSecond));
    this.#remoteTests = new TokenBucket(remote, Math.max(1, remote));
  }

  /** Whether a test may be sent. @param remote a packet from outside wants it, not this host */
  take(remote: boolean, now: Millis): boolean {
    return (!remote || this.#remoteTests.take(now)) && this.#tests.take(now);
  }

  /** Sends the echo request: to a native node through our server, to a Teredo peer through its own. */
  send(peer: Ipv6, test: ConnectivityTest): void {
    const { memory, sink, counters } = this.#environment;
    const { address, server } = this.#identity;
    const length = writeTest(test, address, peer, memory.bytes, memory.scratch);
    counters.count("connectivity_tests_sent");
    const through = isTeredo(peer, 0) ? serverAt(peer, 0) : server;
    sink.sendUdp(Socket.service, memory.scratch, length, through, TEREDO_PORT);
  }
}
