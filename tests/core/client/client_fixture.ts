/** One client, its servers and peers, and the worked packets that the tests of the client share. */

import assert from "node:assert/strict";
import { Client, type ClientOptions, type ServerAddresses } from "../../../lib/core/client/client.ts";
import type { DropReason } from "../../../lib/core/counters.ts";
import type { MachineEvent } from "../../../lib/core/events.ts";
import type { Millis, Random } from "../../../lib/core/machine.ts";
import { Datagram, writeAuthentication, writeOrigin } from "../../../lib/wire/encapsulation.ts";
import { parseEcho, writeEcho } from "../../../lib/wire/icmpv6.ts";
import { DISCOVERY_ADDRESS, type Endpoint, type Ipv4 } from "../../../lib/wire/ipv4.ts";
import type { Ipv6 } from "../../../lib/wire/ipv6.ts";
import {
  type RouterAdvertisement,
  teredoAdvertisement,
  writeRouterAdvertisement,
} from "../../../lib/wire/router_advertisement.ts";
import { serverLinkLocal, TEREDO_PREFIX } from "../../../lib/wire/teredo_address.ts";
import { Bench, concat, ip4, ip6, type Output, packet, SeededRandom, type UdpOutput } from "../harness.ts";

export const PRIMARY = ip4("203.0.113.120");
export const SECONDARY = ip4("203.0.113.121");
export const SERVER: ServerAddresses = { primary: PRIMARY, secondary: SECONDARY };
export const FROM_PRIMARY: Endpoint = { address: PRIMARY, port: 3544 };
export const FROM_SECONDARY: Endpoint = { address: SECONDARY, port: 3544 };

/** The client is A of the worked examples: behind 192.0.2.1:4096. */
export const A_MAPPED: Endpoint = { address: ip4("192.0.2.1"), port: 4096 };
export const A = ip6("2001:0:cb00:7178:0:efff:3fff:fdfe");
export const A_LOCAL: Endpoint = { address: ip4("192.168.1.10"), port: 50_000 };
/** B is of another server and has random flags. */
export const B_MAPPED: Endpoint = { address: ip4("192.0.2.10"), port: 8192 };
export const B = ip6("2001:0:c633:6476:3c5a:dfff:3fff:fdf5");
export const B_SERVER = ip4("198.51.100.118");
export const NATIVE = ip6("2001:db8:1::1");
export const RELAY: Endpoint = { address: ip4("192.0.2.200"), port: 40_000 };
export const OTHER_RELAY: Endpoint = { address: ip4("192.0.2.201"), port: 40_001 };
export const RELAY_LINK_LOCAL = ip6("fe80::1c5f:6ad2:93b1:77e0");
export const RS_SOURCE = ip6("fe80::ffff:ffff:fffe");
export const RS_SOURCE_CONE = ip6("fe80::8000:ffff:ffff:fffd");
export const ALL_NODES = ip6("ff02::1");

export const OPTIONS: ClientOptions = {
  refreshInterval: 30_000,
  solicitationTimeout: 4_000,
  maintenanceTimeout: 4_000,
  solicitationAttempts: 3,
  retryMinimum: 10_000,
  retryMaximum: 100_000,
  conePhase: false,
  honourCone: false,
  symmetricNatSupport: false,
  traversal: {
    portPreserving: false,
    sequential: false,
    hairpinning: false,
    serverLoadReduction: false,
    relayPaths: false,
    relay: undefined,
    relayProbe: undefined,
    localAddresses: [],
  },
  localDiscovery: false,
  requireSameMappedAddress: true,
  intervalDetermination: false,
  natTest: false,
  identifier: undefined,
  secret: undefined,
  // With these the client's address is that of the worked examples.
  remembered: { mapped: A_MAPPED, flags: 0 },
  localEndpoint: A_LOCAL,
  subnets: [{ address: ip4("192.168.1.10"), prefixLength: 24 }],
  mtu: 1280,
  maxPeers: 64,
  maxPending: 16,
  queueOctetsPerPeer: 4096,
  queueOctetsTotal: 16_384,
  errorsPerSecond: 100,
  testsPerSecond: 100,
};

/** For tests that let time pass: no maintenance comes in between. */
export const QUIET: Partial<ClientOptions> = { refreshInterval: 3_600_000 };

