/** Cutting and joining of super-packets against the plain version of offload_reference.ts. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { plainSum } from "../../../lib/host/data/checksum.ts";
import { Coalescer, MAX_RUN, RUN_HEADER_LENGTH } from "../../../lib/host/data/offload/coalescer.ts";
import { SEGMENT_HEADER_LENGTH, Segmenter } from "../../../lib/host/data/offload/segmenter.ts";
import { completeChecksum, VIRTIO_HEADER_LENGTH, VirtioHeader } from "../../../lib/host/data/offload/virtio_header.ts";
import {
  ACK,
  cut,
  CWR,
  ECE,
  FIN,
  flowOf,
  headerLength,
  join,
  type Packet,
  PSH,
  read,
  RST,
  SYN,
  TCP,
  UDP,
  URG,
  write,
} from "./offload_reference.ts";

const bytes = new Uint8Array(0x80000);
const memory = { bytes, view: new DataView(bytes.buffer), sum: plainSum(bytes) };

const RUN_HEADER_AT = 64;
const SEGMENT_AT = 256;
const SUPER_AT = 1024;
const PACKETS_AT = 0x20000;

const equal = (a: Uint8Array, b: Uint8Array): void => assert.deepEqual([...a], [...b]);

/** What `segmenter` makes of the super-packet that `length` octets at {@link SUPER_AT} are; undefined when it refuses. */
function cutInArena(length: number, header: VirtioHeader): Uint8Array[] | undefined {
  const segmenter = new Segmenter(memory);
  if (!segmenter.start(SUPER_AT, length, header)) return undefined;
  const packets: Uint8Array[] = [];
  bytes.fill(0xee, SEGMENT_AT, SEGMENT_AT + SEGMENT_HEADER_LENGTH);
  while (segmenter.next(SEGMENT_AT)) {
    const { headerLength: headers, payloadAt, payloadLength } = segmenter;
    const packet = new Uint8Array(headers + payloadLength);
    packet.set(bytes.subarray(SEGMENT_AT, SEGMENT_AT + headers));
    packet.set(bytes.subarray(payloadAt, payloadAt + payloadLength), headers);
    packets.push(packet);
    assert.ok(packet.length <= segmenter.largest);
  }
  assert.equal(packets.length, segmenter.segments);
  assert.equal(segmenter.largest, Math.max(...packets.map(({ length }) => length)));
  return packets;
}

function virtio(packet: Packet, segmentLength: number): VirtioHeader {
  const header = new VirtioHeader();
  header.needsChecksum = true;
  header.protocol = packet.protocol;
  header.segmentLength = segmentLength;
  header.checksumFrom = packet.extension ? 48 : 40;
  header.checksumField = packet.protocol === TCP ? 16 : 6;
  return header;
}

/** One thing that leaves the coalescer: octets without virtio header, and how many packets it stands for. */
interface Output {
  readonly octets: Uint8Array;
  readonly count: number;
  readonly packets: Uint8Array[];
}

/** Puts packets anywhere in the arena, one after the other at any alignment, and joins them. */
function joinInArena(packets: readonly Uint8Array[], gaps: readonly number[], tcp = true, udp = true): Output[] {
  const outputs: Output[] = [];
  const coalescer = new Coalescer(memory, RUN_HEADER_AT, {
    packet: (at, length) => {
      const octets = bytes.slice(at, at + length);
      outputs.push({ octets, count: 1, packets: [octets] });
    },
    run: (headerAt, headerLength, payloads, first, count, segmentLength, lastLength) => {
      assert.ok(headerAt >= RUN_HEADER_AT && headerAt + headerLength <= RUN_HEADER_AT + RUN_HEADER_LENGTH);
      const header = new VirtioHeader();
      header.read(memory.view, headerAt);
      const pieces = [bytes.slice(headerAt + VIRTIO_HEADER_LENGTH, headerAt + headerLength)];
      for (let i = 0; i < count; i++) {
        const length = i === count - 1 ? lastLength : segmentLength;
        pieces.push(bytes.slice(payloads[first + i], payloads[first + i] + length));
      }
      const octets = Uint8Array.from(pieces.flatMap((piece) => [...piece]));
      bytes.set(octets, SUPER_AT);
      outputs.push({ octets, count, packets: cutInArena(octets.length, header) ?? assert.fail("cannot be cut again") });
    },
  }, { tcp, udp });
  let at = PACKETS_AT;
  packets.forEach((packet, i) => {
    at += gaps[i % gaps.length];
    bytes.set(packet, at);
    coalescer.add(at, packet.length);
    at += packet.length;
  });
  coalescer.flush();
  return outputs;
}

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const payload = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(30, 30, 33).chain((n) => fc.uint8Array({ minLength: n, maxLength: n })) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 0, maxLength: 70 }) },
);
const flags = fc.oneof(
  { weight: 8, arbitrary: fc.constant(ACK) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ...[
        ACK | PSH,
        ACK | FIN,
        ACK | PSH | FIN,
        ACK | ECE,
        ACK | CWR,
        ACK | URG,
        ACK | RST,
        SYN,
        SYN | ACK,
        RST,
        0,
        PSH,
      ],
    ),
  },
);
const rarely = <T>(usual: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 20, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });

