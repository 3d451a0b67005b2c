/** The three roles under fire: packets from both sides, answers to what they send, and time. */

import assert from "node:assert/strict";
import { Client, type ClientOptions } from "../../lib/core/client/client.ts";
import type { Machine } from "../../lib/core/machine.ts";
import { Relay, type RelayOptions } from "../../lib/core/relay/relay.ts";
import { NAT_TEST_SOCKET } from "../../lib/core/qualification/nat_test.ts";
import { secureAuthenticationLength, writeSecureAuthentication } from "../../lib/core/qualification/secure.ts";
import { Server, type ServerOptions } from "../../lib/core/server/server.ts";
import { isBubble } from "../../lib/wire/bubble.ts";
import { Datagram, writeAuthentication, writeOrigin } from "../../lib/wire/encapsulation.ts";
import { DISCOVERY_ADDRESS, type Endpoint, type Ipv4 } from "../../lib/wire/ipv4.ts";
import { teredoAdvertisement, writeRouterAdvertisement } from "../../lib/wire/router_advertisement.ts";
import { writeRouterSolicitation } from "../../lib/wire/router_solicitation.ts";
import {
  parseTeredoAddress,
  RS_SOURCE_CONE,
  RS_SOURCE_RESTRICTED,
  serverLinkLocal,
} from "../../lib/wire/teredo_address.ts";
import { parseTrailers, type Trailer, writeTrailers } from "../../lib/wire/trailers.ts";
import { OPTIONS as CLIENT_OPTIONS } from "../core/client/client_fixture.ts";
import { ip4, ip6, packet } from "../core/harness.ts";
import { OPTIONS as RELAY_OPTIONS } from "../core/relay/relay_fixture.ts";
import { OPTIONS as SERVER_OPTIONS } from "../core/server/server_fixture.ts";
import { SeededRandom } from "../sim/random.ts";
import { Cast, SUBNETS } from "./cast.ts";
import { mutate, octets, pick } from "./mutation.ts";
import { Packets, ROOM } from "./packets.ts";
import {
  assertGlobal,
  assertHarmless,
  assertHost,
  carried,
  isDiscovery,
  isErrorAboutOwn,
  isPrivate,
  isTeredoAt,
  same,
} from "./rules.ts";
import type { Target } from "./target.ts";
import { type Rules, type Sent, Watch } from "./watch.ts";

const PRIMARY = ip4("203.0.113.120");
const SECONDARY = ip4("203.0.113.121");
const SERVERS = [PRIMARY, SECONDARY, ip4("198.51.100.118"), ip4("192.0.2.250")];
const MAPPED: Endpoint = { address: ip4("192.0.2.1"), port: 4096 };
const LOCAL: Endpoint = { address: ip4("192.168.1.10"), port: 50_000 };
const IDENTIFIER = new TextEncoder().encode("alice");
const SECRET = new TextEncoder().encode("teredo-secret");

/** How likely an input is an answer to something that the machine sent. */
const ANSWERING = 0.3;

