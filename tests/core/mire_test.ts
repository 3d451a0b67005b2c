/** The test responder: what it answers, to whom, and above all what it does not. */

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { Counters } from "../../lib/core/counters.ts";
import { HEADROOM, SCRATCH_LENGTH } from "../../lib/core/machine.ts";
import { Mire, MIRE_PORT, mireAddress, MireSocket } from "../../lib/core/mire.ts";
import { isBubble, writeBubble } from "../../lib/wire/bubble.ts";
import { parseEcho, writeEcho, writeIcmpv6Error } from "../../lib/wire/icmpv6.ts";
import { type Endpoint, type Ipv4, parseIpv4 } from "../../lib/wire/ipv4.ts";
import { addressAt, DESTINATION_AT, type Ipv6, SOURCE_AT, writeIpv6Header } from "../../lib/wire/ipv6.ts";
import { formatIpv6, parseIpv6 } from "../../lib/wire/ipv6_address.ts";
import { formTeredoAddress } from "../../lib/wire/teredo_address.ts";
import { SeededRandom } from "../sim/random.ts";

const AT = SCRATCH_LENGTH + HEADROOM;
const OWN = v4("192.0.2.1");
const ADDRESS = mireAddress(OWN);
const CLIENT: Endpoint = { address: v4("198.51.100.7"), port: 40_000 };
const CLIENT_ADDRESS = formTeredoAddress({ server: v4("203.0.113.1"), flags: 0, mapped: CLIENT });
const NATIVE = v6("2001:db8::1");
const TCP = 6, ROUTING = 43, NONE = 59;

function v4(text: string): Ipv4 {
  return parseIpv4(text) ?? 0;
}

function v6(text: string): Ipv6 {
  return parseIpv6(text) ?? new Uint8Array(16);
}

interface Answer {
  readonly socket: number;
  readonly to: Endpoint;
  readonly packet: Uint8Array;
}

class Scene {
  readonly bytes = new Uint8Array(AT + 65536);
  readonly answers: Answer[] = [];
  readonly mire: Mire;

  constructor() {
    const { bytes, answers } = this;
    const nothing = () => {};
    this.mire = new Mire([{ address: OWN, prefixLength: 24 }], {
      memory: { bytes, view: new DataView(bytes.buffer), scratch: 0 },
      random: new SeededRandom(1),
      counters: new Counters(),
      sink: {
        sendUdp: (socket, at, length, address, port) =>
          answers.push({ socket, to: { address, port }, packet: bytes.slice(at, at + length) }),
        writeIpv6: nothing,
        openSocket: () => 0,
        closeSocket: nothing,
        event: nothing,
      },
    });
  }

  /** Hands in what `write` puts into the memory. @returns the answer */
  give(
    socket: number,
    write: (bytes: Uint8Array, at: number) => number,
    from: Endpoint = CLIENT,
    now = 0,
    destination = OWN,
  ): Answer | undefined {
    this.answers.length = 0;
    const length = write(this.bytes, AT);
    this.mire.fromUdp(socket, AT, length, from.address, from.port, destination, now);
    assert.ok(this.answers.length <= 1);
    return this.answers[0];
  }
}

const bubble = (source: Ipv6 = CLIENT_ADDRESS, destination: Ipv6 = ADDRESS) => (bytes: Uint8Array, at: number) =>
  writeBubble(source, destination, 21, bytes, at);
const echo =
  (reply = false, source: Ipv6 = CLIENT_ADDRESS, destination: Ipv6 = ADDRESS) => (bytes: Uint8Array, at: number) =>
    writeEcho(
      { source, destination, hopLimit: 64, reply, identifier: 7, sequence: 9, data: Uint8Array.of(1, 2, 3) },
      bytes,
      at,
    );