const anyPacket: fc.Arbitrary<Packet> = fc.record({
  protocol: fc.constantFrom(TCP, UDP),
  source: fc.constantFrom(1, 2),
  destination: fc.constant(3),
  sourcePort: fc.constantFrom(1000, 40000),
  destinationPort: fc.constant(443),
  trafficClass: rarely(0, fc.integer({ min: 0, max: 255 })),
  flowLabel: rarely(0x12345, fc.integer({ min: 0, max: 0xfffff })),
  hopLimit: rarely(64, fc.integer({ min: 0, max: 255 })),
  extension: rarely(false, fc.boolean()),
  sequence: u32,
  acknowledgment: rarely(0xfffffff0, u32),
  flags,
  window: rarely(512, fc.integer({ min: 0, max: 65535 })),
  options: rarely([0x0101080a, 7, 0x80000001], fc.array(u32, { maxLength: 10 })),
  payload,
  error: rarely(0, fc.integer({ min: 0, max: 0xfffe })),
});

/** A list of packets in which most continue their flow. */
const traffic: fc.Arbitrary<Packet[]> = fc.array(fc.tuple(anyPacket, rarely(true, fc.boolean())), { maxLength: 60 })
  .map((list) => {
    const next = new Map<string, number>();
    return list.map(([packet, follows]) => {
      const flow = flowOf(packet), expected = next.get(flow);
      const sequence = packet.protocol === UDP ? 0 : follows && expected !== undefined ? expected : packet.sequence;
      next.set(flow, (sequence + packet.payload.length) >>> 0);
      const plain = packet.protocol === UDP
        ? { flags: 0, acknowledgment: 0, window: 0, options: [] } // it has no such fields
        : {};
      return { ...packet, sequence, ...plain };
    });
  });

const gaps = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 8 });

function byFlow<T>(list: readonly T[], flow: (item: T) => string): Map<string, T[]> {
  return Map.groupBy(list, flow);
}

Deno.test("packets that were joined and cut again are the packets that came in, in order within each flow", () => {
  fc.assert(
    fc.property(traffic, gaps, (packets, places) => {
      const wire = packets.map((packet) => write(packet));
      const outputs = joinInArena(wire, places).flatMap((output) => output.packets);
      const before = byFlow(wire, (octets) => flowOf(read(octets)));
      const after = byFlow(outputs, (octets) => flowOf(read(octets)));
      assert.equal(outputs.length, wire.length);
      for (const [flow, list] of before) {
        const out = after.get(flow) ?? [];
        assert.equal(out.length, list.length);
        list.forEach((octets, i) => equal(out[i], octets));
      }
    }),
    { numRuns: 600 },
  );
});

Deno.test("runs begin and end where the plain version says", () => {
  fc.assert(
    fc.property(traffic, gaps, (packets, places) => {
      const outputs = joinInArena(packets.map((packet) => write(packet)), places);
      const sizes = byFlow(outputs, ({ octets }) => flowOf(read(octets)));
      const expected = byFlow(join(packets, MAX_RUN), (run) => flowOf(run[0]));
      for (const [flow, runs] of expected) {
        assert.deepEqual(sizes.get(flow)?.map(({ count }) => count), runs.map(({ length }) => length));
      }
    }),
    { numRuns: 600 },
  );
});

Deno.test("a super-packet is cut as the plain version cuts it", () => {
  const anySuper = fc.record({ packet: anyPacket, body: fc.uint8Array({ minLength: 1, maxLength: 3000 }) }, {})
    .map(({ packet, body }): Packet => ({ ...packet, payload: body, error: 0 }));
  fc.assert(
    fc.property(
      anySuper,
      fc.integer({ min: 1, max: 1500 }),
      fc.constantFrom(ACK, ACK | PSH, ACK | FIN, ACK | PSH | FIN | CWR | ECE),
      (packet, segmentLength, edge) => {
        const whole = packet.protocol === TCP ? { ...packet, flags: edge } : packet;
        const octets = write(whole, true);
        bytes.set(octets, SUPER_AT);
        const packets = cutInArena(octets.length, virtio(whole, segmentLength)) ?? assert.fail("refused");
        const expected = cut(whole, segmentLength).map((each) => write(each));
        assert.equal(packets.length, expected.length);
        expected.forEach((each, i) => equal(packets[i], each));
      },
    ),
    { numRuns: 400 },
  );
});