/** A machine, its watch, and whoever talks to it. */
class Stage {
  readonly random: SeededRandom;
  readonly cast: Cast;
  readonly packets: Packets;
  readonly buffer = new Uint8Array(ROOM);
  readonly #datagram = new Datagram();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.cast = new Cast(this.random.fork(), SERVERS);
    this.packets = new Packets(this.random.fork(), this.cast);
  }

  /** A pause: mostly none or short, rarely minutes. */
  pause(): number {
    const { random } = this;
    const roll = random.float();
    if (roll < 0.5) return 0;
    if (roll < 0.9) return random.integer(1, 400);
    return roll < 0.995 ? random.integer(400, 9_000) : random.integer(9_000, 700_000);
  }

  /** Remembers what was sent to be repeated in answers. */
  remember({ bytes }: Sent): Datagram | undefined {
    const datagram = this.#datagram;
    if (!datagram.decode(bytes, 0, bytes.length)) return undefined;
    const { seen, seenNonces } = this.packets;
    if (datagram.authentication !== undefined) seen.push(datagram.authentication.nonce);
    const { nonce } = parseTrailers(bytes, datagram.trailersAt, datagram.trailersLength);
    if (nonce !== undefined) seenNonces.push(nonce);
    if (seen.length > 4) seen.shift();
    if (seenNonces.length > 8) seenNonces.shift();
    return datagram;
  }

  /** A datagram as the other side would answer `sent`, now and then damaged; undefined where it would not. */
  answer(sent: Sent, origin: Endpoint, secret: Uint8Array | undefined): Uint8Array | undefined {
    const { random, packets } = this;
    const datagram = this.remember(sent);
    if (datagram === undefined) return undefined;
    const { bytes } = sent, { ipv6At, ipv6Length, authentication } = datagram;
    const source = bytes.slice(ipv6At + 8, ipv6At + 24), destination = bytes.slice(ipv6At + 24, ipv6At + 40);
    const out = this.buffer;
    let length = 0;
    const { icmpv6 } = carried(bytes, ipv6At, ipv6Length);
    if (icmpv6 === 133) {
      const none = new Uint8Array(0);
      const nonce = authentication?.nonce ?? octets(random, 8);
      const secure = secret !== undefined && authentication !== undefined;
      const head = secure ? secureAuthenticationLength(IDENTIFIER.length) : authentication === undefined ? 0 : 13;
      length = head + writeOrigin(origin, out, head);
      const ra = teredoAdvertisement(serverLinkLocal(PRIMARY), source, 0x20010000, PRIMARY, 1280);
      length += writeRouterAdvertisement(ra, out, length);
      const confirmation = random.chance(0.05) ? 1 : 0;
      if (secure) writeSecureAuthentication(IDENTIFIER, secret, nonce, confirmation, out, 0, length - head);
      else if (head > 0) writeAuthentication({ identifier: none, value: none, nonce, confirmation }, out, 0);
    } else {
      const reply = bytes.slice(ipv6At, ipv6At + ipv6Length);
      reply.set(destination, 8);
      reply.set(source, 24);
      // The checksum is the same both ways but for the type.
      if (icmpv6 === 128 && reply[6] === 58) {
        reply[40] = 129;
        const sum = 0xffff & ~((reply[42] << 8) + reply[43]);
        const next = sum + 0x0100;
        const folded = 0xffff & ~((next & 0xffff) + (next >>> 16));
        reply[42] = folded >>> 8;
        reply[43] = folded;
      }
      if (random.chance(0.3)) length += writeOrigin(this.cast.endpoint(), out, 0);
      out.set(reply.subarray(0, Math.min(reply.length, ROOM - 600)), length);
      length += Math.min(reply.length, ROOM - 600);
      const trailers: Trailer[] = [];
      while (random.chance(0.4)) trailers.push(packets.trailer());
      if (trailers.length < 2) length += writeTrailers(trailers, out, length);
    }
    if (random.chance(0.12)) length = mutate(random, out, length);
    return out.slice(0, length);
  }
}

// ---- client

function clientOptions(random: SeededRandom): ClientOptions {
  const some = (): boolean => random.chance(0.5);
  const symmetric = random.chance(0.7);
  const secure = random.chance(0.2);
  const preserving = some();
  return {
    ...CLIENT_OPTIONS,
    conePhase: random.chance(0.2),
    honourCone: random.chance(0.2),
    symmetricNatSupport: symmetric,
    traversal: {
      portPreserving: preserving,
      sequential: preserving && some(),
      hairpinning: some(),
      serverLoadReduction: some(),
      relayPaths: some(),
      relay: random.chance(0.3) ? { address: ip4("192.0.2.200"), port: 40_000 } : undefined,
      relayProbe: random.chance(0.3) ? ip6("2001:db8:1::1") : undefined,
      localAddresses: some() ? [LOCAL.address] : [],
    },
    localDiscovery: some(),
    requireSameMappedAddress: some(),
    intervalDetermination: random.chance(0.3),
    natTest: random.chance(0.3),
    identifier: secure ? IDENTIFIER : undefined,
    secret: secure ? SECRET : undefined,
    remembered: some() ? CLIENT_OPTIONS.remembered : undefined,
    localEndpoint: some() ? LOCAL : { address: LOCAL.address, port: MAPPED.port },
    subnets: SUBNETS,
    mtu: pick(random, [1280, 1400]),
    maxPeers: random.integer(4, 24),
    maxPending: random.integer(2, 12),
    errorsPerSecond: random.integer(1, 1_000),
    testsPerSecond: random.integer(1, 1_000),
  };
}

