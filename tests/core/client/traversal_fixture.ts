/** A client behind a NAT of a wanted kind, and the bubbles of its peer B, for the tests of RFC 6081. */

import assert from "node:assert/strict";
import type { ClientOptions, TraversalOptions } from "../../../lib/core/client/client_options.ts";
import type { Endpoint } from "../../../lib/wire/ipv4.ts";
import { equalIpv6 } from "../../../lib/wire/ipv6_address.ts";
import { parseTrailers, type Trailer, type Trailers, writeTrailers } from "../../../lib/wire/trailers.ts";
import {
  A,
  A_LOCAL,
  A_MAPPED,
  B,
  B_MAPPED,
  B_SERVER,
  data,
  Fixture,
  FROM_PRIMARY,
  isBubble,
  OPTIONS,
  QUIET,
  SERVER,
  withOrigin,
} from "./client_fixture.ts";
import { concat, ip4, packet, type UdpOutput } from "../harness.ts";

/** What the secondary server sees of a client behind a symmetric NAT. */
export const OTHER_MAPPED: Endpoint = { address: A_MAPPED.address, port: 4242 };
/** Where B's packets come from when its NAT is symmetric. */
export const B_ELSEWHERE: Endpoint = { address: B_MAPPED.address, port: 9999 };
/** Socket of the first random port: the one before it is for interval determination. */
export const RANDOM_SOCKET = 4;

/** Everything of RFC 6081, and nothing else. */
export const ALL: TraversalOptions = {
  ...OPTIONS.traversal,
  portPreserving: true,
  sequential: true,
  hairpinning: true,
  serverLoadReduction: true,
};

/** The kind of NAT that the client finds itself behind. */
export type Nat = "plain" | "symmetric" | "preserving";

/** A qualified client; outputs so far are taken. Behind a "preserving" NAT its local port is that of its mapping. */
export function behind(
  nat: Nat,
  traversal: Partial<TraversalOptions> = {},
  more: Partial<ClientOptions> = {},
): Fixture {
  const localEndpoint = nat === "preserving" ? { ...A_LOCAL, port: A_MAPPED.port } : A_LOCAL;
  const fixture = new Fixture({
    ...QUIET,
    symmetricNatSupport: true,
    traversal: { ...OPTIONS.traversal, ...traversal },
    localEndpoint,
    ...more,
  });
  fixture.client.start(SERVER, fixture.now);
  fixture.advertise(fixture.solicitation(), { origin: A_MAPPED });
  fixture.advertise(fixture.solicitation(), { origin: nat === "plain" ? A_MAPPED : OTHER_MAPPED });
  assert.equal(fixture.status(), "qualified");
  fixture.take();
  return fixture;
}

/** A bubble of B for the client. */
export function bubble(trailers: readonly Trailer[] = [], source: Uint8Array = B): Uint8Array {
  const area = new Uint8Array(256);
  const length = writeTrailers(trailers, area, 0);
  return concat(packet(source, A), area.slice(0, length));
}

/** B's bubble comes through the client's server. */
export function indirect(fixture: Fixture, trailers: readonly Trailer[] = []): void {
  fixture.receive(withOrigin(B_MAPPED, bubble(trailers)), FROM_PRIMARY);
}

/** B's bubble comes straight from an endpoint, to the service port or another socket. */
export function direct(fixture: Fixture, from: Endpoint, trailers: readonly Trailer[] = [], socket: number = 0): void {
  fixture.receive(bubble(trailers), from, { socket });
}

/** What the trailers of a bubble that was sent say. */
export function trailersOf({ bytes }: UdpOutput): Trailers {
  return parseTrailers(bytes, 40, bytes.length - 40);
}

/** Bubbles for B among datagrams: through its server, and straight. */
export function sortBubbles(sent: readonly UdpOutput[]): {
  readonly indirect: readonly UdpOutput[];
  readonly direct: readonly UdpOutput[];
} {
  const bubbles = sent.filter((each) => isBubble(each) && equalIpv6(each.bytes.slice(24, 40), B));
  return {
    indirect: bubbles.filter(({ address, port }) => address === B_SERVER && port === 3544),
    direct: bubbles.filter(({ address }) => address !== B_SERVER),
  };
}

/** Where datagrams went, with the socket that they left from. */
export function routes(sent: readonly UdpOutput[]): { socket: number; address: number; port: number }[] {
  return sent.map(({ socket, address, port }) => ({ socket, address, port }));
}

/** The host sends a packet to B; its bubbles are returned. */
export function begin(fixture: Fixture): ReturnType<typeof sortBubbles> {
  fixture.send(data(A, B));
  return sortBubbles(fixture.udp());
}

/** The nonce of the last indirect bubble among `sent`. */
export function nonceOf(sent: readonly UdpOutput[]): number {
  const last = sent.at(-1);
  const nonce = last === undefined ? undefined : trailersOf(last).nonce;
  assert.ok(nonce !== undefined);
  return nonce;
}

/** An address that is inside the client's own LAN. */
export const INSIDE: Endpoint = { address: ip4("192.168.1.77"), port: 50_001 };
