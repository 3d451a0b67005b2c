/** Parsers of what others write: the control language, netlink, answers of gateways, and super-packets of the kernel. */

import assert from "node:assert/strict";
import { NetlinkRequest, splitMessages } from "../../ffi/netlink_message.ts";
import { parseAddress, parseLink, parseRoute } from "../../ffi/netlink_objects.ts";
import { ConfigError, loadConfig, ROLES } from "../../config/mod.ts";
import { formatRequest, LineReader, parseRequest, parseResponse, RequestError } from "../../lib/control/protocol.ts";
import { plainSum } from "../../lib/host/data/checksum.ts";
import { Coalescer, RUN_HEADER_LENGTH } from "../../lib/host/data/offload/coalescer.ts";
import { SEGMENT_HEADER_LENGTH, Segmenter } from "../../lib/host/data/offload/segmenter.ts";
import { completeChecksum, VIRTIO_HEADER_LENGTH, VirtioHeader } from "../../lib/host/data/offload/virtio_header.ts";
import { parseNatPmpAddress, parseNatPmpMapping } from "../../lib/host/port_mapping/nat_pmp.ts";
import { type Packet, TCP, UDP, write } from "../host/data/offload_reference.ts";
import { SeededRandom } from "../sim/random.ts";
import { mutate, mutateText, octets, pick } from "./mutation.ts";
import type { Target } from "./target.ts";

// ---- control

const JSON_WORDS = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "null",
  "1e999",
  "-0",
  "\\u0000",
  "\n",
  '"version":1',
  '"id":{}',
  "__proto__",
];

function playControl(seed: number, inputs: number): void {
  const random = new SeededRandom(seed);
  const whole = formatRequest({ id: 7, method: "status", params: { peers: true, address: "2001:db8::1" } });
  for (let i = 0; i < inputs; i++) {
    const text = mutateText(random, whole, JSON_WORDS);
    const lines = new LineReader(random.integer(1, 400)).push(new TextEncoder().encode(text)) ?? [];
    for (const line of lines) {
      parseResponse(line);
      try {
        assert.equal(typeof parseRequest(line).method, "string");
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
      }
    }
  }
}

// ---- netlink and gateways

function playAnswers(seed: number, inputs: number): void {
  const random = new SeededRandom(seed);
  const bytes = new Uint8Array(512);
  for (let i = 0; i < inputs; i++) {
    const request = new NetlinkRequest(
      pick(random, [16, 17, 20, 21, 24, 25]),
      0,
      pick(random, [8, 12, 16]),
    );
    const message = request.finish(1, 0);
    bytes.set(message);
    let length = message.length;
    while (length < 200 && random.chance(0.7)) { // attributes, some of which lie
      const size = random.integer(0, 24);
      bytes.set([random.chance(0.9) ? size + 4 : random.u32() & 0xff, 0, random.integer(0, 30), 0], length);
      random.fill(bytes.subarray(length + 4, length + 4 + size));
      length += (size + 7) & ~3;
    }
    if (random.chance(0.9)) bytes.set([length & 0xff, length >>> 8, 0, 0], 0);
    if (random.chance(0.4)) length = mutate(random, bytes, length);
    for (const each of splitMessages(bytes.subarray(0, length))) {
      parseLink(each);
      parseAddress(each);
      parseRoute(each);
    }
    parseNatPmpAddress(bytes.subarray(0, length));
    parseNatPmpMapping(bytes.subarray(0, length), random.integer(1, 65535));
  }
}

// ---- configuration

const TOML = `[client]
servers = ["192.0.2.1", "teredo.example"]
secondary = "auto"
refresh_interval = 30
[interface]
name = "teredo"
mtu = 1280
[bind]
address = "0.0.0.0"
port = 3544
[server]
address = "192.0.2.1"
[limits]
max_peers = 100
[log]
level = "info"
`;
const TOML_WORDS = [
  "[",
  "]",
  "[[",
  "=",
  '"',
  "'''",
  "\\u12",
  "#",
  "\n",
  "1e400",
  "-1",
  "0x",
  "nan",
  "{",
  "}",
  ".",
  "[relay]",
  "2026-01-01",
  "\0",
  "server.secrets",
];

function playToml(seed: number, inputs: number): void {
  const random = new SeededRandom(seed);
  for (let i = 0; i < inputs; i++) {
    const text = mutateText(random, TOML, TOML_WORDS);
    const bytes = new TextEncoder().encode(text);
    const length = random.chance(0.2) ? mutate(random, bytes, bytes.length) : bytes.length;
    try {
      loadConfig(pick(random, ROLES), {
        file: "x.toml",
        reader: () => ({ bytes: bytes.subarray(0, length), mode: 0o600 }),
      });
    } catch (error) {
      if (!(error instanceof ConfigError)) {
        throw new Error(`${JSON.stringify(text)}: ${String(error)}`, { cause: error });
      }
    }
  }
}