const packet = (nextHeader: number, payload: Uint8Array) => (bytes: Uint8Array, at: number) => {
  const header = { trafficClass: 0, flowLabel: 0, payloadLength: payload.length, nextHeader, hopLimit: 64 };
  writeIpv6Header({ ...header, source: CLIENT_ADDRESS, destination: ADDRESS }, bytes, at);
  bytes.set(payload, at + 40);
  return 40 + payload.length;
};

Deno.test("the address of a responder has its own IPv4 address as server and mapped address, and port 3545", () => {
  assert.equal(formatIpv6(ADDRESS), "2001:0:c000:201:0:f226:3fff:fdfe");
});

Deno.test("a bubble to port 3544 comes back from port 3545 to where it came from", () => {
  for (const source of [CLIENT_ADDRESS, NATIVE, v6("fe80::1234")]) {
    const answer = new Scene().give(MireSocket.server, bubble(source));
    assert.ok(answer !== undefined);
    assert.equal(answer.socket, MireSocket.peer);
    assert.deepEqual(answer.to, CLIENT);
    assert.equal(answer.packet.length, 40);
    assert.ok(isBubble(answer.packet, 0));
    assert.deepEqual(addressAt(answer.packet, SOURCE_AT), ADDRESS);
    assert.deepEqual(addressAt(answer.packet, DESTINATION_AT), source);
  }
});

Deno.test("an echo request to port 3545 is answered with the same data and hop limit 255", () => {
  const answer = new Scene().give(MireSocket.peer, echo());
  const reply = parseEcho(answer?.packet ?? new Uint8Array(), 0, answer?.packet.length ?? 0);
  assert.deepEqual(reply, {
    source: ADDRESS,
    destination: CLIENT_ADDRESS,
    hopLimit: 255,
    reply: true,
    identifier: 7,
    sequence: 9,
    data: Uint8Array.of(1, 2, 3),
  });
});

Deno.test("another protocol gets parameter problem: unrecognised next header, pointer 6, 1232 octets quoted at most", () => {
  const short = new Scene().give(MireSocket.peer, packet(TCP, new Uint8Array(20)))?.packet;
  assert.deepEqual(short?.subarray(40, 42), Uint8Array.of(4, 1));
  assert.deepEqual(short?.subarray(44, 48), Uint8Array.of(0, 0, 0, 6));
  assert.equal(short?.length, 48 + 60);
  const long = new Scene().give(MireSocket.peer, packet(TCP, new Uint8Array(1400)))?.packet;
  assert.equal(long?.length, 48 + 1232);
});

Deno.test("bubbles, routed packets, replies, errors and other ICMPv6 get no answer on port 3545, nor anything but bubbles on 3544", () => {
  const scene = new Scene();
  const error = (bytes: Uint8Array, at: number) =>
    writeIcmpv6Error(
      { type: 1, code: 0, parameter: 0, source: CLIENT_ADDRESS, destination: ADDRESS, hopLimit: 64 },
      new Uint8Array(60),
      0,
      60,
      bytes,
      at,
    );
  assert.equal(scene.give(MireSocket.peer, bubble()), undefined);
  assert.equal(scene.give(MireSocket.peer, packet(NONE, new Uint8Array(8))), undefined);
  assert.equal(scene.give(MireSocket.peer, packet(ROUTING, Uint8Array.of(TCP, 0, 3, 0, 0, 0, 0, 0))), undefined);
  assert.equal(scene.give(MireSocket.peer, echo(true)), undefined);
  assert.equal(scene.give(MireSocket.peer, error), undefined);
  // A destination options header with an ICMPv6 message behind it, which may be an error.
  assert.equal(scene.give(MireSocket.peer, packet(60, Uint8Array.of(58, 0, 1, 4, 0, 0, 0, 0, 1, 0))), undefined);
  assert.equal(scene.give(MireSocket.server, echo()), undefined);
  assert.equal(scene.give(MireSocket.server, packet(TCP, new Uint8Array(20))), undefined);
});

