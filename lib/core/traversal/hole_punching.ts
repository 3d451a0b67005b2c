/**
 * Which bubbles go to a peer, from which socket, with which trailers (RFC 6081 5.2.4, 5.4.4, 5.5.4, 5.6.4). When they may go is decided by
 * negotiation and answers.
 *
 * | bubble | from | to | trailers |
 * |---|---|---|---|
 * | direct, peer not reached yet | primary port | mapping in its address | nonce, if one came |
 * | ... we are not symmetric, the peer foretold a port | primary port | that port | nonce |
 * | ... symmetric, the peer has asked for bubbles | random port | the port it foretold, else the one in its address | nonce, random port |
 * | ... in answer to alternates | primary port | each of them | nonce |
 * | direct, peer reached | where its packets come in | entry's mapping, or the one in its address (UPnP) | nonce |
 * | indirect | primary port | the peer's server | nonce, alternates, random port |
 *
 * The random port stays unused until the peer has asked: a NAT that keeps ports keeps them for the first destination only, and which
 * one that must be (the peer's own random port, or the port in its address) is known from its indirect bubble.
 */

import { equalBytes } from "../../wire/bytes.ts";
import type { Datagram } from "../../wire/encapsulation.ts";
import { type Endpoint, type Ipv4, isGlobalUnicast } from "../../wire/ipv4.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import { mappedAddressAt, mappedPortAt } from "../../wire/teredo_address.ts";
import {
  alternateAddressTrailer,
  discoveryTrailer,
  nonceTrailer,
  randomPortTrailer,
  type Trailer,
  type Trailers,
} from "../../wire/trailers.ts";
import { BubbleSource } from "../relay/bubble_source.ts";
import type { Bubbles } from "./bubbles.ts";
import type { ClientOptions, ServerAddresses } from "../client/client_options.ts";
import type { DropReason } from "../counters.ts";
import type { EchoOutcome, EchoTests } from "../qualification/echo_test.ts";
import { isUsableAlternate, ownAlternates } from "./hairpin.ts";
import type { Identity } from "../client/identity.ts";
import { type Environment, type Millis, Socket } from "../machine.ts";
import type { NatBehaviour } from "../qualification/nat_behaviour.ts";
import type { PeerTable } from "../peers.ts";
import type { PortMapping } from "./port_mapping.ts";
import type { RandomPorts } from "./random_ports.ts";
import { drawNonce, NO_SOCKET, type Traversal, type Traversals } from "./traversal.ts";

/** What the punching works with. */
export interface HolePunchingParts {
  readonly environment: Environment;
  readonly options: ClientOptions;
  readonly identity: Identity;
  readonly table: PeerTable;
  readonly bubbles: Bubbles;
  readonly traversals: Traversals;
  readonly randomPorts: RandomPorts;
  readonly echoTests: EchoTests;
  readonly portMapping: PortMapping;
  readonly behaviour: NatBehaviour;
}

/** Sends bubbles to Teredo peers. */
export class HolePunching {
  readonly #parts: HolePunchingParts;
  readonly #nonces: boolean;
  /** Made when the first challenge is sent. */
  #bubbleSource: BubbleSource | undefined;
  #server: ServerAddresses = { primary: 0, secondary: undefined };

  constructor(parts: HolePunchingParts) {
    this.#parts = parts;
    const { symmetricNatSupport, traversal } = parts.options;
    this.#nonces = symmetricNatSupport || traversal.hairpinning;
  }

  /** Whether indirect bubbles have nonces, and direct ones are believed for them (RFC 6081 5.2.4). */
  get nonces(): boolean {
    return this.#nonces;
  }

