/** Real packets through the NAT models: ports, checksums, fragments, ICMP. No kernel, no privilege. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { addToSum, foldSum } from "../../lib/wire/checksum.ts";
import { readU16, writeU16, writeU32 } from "../../lib/wire/bytes.ts";
import { Nat, NAT_KINDS, type NatOptions } from "../sim/nat.ts";
import { Gateway } from "./gateway.ts";
import { Internet, PUBLIC } from "./internet.ts";
import { countHop, headerOf, isIpv4, kindOf } from "./ipv4_packet.ts";

const OUTSIDE = 0xc6336407; // 198.51.100.7
const INSIDE = { address: 0x0a000002, port: 5000 };
const SERVER = { address: 0xcb007109, port: 3544 };
const UDP = 17;
const TCP = 6;
const ICMP = 1;

interface Build {
  readonly protocol: number;
  readonly source: { readonly address: number; readonly port: number };
  readonly destination: { readonly address: number; readonly port: number };
  readonly payload?: Uint8Array;
  /** UDP without a checksum. */
  readonly unchecked?: boolean;
}

/** Sum over the pseudo-header of IPv4 (RFC 768). */
function pseudo(packet: Uint8Array): number {
  return addToSum(packet[9] + packet.length - 20, packet, 12, 8);
}

/** An IPv4 packet, with all checksums. An ICMP packet is an echo request, or a reply when its source has port 0. */
function build({ protocol, source, destination, payload = new Uint8Array(16), unchecked }: Build): Uint8Array {
  const header = protocol === TCP ? 20 : 8;
  const packet = new Uint8Array(20 + header + payload.length);
  packet.set([0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, protocol]);
  writeU16(packet.length, packet, 2);
  writeU32(source.address, packet, 12);
  writeU32(destination.address, packet, 16);
  packet.set(payload, 20 + header);
  if (protocol === ICMP) {
    packet[20] = source.port === 0 ? 0 : 8;
    writeU16(source.port === 0 ? destination.port : source.port, packet, 24);
    writeU16(~foldSum(addToSum(0, packet, 20, packet.length - 20)) & 0xffff, packet, 22);
  } else {
    writeU16(source.port, packet, 20);
    writeU16(destination.port, packet, 22);
    if (protocol === UDP) writeU16(packet.length - 20, packet, 24);
    const at = protocol === TCP ? 36 : 26;
    const sum = ~foldSum(pseudo(packet) + addToSum(0, packet, 20, packet.length - 20)) & 0xffff;
    if (unchecked !== true) writeU16(sum, packet, at);
  }
  writeU16(~foldSum(addToSum(0, packet, 0, 20)) & 0xffff, packet, 10);
  return packet;
}

function assertChecksums(packet: Uint8Array, unchecked: boolean = false): void {
  assert.equal(foldSum(addToSum(0, packet, 0, 20)), 0xffff, "header checksum");
  if (unchecked) return assert.equal(readU16(packet, 26), 0);
  const start = packet[9] === ICMP ? 0 : pseudo(packet);
  assert.equal(foldSum(start + addToSum(0, packet, 20, packet.length - 20)), 0xffff, "transport checksum");
}

/** Cuts a packet in fragments of 8 times `eights` octets. */
function fragments(packet: Uint8Array, eights: number): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 20; at < packet.length; at += eights * 8) {
    const piece = new Uint8Array([...packet.subarray(0, 20), ...packet.subarray(at, at + eights * 8)]);
    const more = at + eights * 8 < packet.length ? 0x2000 : 0;
    writeU16(piece.length, piece, 2);
    writeU16(more | ((at - 20) >> 3), piece, 6);
    writeU16(0, piece, 10);
    writeU16(~foldSum(addToSum(0, piece, 0, 20)) & 0xffff, piece, 10);
    pieces.push(piece);
  }
  return pieces;
}

function gateway(options: Partial<NatOptions> = {}): Gateway {
  return new Gateway(new Nat({ addresses: [OUTSIDE], ...options }));
}

function collect(run: (emit: (packet: Uint8Array) => void) => void): Uint8Array[] {
  const packets: Uint8Array[] = [];
  run((packet) => packets.push(packet.slice()));
  return packets;
}

Deno.test("UDP, TCP and echo packets go out and their answers come back, with right checksums", () => {
  const octets = fc.uint8Array({ maxLength: 64 });
  fc.assert(
    fc.property(fc.constantFrom(UDP, TCP, ICMP), fc.boolean(), octets, octets, (protocol, unchecked, there, back) => {
      const box = gateway(NAT_KINDS["port-restricted"]);
      const none = unchecked && protocol === UDP;
      const remote = protocol === ICMP ? { ...SERVER, port: 0 } : SERVER;
      const request = build({ protocol, source: INSIDE, destination: remote, payload: there, unchecked: none });
      const [out] = collect((emit) => box.outbound(request, 0, emit));
      assertChecksums(out, none);
      const { source } = headerOf(out);
      assert.equal(source.address, OUTSIDE);
      const reply = build({ protocol, source: remote, destination: source, payload: back, unchecked: none });
      const [home] = collect((emit) => box.inbound(reply, 1, emit));
      assertChecksums(home, none);
      assert.deepEqual(headerOf(home).destination, INSIDE);
      assert.deepEqual(home.subarray(home.length - back.length), back);
    }),
  );
});

