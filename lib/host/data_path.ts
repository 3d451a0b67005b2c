/**
 * The data path: one thread blocked in `ppoll` on TUN, UDP sockets, an eventfd and the machine's next timer.
 *
 * ```
 *        ┌──────────── ppoll ◀───────────┐
 *        ▼                               │
 *   timer due ─▶ UDP, at most BATCH ─▶ TUN, at most BATCH
 * ```
 *
 * Each drain is bounded so that no direction starves another. Nothing here allocates per packet.
 */

import { EAGAIN, EINTR } from "../../ffi/abi/errno.ts";
import { GatherWriter } from "../../ffi/gather.ts";
import { close, drainEventFd, read } from "../../ffi/io.ts";
import { Poller, POLLIN } from "../../ffi/poll.ts";
import { RawIpv6Sender } from "../../ffi/raw_ipv6.ts";
import { DatagramSocketIo, localEndpoint, openUdp } from "../../ffi/udp.ts";
import { Client } from "../core/client.ts";
import { counterIndex, Counters } from "../core/counters.ts";
import type { MachineEvent } from "../core/events.ts";
import { type Machine, type Sink, Socket } from "../core/machine.ts";
import { Relay } from "../core/relay.ts";
import { Server } from "../core/server.ts";
import type { Ipv4 } from "../wire/ipv4.ts";
import { Arena, Control, SLOT_LENGTH } from "./arena.ts";
import { systemRandom } from "./entropy.ts";
import { type Descriptors, MAX_EXTRA_SOCKETS, type ServerAddresses, SharedState, type ToData } from "./messages.ts";

/** Packets taken from one descriptor before the others get their turn. */
const BATCH = 64;

/** Places in the poll set: wake-up, TUN, then the sockets. */
const POLL_WAKE = 0;
const POLL_TUN = 1;
const POLL_SOCKETS = 2;
const SOCKET_COUNT = Socket.extra + MAX_EXTRA_SOCKETS;

const TUN_RX_PACKETS = counterIndex("tun_rx_packets");
const TUN_RX_OCTETS = counterIndex("tun_rx_octets");
const TUN_TX_PACKETS = counterIndex("tun_tx_packets");
const TUN_TX_OCTETS = counterIndex("tun_tx_octets");
const UDP_RX_DATAGRAMS = counterIndex("udp_rx_datagrams");
const UDP_RX_OCTETS = counterIndex("udp_rx_octets");
const UDP_TX_DATAGRAMS = counterIndex("udp_tx_datagrams");
const UDP_TX_OCTETS = counterIndex("udp_tx_octets");
const TUN_WRITE_FAILED = counterIndex("tun-write-failed");
const UDP_SEND_FAILED = counterIndex("udp-send-failed");
const TRUNCATED = counterIndex("truncated");

/** Milliseconds of a monotonic clock: the only clock the machines ever see. */
const now = (): number => performance.now();

/** One machine wired to its descriptors. */
export class DataPath implements Sink {
  readonly #arena = new Arena();
  readonly #shared: SharedState;
  readonly #counters: Counters;
  readonly #descriptors: Descriptors;
  readonly #emit: (event: MachineEvent) => void;
  readonly #machine: Machine;
  readonly #client: Client | undefined;
  /** Descriptor of each local socket, by socket number; -1 = none. */
  readonly #sockets = new Int32Array(SOCKET_COUNT).fill(-1);
  readonly #poller: Poller;
  readonly #datagrams: DatagramSocketIo;
  readonly #tunWriter: GatherWriter;
  readonly #rawSender: RawIpv6Sender | undefined;
  readonly #tunPointer: Deno.PointerValue;