Deno.test("a super-packet of 64 KiB is cut to the last octet", () => {
  for (const segmentLength of [1208, 1207, 536, 1220]) {
    const packet: Packet = {
      ...fc.sample(anyPacket, { numRuns: 1, seed: 1 })[0],
      protocol: TCP,
      extension: false,
      sequence: 0xffff_8000,
      flags: ACK | PSH,
      options: [],
      payload: Uint8Array.from({ length: 65_515 }, (_, i) => i * 7),
      error: 0,
    };
    const octets = write(packet, true);
    bytes.set(octets, SUPER_AT);
    const packets = cutInArena(octets.length, virtio(packet, segmentLength)) ?? assert.fail("refused");
    const expected = cut(packet, segmentLength).map((each) => write(each));
    assert.equal(packets.length, expected.length);
    expected.forEach((each, i) => equal(packets[i], each));
  }
});

Deno.test("sixty-four KiB of packets are joined, and no more", () => {
  const first: Packet = { ...read(write(bulk(0))), sequence: 0xfffffff0 };
  const packets = Array.from({ length: 60 }, (_, i) => ({ ...first, sequence: (first.sequence + i * 1208) >>> 0 }));
  const outputs = joinInArena(packets.map((packet) => write(packet)), [1]);
  assert.deepEqual(outputs.map(({ count }) => count), [54, 6]);
  assert.ok(outputs[0].octets.length <= 40 + 65_535);
});

function bulk(sequence: number): Packet {
  return {
    protocol: TCP,
    source: 1,
    destination: 2,
    sourcePort: 5001,
    destinationPort: 5002,
    trafficClass: 0,
    flowLabel: 5,
    hopLimit: 64,
    extension: false,
    sequence,
    acknowledgment: 9,
    flags: ACK,
    window: 100,
    options: [0x0101080a, 1, 2],
    payload: new Uint8Array(1208).fill(7),
    error: 0,
  };
}

Deno.test("sixteen interleaved flows all come out in order, eight of them joined at a time", () => {
  const packets: Packet[] = [];
  for (let i = 0; i < 64; i++) {
    packets.push({ ...bulk(Math.floor(i / 16) * 1208), sourcePort: 6000 + i % 16 });
  }
  const outputs = joinInArena(packets.map((packet) => write(packet)), [2]).flatMap((output) => output.packets);
  for (let port = 6000; port < 6016; port++) {
    const mine = outputs.filter((octets) => read(octets).sourcePort === port).map((octets) => read(octets).sequence);
    assert.deepEqual(mine, [0, 1208, 2416, 3624]);
  }
  const four = joinInArena(packets.filter(({ sourcePort }) => sourcePort < 6004).map((packet) => write(packet)), [3]);
  assert.deepEqual(four.map(({ count }) => count), [4, 4, 4, 4]);
});

Deno.test("a packet with a wrong checksum is passed on as it came, never repaired", () => {
  const packets = [0, 1, 2, 3].map((i) => ({ ...bulk(i * 1208), error: i === 2 ? 0x0100 : 0 }));
  const outputs = joinInArena(packets.map((packet) => write(packet)), [1]);
  assert.deepEqual(outputs.map(({ count }) => count), [2, 1, 1]);
  equal(outputs[1].octets, write(packets[2]));
});

Deno.test("a protocol that the kernel refuses is not joined", () => {
  const tcp = [0, 1].map((i) => write(bulk(i * 1208)));
  const udp = [0, 1].map((): Uint8Array => write({ ...bulk(0), protocol: UDP, options: [] }));
  assert.deepEqual(joinInArena(tcp, [1], false, true).map(({ count }) => count), [1, 1]);
  assert.deepEqual(joinInArena(tcp, [1], true, false).map(({ count }) => count), [2]);
  assert.deepEqual(joinInArena(udp, [1], true, false).map(({ count }) => count), [1, 1]);
  assert.deepEqual(joinInArena(udp, [1], true, true).map(({ count }) => count), [2]);
});

Deno.test("octets that are no packet are passed on as they came", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 120 }), { maxLength: 10 }), gaps, (list, places) => {
      const outputs = joinInArena(list, places);
      assert.equal(outputs.length, list.length);
      outputs.forEach(({ octets }, i) => equal(octets, list[i]));
    }),
  );
});

