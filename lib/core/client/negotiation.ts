/**
 * How a client finds the path to a peer (RFC 4380 5.2.4 cases 2, 3 and 5; 5.2.6; 5.2.9): bubbles to Teredo peers, connectivity tests
 * to native nodes, each repeated on a timer of its own while packets wait in order.
 *
 * ```
 *   t = 0 s    2 s    4 s    6 s    8 s
 *       1      2      3      4      give up: queued packets are answered with "address unreachable"
 * ```
 *
 * Which bubbles those are, and what comes before them behind symmetric NATs, is the business of hole punching (RFC 6081).
 *
 * ```
 *   trusted, idle for 30 s ─▶ soliciting: direct, 3 times ─▶ bubbling: direct and indirect, 4 times ─▶ testing: meet at a relay ─▶ fail
 * ```
 *
 * An indirect bubble of a peer that is not reached opens a conversation too, so that our bubbles are repeated as well.
 */

import { readU32, writeU16, writeU32 } from "../../wire/bytes.ts";
import type { Endpoint, Ipv4 } from "../../wire/ipv4.ts";
import { addressAt, DESTINATION_AT, type Ipv6, SOURCE_AT } from "../../wire/ipv6.ts";
import { isTeredo } from "../../wire/teredo_address.ts";
import type { Trailers } from "../../wire/trailers.ts";
import { ANSWER_WAIT, type BubbleVerdict, countBubble, judgeBubble } from "../traversal/bubble_rules.ts";
import type { Bubbles } from "../traversal/bubbles.ts";
import type { ClientOptions } from "./client_options.ts";
import { type ConnectivityTest, drawTest, isTestReply } from "./connectivity.ts";
import { type Conversation, Conversations, ENDPOINT_LENGTH, type Stage } from "./conversation.ts";
import type { DropReason } from "../counters.ts";
import { ADDRESS_UNREACHABLE, type ErrorSender } from "../errors.ts";
import type { HolePunching } from "../traversal/hole_punching.ts";
import type { Identity } from "./identity.ts";
import type { LocalPeers } from "../traversal/local_peers.ts";
import type { Environment, Millis } from "../machine.ts";
import type { PeerEntries } from "./peer_entries.ts";
import { pathTo, releaseQueues } from "./release.ts";
import { TestSender } from "./test_sender.ts";
import type { Traversal, Traversals } from "../traversal/traversal.ts";

/** Bubbles, or echo requests, sent in one attempt: one and three repeats (RFC 4380 5.2.4). */
const SENDS_PER_ATTEMPT = 4;

/** An attempt with bubbles is over after this long, even where other packets to the peer put some of them off. */
const ATTEMPT_LENGTH: Millis = SENDS_PER_ATTEMPT * ANSWER_WAIT;

/** How long a peer that did not answer is taken for unreachable before the next packet tries again; ours. */
const UNREACHABLE_MEMORY: Millis = 3_000;

/** And one with which no relay could help either; ours. */
const UNMEETABLE_MEMORY: Millis = 20_000;

/** Which indirect bubble of an attempt, counted from 0, is one that clients of RFC 4380 can answer from behind symmetric NATs; ours. */
const CHALLENGE = 1;

/** Server load reduction: solicitations sent before the server is asked again (RFC 6081 5.7.2). */
const MOST_SOLICITATIONS = 3;

/** Indirect bubbles of a peer that we reach, as it seemed, after which it is taken for deaf, and for how long; ours. */
const UNHEARD_BUBBLES = 3;
const DEAF_MEMORY: Millis = 300_000;

/** A peer that was met at a relay within this time is looked for there first; ours. */
const RELAYED_MEMORY: Millis = 600_000;

/** The part of the conversations that peers may begin. */
const REMOTE_CONVERSATIONS_PART = 0.5;

/** A test that the limit holds back is tried again after this long, so many times. */
const DENIED_WAIT: Millis = 500;
const MAX_DENIED = 16;

/** What the negotiation works with. */
export interface NegotiationParts {
  readonly environment: Environment;
  readonly options: ClientOptions;
  readonly identity: Identity;
  readonly entries: PeerEntries;
  readonly localPeers: LocalPeers;
  readonly bubbles: Bubbles;
  readonly errors: ErrorSender;
  readonly traversals: Traversals;
  readonly punching: HolePunching;
  /** A native node was found behind the relay at this endpoint. */
  readonly onRelay: (address: Ipv4, port: number, now: Millis) => void;
}

