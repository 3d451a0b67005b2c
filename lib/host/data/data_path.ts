/**
 * The data path: one thread blocked in `ppoll` on TUN, UDP sockets, an eventfd and the machine's next timer.
 *
 * ```
 *        ┌──────────── ppoll ◀───────────┐
 *        ▼                               │
 *   timer due ─▶ UDP, one batch ─▶ TUN, one batch
 * ```
 *
 * Each batch is bounded so that no direction starves another, and what comes of it is sent at its end: nothing waits for more to come.
 * Nothing here allocates per packet.
 */

import { EINTR } from "../../../ffi/abi/errno.ts";
import { close, drainEventFd } from "../../../ffi/io.ts";
import { Poller, pollerLength, POLLIN, POLLNVAL } from "../../../ffi/poll.ts";
import { RAW_CONTROL_LENGTH, RawIpv6Sender } from "../../../ffi/raw_ipv6.ts";
import { localEndpoint, openUdp } from "../../../ffi/udp.ts";
import { enableUdpGro, hasUdpSegment } from "../../../ffi/udp_batch.ts";
import { Client } from "../../core/client/client.ts";
import { counterIndex, Counters } from "../../core/counters.ts";
import type { MachineEvent } from "../../core/events.ts";
import { type Machine, type Millis, type Sink, Socket } from "../../core/machine.ts";
import { Relay } from "../../core/relay/relay.ts";
import { Server } from "../../core/server/server.ts";
import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import { Arena } from "./arena.ts";
import { systemRandom } from "../system/entropy.ts";
import { MachineViewer } from "./machine_viewer.ts";
import {
  type Descriptors,
  type MachineView,
  MAX_EXTRA_SOCKETS,
  type Offloads,
  type ServerAddresses,
  SharedState,
  type ToData,
} from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { type Probe, Prober, type ProbeStep } from "./prober.ts";
import { negotiateTunOffload } from "./tun_offload.ts";
import { TablePages } from "./table_pages.ts";
import { TunPort } from "./tun_port.ts";
import { UdpPort } from "./udp_port.ts";

/** Places in the poll set: wake-up, TUN, then the sockets. */
const POLL_WAKE = 0;
const POLL_TUN = 1;
const POLL_SOCKETS = 2;
const SOCKET_COUNT = Socket.extra + MAX_EXTRA_SOCKETS;

const TUN_TX_PACKETS = counterIndex("tun_tx_packets");
const TUN_TX_OCTETS = counterIndex("tun_tx_octets");
const TUN_WRITE_FAILED = counterIndex("tun-write-failed");

/**
 * Milliseconds of a monotonic clock: the only clock the machines ever see. Whole ones, because a fraction would be a number on the heap for
 * every call it is handed to.
 */
const now = (): Millis => Math.floor(performance.now());

/** One machine wired to its descriptors. */
export class DataPath implements Sink {
  readonly #arena = new Arena();
  readonly #shared: SharedState;
  readonly #counters: Counters;
  readonly #descriptors: Descriptors;
  readonly #emit: (event: MachineEvent) => void;
  readonly #machine: Machine;
  readonly #client: Client | undefined;
  readonly #viewer: MachineViewer;
  readonly #pages: TablePages | undefined;
  readonly #prober: Prober;
  /** Descriptor of each local socket, by socket number; -1 = none. */
  readonly #sockets = new Int32Array(SOCKET_COUNT).fill(-1);
  /** Sockets to look at: one more than the highest in use. */
  #socketCount = 0;
  readonly #poller: Poller;
  readonly #outbox: Outbox;
  readonly #udp: UdpPort;
  readonly #tun: TunPort | undefined;
  readonly #rawSender: RawIpv6Sender | undefined;
  /** What the kernel does in bulk for this path. */
  readonly offloads: Offloads;