function clientRules(options: ClientOptions, client: () => Client): Rules {
  const { subnets, localEndpoint, localDiscovery, traversal, mtu } = options;
  return {
    headroom: false,
    sent({ bytes, address, port, socket }, datagram) {
      const state = client().state;
      assert.ok(socket !== 1 && socket !== 2 || isDiscovery({ address, port }), `sends from socket ${socket}`);
      assert.ok(address !== localEndpoint.address || port !== localEndpoint.port, "sends to itself");
      if (state.status === "qualified") {
        // An origin indication may have made a server of us.
        const own = address === state.mapped.address && port === state.mapped.port && port !== 3544;
        // The test of the NAT asks whether that comes back, from a port of its own.
        assert.ok(!own || socket === NAT_TEST_SOCKET, "sends to its own mapping");
      }
      if (isDiscovery({ address, port })) assert.ok(localDiscovery, "announces itself though it must not");
      else if (isPrivate(address)) {
        assert.ok(localDiscovery || traversal.hairpinning, "sends to a private address");
        assertHost(address, subnets);
      } else assertGlobal(address, subnets);
      if (datagram === undefined) return;
      assert.ok(datagram.ipv6Length <= mtu && bytes.length <= mtu + 160, `sends ${bytes.length} octets`);
      const source = datagram.ipv6At + 8;
      const linkLocal = bytes[source] === 0xfe && bytes[source + 1] === 0x80;
      const own = state.status === "qualified" && same(bytes, source, state.address);
      assert.ok(linkLocal || own || isNatTest(datagram, bytes, client()), "sends from an address that is not its own");
      const toItself = state.status === "qualified" && same(bytes, source + 16, state.address);
      assert.ok(!toItself, "sends to its own IPv6 address");
    },
    written(bytes, at, length, made) {
      if (made && isErrorAboutOwn(bytes, at, length)) return;
      const state = client().state;
      assert.ok(state.status === "qualified", "hands on a packet though it has no address");
      assert.ok(same(bytes, at + 24, state.address), "hands on a packet for somebody else");
      assert.ok(!same(bytes, at + 8, state.address), "hands on a packet from its own address");
      assertHarmless(bytes, at, length);
    },
  };
}

function playClient(seed: number, inputs: number): void {
  const stage = new Stage(seed);
  const { random, cast, packets, buffer } = stage;
  const options = clientOptions(random);
  const server = { primary: PRIMARY, secondary: random.chance(0.8) ? SECONDARY : undefined };
  const watch: Watch = new Watch(random.fork(), clientRules(options, () => client));
  const client = new Client(options, watch.environment);
  cast.ownIpv4.push(MAPPED.address, LOCAL.address);
  const qualifies = random.chance(0.9);
  let mapped = MAPPED;
  watch.control(client, () => client.start(server, watch.now));
  for (let done = 0; done < inputs; done++) {
    watch.pass(client, stage.pause());
    const { state } = client;
    if (state.status === "qualified") {
      if (cast.own.length === 0 || cast.own[0].some((octet, i) => octet !== state.address[i])) {
        cast.own.splice(0, cast.own.length, state.address);
      }
    }
    const { sent } = watch;
    const waiting = qualifies && state.status === "starting" && sent.length > 0;
    if (waiting || (sent.length > 0 && random.chance(ANSWERING))) {
      const each = waiting ? sent[sent.length - 1] : pick(random, sent);
      if (random.chance(0.002)) mapped = { address: cast.ipv4(), port: random.integer(1, 65_535) };
      // A symmetric NAT shows each server another port.
      const origin = random.chance(0.97) ? mapped : cast.endpoint();
      const datagram = stage.answer(each, origin, options.secret);
      const from = random.chance(0.85) ? each : cast.endpoint();
      if (datagram !== undefined) {
        watch.udp(client, datagram, from.address, from.port, each.socket, LOCAL.address);
        checkClient(client, options);
        continue;
      }
    }
    const roll = random.float();
    if (roll < 0.35) {
      const destination = random.chance(0.7) ? cast.ipv6() : pick(random, cast.peers).address;
      const length = packets.hostPacket(buffer, cast.ownAddress(), destination);
      watch.tun(client, buffer.slice(0, length));
    } else if (roll < 0.4) {
      playSuper(stage, watch, client, cast.ownAddress());
    } else if (roll < 0.45) {
      const source = pick(random, cast.peers).address;
      const length = random.chance(0.6) ? 40 : packets.datagram(buffer, source, ip6("ff02::1"));
      const bubble = length === 40 ? packet(source, ip6("ff02::1"), { hopLimit: 21 }) : buffer.slice(0, length);
      const near = random.chance(0.7) ? ip4(`192.168.1.${pick(random, [0, 10, 11, 12, 255])}`) : cast.ipv4();
      const destination = random.chance(0.9) ? DISCOVERY_ADDRESS : cast.ipv4();
      watch.udp(client, bubble, near, cast.port(), 2, destination);
    } else if (roll < 0.452) {
      const endpoint = random.chance(0.5) ? undefined : cast.endpoint();
      watch.control(client, () => client.portMapping(endpoint, watch.now));
    } else if (roll < 0.453) {
      watch.control(client, () => client.start(server, watch.now));
    } else if (roll < 0.4535) {
      watch.control(client, () => client.stop(watch.now));
      watch.control(client, () => client.start(server, watch.now));
    } else {
      const source = random.chance(0.6) ? pick(random, cast.peers).address : cast.ipv6();
      const length = packets.datagram(buffer, source, cast.ownAddress());
      const { address, port } = cast.endpointOf(source);
      const sockets = [...watch.sockets];
      const socket = sockets.length > 0 && random.chance(0.2) ? pick(random, sockets) : random.chance(0.98) ? 0 : 3;
      watch.udp(
        client,
        buffer.slice(0, length),
        address,
        port,
        socket,
        random.chance(0.98) ? LOCAL.address : DISCOVERY_ADDRESS,
      );
    }
    checkClient(client, options);
  }
  watch.control(client, () => client.stop(watch.now));
  assert.equal(client.nextTimer(), Infinity, "stopped, and wants a timer");
  assert.equal(watch.sockets.size, 0, "stopped, and sockets are open");
  assert.equal(client.table.size, 0, "stopped, and has peers");
}

