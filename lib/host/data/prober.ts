/**
 * In the data isolate: pings a peer through the machine and tells each step that shows (`miredo ping`).
 *
 * ```
 *   echo request ─▶ machine ─▶ queue, bubbles, tests ─▶ UDP
 *                     │               │ seen here on the way out
 *   step, step ... ◀──┴─ events       ▼
 *                     ◀── echo reply on its way to the TUN: taken out here
 * ```
 *
 * It looks at what passes between the machine and its host, so that the machine knows nothing of it and the path costs one comparison a
 * packet while nobody pings.
 */

import { Client } from "../../core/client/client.ts";
import { COUNTER_COUNT, counterIndex, type Counters, DROP_REASONS } from "../../core/counters.ts";
import type { MachineEvent } from "../../core/events.ts";
import { HEADROOM, type Machine, type Millis } from "../../core/machine.ts";
import { isBubble } from "../../wire/bubble.ts";
import { equalBytes, readU16 } from "../../wire/bytes.ts";
import {
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_PARAMETER_PROBLEM,
  icmpv6Type,
  parseEcho,
  writeEcho,
} from "../../wire/icmpv6.ts";
import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import { DESTINATION_AT, hopLimit, type Ipv6, IPV6_HEADER_LENGTH, isIpv6Packet, SOURCE_AT } from "../../wire/ipv6.ts";
import { equalIpv6 } from "../../wire/ipv6_address.ts";
import { isTeredo, serverAt, TEREDO_PORT } from "../../wire/teredo_address.ts";
import type { Arena } from "./arena.ts";
import type { PeerPath } from "../../control/status.ts";

/** Octets of data in an echo request, as ping(8) has them. */
const DATA_LENGTH = 56;
const PACKET_LENGTH = IPV6_HEADER_LENGTH + 8 + DATA_LENGTH;

const HOP_LIMIT = 64;

/** Offset of identifier and sequence number in an ICMPv6 echo message, octets (RFC 4443 4.1). */
const IDENTIFIER_AT = 4;
/** Offset of the quoted packet in an ICMPv6 error, octets (RFC 4443 3). */
const QUOTE_AT = 8;

const PACKETS_QUEUED = counterIndex("packets_queued");

/** One echo request. */
export interface Probe {
  /** Identifier in the echo request, 1 to 65535; also tells probes apart. */
  readonly id: number;
  readonly sequence: number;
  readonly source: Ipv6;
  readonly peer: Ipv6;
}

/** What happened, `elapsed` milliseconds after the echo request was handed to the machine. */
export type ProbeStep =
  & { readonly elapsed: Millis }
  & (
    /** The machine has no path yet. */
    | { readonly kind: "queued" }
    | { readonly kind: "direct-bubble" | "indirect-bubble" | "test"; readonly to: Endpoint }
    | { readonly kind: "open" | "sent"; readonly to: Endpoint; readonly path: PeerPath }
    /** `roundTrip`: since the request left, hole punching not included. */
    | { readonly kind: "reply"; readonly roundTrip: Millis; readonly hopLimit: number }
    | { readonly kind: "dropped"; readonly reason: string }
    /** An ICMPv6 error came back. */
    | { readonly kind: "error"; readonly type: number; readonly code: number }
    /** Bubbles or tests went unanswered. */
    | { readonly kind: "unreachable" }
  );

/** `ProbeStep` without its time. */
type Happening = ProbeStep extends infer Step ? Step extends ProbeStep ? Omit<Step, "elapsed"> : never : never;

interface Running extends Probe {
  readonly startedAt: Millis;
  sentAt: Millis | undefined;
  readonly machine: Machine;
}

/** Probes under way in one data isolate. */
export class Prober {
  /** Whether anything is looked for: asked for every packet. */
  active = false;
  readonly #arena: Arena;
  readonly #counters: Counters;
  readonly #tell: (id: number, step: ProbeStep) => void;
  readonly #packetAt: number;
  readonly #running: Map<number, Running> = new Map();

  constructor(
    arena: Arena,
    counters: Counters,
    tell: (id: number, step: ProbeStep) => void,
  ) {
    this.#arena = arena;
    this.#counters = counters;
    this.#tell = tell;
    this.#packetAt = arena.reserve(HEADROOM + PACKET_LENGTH) + HEADROOM;
  }

