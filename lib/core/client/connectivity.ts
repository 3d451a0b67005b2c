/**
 * The direct IPv6 connectivity test (RFC 4380 5.2.9): an echo request through the own server to a native IPv6 node. The reply comes
 * through the relay nearest to that node, and so shows where the relay is; the random octets in it show that nobody made it up.
 *
 * ```
 *   client ─ echo request ─▶ server ─▶ IPv6 Internet ─▶ node
 *   client ◀──────────── relay ◀──────────── echo reply ─┘
 * ```
 */

import { equalBytes } from "../../wire/bytes.ts";
import { BUBBLE_HOP_LIMIT } from "../../wire/bubble.ts";
import { ICMPV6_ECHO_REPLY, icmpv6Type, parseEcho, writeEcho } from "../../wire/icmpv6.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import type { Random } from "../machine.ts";

/** Random octets in an echo request, besides identifier and sequence (RFC 4380 5.2.9: at least 64 bits). */
const NONCE_LENGTH = 8;

/** What makes a test unforgeable. The same for all repeats, so that a late reply still counts. */
export interface ConnectivityTest {
  readonly identifier: number;
  readonly sequence: number;
  readonly nonce: Uint8Array;
}

/** Draws a new test. */
export function drawTest(random: Random): ConnectivityTest {
  const nonce = new Uint8Array(NONCE_LENGTH);
  random.fill(nonce);
  const bits = random.u32();
  return { identifier: bits >>> 16, sequence: bits & 0xffff, nonce };
}

/** Writes the echo request. @returns octets of the whole packet, 56 */
export function writeTest(
  test: ConnectivityTest,
  source: Ipv6,
  destination: Ipv6,
  bytes: Uint8Array,
  at: number,
): number {
  const { identifier, sequence, nonce: data } = test;
  return writeEcho(
    { source, destination, hopLimit: BUBBLE_HOP_LIMIT, reply: false, identifier, sequence, data },
    bytes,
    at,
  );
}

/** Whether the IPv6 packet of `length` octets at `at` is the reply to `test`. Source and destination are the caller's to check. */
export function isTestReply(test: ConnectivityTest, bytes: Uint8Array, at: number, length: number): boolean {
  if (icmpv6Type(bytes, at) !== ICMPV6_ECHO_REPLY) return false;
  const echo = parseEcho(bytes, at, length);
  return echo !== undefined && echo.identifier === test.identifier && echo.sequence === test.sequence &&
    echo.data.length === NONCE_LENGTH && equalBytes(echo.data, 0, test.nonce, 0, NONCE_LENGTH);
}
