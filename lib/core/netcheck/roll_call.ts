/**
 * Which of several servers answer: one router solicitation (RFC 4380 5.2.1) to the primary address of each, all at once, from a socket
 * that is nobody's mapping.
 *
 * ```
 *   RS to all ──▶ the first of the list has answered ─────────────▶ done
 *             ├─▶ any has, and 300 ms later no better one ─────────▶ done
 *             └─▶ 1.5 s ──────────────────────────────────────────▶ done
 * ```
 */

import { Datagram } from "../../wire/encapsulation.ts";
import type { Ipv4, Ipv4Subnet } from "../../wire/ipv4.ts";
import { type Environment, type Machine, type Millis, Socket } from "../machine.ts";
import { type Credentials, isAdvertisement, Solicitor } from "../qualification/solicitor.ts";

/** How long answers are waited for, and how long better servers are once there is one. Ours. */
const PATIENCE: Millis = 1_500;
const GRACE: Millis = 300;

/** One round of questions. */
export class RollCall implements Machine {
  readonly #environment: Environment;
  readonly #datagram = new Datagram();
  readonly #asked: readonly { readonly server: Ipv4; readonly solicitor: Solicitor }[];
  readonly #answered = new Set<Ipv4>();
  #deadline: Millis = Infinity;

  /**
   * @param servers primary addresses, the best first
   * @param credentials undefined: no secure qualification
   */
  constructor(
    servers: readonly Ipv4[],
    credentials: Credentials | undefined,
    subnets: readonly Ipv4Subnet[],
    environment: Environment,
  ) {
    this.#environment = environment;
    this.#asked = servers.map((server) => ({
      server,
      solicitor: new Solicitor(environment, Socket.service, credentials, subnets),
    }));
  }

  /** Those that have answered, the best first. */
  get answered(): readonly Ipv4[] {
    return this.#asked.flatMap(({ server }) => this.#answered.has(server) ? [server] : []);
  }

  /** Whether more waiting is of no use. */
  get done(): boolean {
    return this.#deadline === Infinity;
  }

  /** Asks. To be called once. */
  start(now: Millis): void {
    this.#deadline = now + PATIENCE;
    for (const { server, solicitor } of this.#asked) {
      solicitor.begin(server, server, false);
      solicitor.solicit(now);
    }
  }

  fromTun(_at: number, _length: number, _now: Millis): void {}

  fromTunSuper(_at: number, _length: number, _largest: number, _now: Millis): boolean {
    return false;
  }

  fromUdp(
    _socket: number,
    at: number,
    length: number,
    address: Ipv4,
    port: number,
    _destination: Ipv4,
    now: Millis,
  ): void {
    const { bytes } = this.#environment.memory;
    const datagram = this.#datagram;
    if (!datagram.decode(bytes, at, length) || !isAdvertisement(bytes, datagram)) return;
    const place = this.#asked.findIndex(({ server }) => server === address);
    if (place < 0 || this.#answered.has(address)) return;
    if (typeof this.#asked[place].solicitor.read(datagram, address, port, now) === "string") return;
    this.#answered.add(address);
    this.#deadline = this.#answered.has(this.#asked[0].server) ? Infinity : Math.min(this.#deadline, now + GRACE);
  }

  onTimer(now: Millis): void {
    if (now >= this.#deadline) this.#deadline = Infinity;
  }

  nextTimer(): Millis {
    return this.#deadline;
  }
}