/** How an advertisement differs from the right one. */
export interface Deviation {
  /** Origin indication; undefined leaves it out. */
  readonly origin?: Endpoint | undefined;
  /** Where the datagram comes from; the address that was asked when not given. */
  readonly from?: Endpoint;
  readonly nonce?: Uint8Array;
  readonly confirmation?: number;
  readonly withoutAuthentication?: boolean;
  readonly destination?: Ipv6;
  /** Primary address in the prefix. */
  readonly server?: Ipv4;
  readonly change?: (ra: RouterAdvertisement) => RouterAdvertisement;
  /** Last touch on the finished datagram. */
  readonly corrupt?: (datagram: Uint8Array, ipv6At: number) => void;
}

/** A solicitation that the client sent. */
export interface Solicitation {
  readonly at: Millis;
  readonly socket: number;
  readonly to: Endpoint;
  readonly nonce: Uint8Array;
  readonly source: Ipv6;
  readonly bytes: Uint8Array;
}

/** The client on its bench. */
export class Fixture {
  readonly bench: Bench;
  readonly client: Client;
  now: Millis = 1_000_000;

  constructor(options: Partial<ClientOptions> = {}, random: Random = new SeededRandom(7)) {
    this.bench = new Bench();
    this.client = new Client({ ...OPTIONS, ...options }, { ...this.bench.environment, random });
  }

  /** A client that has qualified and whose outputs so far are taken. */
  static qualified(options: Partial<ClientOptions> = {}): Fixture {
    const fixture = new Fixture(options);
    fixture.qualify();
    return fixture;
  }

  qualify(mapped: Endpoint = A_MAPPED, server: ServerAddresses = SERVER): MachineEvent[] {
    this.client.start(server, this.now);
    this.advertise(this.solicitation(), { origin: mapped });
    if (server.secondary !== undefined) this.advertise(this.solicitation(), { origin: mapped });
    assert.equal(this.status(), "qualified");
    return this.events();
  }

  /** Lets time pass, with all timers on the way. */
  pass(millis: Millis): void {
    const until = this.now + millis;
    for (let next = this.client.nextTimer(); next <= until; next = this.client.nextTimer()) {
      this.now = Math.max(this.now, next);
      this.client.onTimer(this.now);
    }
    this.now = until;
  }

  receive(
    datagram: Uint8Array,
    from: Endpoint,
    to: { readonly socket?: number; readonly destination?: Ipv4 } = {},
  ): void {
    this.bench.udp(this.client, datagram, from, this.now, { destination: A_LOCAL.address, ...to });
  }

  /** A datagram that came in by multicast on the discovery socket. */
  discover(datagram: Uint8Array, from: Endpoint, destination: Ipv4 = DISCOVERY_ADDRESS): void {
    this.receive(datagram, from, { socket: 2, destination });
  }

  send(bytes: Uint8Array): void {
    this.bench.tun(this.client, bytes, this.now);
  }

  /** Status of the client, as a method so that no assertion narrows it for good. */
  status(): string {
    return this.client.state.status;
  }

  take(): Output[] {
    return this.bench.take();
  }

  udp(): UdpOutput[] {
    return this.bench.takeUdp();
  }

  ipv6(): Uint8Array[] {
    return this.bench.takeIpv6().map(({ bytes }) => bytes);
  }

  events(): MachineEvent[] {
    return this.bench.takeEvents();
  }

  /** The newest solicitation among the outputs, all of which are taken except events. */
  solicitation(): Solicitation {
    const outputs = this.take();
    this.bench.outputs.push(...outputs.filter(({ kind }) => kind === "event"));
    const sent = outputs.filter((output) => output.kind === "udp").findLast(({ bytes }) => isSolicitation(bytes));
    assert.ok(sent !== undefined, "a solicitation was sent");
    return this.#parse(sent);
  }