/** Runs all conversations. */
export class Negotiation {
  readonly #parts: NegotiationParts;
  readonly #environment: Environment;
  readonly #identity: Identity;
  readonly #entries: PeerEntries;
  readonly #localPeers: LocalPeers;
  readonly #bubbles: Bubbles;
  readonly #errors: ErrorSender;
  readonly #conversations: Conversations;
  readonly #tests: TestSender;

  constructor(parts: NegotiationParts) {
    this.#parts = parts;
    this.#environment = parts.environment;
    this.#identity = parts.identity;
    this.#entries = parts.entries;
    this.#localPeers = parts.localPeers;
    this.#bubbles = parts.bubbles;
    this.#errors = parts.errors;
    this.#conversations = new Conversations(parts.entries.table, parts.options);
    this.#tests = new TestSender(parts.environment, parts.identity, parts.options.testsPerSecond);
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    return this.#conversations.timers.next();
  }

  /** Takes the next step of every conversation whose wait is over. */
  onTimer(now: Millis): void {
    const { timers } = this.#conversations;
    for (let peer = timers.pop(now); peer >= 0; peer = timers.pop(now)) {
      const conversation = this.#conversations.find(peer);
      if (conversation !== undefined) this.#step(conversation, now);
    }
  }

  /** Ends all conversations without a word: the own address is gone. */
  clear(): void {
    for (let thrown = this.#conversations.clear(); thrown > 0; thrown--) this.#count("expired-in-queue");
  }

  /** A packet of this host, `length` octets at `at`, for an entry without a valid path: it waits until there is one. */
  send(peer: number, at: number, length: number, now: Millis): void {
    const { bytes } = this.#environment.memory;
    const conversation = this.#conversations.find(peer) ?? this.#begin(peer, now);
    if (conversation === undefined || conversation.stage.kind === "unreachable") {
      this.#count(conversation === undefined ? "peer-table-full" : "peer-unreachable");
      return this.#answerUnreachable(bytes, at, length, now);
    }
    conversation.wanted = true;
    if (conversation.outbound.push(bytes, at, length)) this.#environment.counters.count("packets_queued");
    else this.#count("queue-full");
  }

  /**
   * An indirect bubble came from a Teredo peer that is not reached: direct bubbles answer it and, with nonces, an indirect one, as far as
   * the two rules allow (RFC 6081 3.1, 5.4.4.4, 5.6.4.2). Those that they do not allow now follow when they do.
   */
  respond(peer: number, trailers: Trailers, now: Millis): void {
    const { table } = this.#entries;
    const { traversals, punching, options } = this.#parts;
    const traversal = traversals.of(peer);
    const conversation = this.#conversations.find(peer);
    const kind = conversation?.stage.kind;
    const live = table.trusted(peer) && table.valid(peer, now);
    if (!live && kind !== "bubbling" && kind !== "testing") punching.begin(traversal);
    traversal.asked = true;
    punching.learn(traversal, trailers, false);
    const allowed = this.#judge(traversal, now) === "allowed";
    const lastTransmission = table.lastTransmission(peer);
    table.setLastTransmission(peer, now);
    punching.direct(traversal, punching.usable(trailers.alternates ?? []), now);
    if (!punching.nonces) return;
    if (allowed) {
      countBubble(table, traversal, lastTransmission, now);
      punching.indirect(traversal, now);
    }
    const mine = kind === "bubbling" || kind === "testing" || live;
    if (mine || this.#conversations.size >= options.maxPending * REMOTE_CONVERSATIONS_PART) return;
    const stage = { kind: "bubbling", sent: allowed ? 1 : 0, until: now + ATTEMPT_LENGTH } as const;
    if (conversation !== undefined) conversation.stage = stage;
    else if (this.#conversations.open(peer, stage, false, now) === undefined) return;
    this.#conversations.timers.set(peer, now + ANSWER_WAIT);
  }

  /** Whether packets for a peer that is reached have to wait all the same. */
  holds(peer: number): boolean {
    return this.#conversations.find(peer)?.stage.kind === "awaiting";
  }

  /** An indirect bubble came from a peer that is reached: it gets a direct one, and what waited for its nonce. */
  respondReached(peer: number, trailers: Trailers, now: Millis): void {
    const { traversals, punching, identity } = this.#parts;
    const traversal = traversals.of(peer);
    punching.learn(traversal, trailers, true);
    traversal.asked = true;
    traversal.unheard++;
    punching.steer(traversal);
    if (identity.symmetric && punching.nonces && traversal.unheard >= UNHEARD_BUBBLES) {
      return this.#giveUpDirect(traversal, now);
    }
    punching.reached(traversal, now);
    const conversation = this.#conversations.find(peer);
    if (conversation?.stage.kind === "awaiting") this.#release(conversation, now);
  }

  /** The peer's bubbles reach us, but ours do not reach the peer: there is no direct way. */
  #giveUpDirect(traversal: Traversal, now: Millis): void {
    const { peer } = traversal;
    const { table } = this.#entries;
    traversal.deafUntil = now + DEAF_MEMORY;
    table.setTrusted(peer, false);
    table.setSteered(peer, false);
    this.#parts.punching.end(traversal);
    const conversation = this.#conversations.find(peer);
    if (conversation !== undefined) this.#exhausted(conversation, 0, now);
  }

  /** A trusted peer is to be negotiated with anew, since it moved (RFC 6081 5.4.4.5): an indirect bubble, as soon as allowed. */
  restart(peer: number, now: Millis): void {
    const { table } = this.#entries;
    table.setTrusted(peer, false);
    table.setSteered(peer, false);
    if (this.#conversations.find(peer) !== undefined) return;
    const conversation = this.#conversations.open(peer, bubbling(now), false, now);
    if (conversation === undefined) return;
    this.#bubble(conversation, now);
  }

  /** Looks for the relay that leads from a native node to us. */
  probe(node: Ipv6, now: Millis): void {
    const peer = this.#entries.make(node, 0, now);
    if (peer >= 0 && this.#conversations.find(peer) === undefined) this.#beginTest(peer, false, now);
  }

  /**
   * A packet from a native node by way of `address`:`port`, which nothing says is a relay for it: it waits until a test has shown that.
   * The {@link ENDPOINT_LENGTH} octets before it are used for a moment: a packet that came just before may lie there and wait for the host.
   */
  prove(at: number, length: number, address: Ipv4, port: number, now: Millis): void {
    const { bytes } = this.#environment.memory;
    const known = this.#entries.table.find(bytes, at + SOURCE_AT);
    let conversation = known < 0 ? undefined : this.#conversations.find(known);
    // A Teredo peer has found a relay while we still look for a direct way.
    const kind = conversation?.stage.kind;
    if (conversation !== undefined && kind !== "testing" && kind !== "unreachable") {
      if (!this.#tests.take(true, now)) return this.#count("rate-limited");
      const test = drawTest(this.#environment.random);
      conversation.stage = { kind: "testing", sent: 1, denied: 0, test };
      this.#sendTest(conversation, test, now);
    }
    if (conversation === undefined) {
      if (!this.#tests.take(true, now)) return this.#count("rate-limited");
      const peer = this.#entries.make(bytes, at + SOURCE_AT, now);
      const test = drawTest(this.#environment.random);
      const stage = { kind: "testing", sent: 1, denied: 0, test } as const;
      conversation = peer < 0 ? undefined : this.#conversations.open(peer, stage, false, now);
      if (conversation === undefined) return this.#count("peer-table-full");
      this.#sendTest(conversation, test, now);
    }
    if (conversation.stage.kind === "unreachable") return this.#count("unproven-peer");
    const head = at - ENDPOINT_LENGTH, first = readU32(bytes, head), second = readU32(bytes, head + 4);
    writeU32(address, bytes, head);
    writeU16(port, bytes, head + 4);
    const queued = conversation.inbound.push(bytes, head, ENDPOINT_LENGTH + length);
    writeU32(first, bytes, head);
    writeU32(second, bytes, head + 4);
    this.#count(queued ? "packets_queued" : "queue-full");
  }

  /** Whether the IPv6 packet of `length` octets at `at`, which came from `peer`, is the reply that its connectivity test waits for. */
  isAwaitedReply(peer: number, at: number, length: number): boolean {
    const stage = this.#conversations.find(peer)?.stage;
    if (stage?.kind !== "testing" && stage?.kind !== "unreachable" || stage.test === undefined) return false;
    if (!isTestReply(stage.test, this.#environment.memory.bytes, at, length)) return false;
    this.#environment.counters.count("connectivity_tests_passed");
    return true;
  }

  /**
   * A packet proved that `peer` is at `address`:`port`: what waits for it goes out, in order.
   * @param tested the proof is the reply to a connectivity test: a relay is there
   */
  establish(peer: number, address: Ipv4, port: number, tested: boolean, now: Millis): void {
    const { table } = this.#entries;
    const fresh = !table.trusted(peer) || !table.valid(peer, now);
    this.#entries.trust(peer, address, port, now);
    const conversation = this.#conversations.find(peer);
    const isTeredoPeer = isTeredo(table.key(peer), 0);
    if (isTeredoPeer) this.#settle(peer, tested, fresh, now);
    else this.#parts.onRelay(address, port, now);
    if (conversation === undefined) return;
    const traversal = this.#parts.traversals.find(peer);
    const waits = traversal !== undefined && !tested && this.#parts.punching.isStranger(traversal);
    if (conversation.stage.kind !== "awaiting") {
      this.#environment.sink.event({
        type: "peer-up",
        peer: conversation.address,
        endpoint: { address, port },
        path: tested ? "relay" : this.#pathTo(conversation.address, { address, port }, now),
      });
    }
    if (waits) {
      if (conversation.stage.kind === "awaiting") return;
      conversation.stage = { kind: "awaiting", sent: 0 };
      this.#conversations.timers.set(peer, now + ANSWER_WAIT);
      return;
    }
    this.#release(conversation, now);
  }

  /** Ends a conversation whose peer is reached: packets that waited go their ways, in order. */
  #release(conversation: Conversation, now: Millis): void {
    this.#conversations.close(conversation.peer);
    releaseQueues(conversation, this.#environment, this.#entries.table, this.#parts.punching, now);
  }

  #begin(peer: number, now: Millis): Conversation | undefined {
    const { table } = this.#entries;
    const { options, punching, traversals } = this.#parts;
    if (!isTeredo(table.key(peer), 0)) return this.#beginTest(peer, true, now);
    const traversal = traversals.find(peer);
    const deaf = traversal !== undefined && now < traversal.deafUntil;
    if (traversal !== undefined && (deaf || now - traversal.relayedAt < RELAYED_MEMORY)) {
      punching.begin(traversal);
      if (options.traversal.relayPaths) return this.#beginTest(peer, true, now);
      if (deaf) {
        const conversation = this.#conversations.open(peer, bubbling(now), true, now);
        if (conversation !== undefined) this.#fail(conversation, 0, undefined, now);
        return conversation;
      }
    }
    if (table.trusted(peer) && options.traversal.serverLoadReduction) {
      const conversation = this.#conversations.open(peer, { kind: "soliciting", sent: 0 }, true, now);
      if (conversation !== undefined) this.#solicit(conversation, 0, now);
      return conversation;
    }
    const conversation = this.#conversations.open(peer, bubbling(now), true, now);
    if (conversation === undefined) return undefined;
    this.#forget(peer);
    this.#bubble(conversation, now);
    return conversation;
  }

  #beginTest(peer: number, wanted: boolean, now: Millis): Conversation | undefined {
    const stage = { kind: "testing", sent: 0, denied: 0, test: drawTest(this.#environment.random) } as const;
    const conversation = this.#conversations.open(peer, stage, wanted, now);
    if (conversation !== undefined) this.#test(conversation, stage, false, now);
    return conversation;
  }

  /** A Teredo peer is negotiated with as if it had never been reached; a packet from its old mapping would still be welcome. */
  #forget(peer: number): void {
    const traversal = this.#parts.traversals.find(peer);
    if (traversal !== undefined) this.#parts.punching.begin(traversal);
  }

  /** A Teredo peer is reached: what is kept for it follows, and it gets a bubble that tells it so (RFC 6081 6.4 step 7). */
  #settle(peer: number, tested: boolean, fresh: boolean, now: Millis): void {
    const { traversals, punching } = this.#parts;
    const traversal = punching.nonces || tested ? traversals.of(peer) : traversals.find(peer);
    if (traversal === undefined) return;
    traversal.viaRelay = tested;
    traversal.relayedAt = tested ? now : -Infinity;
    if (tested) punching.end(traversal);
    punching.steer(traversal);
    if (fresh && !tested && punching.nonces) punching.reached(traversal, now);
  }

  /** The next solicitation of an idle peer; with the last one its server is asked as well (RFC 6081 5.7.2). */
  #solicit(conversation: Conversation, sent: number, now: Millis): void {
    const { table } = this.#entries;
    const { peer } = conversation;
    const { traversals, punching } = this.#parts;
    const lastTransmission = table.lastTransmission(peer);
    punching.reached(traversals.of(peer), now, "solicitation");
    this.#conversations.timers.set(peer, now + ANSWER_WAIT);
    if (sent + 1 < MOST_SOLICITATIONS) {
      conversation.stage = { kind: "soliciting", sent: sent + 1 };
      return;
    }
    // The solicitations are not among the bubbles that the rules count.
    table.setLastTransmission(peer, lastTransmission);
    table.setTrusted(peer, false);
    conversation.stage = bubbling(now);
    this.#forget(peer);
    this.#bubble(conversation, now);
  }

  #step(conversation: Conversation, now: Millis): void {
    const { stage, peer } = conversation;
    switch (stage.kind) {
      case "bubbling":
        if (stage.sent < SENDS_PER_ATTEMPT && now < stage.until) this.#bubble(conversation, now);
        else this.#exhausted(conversation, stage.sent, now);
        return;
      case "awaiting":
        this.#await(conversation, stage.sent, now);
        return;
      case "soliciting":
        this.#solicit(conversation, stage.sent, now);
        return;
      case "testing":
        if (stage.sent < SENDS_PER_ATTEMPT && stage.denied < MAX_DENIED) {
          this.#test(conversation, stage, conversation.outbound.length === 0, now);
        } else this.#fail(conversation, stage.sent, stage.test, now);
        return;
      case "unreachable":
        this.#conversations.close(peer);
        return;
    }
  }

  /** Sends the next bubbles of a conversation, or waits until they are allowed, or gives up when none are left. */
  #bubble(conversation: Conversation, now: Millis): void {
    const { table } = this.#entries;
    const { peer, address, stage } = conversation;
    if (stage.kind !== "bubbling") return;
    const lastTransmission = table.lastTransmission(peer);
    const { traversals, punching } = this.#parts;
    const traversal = traversals.of(peer);
    switch (this.#judge(traversal, now)) {
      case "too-soon":
        this.#conversations.timers.set(peer, Math.min(lastTransmission + ANSWER_WAIT, stage.until));
        return;
      case "spent":
        this.#count("bubble-limit");
        this.#exhausted(conversation, stage.sent, now);
        return;
      case "allowed":
        break;
    }
    countBubble(table, traversal, lastTransmission, now);
    conversation.stage = { ...stage, sent: stage.sent + 1 };
    this.#conversations.timers.set(peer, Math.min(now + ANSWER_WAIT, stage.until));
    const local = this.#localPeers.find(address, 0, now);
    if (local !== undefined) {
      this.#bubbles.direct(address, local.address, local.port);
      this.#bubbles.discovery();
    } else {
      punching.direct(traversal, [], now);
      if (stage.sent !== CHALLENGE || !punching.challenge(traversal)) punching.indirect(traversal, now);
    }
  }

  /** The nonce of a peer that is reached did not come: another indirect bubble asks for it. Without it the peer cannot hear us. */
  #await(conversation: Conversation, sent: number, now: Millis): void {
    const { peer } = conversation;
    const { table } = this.#entries;
    const { traversals, punching } = this.#parts;
    const lastTransmission = table.lastTransmission(peer);
    if (sent + 1 >= SENDS_PER_ATTEMPT) return this.#giveUpDirect(traversals.of(peer), now);
    conversation.stage = { kind: "awaiting", sent: sent + 1 };
    this.#conversations.timers.set(peer, now + ANSWER_WAIT);
    const traversal = traversals.of(peer);
    if (this.#judge(traversal, now) !== "allowed") return;
    countBubble(table, traversal, lastTransmission, now);
    punching.indirect(traversal, now);
  }

  #judge(traversal: Traversal, now: Millis): BubbleVerdict {
    const times = this.#parts.punching.nonces ? traversal : undefined;
    return judgeBubble(this.#entries.table, traversal.peer, times, now);
  }

  /** Bubbles do not help: this host's packets may still find the peer at a relay. */
  #exhausted(conversation: Conversation, sent: number, now: Millis): void {
    const { options, traversals, punching } = this.#parts;
    const { peer, outbound } = conversation;
    const traversal = traversals.find(peer);
    if (traversal !== undefined) punching.end(traversal);
    if (!options.traversal.relayPaths || outbound.length === 0) return this.#fail(conversation, sent, undefined, now);
    // A local endpoint that does not answer may be stale.
    this.#localPeers.forget(conversation.address, 0);
    const stage = { kind: "testing", sent: 0, denied: 0, test: drawTest(this.#environment.random) } as const;
    this.#test(conversation, stage, false, now);
  }

  /** One more echo request; or, while there are too many already, another try soon. */
  #test(conversation: Conversation, stage: Extract<Stage, { kind: "testing" }>, remote: boolean, now: Millis): void {
    if (this.#tests.take(remote, now)) {
      conversation.stage = { ...stage, sent: stage.sent + 1 };
      this.#sendTest(conversation, stage.test, now);
    } else {
      this.#count("rate-limited");
      conversation.stage = { ...stage, denied: stage.denied + 1 };
      this.#conversations.timers.set(conversation.peer, now + DENIED_WAIT);
    }
  }

  #sendTest(conversation: Conversation, test: ConnectivityTest, now: Millis): void {
    this.#conversations.timers.set(conversation.peer, now + ANSWER_WAIT);
    this.#tests.send(conversation.address, test);
  }

  /** Nothing answered: tells the senders of the queued packets, and lets the peer be for a while. */
  #fail(conversation: Conversation, sent: number, test: ConnectivityTest | undefined, now: Millis): void {
    const { peer, address, outbound, inbound } = conversation;
    const wanted = conversation.wanted && (test === undefined || outbound.length > 0);
    if (test === undefined && !conversation.wanted) return this.#conversations.close(peer);
    const unmeetable = test !== undefined && isTeredo(address, 0);
    this.#conversations.giveUp(conversation, test);
    this.#conversations.timers.set(peer, now + (unmeetable ? UNMEETABLE_MEMORY : UNREACHABLE_MEMORY));
    if (unmeetable) this.#parts.traversals.of(peer).relayedAt = -Infinity;
    // A local endpoint that does not answer may be stale: the next attempt goes by way of the mapping.
    if (test === undefined) this.#localPeers.forget(address, 0);
    outbound.drain((packet) => {
      this.#count("expired-in-queue");
      this.#answerUnreachable(packet, 0, packet.length, now);
    });
    for (let thrown = inbound.clear(); thrown > 0; thrown--) this.#count("unproven-peer");
    if (!wanted || sent === 0) return;
    this.#count("peers_unreachable");
    this.#environment.sink.event({ type: "peer-unreachable", peer: address });
  }

  /** The error comes, as it were, from the node that could not be reached. */
  #answerUnreachable(bytes: Uint8Array, at: number, length: number, now: Millis): void {
    this.#errors.unreachable(ADDRESS_UNREACHABLE, addressAt(bytes, at + DESTINATION_AT), bytes, at, length, now);
  }

  #pathTo(peer: Ipv6, endpoint: Endpoint, now: Millis): "direct" | "local" | "relay" {
    const discovered = this.#localPeers.find(peer, 0, now) !== undefined;
    return pathTo(peer, endpoint, this.#parts.options.subnets, discovered);
  }

  #count(name: DropReason | "peers_unreachable" | "packets_queued"): void {
    this.#environment.counters.count(name);
  }
}

/** An attempt with bubbles that begins now. */
function bubbling(now: Millis): Stage {
  return { kind: "bubbling", sent: 0, until: now + ATTEMPT_LENGTH };
}