  /** When {@link onTimer} is due. */
  get deadline(): Millis {
    return Math.min(this.#parts.echoTests.deadline, this.#parts.randomPorts.deadline);
  }

  /** The client has qualified with `server`. */
  start(server: ServerAddresses): void {
    this.#server = server;
  }

  /** Echo Tests that had no answer, and refreshes of idle conversations over random ports. */
  onTimer(now: Millis): void {
    const { echoTests, randomPorts, traversals } = this.#parts;
    for (let peer = echoTests.pop(now); peer >= 0; peer = echoTests.pop(now)) {
      const traversal = traversals.find(peer);
      if (traversal === undefined) echoTests.end(peer);
      else this.#onEcho(traversal, echoTests.onFailover(peer), now);
    }
    if (now < randomPorts.deadline) return;
    randomPorts.onTimer(now, (traversal) => this.reached(traversal, now));
    echoTests.refresh();
  }

  /** A negotiation begins anew: nothing that an earlier one left is of use but the nonces. */
  begin(traversal: Traversal): void {
    const { randomPorts, echoTests, table } = this.#parts;
    randomPorts.close(traversal);
    echoTests.end(traversal.peer);
    traversal.peerRandomPort = 0;
    traversal.asked = false;
    traversal.unheard = 0;
    traversal.alternates = [];
    traversal.onPrimary = false;
    table.setSteered(traversal.peer, false);
  }

  /** Keeps what the trailers of an indirect bubble say (RFC 6081 5.2.4.3, 5.4.4.4, 5.6.4.2). @param recent the peer is reached */
  learn(traversal: Traversal, trailers: Trailers, recent: boolean): void {
    traversal.nonceReceived = trailers.nonce ?? 0;
    if (trailers.alternates !== undefined) traversal.alternates = trailers.alternates;
    if (!this.#usesRandomPorts) return;
    this.#parts.randomPorts.learn(traversal, trailers.randomPort ?? 0, recent, this.#parts.identity.symmetric);
  }

  /** The peer could not be reached: its random port is not needed any more. */
  end(traversal: Traversal): void {
    this.#parts.randomPorts.close(traversal);
    this.#parts.echoTests.end(traversal.peer);
  }

  /** A direct bubble came on the primary port: there is nothing left to measure (RFC 6081 5.5.4.3). */
  endTest(traversal: Traversal): void {
    this.#parts.echoTests.end(traversal.peer);
  }

  /** Direct bubbles to a peer that is not reached yet. @param alternates endpoints that it named just now */
  direct(traversal: Traversal, alternates: readonly Endpoint[], now: Millis): void {
    const { bubbles, identity } = this.#parts;
    const { address, peerRandomPort } = traversal;
    const ip = mappedAddressAt(address, 0), port = mappedPortAt(address, 0);
    const nonce = this.#nonce(traversal);
    bubbles.direct(address, ip, port, nonce);
    for (const alternate of alternates) bubbles.direct(address, alternate.address, alternate.port, nonce);
    if (!this.#usesRandomPorts) return;
    if (!identity.symmetric) {
      if (peerRandomPort !== 0 && peerRandomPort !== port) bubbles.direct(address, ip, peerRandomPort, nonce);
      return;
    }
    if (!traversal.asked) return;
    if (identity.portPreserving && traversal.randomPort === 0) this.#openPreserved(traversal, now);
    if (traversal.randomPort === 0) return;
    const trailers = [...nonce, randomPortTrailer(traversal.randomPort)];
    traversal.randomUsed = true;
    bubbles.direct(address, ip, peerRandomPort === 0 ? port : peerRandomPort, trailers, traversal.randomSocket);
  }

  /**
   * Whether the peer could not tell our packets from forged ones: they come from a mapping that it has never seen (our NAT is symmetric,
   * or the peer is inside the same one), and we have no nonce of its to prove it with.
   */
  isStranger(traversal: Traversal): boolean {
    if (!this.#nonces || traversal.asked || traversal.viaRelay) return false;
    const { identity, table } = this.#parts;
    if (identity.symmetric) return true;
    const address = table.address(traversal.peer), embedded = mappedAddressAt(traversal.address, 0);
    return address !== embedded && (!isGlobalUnicast(address) || embedded === identity.mappedAddress);
  }

  /** The indirect bubble to a peer that is not reached yet, or the Echo Test that comes before it (RFC 6081 5.4.4.2, 5.5.4.1). */
  indirect(traversal: Traversal, now: Millis): void {
    const { options, identity, echoTests } = this.#parts;
    if (this.#usesRandomPorts && identity.symmetric && traversal.randomPort === 0) {
      if (identity.portPreserving) this.#openPreserved(traversal, now);
      else if (options.traversal.sequential && !echoTests.isSpent(traversal.peer)) {
        if (!echoTests.isRunning(traversal.peer)) this.#test(traversal, now);
        if (echoTests.isRunning(traversal.peer)) return;
      }
    }
    this.#sendIndirect(traversal);
  }

  /**
   * A bubble to a peer that has shown no nonce, from an address that only we can compute: the answer, wherever it comes from, goes to that
   * address and so proves that the peer got it. Clients of RFC 4380 behind symmetric NATs, the C Miredo among them, are reached so.
   * @returns false where no answer could get through our NAT
   */
  challenge(traversal: Traversal): boolean {
    const { environment, bubbles, identity } = this.#parts;
    if (!this.#nonces || identity.symmetric || traversal.nonceReceived !== 0) return false;
    this.#bubbleSource ??= new BubbleSource(environment.random);
    traversal.nonceSent = drawNonce(environment.random);
    traversal.provedAt = -Infinity;
    const source = this.#bubbleSource.of(traversal.address);
    bubbles.challenge(traversal.address, source, [nonceTrailer(traversal.nonceSent)]);
    return true;
  }

  /** Whether the address at `at` is the one from which only `peer` got a bubble. */
  answersChallenge(bytes: Uint8Array, at: number, peer: Ipv6): boolean {
    return this.#bubbleSource !== undefined && equalBytes(bytes, at, this.#bubbleSource.of(peer), 0, peer.length);
  }

  /** One direct bubble to a peer that is reached. @param discovery a server load reduction trailer */
  reached(traversal: Traversal, now: Millis, discovery?: "solicitation" | "advertisement"): void {
    const { table, bubbles } = this.#parts;
    const { peer, address } = traversal;
    const trailers = this.#nonce(traversal);
    if (discovery !== undefined) trailers.push(discoveryTrailer(discovery));
    const socket = this.socketFor(traversal);
    table.setLastTransmission(peer, now);
    if (this.#parts.portMapping.steers(traversal)) {
      bubbles.direct(address, mappedAddressAt(address, 0), mappedPortAt(address, 0), trailers, socket);
    } else bubbles.direct(address, table.address(peer), table.port(peer), trailers, socket);
  }

  /** The socket from which packets leave for a peer that is reached: the one on which its bubbles came in. */
  socketFor(traversal: Traversal | undefined): number {
    return traversal === undefined || !traversal.onRandom || traversal.randomSocket === NO_SOCKET
      ? Socket.service
      : traversal.randomSocket;
  }

  /** Sends a packet of the host, `length` octets at `at`, to a peer whose entry is steered. */
  send(peer: number, at: number, length: number, now: Millis): void {
    const { environment, table, traversals, portMapping } = this.#parts;
    const traversal = traversals.find(peer);
    let address = table.address(peer), port = table.port(peer);
    if (traversal !== undefined) {
      traversal.lastData = now;
      if (portMapping.steers(traversal)) {
        address = mappedAddressAt(traversal.address, 0);
        port = mappedPortAt(traversal.address, 0);
      }
    }
    environment.sink.sendUdp(this.socketFor(traversal), at, length, address, port);
  }

  /** Writes into the entry whether its packets need {@link send}. To be called when that may have changed. */
  steer(traversal: Traversal): void {
    const { table, portMapping } = this.#parts;
    const steered = this.socketFor(traversal) !== Socket.service || portMapping.steers(traversal) ||
      this.isStranger(traversal);
    table.setSteered(traversal.peer, steered);
  }

  /** The alternates of an indirect bubble to which a bubble may go. */
  usable(alternates: readonly Endpoint[]): readonly Endpoint[] {
    const { options } = this.#parts;
    if (!options.traversal.hairpinning) return [];
    const own = this.#ownAlternates();
    return alternates.filter((alternate) => isUsableAlternate(alternate, own, options.subnets));
  }

  /** A router advertisement on a random port. @returns why it was dropped, or undefined */
  onAdvertisement(
    socket: number,
    datagram: Datagram,
    address: Ipv4,
    port: number,
    now: Millis,
  ): DropReason | undefined {
    const { randomPorts, traversals, echoTests } = this.#parts;
    const traversal = traversals.find(randomPorts.owner(socket));
    if (traversal === undefined) return "unknown-peer";
    const outcome = echoTests.onAdvertisement(traversal.peer, datagram, address, port, now);
    if (outcome.kind === "invalid") return outcome.reason;
    this.#onEcho(traversal, outcome, now);
    return undefined;
  }

  get #usesRandomPorts(): boolean {
    const { symmetricNatSupport, traversal } = this.#parts.options;
    return symmetricNatSupport && traversal.portPreserving;
  }

  #nonce(traversal: Traversal): Trailer[] {
    return this.#nonces && traversal.nonceReceived !== 0 ? [nonceTrailer(traversal.nonceReceived)] : [];
  }

  #openPreserved(traversal: Traversal, now: Millis): void {
    // The NAT keeps ports: the external one is the local one.
    traversal.randomPort = this.#parts.randomPorts.open(traversal, now);
  }

  #sendIndirect(traversal: Traversal): void {
    const { bubbles, options, environment } = this.#parts;
    const trailers: Trailer[] = [];
    if (this.#nonces) {
      traversal.nonceSent = drawNonce(environment.random);
      traversal.provedAt = -Infinity;
      trailers.push(nonceTrailer(traversal.nonceSent));
    }
    if (options.traversal.hairpinning) {
      const [first, ...others] = this.#ownAlternates();
      if (first !== undefined) trailers.push(alternateAddressTrailer([first, ...others]));
    }
    if (traversal.randomPort !== 0) trailers.push(randomPortTrailer(traversal.randomPort));
    bubbles.indirect(traversal.address, trailers);
  }

  #ownAlternates(): Endpoint[] {
    const { options, portMapping } = this.#parts;
    return ownAlternates(options.localEndpoint, options.traversal.localAddresses, portMapping.alternate);
  }

  #test(traversal: Traversal, now: Millis): void {
    const { randomPorts, echoTests, bubbles } = this.#parts;
    if (randomPorts.open(traversal, now) === 0) return;
    const { peer, address, peerRandomPort, randomSocket } = traversal;
    echoTests.start(peer, randomSocket, this.#server, now, () => {
      const port = peerRandomPort === 0 ? mappedPortAt(address, 0) : peerRandomPort;
      traversal.randomUsed = true;
      bubbles.direct(address, mappedAddressAt(address, 0), port, this.#nonce(traversal), randomSocket);
    });
  }

  #onEcho(traversal: Traversal, outcome: EchoOutcome, now: Millis): void {
    const { behaviour, table } = this.#parts;
    switch (outcome.kind) {
      case "pending":
      case "invalid":
        return;
      case "again":
        this.#test(traversal, now);
        return;
      case "done":
        if (outcome.measurement !== undefined) behaviour.observeEcho(outcome.measurement);
        // The peer may have been reached meanwhile.
        if (table.trusted(traversal.peer) && table.valid(traversal.peer, now)) return;
        traversal.randomPort = outcome.port;
        this.#sendIndirect(traversal);
        return;
    }
  }
}