function checkClient(client: Client, options: ClientOptions): void {
  assert.ok(client.table.size <= options.maxPeers, "has more peers than it may");
}

/** A super-packet of TCP, or something like it. */
function playSuper({ random, cast, packets }: Stage, watch: Watch, machine: Machine, source: Uint8Array): void {
  const destination = random.chance(0.8) ? pick(random, cast.peers).address : cast.ipv6();
  const bytes = packet(source, destination, { nextHeader: 6, payload: octets(random, random.integer(1_400, 6_000)) });
  if (random.chance(0.2)) {
    const length = packets.packet(bytes.subarray(0, 1_400), 0, source, destination, 3);
    bytes[4] = (bytes.length - 40) >>> 8;
    bytes[5] = bytes.length - 40;
    assert.ok(length <= 1_400);
  }
  watch.tunSuper(machine, bytes, pick(random, [100, 1280, 1281, 1400]));
}

// ---- relay

const RELAY_OWN = [ip4("192.0.2.200"), ip4("10.0.0.5")];

function playRelay(seed: number, inputs: number): void {
  const stage = new Stage(seed);
  const { random, cast, packets, buffer } = stage;
  const some = (): boolean => random.chance(0.5);
  const options: RelayOptions = {
    ...RELAY_OPTIONS,
    directBubbles: some(),
    honourCone: random.chance(0.2),
    symmetricClients: some(),
    served: some() ? "any" : [{ address: ip6("2001:db8::"), length: 32 }],
    ownAddresses: RELAY_OWN,
    errorSource: some() ? RELAY_OPTIONS.errorSource : undefined,
    subnets: SUBNETS,
    maxPeers: random.integer(4, 24),
    maxPending: random.integer(2, 12),
    errorsPerSecond: random.integer(1, 1_000),
    betweenClients: some(),
    betweenClientsRate: random.integer(1, 1_000),
  };
  const rules: Rules = {
    headroom: false,
    sent({ bytes, address, port, socket }, datagram) {
      assert.equal(socket, 0);
      assertGlobal(address, SUBNETS);
      const ownServer = port === 3544 && bytes.length === 40;
      assert.ok(!RELAY_OWN.includes(address) || ownServer, "sends to itself");
      if (datagram === undefined) return;
      assert.ok(bytes.length <= options.mtu, `sends ${bytes.length} octets`);
      assert.equal(bytes.length, datagram.ipv6Length, "sends more than a packet");
      assert.ok(isTeredoAt(bytes, datagram.ipv6At + 24), "sends to somebody who is no client");
    },
    written(bytes, at, length, made) {
      if (made && isErrorAboutOwn(bytes, at, length)) {
        return assert.ok(options.errorSource !== undefined && same(bytes, at + 8, options.errorSource));
      }
      assert.ok(isTeredoAt(bytes, at + 8), "hands on a packet that is of no client");
      assert.ok(!isTeredoAt(bytes, at + 24), "hands on a packet to another client");
      if (options.served !== "any") {
        assert.ok(bytes[at + 26] === 0x0d && bytes[at + 27] === 0xb8, "leaves what it serves");
      }
      assertHarmless(bytes, at, length);
    },
  };
  const watch: Watch = new Watch(random.fork(), rules);
  const relay = new Relay(options, watch.environment);
  cast.own.push(...cast.natives, ip6("2001:db8:1::ff"), ip6("2002:c000:2c8::1"));
  cast.ownIpv4.push(...RELAY_OWN);
  for (let done = 0; done < inputs; done++) {
    watch.pass(relay, stage.pause());
    const { sent } = watch;
    const roll = random.float();
    if (roll < ANSWERING && sent.length > 0) {
      const each = pick(random, sent);
      const datagram = stage.answer(each, MAPPED, undefined);
      const destination = each.bytes.slice(24, 40);
      const peer = cast.peers.find(({ address }) => same(destination, 0, address));
      const from = random.chance(0.9) ? peer?.mapped ?? cast.endpoint() : cast.endpoint();
      if (datagram !== undefined) watch.udp(relay, datagram, from.address, from.port, 0, RELAY_OWN[0]);
    } else if (roll < 0.6) {
      const destination = random.chance(0.8) ? pick(random, cast.peers).address : cast.ipv6();
      const length = packets.hostPacket(
        buffer,
        random.chance(0.8) ? pick(random, cast.natives) : cast.ipv6(),
        destination,
      );
      watch.tun(relay, buffer.slice(0, length));
    } else if (roll < 0.65) {
      playSuper(stage, watch, relay, pick(random, cast.natives));
    } else {
      const source = random.chance(0.8) ? pick(random, cast.peers).address : cast.ipv6();
      const destination = random.chance(0.7) ? pick(random, cast.natives) : cast.ipv6();
      const length = packets.datagram(buffer, source, destination);
      const { address, port } = cast.endpointOf(source);
      const before = watch.drops;
      watch.udp(relay, buffer.slice(0, length), address, port, 0, RELAY_OWN[0]);
      assert.ok(watch.drops - before <= 1 + options.queueOctetsPerPeer / 40, "drops more packets than there are");
    }
    assert.ok(relay.peers <= options.maxPeers, "has more peers than it may");
  }
  watch.pass(relay, 1_200_000);
  assert.equal(relay.peers, 0, "keeps peers that are long gone");
  assert.equal(relay.nextTimer(), Infinity, "has no peers and wants a timer");
}

