/**
 * Router Advertisement, the server's answer (RFC 4380 5.2.1, 5.3.2; RFC 4861 4.2, 4.6.2, 4.6.4). The whole packet:
 *
 * ```
 * IPv6 header: next header 58, hop limit 255, link-local source
 *  0        8        16                32
 * +--------+--------+-----------------+
 * |  134   |   0    |    Checksum     |   0
 * +--------+--------+-----------------+
 * |HopLimit| Flags  | Router lifetime |   4
 * +--------+--------+-----------------+
 * |          Reachable time           |   8
 * |           Retrans timer           |  12
 * +--------+--------+--------+--------+
 * |   3    |   4    | Length | Flags  |   prefix information, 32 octets
 * +--------+--------+--------+--------+
 * |          Valid lifetime           |
 * |        Preferred lifetime         |
 * |             Reserved              |
 * |        Prefix, 16 octets          |
 * +--------+--------+-----------------+
 * |   5    |   1    |    Reserved     |   MTU, 8 octets
 * +--------+--------+-----------------+
 * |               MTU                 |
 * +-----------------------------------+
 * ```
 */

import { copyBytes, readU16, readU32, writeU16, writeU32 } from "./bytes.ts";
import { checkedIcmpv6Length, ICMPV6_ROUTER_ADVERTISEMENT, sealIcmpv6 } from "./icmpv6.ts";
import type { Ipv4 } from "./ipv4.ts";
import { addressAt, DESTINATION_AT, hopLimit, type Ipv6, IPV6_HEADER_LENGTH, SOURCE_AT } from "./ipv6.ts";
import { isLinkLocal } from "./ipv6_address.ts";
import {
  type NeighborOption,
  OPTION_MTU,
  OPTION_PREFIX_INFORMATION,
  parseNeighborOptions,
  writeNeighborOptions,
} from "./neighbor_options.ts";

/** Octets of the message before its options. */
const HEADER_LENGTH = 16;

/** Hop limit of every Neighbor Discovery message: it has not been routed (RFC 4861 6.1). */
const HOP_LIMIT = 255;

/** Autonomous address configuration, and not on-link: the prefix flags Teredo servers send. */
const PREFIX_AUTONOMOUS = 0x40;

/** A lifetime that never ends (RFC 4861 4.6.2). */
const INFINITE_LIFETIME = 0xffffffff;

/** What deployed servers put into the retrans timer, milliseconds. */
const SERVER_RETRANS_TIMER = 2000;

/** Limits of an MTU we believe, octets: the least of IPv6, and the largest UDP payload (RFC 4380 5.1.2). */
const MIN_MTU = 1280;
const MAX_MTU = 65507;

/** Prefix Information (RFC 4861 4.6.2). */
export interface PrefixInformation {
  /** The 16 octets of the field. Those behind the prefix length mean nothing, and some servers leave rubbish there. */
  readonly prefix: Ipv6;
  /** Prefix length in bits, as sent: 0 to 255. */
  readonly length: number;
  /** L 0x80, A 0x40. */
  readonly flags: number;
  /** Seconds; 2^32 - 1 is for ever. */
  readonly validLifetime: number;
  /** Seconds; 2^32 - 1 is for ever. */
  readonly preferredLifetime: number;
}

/** A valid Router Advertisement. */
export interface RouterAdvertisement {
  readonly source: Ipv6;
  readonly destination: Ipv6;
  /** Hop limit for hosts to use, 0: unspecified. */
  readonly currentHopLimit: number;
  /** M 0x80, O 0x40. */
  readonly flags: number;
  /** Seconds. Teredo servers send 0, which does not make the advertisement worthless. */
  readonly routerLifetime: number;
  /** Milliseconds, 0: unspecified. */
  readonly reachableTime: number;
  /** Milliseconds, 0: unspecified. */
  readonly retransTimer: number;
  readonly prefixes: readonly PrefixInformation[];
  /** MTU of the link, 1280 to 65507 octets; undefined when the server sent none, or one outside of that. */
  readonly mtu: number | undefined;
  /** Every other option, in packet order. */
  readonly others: readonly NeighborOption[];
}