  /** @param emit takes the machine's events */
  constructor(setup: Extract<ToData, { type: "setup" }>, emit: (event: MachineEvent) => void) {
    this.#emit = emit;
    this.#descriptors = setup.descriptors;
    this.#shared = new SharedState(setup.shared);
    this.#counters = new Counters(this.#shared.counters);
    const { native, tunAt } = this.#arena;
    this.#poller = new Poller(native, Control.poll, POLL_SOCKETS + SOCKET_COUNT);
    this.#datagrams = new DatagramSocketIo(native, Control.datagram);
    this.#tunWriter = new GatherWriter(native, Control.gather);
    this.#tunPointer = native.pointer(tunAt);
    this.#rawSender = setup.descriptors.rawIpv6 < 0 ? undefined : new RawIpv6Sender(native, Control.raw);
    for (const descriptor of this.#shared.leftOpen()) {
      close(descriptor);
      this.#shared.forget(descriptor);
    }
    this.#poller.set(POLL_WAKE, setup.descriptors.wake, POLLIN);
    this.#poller.set(POLL_TUN, setup.descriptors.tun, POLLIN);
    setup.descriptors.sockets.forEach((descriptor, socket) => this.#listen(socket, descriptor));

    const environment = {
      memory: this.#arena.memory,
      sink: this,
      random: systemRandom(),
      counters: this.#counters,
    };
    switch (setup.machine.role) {
      case "client":
        this.#machine = this.#client = new Client(setup.machine.options, environment);
        if (setup.machine.server !== undefined) this.start(setup.machine.server);
        break;
      case "relay":
        this.#machine = new Relay(setup.machine.options, environment);
        break;
      case "server":
        this.#machine = new Server(setup.machine.options, environment);
        break;
    }
  }

  /** Messages that the main isolate has posted so far. */
  get messagesSent(): number {
    return this.#shared.messages;
  }

  /** Lets a client qualify with `server`. */
  start(server: ServerAddresses): void {
    this.#client?.start(server, now());
  }

  /** Ends a client's service in good order. */
  stop(): void {
    this.#client?.stop(now());
    this.abandon();
  }

  /** Closes what this path opened itself. */
  abandon(): void {
    for (let socket = Socket.extra; socket < SOCKET_COUNT; socket++) this.closeSocket(socket);
  }

  /** Carries packets until the main isolate signals the eventfd. */
  runUntilWoken(): void {
    const poller = this.#poller;
    const machine = this.#machine;
    for (;;) {
      const due = machine.nextTimer();
      const ready = poller.wait(due === Infinity ? -1 : Math.max(0, due - now()));
      if (ready < 0 && ready !== -EINTR) throw new Error(`Cannot poll: error ${-ready}`);
      const at = now();
      if (due <= at) machine.onTimer(at);
      if (ready <= 0) continue;
      for (let socket = 0; socket < SOCKET_COUNT; socket++) {
        if (poller.revents(POLL_SOCKETS + socket) !== 0) this.#drainSocket(socket, at);
      }
      if (poller.revents(POLL_TUN) !== 0) this.#drainTun(at);
      if (poller.revents(POLL_WAKE) !== 0) {
        drainEventFd(this.#descriptors.wake);
        return;
      }
    }
  }

  #drainSocket(socket: number, at: number): void {
    const io = this.#datagrams;
    const { udpAt } = this.#arena;
    const values = this.#counters.values;
    for (let i = 0; i < BATCH; i++) {
      const descriptor = this.#sockets[socket];
      if (descriptor < 0) return;
      const length = io.receive(descriptor, udpAt, SLOT_LENGTH);
      if (length < 0) {
        // An error queued on the socket (say, ECONNREFUSED of an earlier send) is taken off by this call: go on with the rest.
        if (length === -EAGAIN) return;
        continue;
      }
      values[UDP_RX_DATAGRAMS]++;
      values[UDP_RX_OCTETS] += length;
      if (io.truncated) values[TRUNCATED]++;
      else this.#machine.fromUdp(socket, udpAt, length, io.sourceAddress, io.sourcePort, io.destination, at);
    }
  }

  #drainTun(at: number): void {
    const { tunAt } = this.#arena;
    const values = this.#counters.values;
    for (let i = 0; i < BATCH; i++) {
      const length = read(this.#descriptors.tun, this.#tunPointer, SLOT_LENGTH);
      if (length < 0) {
        if (length === -EAGAIN || length === -EINTR) return;
        throw new Error(`Cannot read from the tunnel interface: error ${-length}`);
      }
      values[TUN_RX_PACKETS]++;
      values[TUN_RX_OCTETS] += length;
      this.#machine.fromTun(tunAt, length, at);
    }
  }

  #listen(socket: number, descriptor: number): void {
    this.#sockets[socket] = descriptor;
    this.#poller.set(POLL_SOCKETS + socket, descriptor, POLLIN);
  }

  // ---- Sink

  sendUdp(socket: number, at: number, length: number, address: Ipv4, port: number): void {
    const sent = this.#datagrams.send(this.#sockets[socket], at, length, address, port);
    const values = this.#counters.values;
    if (sent < 0) {
      values[UDP_SEND_FAILED]++;
      return;
    }
    values[UDP_TX_DATAGRAMS]++;
    values[UDP_TX_OCTETS] += sent;
  }

  writeIpv6(at: number, length: number): void {
    const written = this.#rawSender === undefined
      ? this.#tunWriter.write(this.#descriptors.tun, at, length)
      : this.#rawSender.send(this.#descriptors.rawIpv6, at, length);
    const values = this.#counters.values;
    if (written < 0) {
      values[TUN_WRITE_FAILED]++;
      return;
    }
    values[TUN_TX_PACKETS]++;
    values[TUN_TX_OCTETS] += written;
  }

  openSocket(socket: number): number {
    if (socket < Socket.extra || socket >= SOCKET_COUNT || this.#sockets[socket] >= 0) return 0;
    try {
      const address = localEndpoint(this.#sockets[Socket.service]).address;
      const descriptor = openUdp({ address, port: 0 });
      if (!this.#shared.keep(descriptor)) {
        close(descriptor);
        return 0;
      }
      this.#listen(socket, descriptor);
      return localEndpoint(descriptor).port;
    } catch {
      return 0; // out of descriptors or ports: the machine goes on without
    }
  }

  closeSocket(socket: number): void {
    const descriptor = this.#sockets[socket];
    if (socket < Socket.extra || descriptor < 0) return;
    this.#listen(socket, -1);
    this.#shared.forget(descriptor);
    close(descriptor);
  }

  event(event: MachineEvent): void {
    this.#emit(event);
  }
}