  /**
   * @param emit takes the machine's events
   * @param tell takes what probes find out
   */
  constructor(
    setup: Extract<ToData, { type: "setup" }>,
    emit: (event: MachineEvent) => void,
    tell: (probe: number, step: ProbeStep) => void,
  ) {
    this.#emit = emit;
    this.#descriptors = setup.descriptors;
    this.#shared = new SharedState(setup.shared);
    this.#counters = new Counters(this.#shared.counters);
    const arena = this.#arena, { native } = arena;
    const { tun, sockets, rawIpv6, wake } = setup.descriptors;
    const service = sockets[Socket.service];
    this.offloads = {
      tun: negotiateTunOffload(tun),
      udpSegmentation: hasUdpSegment(service),
      // A server answers datagram by datagram, and writes in front of what it got.
      udpReceive: setup.machine.role !== "server" && enableUdpGro(service),
    };
    const pollEntries = POLL_SOCKETS + SOCKET_COUNT;
    this.#poller = new Poller(native, arena.reserve(pollerLength(pollEntries)), pollEntries);
    this.#outbox = new Outbox(arena, this.#counters, this.offloads.udpSegmentation);
    this.#udp = new UdpPort(arena, this.#counters);
    this.#tun = tun < 0 ? undefined : new TunPort(arena, tun, this.offloads.tun, this.#outbox, this.#counters);
    this.#prober = new Prober(arena, this.#counters, tell);
    this.#rawSender = rawIpv6 < 0 ? undefined : new RawIpv6Sender(native, arena.reserve(RAW_CONTROL_LENGTH));
    for (const descriptor of this.#shared.leftOpen()) {
      close(descriptor);
      this.#shared.forget(descriptor);
    }
    this.#poller.set(POLL_WAKE, wake, POLLIN);
    this.#poller.set(POLL_TUN, tun, POLLIN);
    sockets.forEach((descriptor, socket) => this.#listen(socket, descriptor));

    const environment = {
      memory: arena.memory,
      sink: this,
      random: systemRandom(),
      counters: this.#counters,
    };
    switch (setup.machine.role) {
      case "client":
        this.#machine = this.#client = new Client(setup.machine.options, environment);
        this.#client.portMapping(setup.machine.mapping, now());
        if (setup.machine.server !== undefined) this.start(setup.machine.server);
        break;
      case "relay":
        this.#machine = new Relay(setup.machine.options, environment);
        break;
      case "server":
        this.#machine = new Server(setup.machine.options, environment);
        break;
    }
    this.#viewer = new MachineViewer(this.#shared, this.#machine);
    const { table } = this.#viewer;
    this.#pages = table === undefined ? undefined : new TablePages(table);
  }

  /** What the main isolate wants to see, if it asked anew. */
  look(): MachineView | undefined {
    return this.#viewer.look(now());
  }

  /** Pings a peer. */
  probe(probe: Probe): void {
    this.#prober.begin(probe, this.#machine);
    this.#outbox.flush();
  }

  /** Looks for the answer of a probe no longer. */
  endProbe(id: number): void {
    this.#prober.end(id);
  }

  /** Messages that the main isolate has posted so far. */
  get messagesSent(): number {
    return this.#shared.messages;
  }

  /** Lets a client qualify with `server`. */
  start(server: ServerAddresses): void {
    this.#client?.start(server, now());
    this.#outbox.flush();
  }

  /** Tells a client what its NAT forwards to it. */
  portMapping(mapping: Endpoint | undefined): void {
    this.#client?.portMapping(mapping, now());
  }

  /** Ends a client's service in good order. */
  stop(): void {
    this.#client?.stop(now());
    this.#outbox.flush();
    this.abandon();
  }

  /** Closes what this path opened itself. */
  abandon(): void {
    for (let socket = Socket.extra; socket < SOCKET_COUNT; socket++) this.closeSocket(socket);
  }

  /** Carries packets until the main isolate signals the eventfd. @throws SystemError when the TUN is gone */
  runUntilWoken(): void {
    const poller = this.#poller;
    const machine = this.#machine;
    let at = now();
    for (;;) {
      const due = machine.nextTimer();
      // Rounded up to a tick of the clock, or the wait would end just before it. Reading the clock again for the time that the packets
      // just carried took would cost more than a timer that late.
      const ready = poller.wait(due === Infinity ? -1 : Math.max(0, Math.ceil(due) - at));
      if (ready < 0 && ready !== -EINTR) throw new Error(`Cannot poll: error ${-ready}`);
      at = now();
      if (due <= at) {
        machine.onTimer(at);
        this.#pages?.step();
        this.#tun?.flush();
        this.#outbox.flush();
      }
      if (ready <= 0) continue;
      for (let socket = 0; socket < this.#socketCount; socket++) {
        if (poller.revents(POLL_SOCKETS + socket) !== 0) this.#drainSocket(socket, at);
      }
      if (poller.revents(POLL_TUN) !== 0) this.#tun?.drain(machine, at);
      if (poller.revents(POLL_WAKE) !== 0) {
        drainEventFd(this.#descriptors.wake);
        return;
      }
    }
  }

  #drainSocket(socket: number, at: number): void {
    const descriptor = this.#sockets[socket];
    if (descriptor < 0) return;
    const invalid = (this.#poller.revents(POLL_SOCKETS + socket) & POLLNVAL) !== 0;
    if (invalid || !this.#udp.drain(descriptor, socket, this.#machine, at)) this.#listen(socket, -1);
    this.#tun?.flush();
    this.#outbox.flush();
  }

  #listen(socket: number, descriptor: number): void {
    this.#sockets[socket] = descriptor;
    this.#poller.set(POLL_SOCKETS + socket, descriptor, POLLIN);
    this.#socketCount = this.#sockets.findLastIndex((each) => each >= 0) + 1;
    this.#poller.limit(POLL_SOCKETS + this.#socketCount);
  }

  // ---- Sink

  sendUdp(socket: number, at: number, length: number, address: Ipv4, port: number): void {
    const descriptor = this.#sockets[socket];
    if (this.#prober.active) this.#prober.seeUdp(at, length, address, port);
    if (this.#tun?.isSuper(at) === true) this.#tun.sendSuper(descriptor, address, port);
    else this.#outbox.add(descriptor, at, length, address, port);
  }

  writeIpv6(at: number, length: number): void {
    if (this.#prober.active && this.#prober.takes(at, length)) return;
    if (this.#rawSender === undefined) {
      this.#tun?.write(at, length);
      return;
    }
    const written = this.#rawSender.send(this.#descriptors.rawIpv6, at, length);
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
    this.#outbox.flush(); // what waits to go out on it
    this.#listen(socket, -1);
    this.#shared.forget(descriptor);
    close(descriptor);
  }

  event(event: MachineEvent): void {
    if (this.#prober.active) this.#prober.onEvent(event);
    this.#emit(event);
  }
}
