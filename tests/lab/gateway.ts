/**
 * A NAT model of tests/sim at work on real packets: UDP, TCP, ICMP echo, ICMP errors and fragments.
 *
 * Fragments are translated without being put together: the first one decides, those that came before it wait for it (RFC 4787 REQ-14).
 */

import type { Millis } from "../../lib/core/machine.ts";
import type { Ipv4 } from "../../lib/wire/ipv4.ts";
import type { Nat, Verdict } from "../sim/nat.ts";
import {
  destinationOf,
  fragmentKey,
  headerOf,
  kindOf,
  quotedBy,
  sealIcmp,
  setAddresses,
  setDestination,
  setSource,
  sourceOf,
} from "./ipv4_packet.ts";

/** How long the fragments of a packet may take (RFC 1122 3.3.2: 60 to 120 s for reassembly; a NAT is less patient). */
const FRAGMENT_LIFETIME: Millis = 30_000;
const MAX_FRAGMENTED = 64;
const MAX_HELD = 48;

/** Takes a translated packet: out of the other side, or back in where it came from. */
export type Emit = (packet: Uint8Array, side: "across" | "back") => void;

interface Fragmented {
  readonly since: Millis;
  /** What the first fragment's header became; undefined until it came. */
  outcome:
    | { readonly source: Ipv4; readonly destination: Ipv4; readonly side: "across" | "back" }
    | "dropped"
    | undefined;
  readonly held: Uint8Array[];
}

/** A translator between two sides. Packets are changed in place. */
export class Gateway {
  readonly nat: Nat;
  /** Packets that went no further, by reason. */
  readonly drops = new Map<string, number>();
  readonly #fragmented = new Map<string, Fragmented>();

  constructor(nat: Nat) {
    this.nat = nat;
  }

  /** A packet from inside. */
  outbound(packet: Uint8Array, now: Millis, emit: Emit): void {
    this.#translate(packet, now, true, emit);
  }

  /** A packet from outside, to one of the NAT's addresses. */
  inbound(packet: Uint8Array, now: Millis, emit: Emit): void {
    this.#translate(packet, now, false, emit);
  }

  #translate(packet: Uint8Array, now: Millis, outbound: boolean, emit: Emit): void {
    switch (kindOf(packet)) {
      case "whole":
        return void this.#translateWhole(packet, now, outbound, emit);
      case "first-fragment":
        return this.#translateFirst(packet, now, outbound, emit);
      case "later-fragment":
        return this.#translateLater(packet, now, outbound, emit);
      case "error":
        return this.#translateError(packet, now, outbound, emit);
      case "other":
        return this.#drop("unknown protocol");
    }
  }

  #translateWhole(packet: Uint8Array, now: Millis, outbound: boolean, emit: Emit): Verdict {
    const header = headerOf(packet);
    const verdict = outbound ? this.nat.outbound(header, now) : this.nat.inbound(header, now);
    if (verdict.kind === "drop") this.#drop(verdict.reason);
    else {
      if (verdict.header.source !== header.source) setSource(packet, verdict.header.source);
      if (verdict.header.destination !== header.destination) setDestination(packet, verdict.header.destination);
      emit(packet, verdict.kind === "hairpin" ? "back" : "across");
    }
    return verdict;
  }

  #translateFirst(packet: Uint8Array, now: Millis, outbound: boolean, emit: Emit): void {
    const fragmented = this.#fragmentedOf(packet, now, outbound);
    const verdict = this.#translateWhole(packet, now, outbound, emit);
    if (verdict.kind === "drop") fragmented.outcome = "dropped";
    else {
      const { source, destination } = verdict.header;
      const side = verdict.kind === "hairpin" ? "back" : "across";
      fragmented.outcome = { source: source.address, destination: destination.address, side };
    }
    for (const held of fragmented.held.splice(0)) this.#finishLater(held, fragmented, emit);
  }

  #translateLater(packet: Uint8Array, now: Millis, outbound: boolean, emit: Emit): void {
    const fragmented = this.#fragmentedOf(packet, now, outbound);
    if (fragmented.outcome !== undefined) this.#finishLater(packet, fragmented, emit);
    else if (fragmented.held.length < MAX_HELD) fragmented.held.push(packet.slice());
    else this.#drop("too many fragments");
  }

  #finishLater(packet: Uint8Array, { outcome }: Fragmented, emit: Emit): void {
    if (outcome === undefined || outcome === "dropped") return this.#drop("fragment");
    setAddresses(packet, outcome.source, outcome.destination);
    emit(packet, outcome.side);
  }

  #fragmentedOf(packet: Uint8Array, now: Millis, outbound: boolean): Fragmented {
    for (const [key, { since }] of this.#fragmented) {
      if (now - since < FRAGMENT_LIFETIME && this.#fragmented.size < MAX_FRAGMENTED) break;
      this.#fragmented.delete(key);
    }
    const key = `${outbound} ${fragmentKey(packet)}`;
    const fragmented = this.#fragmented.get(key) ?? { since: now, outcome: undefined, held: [] };
    this.#fragmented.set(key, fragmented);
    return fragmented;
  }

  /** RFC 5508 4: the quoted packet is put back as its sender knows it, and so is the error's own address. */
  #translateError(packet: Uint8Array, now: Millis, outbound: boolean, emit: Emit): void {
    const quoted = quotedBy(packet);
    const quotedKind = kindOf(quoted);
    if (quotedKind !== "whole" && quotedKind !== "first-fragment") return this.#drop("unknown quote");
    const header = headerOf(quoted);
    const translated = outbound ? this.nat.outboundError(header, now) : this.nat.inboundError(header, now);
    if (translated === undefined) return this.#drop("no-mapping");
    if (outbound) {
      setDestination(quoted, translated.destination);
      const own = sourceOf(packet) === header.destination.address;
      setAddresses(packet, own ? translated.destination.address : this.nat.addresses[0], destinationOf(packet));
    } else {
      setSource(quoted, translated.source);
      setAddresses(packet, sourceOf(packet), translated.source.address);
    }
    sealIcmp(packet);
    emit(packet, "across");
  }

  #drop(reason: string): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
  }
}
