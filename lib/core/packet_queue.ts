/**
 * Packets that wait for a peer: first in, first out, bounded per peer and over all peers (RFC 4380 5.4.1 "SHOULD limit"; 5.2.4).
 *
 * ```
 *   push ─▶ [p1][p2][p3] ─▶ drain        octets(p1..p3) <= maxOctets, and of all queues together <= budget
 * ```
 *
 * A packet that does not fit is refused whole, the ones already waiting stay: order and completeness of the head are worth more to TCP
 * than the newest segment.
 */

/** Octets that all queues of one machine may hold together. */
export class QueueBudget {
  readonly #total: number;
  #used = 0;

  /** @param total octets, 0 = no packet is ever queued */
  constructor(total: number) {
    this.#total = total;
  }

  /** Octets that wait now. */
  get used(): number {
    return this.#used;
  }

  /** Takes `octets` if there is room for all of them. */
  reserve(octets: number): boolean {
    if (this.#used + octets > this.#total) return false;
    this.#used += octets;
    return true;
  }

  /** Gives back what {@link reserve} took. */
  release(octets: number): void {
    this.#used -= octets;
  }
}

/** The packets that wait for one peer. */
export class PacketQueue {
  readonly #budget: QueueBudget;
  readonly #maxOctets: number;
  #packets: Uint8Array[] = [];
  #octets = 0;

  /** @param maxOctets what this queue alone may hold */
  constructor(budget: QueueBudget, maxOctets: number) {
    this.#budget = budget;
    this.#maxOctets = maxOctets;
  }

  /** Packets that wait. */
  get length(): number {
    return this.#packets.length;
  }

  /** Octets that wait. */
  get octets(): number {
    return this.#octets;
  }

  /** Appends a copy of `length` octets at `bytes[at]`. @returns false when it does not fit */
  push(bytes: Uint8Array, at: number, length: number): boolean {
    if (this.#octets + length > this.#maxOctets || !this.#budget.reserve(length)) return false;
    this.#octets += length;
    this.#packets.push(bytes.slice(at, at + length));
    return true;
  }

  /** Empties the queue, oldest packet first. What `deliver` pushes meanwhile waits for the next call. */
  drain(deliver: (packet: Uint8Array) => void): void {
    const packets = this.#packets;
    this.clear();
    for (const packet of packets) deliver(packet);
  }

  /** Throws everything away. @returns how many packets */
  clear(): number {
    const count = this.#packets.length;
    this.#budget.release(this.#octets);
    this.#octets = 0;
    this.#packets = [];
    return count;
  }
}
