/**
 * The contract between a protocol machine and whoever runs it (the kernel host, the simulation, a unit test).
 *
 * A machine never reads a clock, never draws a random number and never touches a socket. Packets and the time come in through
 * the methods of {@link Machine}; packets and events leave through the {@link Sink} given at construction:
 *
 * ```
 *   TUN ──▶ fromTun ┐                    ┌▶ sendUdp ──▶ UDP socket
 *                   ├─▶ machine ─▶ sink ─┼▶ writeIpv6 ─▶ TUN (server: raw IPv6 socket)
 *   UDP ──▶ fromUdp ┘      ▲             └▶ event ────▶ host
 *                     onTimer(now)
 * ```
 *
 * Packets are never objects: they are `length` octets at offset `at` of one {@link Memory}, the host's packet arena.
 */

import type { Ipv4 } from "../wire/ipv4.ts";
import type { Counters } from "./counters.ts";
import type { MachineEvent } from "./events.ts";

/** Milliseconds from a monotonic source whose origin does not matter; fractions allowed. */
export type Millis = number;

/** Octets the host leaves writable before every datagram and packet it hands in, so that a header can be put in front in place. */
export const HEADROOM = 64;

/** Size of the scratch area, octets: room for the largest IPv6 packet a UDP payload can carry, and headers before it. */
export const SCRATCH_LENGTH = 65536 + HEADROOM;

/** The packet arena as a machine sees it. `bytes` and `view` cover the same memory and never move. */
export interface Memory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Offset of {@link SCRATCH_LENGTH} octets that belong to the machine: control packets are built there. */
  readonly scratch: number;
}

/** Index of a local UDP socket. The numbers below are fixed; extra sockets count up from {@link Socket.extra}. */
export const Socket = {
  /** The Teredo service port; for a server, port 3544 of its primary address. */
  service: 0,
  /** Server: port 3544 of the secondary address. */
  secondary: 1,
  /** Client: port 3544, member of 224.0.0.253 (RFC 4380 2.17). */
  discovery: 2,
  /** First of the sockets that a client opens with {@link Sink.openSocket}. */
  extra: 3,
} as const;

/**
 * Where a machine's output goes. Calls happen only inside a machine's methods.
 *
 * Octets inside the scratch area are consumed before a call returns (the machine reuses them at once). Octets elsewhere, that is, of
 * the packet just handed in and its headroom, stay untouched until the host hands in the next batch, so that a host may queue them.
 */
export interface Sink {
  /** Sends one datagram from local socket `socket` to `address`:`port` (both host order, port 1 to 65535). */
  sendUdp(socket: number, at: number, length: number, address: Ipv4, port: number): void;
  /** Hands one IPv6 packet to this host's IPv6 side: the TUN, or for a server the IPv6 Internet (raw socket). */
  writeIpv6(at: number, length: number): void;
  /**
   * Opens one more UDP socket on a port of the system's choice, known from then on as `socket` (>= `Socket.extra`).
   * @returns its local port, or 0 when none can be had
   */
  openSocket(socket: number): number;
  /** Closes a socket opened by {@link openSocket}. */
  closeSocket(socket: number): void;
  /** Tells the host of a transition. Rare, never per packet. */
  event(event: MachineEvent): void;
}

/** Source of random bits: a CSPRNG in the daemon (RFC 5991 4), a seeded generator in the simulation. */
export interface Random {
  /** 32 uniform random bits as an unsigned number. */
  u32(): number;
  /** Fills `bytes` with random octets. */
  fill(bytes: Uint8Array): void;
}

/** All that a machine is given besides its options. */
export interface Environment {
  readonly memory: Memory;
  readonly sink: Sink;
  readonly random: Random;
  readonly counters: Counters;
}

/** A protocol machine: client, relay or server. Every method returns soon and never throws on any input from the network. */
export interface Machine {
  /** One IPv6 packet that this host routed into the tunnel. */
  fromTun(at: number, length: number, now: Millis): void;
  /**
   * A super-packet: packets of one flow that the host has not cut apart yet, `length` octets at `at` as one IPv6 packet.
   * @param largest octets of the largest packet it will be cut into
   * @param packets how many it will be cut into
   * @returns true when every one of them would go to the same established peer: `sendUdp` has been called once, with the whole. False when
   *   nothing was done: the host cuts it and hands in the packets one by one.
   */
  fromTunSuper(at: number, length: number, largest: number, now: Millis, packets: number): boolean;
  /**
   * One datagram that arrived on local socket `socket`.
   * @param address IPv4 source, host order
   * @param port UDP source port
   * @param destination IPv4 address it was sent to (packet info), host order
   *
   * The headroom before it is free for a server only: before the others' datagrams may lie octets that arrived just before.
   */
  fromUdp(
    socket: number,
    at: number,
    length: number,
    address: Ipv4,
    port: number,
    destination: Ipv4,
    now: Millis,
  ): void;
  /** Does all that is due at `now`. Calling it early or late is harmless. */
  onTimer(now: Millis): void;
  /** The moment {@link onTimer} wants to be called next, or `Infinity`. */
  nextTimer(): Millis;
}

/** A uniform random number in [0, 1) with 32 bits. */
export function uniform(random: Random): number {
  return random.u32() / 0x1_0000_0000;
}