// ---- server

function playServer(seed: number, inputs: number): void {
  const stage = new Stage(seed);
  const { random, cast, packets, buffer } = stage;
  const some = (): boolean => random.chance(0.5);
  const secure = random.chance(0.4);
  const options: ServerOptions = {
    ...SERVER_OPTIONS,
    secondary: random.chance(0.8) ? SECONDARY : undefined,
    nativeForwarding: some(),
    forwardForeign: some(),
    secrets: new Map(secure ? [["alice", SECRET], ["bob", Uint8Array.of(0, 255)]] : []),
    ratePerSource: random.chance(0.7) ? 0 : random.integer(1, 100),
    rateTotal: random.chance(0.7) ? 0 : random.integer(1, 1_000),
    subnets: SUBNETS,
  };
  const own: readonly Ipv4[] = options.secondary === undefined ? [PRIMARY] : [PRIMARY, SECONDARY];
  let input = { address: 0, port: 0, length: 0 };
  const rules: Rules = {
    headroom: true,
    sent({ bytes, address, port, socket }, datagram) {
      assert.ok(socket === 0 || (socket === 1 && options.secondary !== undefined), `sends from socket ${socket}`);
      assertGlobal(address, SUBNETS);
      assert.ok(!own.includes(address), "sends to itself");
      if (datagram === undefined) return;
      const { icmpv6, protocol } = carried(bytes, datagram.ipv6At, datagram.ipv6Length);
      const back = address === input.address && port === input.port;
      const advertisement = icmpv6 === 134;
      assert.ok(
        !advertisement || (back && bytes.length <= input.length + 13 + 20 + 8 + 96),
        "advertises to a stranger",
      );
      assert.ok(advertisement || bytes.length <= input.length + 8, "makes more of a datagram");
      assert.ok(advertisement || icmpv6 === 128 || icmpv6 === 129 || protocol === 59, `forwards protocol ${protocol}`);
      if (!advertisement) assert.ok(datagram.ipv6Length <= 40 + options.maxIcmpv6Payload, "forwards a large packet");
      const secured = datagram.authentication?.value.length === 20;
      assert.ok(!advertisement || !secure || secured, "advertises to somebody unknown");
    },
    written(bytes, at, length) {
      assert.ok(options.nativeForwarding, "forwards though it must not");
      assert.ok(isTeredoAt(bytes, at + 8), "forwards a packet that is of no client");
      assert.ok(!isTeredoAt(bytes, at + 24), "forwards to a client as if it were native");
      assert.ok(length <= 40 + options.maxIcmpv6Payload && bytes[at + 7] > 0);
      assertHarmless(bytes, at, length);
    },
  };
  const watch: Watch = new Watch(random.fork(), rules);
  const server = new Server(options, watch.environment);
  cast.own.push(serverLinkLocal(PRIMARY), ip6("ff02::2"));
  cast.ownIpv4.push(...own);
  for (let done = 0; done < inputs; done++) {
    watch.now += stage.pause();
    const source = random.chance(0.7) ? pick(random, cast.peers).address : cast.ipv6();
    let length: number;
    if (random.chance(0.2)) {
      const covered = writeRouterSolicitation(random.chance(0.8) ? RS_SOURCE_RESTRICTED : RS_SOURCE_CONE, buffer, 200);
      const identifier = random.chance(0.8) ? IDENTIFIER : octets(random, random.integer(0, 100));
      const head = random.chance(0.5) ? secureAuthenticationLength(identifier.length) : 0;
      if (head > 0) {
        const nonce = octets(random, 8);
        writeSecureAuthentication(identifier, SECRET, nonce, random.integer(0, 1), buffer, 200 - head, covered);
      }
      buffer.copyWithin(0, 200 - head, 200 + covered);
      length = head + covered;
      if (random.chance(0.2)) length = mutate(random, buffer, length);
    } else {
      length = packets.datagram(buffer, source, random.chance(0.4) ? cast.ownAddress() : cast.ipv6());
    }
    const { address, port } = cast.endpointOf(source);
    input = { address, port, length };
    const before = watch.drops;
    watch.udp(
      server,
      buffer.slice(0, length),
      address,
      port,
      options.secondary !== undefined && random.chance(0.3) ? 1 : 0,
      own[0],
    );
    assert.equal(watch.drops - before + watch.outputs, 1, "answers, forwards or drops a datagram not once");
    for (const each of watch.sent) stage.remember(each);
  }
  assert.equal(server.nextTimer(), Infinity);
}

/** The roles. */
export const MACHINES: readonly Target[] = [
  { name: "client", about: "datagrams, packets and time, with and without an address", weight: 1, episode: playClient },
  { name: "relay", about: "datagrams, packets and time", weight: 1, episode: playRelay },
  { name: "server", about: "datagrams, with and without secrets", weight: 1, episode: playServer },
];

/** Whether a datagram is a bubble between the two ports that a client tests its NAT with: made addresses, the service port's among them. */
function isNatTest(datagram: Datagram, bytes: Uint8Array, { state }: Client): boolean {
  if (state.status !== "qualified" || !isBubble(bytes, datagram.ipv6At)) return false;
  const ends = [8, 24].map((at) => parseTeredoAddress(bytes.subarray(datagram.ipv6At + at, datagram.ipv6At + at + 16)));
  return ends.every((end) => end?.server === state.server) &&
    ends.some((end) => end?.mapped.address === state.mapped.address && end.mapped.port === state.mapped.port);
}
