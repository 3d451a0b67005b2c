/** One relay, its clients and its IPv6 neighbours that the tests of the relay share. */

import assert from "node:assert/strict";
import type { DropReason } from "../../../lib/core/counters.ts";
import type { Millis } from "../../../lib/core/machine.ts";
import { Relay, type RelayOptions } from "../../../lib/core/relay/relay.ts";
import type { Endpoint } from "../../../lib/wire/ipv4.ts";
import type { Ipv6 } from "../../../lib/wire/ipv6.ts";
import { formTeredoAddress } from "../../../lib/wire/teredo_address.ts";
import { Bench, ip4, ip6, packet, type UdpOutput } from "../harness.ts";

export const SERVER = ip4("203.0.113.120");
export const SERVER_PORT: Endpoint = { address: SERVER, port: 3544 };
/** C is the client of address example 1. */
export const C_MAPPED: Endpoint = { address: ip4("192.0.2.1"), port: 4096 };
export const C = ip6("2001:0:cb00:7178:0:efff:3fff:fdfe");
export const NATIVE = ip6("2001:db8:1::1");
export const ERROR_SOURCE = ip6("2001:db8:1::ff");
export const OWN_IPV4 = ip4("192.0.2.200");

export const OPTIONS: RelayOptions = {
  prefix: 0x20010000,
  mtu: 1280,
  directBubbles: false,
  honourCone: false,
  symmetricClients: false,
  served: "any",
  ownAddresses: [OWN_IPV4, ip4("10.0.0.5")],
  errorSource: ERROR_SOURCE,
  subnets: [{ address: ip4("198.51.100.7"), prefixLength: 24 }],
  maxPeers: 16,
  maxPending: 8,
  queueOctetsPerPeer: 4000,
  queueOctetsTotal: 8000,
  errorsPerSecond: 100,
  betweenClients: false,
  betweenClientsRate: 1000,
};

export class Fixture {
  readonly bench = new Bench();
  readonly relay: Relay;

  constructor(options: Partial<RelayOptions> = {}) {
    this.relay = new Relay({ ...OPTIONS, ...options }, this.bench.environment);
  }

  /** Datagrams that leave because of one packet from the IPv6 side. */
  tun(bytes: Uint8Array, now: Millis): UdpOutput[] {
    this.bench.tun(this.relay, bytes, now);
    return this.bench.takeUdp();
  }

  /** Packets to the IPv6 side that one datagram leads to. */
  udp(bytes: Uint8Array, from: Endpoint, now: Millis): Uint8Array[] {
    this.bench.udp(this.relay, bytes, from, now);
    return this.bench.takeIpv6().map((output) => output.bytes);
  }

  /** Datagrams that leave by timers up to `until`. */
  run(until: Millis): UdpOutput[] {
    this.bench.run(this.relay, until);
    return this.bench.takeUdp();
  }

  /** Makes C (or another client) trusted at `now`. @returns the source of the bubble that it answered */
  connect(now: Millis, client: Ipv6 = C, mapped: Endpoint = C_MAPPED): Ipv6 {
    const [bubble] = this.tun(data(NATIVE, client), now);
    const source = bubble.bytes.slice(8, 24);
    this.bench.udp(this.relay, packet(client, source), mapped, now);
    this.bench.take();
    return source;
  }

  /** Asserts that a packet from the IPv6 side vanishes without a trace but in the counter of `reason`. */
  dropsTun(reason: DropReason, bytes: Uint8Array, now: Millis = 0): void {
    const before = this.bench.count(reason);
    this.bench.tun(this.relay, bytes, now);
    assert.deepEqual(this.bench.take(), []);
    assert.equal(this.bench.count(reason), before + 1, `${reason} was not counted`);
  }

  /** Asserts that a datagram vanishes without a trace but in the counter of `reason`. */
  dropsUdp(reason: DropReason, bytes: Uint8Array, from: Endpoint = C_MAPPED, now: Millis = 0): void {
    const before = this.bench.count(reason);
    this.bench.udp(this.relay, bytes, from, now);
    assert.deepEqual(this.bench.take(), []);
    assert.equal(this.bench.count(reason), before + 1, `${reason} was not counted`);
  }
}

/** A UDP packet of 40 + `length` octets that shows `mark` in its payload. */
export function data(source: Ipv6, destination: Ipv6, mark: number = 0, length: number = 20): Uint8Array {
  return packet(source, destination, { nextHeader: 17, payload: new Uint8Array(length).fill(mark) });
}

/** A client of {@link SERVER} behind another mapping each. */
export function client(mapped: Endpoint, flags: number = 0, server: number = SERVER): Ipv6 {
  return formTeredoAddress({ server, flags, mapped });
}