Deno.test("whatever a virtio header asks for, nothing outside the packet is touched", () => {
  const u16 = fc.integer({ min: 0, max: 0xffff });
  const small = fc.oneof(fc.integer({ min: 0, max: 130 }), u16);
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: VIRTIO_HEADER_LENGTH, maxLength: VIRTIO_HEADER_LENGTH }),
      fc.record({ from: small, field: small, segmentLength: small, protocol: fc.constantFrom(TCP, UDP, 0, -1) }),
      fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 300 }), anyPacket.map((packet) => write(packet, true))),
      (raw, wish, octets) => {
        const header = new VirtioHeader();
        bytes.set(raw, SUPER_AT - VIRTIO_HEADER_LENGTH);
        header.read(memory.view, SUPER_AT - VIRTIO_HEADER_LENGTH);
        header.needsChecksum = true;
        header.checksumFrom = wish.from;
        header.checksumField = wish.field;
        header.segmentLength = wish.segmentLength;
        header.protocol = wish.protocol;
        bytes.fill(0x55, SUPER_AT, SUPER_AT + 70_000);
        bytes.set(octets, SUPER_AT);
        const packets = cutInArena(octets.length, header);
        if (packets !== undefined) {
          const headers = headerLength(read(octets));
          const payloads = packets.flatMap((packet) => [...packet.subarray(headers)]);
          equal(Uint8Array.from(payloads), octets.subarray(headers));
        }
        equal(bytes.subarray(SUPER_AT, SUPER_AT + octets.length), octets);
        completeChecksum(memory, SUPER_AT, octets.length, header);
        assert.ok(bytes.subarray(SUPER_AT + octets.length, SUPER_AT + 70_000).every((octet) => octet === 0x55));
      },
    ),
    { numRuns: 1000 },
  );
});

Deno.test("a checksum that the kernel left open is completed", () => {
  fc.assert(
    fc.property(anyPacket, (packet) => {
      const whole = { ...packet, error: 0 };
      const octets = write(whole, true);
      bytes.set(octets, SUPER_AT);
      assert.equal(completeChecksum(memory, SUPER_AT, octets.length, virtio(whole, 0)), true);
      equal(bytes.subarray(SUPER_AT, SUPER_AT + octets.length), write(whole));
    }),
  );
});

Deno.test("packets with CWR, SYN, RST or URG are never joined to one another", () => {
  for (const flag of [CWR, SYN, RST, URG]) {
    const packets = [0, 1, 2].map((i) => write({ ...bulk(i * 1208), flags: ACK | flag }));
    assert.deepEqual(joinInArena(packets, [1]).map(({ count }) => count), [1, 1, 1]);
  }
});

Deno.test("a UDP checksum that comes out as 0 is sent as 0xffff", () => {
  const packet: Packet = { ...bulk(0), protocol: UDP, options: [], payload: new Uint8Array(4) };
  const sum = (write(packet)[46] << 8) | write(packet)[47];
  const payload = Uint8Array.of(sum >>> 8, sum & 0xff, 0, 0); // adding what is missing leaves 0
  const whole = { ...packet, payload: Uint8Array.of(...payload, ...payload) };
  const octets = write(whole, true);
  bytes.set(octets, SUPER_AT);
  const packets = cutInArena(octets.length, virtio(whole, 4)) ?? assert.fail("refused");
  for (const each of packets) {
    assert.deepEqual([...each.subarray(46, 48)], [0xff, 0xff]);
    equal(each, write({ ...whole, payload }));
  }
  const single = write({ ...whole, payload }, true);
  bytes.set(single, SUPER_AT);
  completeChecksum(memory, SUPER_AT, single.length, virtio(whole, 0));
  equal(bytes.subarray(SUPER_AT, SUPER_AT + single.length), packets[0]);
});

Deno.test("super-packets whose headers are too long or too short are refused", () => {
  const packet: Packet = { ...bulk(0), options: [] };
  const octets = write(packet, true);
  bytes.set(octets, SUPER_AT);
  assert.ok(cutInArena(octets.length, virtio(packet, 100)) !== undefined);
  bytes[SUPER_AT + 52] = 4 << 4; // 16 octets of TCP header
  assert.equal(cutInArena(octets.length, virtio(packet, 100)), undefined);
  bytes[SUPER_AT + 6] = 0;
  const header = virtio(packet, 100);
  bytes[SUPER_AT + SEGMENT_HEADER_LENGTH + 12] = 5 << 4;
  header.checksumFrom = SEGMENT_HEADER_LENGTH;
  assert.equal(cutInArena(octets.length, header), undefined);
  header.checksumFrom = SEGMENT_HEADER_LENGTH - 24;
  bytes[SUPER_AT + SEGMENT_HEADER_LENGTH - 12] = 5 << 4;
  assert.ok(cutInArena(octets.length, header) !== undefined);
});
