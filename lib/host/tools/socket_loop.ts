/**
 * Runs a machine that has UDP sockets and nothing else: no tunnel, no privilege, few datagrams. The data isolate is for the others.
 *
 * ```
 *   sockets ─▶ poll (on another thread) ─▶ machine ─▶ sockets
 * ```
 */

import { EAGAIN, EINTR } from "../../../ffi/abi/errno.ts";
import { close, drainEventFd, makeEventFd, signalEventFd } from "../../../ffi/io.ts";
import { nativeBuffer } from "../../../ffi/memory.ts";
import { waitReadable } from "../../../ffi/poll.ts";
import { CONTROL_LENGTH, DatagramSocketIo, localEndpoint, openUdp } from "../../../ffi/udp.ts";
import { Counters } from "../../core/counters.ts";
import { type Environment, HEADROOM, type Machine, SCRATCH_LENGTH, type Sink } from "../../core/machine.ts";
import type { Ipv4 } from "../../wire/ipv4.ts";
import { systemRandom } from "../system/entropy.ts";

/** Largest UDP payload, octets, rounded up. */
const MAX_DATAGRAM = 65_536;

/** Layout of the memory: scratch, the structures of the socket calls, one datagram with its headroom. */
const CONTROL_AT = Math.ceil(SCRATCH_LENGTH / 64) * 64;
const DATAGRAM_AT = CONTROL_AT + Math.ceil(CONTROL_LENGTH / 64) * 64 + HEADROOM;

/** Datagrams taken from one socket before the others have their turn. */
const BATCH = 64;

/** Longest wait in one go, milliseconds: poll takes 32 bits. */
const LONGEST_WAIT = 60_000;

/** Told of a datagram that the kernel refused to send, `errno` positive. */
export type RefusedHandler = (address: Ipv4, errno: number) => void;

/** The sockets of one machine, and the loop that serves them. Dispose of it to close them. */
export class SocketLoop implements Sink, Disposable {
  readonly environment: Environment;
  readonly counters = new Counters();
  readonly #refused: RefusedHandler;
  readonly #io: DatagramSocketIo;
  readonly #sockets = new Map<number, number>();
  readonly #wake = makeEventFd();
  #ended = false;

  /** @param refused told of datagrams that could not be sent */
  constructor(refused: RefusedHandler = () => {}) {
    const native = nativeBuffer(new ArrayBuffer(DATAGRAM_AT + MAX_DATAGRAM));
    this.#refused = refused;
    this.#io = new DatagramSocketIo(native, CONTROL_AT);
    this.environment = {
      memory: { bytes: native.bytes, view: native.view, scratch: 0 },
      sink: this,
      random: systemRandom(),
      counters: this.counters,
    };
  }

  /**
   * Opens local socket `socket` of the machine.
   * @param port 0 for one of the system's choice
   * @returns its port
   * @throws SystemError
   */
  bind(socket: number, address: Ipv4, port: number): number {
    const fd = openUdp({ address, port });
    this.#sockets.set(socket, fd);
    return localEndpoint(fd).port;
  }

  openSocket(socket: number): number {
    try {
      return this.bind(socket, 0, 0);
    } catch {
      return 0; // the machine knows what that means
    }
  }

  closeSocket(socket: number): void {
    const fd = this.#sockets.get(socket);
    if (fd === undefined) return;
    this.#sockets.delete(socket);
    close(fd);
  }

  sendUdp(socket: number, at: number, length: number, address: Ipv4, port: number): void {
    const fd = this.#sockets.get(socket);
    if (fd === undefined) return;
    const sent = this.#io.send(fd, at, length, address, port);
    if (sent < 0 && sent !== -EAGAIN) this.#refused(address, -sent);
  }

  writeIpv6(): void {}

  event(): void {}

  /** Serves the machine until `done` says so, or {@link end} is called. @param after called after each turn */
  async run(machine: Machine, done: () => boolean, after: () => void = () => {}): Promise<void> {
    while (!this.#ended && !done()) {
      after();
      const now = performance.now();
      const wait = Math.min(Math.max(0, Math.ceil(machine.nextTimer() - now)), LONGEST_WAIT);
      const fds = [...this.#sockets.values()];
      const ready = await waitReadable([this.#wake, ...fds], wait);
      if (ready.includes(this.#wake)) drainEventFd(this.#wake);
      for (const [socket, fd] of [...this.#sockets]) {
        if (ready.includes(fd)) this.#drain(socket, fd, machine);
      }
      const then = performance.now();
      if (then >= machine.nextTimer()) machine.onTimer(then);
    }
  }

  /** Makes {@link run} return soon. */
  end(): void {
    this.#ended = true;
    signalEventFd(this.#wake);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#sockets.values()) close(fd);
    this.#sockets.clear();
    close(this.#wake);
  }

  #drain(socket: number, fd: number, machine: Machine): void {
    const io = this.#io;
    for (let i = 0; i < BATCH && this.#sockets.get(socket) === fd; i++) {
      const length = io.receive(fd, DATAGRAM_AT, MAX_DATAGRAM);
      if (length === -EAGAIN) return;
      if (length < 0 && length !== -EINTR) continue; // an ICMP error of an earlier datagram
      if (length < 0 || io.truncated) continue;
      const { sourceAddress, sourcePort, destination } = io;
      machine.fromUdp(socket, DATAGRAM_AT, length, sourceAddress, sourcePort, destination, performance.now());
    }
  }
}