/** Reads a Router Advertisement; undefined unless every check of RFC 4861 6.1.2 holds. */
export function parseRouterAdvertisement(
  bytes: Uint8Array,
  at: number,
  length: number,
): RouterAdvertisement | undefined {
  const size = checkedIcmpv6Length(bytes, at, length, HEADER_LENGTH);
  const message = at + IPV6_HEADER_LENGTH;
  if (size === 0 || hopLimit(bytes, at) !== HOP_LIMIT || !isLinkLocal(bytes, at + SOURCE_AT)) return undefined;
  if (bytes[message] !== ICMPV6_ROUTER_ADVERTISEMENT || bytes[message + 1] !== 0) return undefined;
  const options = parseNeighborOptions(bytes, message + HEADER_LENGTH, size - HEADER_LENGTH);
  if (options === undefined) return undefined;
  const prefixes: PrefixInformation[] = [];
  const others: NeighborOption[] = [];
  let mtu: number | undefined;
  for (const option of options) {
    const { type, body } = option;
    if (type === OPTION_PREFIX_INFORMATION && body.length === 30) prefixes.push(parsePrefix(body));
    else if (type === OPTION_MTU && body.length === 6 && mtu === undefined && isMtu(readU32(body, 2))) {
      mtu = readU32(body, 2);
    } else others.push(option);
  }
  return {
    source: addressAt(bytes, at + SOURCE_AT),
    destination: addressAt(bytes, at + DESTINATION_AT),
    currentHopLimit: bytes[message + 4],
    flags: bytes[message + 5],
    routerLifetime: readU16(bytes, message + 6),
    reachableTime: readU32(bytes, message + 8),
    retransTimer: readU32(bytes, message + 12),
    prefixes,
    mtu,
    others,
  };
}

/** Writes an advertisement with its IPv6 header: prefixes, then MTU, then the other options. @returns octets of the whole packet */
export function writeRouterAdvertisement(ra: RouterAdvertisement, bytes: Uint8Array, at: number): number {
  const message = at + IPV6_HEADER_LENGTH;
  bytes[message] = ICMPV6_ROUTER_ADVERTISEMENT;
  bytes[message + 1] = 0;
  bytes[message + 4] = ra.currentHopLimit;
  bytes[message + 5] = ra.flags;
  writeU16(ra.routerLifetime, bytes, message + 6);
  writeU32(ra.reachableTime, bytes, message + 8);
  writeU32(ra.retransTimer, bytes, message + 12);
  const options = [
    ...ra.prefixes.map(prefixOption),
    ...(ra.mtu === undefined ? [] : [mtuOption(ra.mtu)]),
    ...ra.others,
  ];
  const size = HEADER_LENGTH + writeNeighborOptions(options, bytes, message + HEADER_LENGTH);
  return sealIcmpv6(ra.source, ra.destination, HOP_LIMIT, size, bytes, at);
}

/**
 * The advertisement of a Teredo server (RFC 4380 5.3.2): its one prefix is the Teredo prefix and the server's primary address.
 * @param prefix the 32 bits of the Teredo prefix
 * @param mtu octets; undefined leaves the option out
 */
export function teredoAdvertisement(
  source: Ipv6,
  destination: Ipv6,
  prefix: number,
  server: Ipv4,
  mtu: number | undefined,
): RouterAdvertisement {
  const clientPrefix = new Uint8Array(16);
  writeU32(prefix, clientPrefix, 0);
  writeU32(server, clientPrefix, 4);
  return {
    source,
    destination,
    currentHopLimit: 0,
    flags: 0,
    routerLifetime: 0,
    reachableTime: 0,
    retransTimer: SERVER_RETRANS_TIMER,
    prefixes: [{
      prefix: clientPrefix,
      length: 64,
      flags: PREFIX_AUTONOMOUS,
      validLifetime: INFINITE_LIFETIME,
      preferredLifetime: INFINITE_LIFETIME,
    }],
    mtu,
    others: [],
  };
}

function isMtu(mtu: number): boolean {
  return mtu >= MIN_MTU && mtu <= MAX_MTU;
}

function parsePrefix(body: Uint8Array): PrefixInformation {
  return {
    length: body[0],
    flags: body[1],
    validLifetime: readU32(body, 2),
    preferredLifetime: readU32(body, 6),
    prefix: addressAt(body, 14),
  };
}

function prefixOption(information: PrefixInformation): NeighborOption {
  const body = new Uint8Array(30);
  body[0] = information.length;
  body[1] = information.flags;
  writeU32(information.validLifetime, body, 2);
  writeU32(information.preferredLifetime, body, 6);
  copyBytes(information.prefix, 0, body, 14, 16);
  return { type: OPTION_PREFIX_INFORMATION, body };
}

function mtuOption(mtu: number): NeighborOption {
  const body = new Uint8Array(6);
  writeU32(mtu, body, 2);
  return { type: OPTION_MTU, body };
}