  /** Sends an echo request through the machine. A probe of the same id ends. */
  begin(probe: Probe, machine: Machine): void {
    const now = performance.now();
    this.#running.set(probe.id, { ...probe, startedAt: now, sentAt: undefined, machine });
    this.active = true;
    const length = writeEcho(
      {
        source: probe.source,
        destination: probe.peer,
        reply: false,
        identifier: probe.id,
        sequence: probe.sequence,
        data: new Uint8Array(DATA_LENGTH),
        hopLimit: HOP_LIMIT,
      },
      this.#arena.bytes,
      this.#packetAt,
    );
    const before = new Float64Array(COUNTER_COUNT);
    before.set(this.#counters.values);
    machine.fromTun(this.#packetAt, length, Math.floor(now));
    const { values } = this.#counters;
    if (values[PACKETS_QUEUED] > before[PACKETS_QUEUED]) this.#say(probe.id, { kind: "queued" });
    for (const reason of DROP_REASONS) {
      const at = counterIndex(reason);
      if (values[at] > before[at]) this.#say(probe.id, { kind: "dropped", reason });
    }
  }

  /** Forgets a probe. */
  end(id: number): void {
    this.#running.delete(id);
    this.active = this.#running.size > 0;
  }

  /** A datagram on its way out; parameters as `Sink.sendUdp`. */
  seeUdp(at: number, length: number, address: Ipv4, port: number): void {
    const { bytes } = this.#arena;
    // A bubble of RFC 6081 has trailers behind the packet, nothing before it.
    if (!isIpv6Packet(bytes, at, length)) return;
    for (const { id, peer } of this.#running.values()) {
      if (!equalBytes(bytes, at + DESTINATION_AT, peer, 0, 16)) continue;
      const to = { address, port };
      if (isBubble(bytes, at)) {
        const indirect = isTeredo(peer, 0) && port === TEREDO_PORT && address === serverAt(peer, 0);
        this.#say(id, { kind: indirect ? "indirect-bubble" : "direct-bubble", to });
      } else if (icmpv6Type(bytes, at) === ICMPV6_ECHO_REQUEST) {
        if (readU16(bytes, at + IPV6_HEADER_LENGTH + IDENTIFIER_AT) === id) this.#sent(id, to);
        else this.#say(id, { kind: "test", to });
      }
    }
  }

  /** A packet on its way to the TUN; parameters as `Sink.writeIpv6`. @returns whether it belongs to a probe and goes no further */
  takes(at: number, length: number): boolean {
    const { bytes } = this.#arena;
    const type = icmpv6Type(bytes, at);
    if (type === ICMPV6_ECHO_REPLY) return this.#takesReply(at, length);
    if (type >= 0 && type <= ICMPV6_PARAMETER_PROBLEM) return this.#takesError(at, length);
    return false;
  }

  onEvent(event: MachineEvent): void {
    if (event.type !== "peer-up" && event.type !== "peer-unreachable") return;
    for (const { id, peer } of this.#running.values()) {
      if (!equalIpv6(peer, event.peer)) continue;
      if (event.type === "peer-up") this.#say(id, { kind: "open", to: event.endpoint, path: event.path });
      else this.#say(id, { kind: "unreachable" });
    }
  }

  #takesReply(at: number, length: number): boolean {
    const { bytes } = this.#arena;
    const echo = parseEcho(bytes, at, length);
    const probe = echo === undefined ? undefined : this.#running.get(echo.identifier);
    if (echo === undefined || probe === undefined || !equalBytes(bytes, at + SOURCE_AT, probe.peer, 0, 16)) {
      return false;
    }
    if (echo.sequence === probe.sequence) {
      const roundTrip = performance.now() - (probe.sentAt ?? probe.startedAt);
      this.#say(probe.id, { kind: "reply", roundTrip, hopLimit: hopLimit(bytes, at) });
    }
    return true;
  }

  /** An error that quotes the echo request of a probe. */
  #takesError(at: number, length: number): boolean {
    const { bytes } = this.#arena;
    const quote = at + IPV6_HEADER_LENGTH + QUOTE_AT;
    if (length < IPV6_HEADER_LENGTH + QUOTE_AT + IPV6_HEADER_LENGTH + 8) return false;
    if (icmpv6Type(bytes, quote) !== ICMPV6_ECHO_REQUEST) return false;
    const probe = this.#running.get(readU16(bytes, quote + IPV6_HEADER_LENGTH + IDENTIFIER_AT));
    if (probe === undefined || !equalBytes(bytes, quote + DESTINATION_AT, probe.peer, 0, 16)) return false;
    const message = at + IPV6_HEADER_LENGTH;
    this.#say(probe.id, { kind: "error", type: bytes[message], code: bytes[message + 1] });
    return true;
  }

  #sent(id: number, to: Endpoint): void {
    const probe = this.#running.get(id);
    if (probe === undefined) return;
    probe.sentAt = performance.now();
    this.#say(id, { kind: "sent", to, path: pathOf(probe.machine, probe.peer, probe.sentAt) });
  }

  #say(id: number, happening: Happening): void {
    const probe = this.#running.get(id);
    if (probe !== undefined) this.#tell(id, { elapsed: performance.now() - probe.startedAt, ...happening });
  }
}

/** The way by which the machine just sent to a peer. */
function pathOf(machine: Machine, address: Ipv6, now: Millis): PeerPath {
  if (!(machine instanceof Client)) return "direct";
  const peer = machine.table.find(address, 0);
  return peer < 0 ? "direct" : machine.pathOf(peer, now);
}