  /** All solicitations among the outputs; everything is taken. */
  solicitations(): Solicitation[] {
    return this.udp().filter(({ bytes }) => isSolicitation(bytes)).map((sent) => this.#parse(sent));
  }

  /** Answers a solicitation, rightly but for the deviation. */
  advertise(solicitation: Solicitation, deviation: Deviation = {}): void {
    const { from = solicitation.to } = deviation;
    this.receive(advertisement(solicitation, deviation), from, { socket: solicitation.socket });
  }

  /** A direct packet from B makes B a trusted peer; outputs so far are taken. */
  trustB(): void {
    this.receive(packet(B, A), B_MAPPED);
    this.take();
  }

  /** The native node becomes a trusted peer at RELAY by a connectivity test; outputs so far are taken. */
  trustNative(): void {
    this.send(packet(A, NATIVE, { nextHeader: 17, payload: new Uint8Array(8) }));
    this.receive(echoReply(this.udp()[0].bytes), RELAY);
    this.take();
  }

  /** Asserts that `act` puts nothing out and counts one drop of that name. */
  drops(reason: DropReason, act: () => void): void {
    const before = this.bench.count(reason);
    this.take();
    act();
    assert.deepEqual(this.take(), [], `nothing comes out on ${reason}`);
    assert.equal(this.bench.count(reason), before + 1, `counted as ${reason}`);
  }

  #parse(sent: UdpOutput): Solicitation {
    const datagram = new Datagram();
    assert.ok(datagram.decode(sent.bytes, 0, sent.bytes.length));
    assert.ok(datagram.authentication !== undefined);
    return {
      at: this.now,
      socket: sent.socket,
      to: { address: sent.address, port: sent.port },
      nonce: datagram.authentication.nonce,
      source: sent.bytes.slice(datagram.ipv6At + 8, datagram.ipv6At + 24),
      bytes: sent.bytes,
    };
  }
}

/** The advertisement that answers a solicitation to PRIMARY or SECONDARY, with the given deviation. */
export function advertisement(solicitation: Solicitation, deviation: Deviation = {}): Uint8Array {
  const { nonce = solicitation.nonce, confirmation = 0, destination = solicitation.source, server = PRIMARY } =
    deviation;
  const origin = "origin" in deviation ? deviation.origin : A_MAPPED;
  const none = new Uint8Array(0);
  const bytes = new Uint8Array(512);
  let at = 0;
  if (deviation.withoutAuthentication !== true) {
    at += writeAuthentication({ identifier: none, value: none, nonce, confirmation }, bytes, at);
  }
  if (origin !== undefined) at += writeOrigin(origin, bytes, at);
  const right = teredoAdvertisement(serverLinkLocal(server), destination, TEREDO_PREFIX, server, 1280);
  const length = writeRouterAdvertisement(deviation.change?.(right) ?? right, bytes, at);
  deviation.corrupt?.(bytes, at);
  return bytes.slice(0, at + length);
}

function isSolicitation(bytes: Uint8Array): boolean {
  const datagram = new Datagram();
  return datagram.decode(bytes, 0, bytes.length) && bytes[datagram.ipv6At + 6] === 58 &&
    bytes[datagram.ipv6At + 40] === 133;
}

/** The reply to an echo request, from its destination. */
export function echoReply(request: Uint8Array): Uint8Array {
  const echo = parseEcho(request, 0, request.length);
  assert.ok(echo !== undefined && !echo.reply);
  const bytes = new Uint8Array(request.length);
  writeEcho({ ...echo, source: echo.destination, destination: echo.source, reply: true }, bytes, 0);
  return bytes;
}

/** A small UDP packet whose payload says which one it is. */
export function data(source: Ipv6, destination: Ipv6, mark: number = 1, length: number = 8): Uint8Array {
  return packet(source, destination, { nextHeader: 17, payload: new Uint8Array(length).fill(mark) });
}

/** An origin indication before a packet. */
export function withOrigin(origin: Endpoint, bytes: Uint8Array): Uint8Array {
  const head = new Uint8Array(8);
  writeOrigin(origin, head, 0);
  return concat(head, bytes);
}

/** Type and code of the ICMPv6 error in `bytes`, and the packet it quotes. */
export function icmpv6Error(bytes: Uint8Array): { type: number; code: number; destination: Ipv6; quoted: Uint8Array } {
  assert.equal(bytes[6], 58);
  return { type: bytes[40], code: bytes[41], destination: bytes.slice(24, 40), quoted: bytes.slice(48) };
}

/** Whether a datagram is a bubble. */
export function isBubble({ bytes }: UdpOutput): boolean {
  return bytes.length >= 40 && bytes[0] >>> 4 === 6 && bytes[4] === 0 && bytes[5] === 0 && bytes[6] === 59;
}

/** Whether a datagram is an echo request. */
export function isEchoRequest({ bytes }: UdpOutput): boolean {
  return bytes.length > 40 && bytes[0] >>> 4 === 6 && bytes[6] === 58 && bytes[40] === 128;
}