// ---- offload

const SEGMENT_AT = 1_024, INPUT_AT = 4_096, END = 0x20000;

function playOffload(seed: number, inputs: number): void {
  const random = new SeededRandom(seed);
  const bytes = new Uint8Array(END);
  const memory = { bytes, view: new DataView(bytes.buffer), sum: plainSum(bytes) };
  const header = new VirtioHeader(), segmenter = new Segmenter(memory);
  let whole = 0, given = 0;
  const inside = (at: number, length: number): void => assert.ok(at >= INPUT_AT && length > 0 && at + length <= END);
  const coalescer = new Coalescer(memory, 64, {
    packet: (at, length) => {
      inside(at, length);
      whole++;
    },
    run: (headerAt, headerLength, payloads, first, count, segmentLength, lastLength) => {
      assert.ok(headerAt >= 64 && headerAt + headerLength <= 64 + RUN_HEADER_LENGTH && count >= 2 && count <= 64);
      assert.ok(lastLength <= segmentLength);
      for (let i = 0; i < count; i++) inside(payloads[first + i], i === count - 1 ? lastLength : segmentLength);
      whole += count;
    },
  }, { tcp: true, udp: true });
  let place = INPUT_AT;
  for (let i = 0; i < inputs; i++) {
    const packet: Packet = {
      protocol: random.chance(0.5) ? TCP : UDP,
      source: random.integer(1, 2),
      destination: 1,
      sourcePort: random.integer(1, 2),
      destinationPort: 443,
      trafficClass: 0,
      flowLabel: 0,
      hopLimit: 64,
      extension: random.chance(0.05),
      sequence: random.integer(0, 3) * 100,
      acknowledgment: 1,
      flags: random.chance(0.9) ? 0x10 : random.u32() & 0xff,
      window: 1,
      options: random.chance(0.2) ? [1, 2, 3] : [],
      payload: octets(random, random.chance(0.8) ? 100 : random.integer(0, 900)),
      error: 0,
    };
    const raw = new Uint8Array(1_400);
    const written = write(packet, random.chance(0.1));
    raw.set(written);
    const length = random.chance(0.2) ? mutate(random, raw, written.length) : written.length;
    if (place + 1_408 > END) {
      coalescer.flush();
      assert.equal(whole, given, "gives back as many packets as it got");
      place = INPUT_AT;
    }
    bytes.set(raw.subarray(0, length), place);
    // As a super-packet of the kernel, whose header may say anything.
    const at = place;
    random.fill(bytes.subarray(48, 48 + VIRTIO_HEADER_LENGTH));
    header.read(memory.view, 48);
    if (random.chance(0.8)) {
      header.needsChecksum = random.chance(0.95);
      header.protocol = packet.protocol;
      header.segmentLength = pick(random, [0, 1, 7, 100, 1_240, 65_535]);
      header.checksumFrom = packet.extension ? 48 : 40;
      header.checksumField = packet.protocol === TCP ? 16 : 6;
    }
    if ((at & 3) === 0 && segmenter.start(at, length, header)) {
      let payload = 0, count = 0;
      while (segmenter.next(SEGMENT_AT)) {
        assert.ok(segmenter.headerLength <= SEGMENT_HEADER_LENGTH && ++count <= segmenter.segments);
        assert.ok(segmenter.headerLength + segmenter.payloadLength <= segmenter.largest);
        payload += segmenter.payloadLength;
      }
      assert.equal(count, segmenter.segments);
      assert.equal(payload + segmenter.headerLength, length, "cuts a super-packet to other octets");
    }
    if (random.chance(0.1)) completeChecksum(memory, at, length, header);
    if (length === 0) continue;
    coalescer.add(at, length);
    given++;
    place = (at + length + random.integer(0, 3) + 3) & ~3;
  }
  coalescer.flush();
  assert.equal(whole, given, "gives back as many packets as it got");
}

/** The parsers. */
export const PARSERS: readonly Target[] = [
  { name: "offload", about: "virtio headers and packets of flows", weight: 1, episode: playOffload },
  { name: "control", about: "lines of the control language", weight: 1, episode: playControl },
  { name: "answers", about: "messages of netlink and gateways", weight: 1, episode: playAnswers },
  { name: "toml", about: "configuration files", weight: 20, episode: playToml },
];