Deno.test("fragments follow the first one, in whichever order they come, and make the same packet again", () => {
  const payload = Uint8Array.from({ length: 3000 }, (_, i) => i);
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2]]) {
    const box = gateway();
    const pieces = fragments(build({ protocol: UDP, source: INSIDE, destination: SERVER, payload }), 128);
    assert.equal(pieces.length, 3);
    const out = collect((emit) => order.forEach((i) => box.outbound(pieces[i], 0, emit)));
    assert.equal(out.length, 3);
    out.sort((a, b) => (readU16(a, 6) & 0x1fff) - (readU16(b, 6) & 0x1fff));
    const whole = new Uint8Array([...out[0].subarray(0, 20), ...out.flatMap((piece) => [...piece.subarray(20)])]);
    writeU16(whole.length, whole, 2);
    writeU16(0, whole, 6);
    writeU16(0, whole, 10);
    writeU16(~foldSum(addToSum(0, whole, 0, 20)) & 0xffff, whole, 10);
    assertChecksums(whole);
    assert.equal(headerOf(whole).source.address, OUTSIDE);
    assert.deepEqual(whole.subarray(28), payload);
  }
});

Deno.test("fragments of a packet that the NAT does not let in are dropped, all of them", () => {
  const box = gateway();
  const packet = build({
    protocol: UDP,
    source: SERVER,
    destination: { address: OUTSIDE, port: 9999 },
    payload: new Uint8Array(2000),
  });
  assert.deepEqual(collect((emit) => fragments(packet, 128).forEach((piece) => box.inbound(piece, 0, emit))), []);
});

Deno.test("an ICMP error about a translated packet reaches the host inside, with the packet as that host sent it", () => {
  const box = gateway();
  const sent = build({ protocol: UDP, source: INSIDE, destination: SERVER });
  const [out] = collect((emit) => box.outbound(sent.slice(), 0, emit));
  const error = build({
    protocol: ICMP,
    source: { ...SERVER, port: 1 },
    destination: { address: OUTSIDE, port: 0 },
    payload: out,
  });
  error[20] = 3;
  error[21] = 3;
  const [home] = collect((emit) => box.inbound(error, 1, emit));
  assertChecksums(home);
  assert.equal(kindOf(home), "error");
  const quoted = home.subarray(28);
  assert.deepEqual(headerOf(quoted), headerOf(sent));
  assertChecksums(quoted);
});

Deno.test("an ICMP error from inside leaves with the addresses that its receiver knows", () => {
  const box = gateway();
  const [out] = collect((emit) => box.outbound(build({ protocol: UDP, source: INSIDE, destination: SERVER }), 0, emit));
  const external = headerOf(out).source;
  const received = build({ protocol: UDP, source: SERVER, destination: INSIDE });
  const error = build({
    protocol: ICMP,
    source: { ...INSIDE, port: 1 },
    destination: { ...SERVER, port: 0 },
    payload: received,
  });
  error[20] = 3;
  error[21] = 3;
  const [gone] = collect((emit) => box.outbound(error, 1, emit));
  assertChecksums(gone);
  assert.equal(headerOf(gone.subarray(28)).destination.port, external.port);
  assert.equal(headerOf(gone.subarray(28)).destination.address, OUTSIDE);
  assert.equal(headerOf(gone).source.address, OUTSIDE);
});

Deno.test("whatever octets come, a gateway does not throw", () => {
  const box = gateway(NAT_KINDS.cone);
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 120 }), fc.boolean(), (octets, sane) => {
    if (sane && octets.length >= 20) {
      octets[0] = 0x45;
      writeU16(octets.length, octets, 2);
    }
    if (!isIpv4(octets)) return;
    box.outbound(octets.slice(), 0, () => {});
    box.inbound(octets.slice(), 0, () => {});
  }));
});

Deno.test("a hop less keeps the header checksum right, and the last hop is the end", () => {
  const packet = build({ protocol: UDP, source: INSIDE, destination: SERVER });
  for (let hops = 64; hops > 1; hops--) {
    assert.ok(countHop(packet));
    assertChecksums(packet);
  }
  assert.equal(countHop(packet), false);
});

Deno.test("packets without delay arrive at once and in place, later ones when their time has come", () => {
  const arrived: string[] = [];
  const internet = new Internet({ deliver: (id, packet) => arrived.push(`${id} ${packet[8]}`) });
  const plan = { zone: PUBLIC, prefixes: [], link: {} };
  const a = internet.addHost({ ...plan, name: "a", addresses: [INSIDE.address] });
  internet.addHost({ ...plan, name: "b", addresses: [SERVER.address], link: { delay: 10 } });
  const send = (source: number, destination: number, now: number) =>
    internet.fromHost(
      source === INSIDE.address ? a : 1,
      build({ protocol: UDP, source: { address: source, port: 1 }, destination: { address: destination, port: 2 } }),
      now,
    );
  send(INSIDE.address, SERVER.address, 0);
  assert.deepEqual(arrived, []);
  assert.equal(internet.clock.next, 10);
  internet.clock.run(10);
  assert.deepEqual(arrived, ["1 63"]);
  internet.setLink("b", {});
  send(SERVER.address, INSIDE.address, 10);
  assert.deepEqual(arrived, ["1 63", "0 63"]);
  internet.setUp("a", false);
  send(SERVER.address, INSIDE.address, 11);
  assert.equal(arrived.length, 2);
  send(SERVER.address, 0xc0000263, 12);
  assert.deepEqual(internet.dropCounts(), { [PUBLIC]: { "no such host": 1 } });
});