Deno.test("an address that is not its own, a source that lies, and sources that are no hosts get no answer", () => {
  const scene = new Scene();
  const lies: readonly (readonly [string, (bytes: Uint8Array, at: number) => number, Endpoint?])[] = [
    ["source of another", bubble(), { ...CLIENT, port: 40_001 }],
    ["multicast source", bubble(v6("ff02::1"))],
    ["no source", bubble(v6("::"))],
    ["another responder", bubble(CLIENT_ADDRESS, mireAddress(v4("192.0.2.2")))],
    ["no Teredo address", bubble(CLIENT_ADDRESS, NATIVE)],
    [
      "another port",
      bubble(CLIENT_ADDRESS, formTeredoAddress({ server: OWN, flags: 0, mapped: { address: OWN, port: 3544 } })),
    ],
    [
      "another server",
      bubble(
        CLIENT_ADDRESS,
        formTeredoAddress({ server: v4("203.0.113.1"), flags: 0, mapped: { address: OWN, port: MIRE_PORT } }),
      ),
    ],
    ["private source", bubble(NATIVE), { address: v4("10.0.0.1"), port: 5000 }],
    ["port 0", bubble(NATIVE), { address: CLIENT.address, port: 0 }],
    ["broadcast", bubble(NATIVE), { address: v4("192.0.2.255"), port: 5000 }],
    ["itself", bubble(NATIVE), { address: OWN, port: 3544 }],
    ["itself, the other port", bubble(NATIVE), { address: OWN, port: MIRE_PORT }],
  ];
  for (const [what, write, from] of lies) assert.equal(scene.give(MireSocket.server, write, from), undefined, what);
  assert.equal(scene.mire.answered, 0);
});

Deno.test("behind a NAT that forwards the ports its address is the one outside", () => {
  const answer = new Scene().give(MireSocket.server, bubble(), CLIENT, 0, v4("10.0.0.9"));
  assert.ok(answer !== undefined);
});

Deno.test("one source gets 100 answers a second, errors are fewer than 100 a second for all", () => {
  const scene = new Scene();
  let answers = 0;
  for (let i = 0; i < 1000; i++) if (scene.give(MireSocket.peer, echo(), CLIENT, i) !== undefined) answers++;
  assert.ok(answers >= 100 && answers <= 210, String(answers));
  const other = new Scene();
  let errors = 0;
  for (let i = 0; i < 1000; i++) {
    const from = { address: CLIENT.address + 1 + i, port: 40_000 };
    const source = formTeredoAddress({ server: OWN, flags: 0, mapped: from });
    const write = (bytes: Uint8Array, at: number) => {
      const length = packet(TCP, new Uint8Array(20))(bytes, at);
      bytes.set(source, at + SOURCE_AT);
      return length;
    };
    if (other.give(MireSocket.peer, write, from, i / 10) !== undefined) errors++;
  }
  assert.ok(errors >= 100 && errors <= 115, String(errors));
});

Deno.test("no octets make it fail, answer elsewhere, or answer with more than 48 octets on top", () => {
  const scene = new Scene();
  const starts = [bubble(), echo(), packet(TCP, new Uint8Array(64))];
  fc.assert(
    fc.property(
      fc.constantFrom(...starts),
      fc.array(fc.tuple(fc.nat(110), fc.nat(255)), { maxLength: 6 }),
      fc.constantFrom(MireSocket.server, MireSocket.peer),
      fc.nat(1_000_000),
      (write, changes, socket, now) => {
        let asked = 0;
        const changed = (bytes: Uint8Array, at: number) => {
          asked = write(bytes, at);
          for (const [offset, value] of changes) bytes[at + (offset % asked)] = value;
          return asked;
        };
        const answer = scene.give(socket, changed, CLIENT, now);
        if (answer === undefined) return;
        assert.deepEqual(answer.to, CLIENT);
        assert.ok(answer.packet.length <= asked + 48);
      },
    ),
    { seed: 1, numRuns: 2000 },
  );
});
