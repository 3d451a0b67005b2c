/** One server, its clients and the worked packets that the tests of the server share. */

import assert from "node:assert/strict";
import type { DropReason } from "../../../lib/core/counters.ts";
import { Socket } from "../../../lib/core/machine.ts";
import { Server, type ServerOptions } from "../../../lib/core/server/server.ts";
import { checksumIcmpv6 } from "../../../lib/wire/checksum.ts";
import { writeEcho } from "../../../lib/wire/icmpv6.ts";
import type { Endpoint } from "../../../lib/wire/ipv4.ts";
import type { Ipv6 } from "../../../lib/wire/ipv6.ts";
import { formTeredoAddress } from "../../../lib/wire/teredo_address.ts";
import { Bench, concat, hex, ip4, ip6, packet, type UdpOutput } from "../harness.ts";

export const PRIMARY = ip4("203.0.113.120");
export const SECONDARY = ip4("203.0.113.121");
/** A is the client of address example 1: behind 192.0.2.1:4096, of this server. */
export const A_MAPPED: Endpoint = { address: ip4("192.0.2.1"), port: 4096 };
export const A = ip6("2001:0:cb00:7178:0:efff:3fff:fdfe");
/** B is behind 192.0.2.10:8192 and of this server too. */
export const B_MAPPED: Endpoint = { address: ip4("192.0.2.10"), port: 8192 };
export const B = formTeredoAddress({ server: PRIMARY, flags: 0x3c5a, mapped: B_MAPPED });
export const NATIVE = ip6("2001:db8:1::1");
export const LINK_LOCAL = ip6("fe80::8000:f227:34ff:8e87");
export const ALL_ROUTERS = ip6("ff02::2");
export const RELAY: Endpoint = { address: ip4("192.0.2.200"), port: 40_000 };

export const OPTIONS: ServerOptions = {
  primary: PRIMARY,
  secondary: SECONDARY,
  prefix: 0x20010000,
  mtu: 1280,
  maxIcmpv6Payload: 88,
  nativeForwarding: true,
  forwardForeign: false,
  secrets: new Map(),
  ratePerSource: 0,
  rateTotal: 0,
  subnets: [{ address: ip4("198.51.100.7"), prefixLength: 24 }],
};

export const NONCE = hex("01 23 45 67 89 ab cd ef");
export const NULL_AUTHENTICATION = concat(hex("00 01 00 00"), NONCE, hex("00"));
export const RS_PACKET = hex(`
  60 00 00 00 00 08 3a ff
  fe 80 00 00 00 00 00 00 00 00 ff ff ff ff ff fe
  ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 02
  85 00 7d 38 00 00 00 00`);
export const RS_CONE_PACKET = hex(`
  60 00 00 00 00 08 3a ff
  fe 80 00 00 00 00 00 00 80 00 ff ff ff ff ff fd
  ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 02
  85 00 fd 38 00 00 00 00`);
/** Origin and advertisement of the worked example "RA", which answers RS_PACKET from 192.0.2.1:4096. */
export const RA_COVERED = hex(`
  00 00 ef ff 3f ff fd fe
  60 00 00 00 00 38 3a ff
  fe 80 00 00 00 00 00 00 80 00 f2 27 34 ff 8e 87
  fe 80 00 00 00 00 00 00 00 00 ff ff ff ff ff fe
  86 00 95 4d 00 00 00 00 00 00 00 00 00 00 07 d0
  03 04 40 40 ff ff ff ff ff ff ff ff 00 00 00 00
  20 01 00 00 cb 00 71 78 00 00 00 00 00 00 00 00
  05 01 00 00 00 00 05 00`);

export class Fixture {
  readonly bench = new Bench();
  readonly server: Server;

  constructor(options: Partial<ServerOptions> = {}) {
    this.server = new Server({ ...OPTIONS, ...options }, this.bench.environment);
  }

  /** What the server sends for one datagram. */
  udp(datagram: Uint8Array, from: Endpoint, socket: number = Socket.service, now: number = 0): UdpOutput[] {
    this.bench.udp(this.server, datagram, from, now, { socket });
    return this.bench.takeUdp();
  }

  /** Asserts that a datagram is dropped without a trace but in the counter of `reason`. */
  drops(reason: DropReason, datagram: Uint8Array, from: Endpoint = A_MAPPED, socket: number = Socket.service): void {
    const before = this.bench.count(reason);
    this.bench.udp(this.server, datagram, from, 0, { socket });
    assert.deepEqual(this.bench.take(), []);
    assert.equal(this.bench.count(reason), before + 1, `${reason} was not counted`);
  }
}

export function echo(
  source: Ipv6,
  destination: Ipv6,
  options: { hopLimit?: number; data?: Uint8Array; reply?: boolean } = {},
): Uint8Array {
  const { hopLimit = 21, data = hex("55 66 77 88 99 aa bb cc"), reply = false } = options;
  const bytes = new Uint8Array(48 + data.length);
  writeEcho({ source, destination, hopLimit, reply, identifier: 0x1122, sequence: 0x3344, data }, bytes, 0);
  return bytes;
}

/** A solicitation with other octets than usual, its checksum made right. */
export function altered(change: (bytes: Uint8Array) => void, from: Uint8Array = RS_PACKET): Uint8Array {
  const bytes = from.slice();
  change(bytes);
  const sum = checksumIcmpv6(bytes, 0, bytes.length - 40);
  bytes[42] = sum >>> 8;
  bytes[43] = sum;
  return bytes;
}

export function bubble(source: Ipv6, destination: Ipv6, hopLimit: number = 21): Uint8Array {
  return packet(source, destination, { hopLimit });
}

export const SECRETS = new Map([["alice", new TextEncoder().encode("teredo-secret")], ["bob", hex("00ff00ff")]]);
/** Worked examples "RS-secure" and "RA-secure". */
export const RS_SECURE = concat(
  hex("00 01 05 14 61 6c 69 63 65 092f4172aea433fb2c7006f104823e42a67fd828"),
  NONCE,
  hex("00"),
  RS_PACKET,
);
export const RA_SECURE = concat(
  hex("00 01 05 14 61 6c 69 63 65 73b67266c6aca584a83416f5313fc6474fabce97"),
  NONCE,
  hex("00"),
  RA_COVERED,
);

/** Worked example "indirect-bubble": A, known to 203.0.113.120, to B, a client of 198.51.100.118. */
export const INDIRECT_BUBBLE = hex(`
  60 00 00 00 00 00 3b 15
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  20 01 00 00 c6 33 64 76 3c 5a df ff 3f ff fd f5
  01 04 a1 b2 c3 d4
  03 08 00 00 c0 a8 01 0a c3 50
  05 02 04 b1`);
