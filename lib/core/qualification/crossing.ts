/**
 * Bubbles from one socket of ours to another, by way of the server and straight to its mapped endpoint.
 *
 * ```
 *   first ──▶ NAT ──▶ server ──▶ NAT ──▶ second     does the server carry bubbles (RFC 4380 5.3.3)?
 *   first ──▶ NAT ─┐
 *                  └▶ NAT ──▶ second                hairpinning (RFC 4787 6); both ways at once, so that each opens the filter
 * ```
 */

import { equalBytes } from "../../wire/bytes.ts";
import { BUBBLE_HOP_LIMIT, isBubble, writeBubble } from "../../wire/bubble.ts";
import type { Datagram } from "../../wire/encapsulation.ts";
import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import { DESTINATION_AT, type Ipv6, SOURCE_AT } from "../../wire/ipv6.ts";
import { formTeredoAddress, randomFlags, TEREDO_PORT } from "../../wire/teredo_address.ts";
import type { Environment, Millis } from "../machine.ts";

/** Bubbles each way, and the wait after each. Ours. */
const ATTEMPTS = 4;
const WAIT: Millis = 750;

/** A socket and how the server sees it. */
export interface End {
  readonly socket: number;
  readonly mapped: Endpoint;
}

/** Which ways are tried. */
export interface Ways {
  readonly straight: boolean;
  readonly throughServer: boolean;
}

/** An end with an address made of its mapping. */
interface AddressedEnd extends End {
  readonly ipv6: Ipv6;
}

/** One pair of sockets. */
export class Crossing {
  readonly #environment: Environment;
  readonly #server: Ipv4;
  readonly #first: AddressedEnd;
  readonly #second: AddressedEnd;
  readonly #ways: Ways;
  #sent = 0;
  #deadline: Millis = Infinity;
  #throughServer = false;
  #straightFrom: Endpoint | undefined;

  /**
   * @param server primary address of the server both ends are mapped for
   */
  constructor(environment: Environment, server: Ipv4, first: End, second: End, ways: Ways) {
    const flags = randomFlags(environment.random.u32() >>> 16);
    const addressed = (end: End) => ({ ...end, ipv6: formTeredoAddress({ server, flags, mapped: end.mapped }) });
    this.#environment = environment;
    this.#server = server;
    this.#first = addressed(first);
    this.#second = addressed(second);
    this.#ways = ways;
  }

  /** A bubble came by way of the server. */
  get throughServer(): boolean {
    return this.#throughServer;
  }

  /** Source of the bubble that came straight; undefined when none did. */
  get straightFrom(): Endpoint | undefined {
    return this.#straightFrom;
  }

  get over(): boolean {
    return this.#deadline === Infinity;
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    return this.#deadline;
  }

  start(now: Millis): void {
    this.#send(now);
  }

  /** Repeats, or gives up, when that is due. */
  onTimer(now: Millis): void {
    if (now < this.#deadline) return;
    if (this.#sent < ATTEMPTS) this.#send(now);
    else this.#deadline = Infinity;
  }

  /** A datagram that came to `socket`. @returns true when it was one of our bubbles */
  receive(socket: number, datagram: Datagram, address: Ipv4, port: number): boolean {
    const { bytes } = this.#environment.memory;
    const at = datagram.ipv6At;
    if (!isBubble(bytes, at)) return false;
    const [to, from] = socket === this.#second.socket ? [this.#second, this.#first] : [this.#first, this.#second];
    if (socket !== to.socket) return false;
    if (
      !equalBytes(bytes, at + DESTINATION_AT, to.ipv6, 0, 16) || !equalBytes(bytes, at + SOURCE_AT, from.ipv6, 0, 16)
    ) {
      return false;
    }
    if (address === this.#server && port === TEREDO_PORT) this.#throughServer = true;
    else this.#straightFrom ??= { address, port };
    const { straight, throughServer } = this.#ways;
    if ((this.#throughServer || !throughServer) && (this.#straightFrom !== undefined || !straight)) {
      this.#deadline = Infinity;
    }
    return true;
  }

  #send(now: Millis): void {
    this.#sent++;
    this.#deadline = now + WAIT;
    if (this.#ways.throughServer && !this.#throughServer) {
      this.#bubble(this.#first, this.#second, { address: this.#server, port: TEREDO_PORT });
    }
    if (!this.#ways.straight || this.#straightFrom !== undefined) return;
    this.#bubble(this.#second, this.#first, this.#first.mapped);
    this.#bubble(this.#first, this.#second, this.#second.mapped);
  }

  #bubble(from: AddressedEnd, to: AddressedEnd, by: Endpoint): void {
    const { memory, sink, counters } = this.#environment;
    const length = writeBubble(from.ipv6, to.ipv6, BUBBLE_HOP_LIMIT, memory.bytes, memory.scratch);
    counters.count(by.address === this.#server ? "indirect_bubbles_sent" : "direct_bubbles_sent");
    sink.sendUdp(from.socket, memory.scratch, length, by.address, by.port);
  }
}
