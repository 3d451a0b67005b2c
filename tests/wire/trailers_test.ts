import assert from "node:assert/strict";
import fc from "fast-check";
import {
  alternateAddressTrailer,
  discoveryTrailer,
  nonceTrailer,
  parseTrailers,
  randomPortTrailer,
  splitTrailers,
  type Trailers,
  writeTrailers,
} from "../../lib/wire/trailers.ts";
import { anyEndpoint, anyTrailer, unsigned } from "./arbitraries.ts";
import { hex, ipv4, join, written } from "./octets.ts";
import {
  DIRECT_BUBBLE_WITH_NONCE,
  DISCOVERY_ADVERTISEMENT,
  DISCOVERY_SOLICITATION,
  INDIRECT_BUBBLE,
} from "./worked_examples.ts";

/** Reads trailers given in hex, in the middle of octets that would change the result. */
function parse(text: string): Trailers {
  const area = hex(text);
  return parseTrailers(join(hex("01 04"), area, hex("01 04 ff ff ff ff")), 2, area.length);
}

const PLAIN: Trailers = { discard: false, unknown: [] };

Deno.test("worked indirect bubble (RFC 6081 figure 3.1 addresses): nonce, alternate address 192.168.1.10:50000, random port 1201", () => {
  const trailers = [
    nonceTrailer(0xa1b2c3d4),
    alternateAddressTrailer([{ address: ipv4("192.168.1.10"), port: 50000 }]),
    randomPortTrailer(1201),
  ];
  assert.deepEqual(written((bytes, at) => writeTrailers(trailers, bytes, at)), INDIRECT_BUBBLE.subarray(40));
  assert.deepEqual(parseTrailers(INDIRECT_BUBBLE, 40, 20), {
    ...PLAIN,
    nonce: 0xa1b2c3d4,
    alternates: [{ address: ipv4("192.168.1.10"), port: 50000 }],
    randomPort: 1201,
  });
});

Deno.test("[TRL-07] the Nonce Trailer is type 1 with four octets", () => {
  assert.deepEqual(
    written((bytes, at) => writeTrailers([nonceTrailer(0xa1b2c3d4)], bytes, at)),
    hex("01 04 a1 b2 c3 d4"),
  );
  assert.deepEqual(parseTrailers(DIRECT_BUBBLE_WITH_NONCE, 40, 6), { ...PLAIN, nonce: 0xa1b2c3d4 });
  assert.deepEqual(parse("01 04 ff ff ff ff"), { ...PLAIN, nonce: 0xffffffff });
});

Deno.test("[TRL-13] the Neighbor Discovery Option Trailer is type 4 with a discovery type and three octets of zero", () => {
  assert.deepEqual(
    written((bytes, at) => writeTrailers([discoveryTrailer("solicitation")], bytes, at)),
    DISCOVERY_SOLICITATION.subarray(40),
  );
  assert.deepEqual(
    written((bytes, at) => writeTrailers([discoveryTrailer("advertisement")], bytes, at)),
    DISCOVERY_ADVERTISEMENT.subarray(40),
  );
  assert.deepEqual(parseTrailers(DISCOVERY_SOLICITATION, 40, 6), { ...PLAIN, discovery: "solicitation" });
  assert.deepEqual(parseTrailers(DISCOVERY_ADVERTISEMENT, 40, 6), { ...PLAIN, discovery: "advertisement" });
  assert.deepEqual(parse("04 04 02 00 00 00"), PLAIN);
  assert.deepEqual(parse("04 04 ff 00 00 00 04 04 01 00 00 00"), { ...PLAIN, discovery: "advertisement" });
});

Deno.test("[TRL-14] the Random Port Trailer is type 5 with the port in network order, not inverted", () => {
  assert.deepEqual(written((bytes, at) => writeTrailers([randomPortTrailer(1201)], bytes, at)), hex("05 02 04 b1"));
  assert.deepEqual(parse("05 02 04 b1"), { ...PLAIN, randomPort: 1201 });
});

Deno.test("[TRL-15] type 2 is not Random Port, although the registry of RFC 6081 9 says so", () => {
  assert.deepEqual(parse("02 02 04 b1"), { ...PLAIN, unknown: [{ type: 2, value: hex("04 b1") }] });
});

Deno.test("[TRL-08] an Alternate Address Trailer holds one to four endpoints in clear behind two reserved octets", () => {
  const endpoints = ["192.168.1.10", "10.0.0.2", "172.16.9.9", "203.0.113.4"].map((text, i) => ({
    address: ipv4(text),
    port: 50000 + i,
  }));
  const entries = ["c0a8010a c350", "0a000002 c351", "ac100909 c352", "cb007104 c353"];
  for (let count = 1; count <= 4; count++) {
    const length = (2 + 6 * count).toString(16).padStart(2, "0");
    assert.deepEqual(parse(`03 ${length} 0000 ${entries.slice(0, count).join("")}`), {
      ...PLAIN,
      alternates: endpoints.slice(0, count),
    });
  }
});

Deno.test("[TRL-08] an Alternate Address Trailer of any other length is malformed", () => {
  for (let length = 0; length <= 40; length++) {
    const area = join(Uint8Array.of(3, length), new Uint8Array(length).fill(0x0a));
    const malformed = ![8, 14, 20, 26].includes(length);
    assert.equal(parseTrailers(area, 0, area.length).alternateMalformed ?? false, malformed, `length ${length}`);
  }
});

Deno.test("[TRL-09] of more than two alternate addresses the first two are sent", () => {
  const [first, second, third] = ["192.168.1.10", "10.0.0.2", "172.16.9.9"].map((text) => ({
    address: ipv4(text),
    port: 4000,
  }));
  assert.deepEqual(alternateAddressTrailer([first, second, third]).value, hex("0000 c0a8010a 0fa0 0a000002 0fa0"));
});

Deno.test("[TRL-10] reserved octets mean nothing on receipt", () => {
  assert.deepEqual(parse("03 08 ff 7f c0 a8 01 0a c3 50"), {
    ...PLAIN,
    alternates: [{ address: ipv4("192.168.1.10"), port: 50000 }],
  });
  assert.deepEqual(parse("04 04 00 ff ff ff"), { ...PLAIN, discovery: "solicitation" });
  assert.deepEqual(
    alternateAddressTrailer([{ address: ipv4("192.168.1.10"), port: 50000 }]).value.subarray(0, 2),
    hex("00 00"),
  );
});

Deno.test("[TRL-12] an alternate address that is no unicast address, or has port 0, makes its trailer malformed", () => {
  const entry = (text: string, port: number): Uint8Array =>
    written((bytes, at) =>
      writeTrailers(
        [alternateAddressTrailer([{ address: ipv4("10.0.0.1"), port: 1 }, { address: ipv4(text), port }])],
        bytes,
        at,
      )
    );
  for (
    const [text, port] of [
      ["0.0.0.0", 1],
      ["0.1.2.3", 1],
      ["127.0.0.1", 1],
      ["224.0.0.253", 1],
      ["255.255.255.255", 1],
      ["192.168.1.1", 0],
    ] as const
  ) {
    const area = entry(text, port);
    assert.deepEqual(parseTrailers(area, 0, area.length), { ...PLAIN, alternateMalformed: true }, `${text}:${port}`);
  }
  const good = entry("169.254.1.1", 65535);
  assert.equal(parseTrailers(good, 0, good.length).alternates?.length, 2);
});

Deno.test("a malformed Alternate Address Trailer before a good one still condemns the bubble, after a good one it is a duplicate", () => {
  const good = "03 08 00 00 c0 a8 01 0a c3 50";
  const bad = "03 03 00 00 00";
  assert.deepEqual(parse(`${bad} ${good}`), { ...PLAIN, alternateMalformed: true });
  assert.deepEqual(parse(`${good} ${bad}`), { ...PLAIN, alternates: [{ address: ipv4("192.168.1.10"), port: 50000 }] });
});

Deno.test("[TRL-01] trailers are walked in packet order, and of two of one type the first counts", () => {
  assert.deepEqual(parse("01 04 00 00 00 01 01 04 00 00 00 02"), { ...PLAIN, nonce: 1 });
  assert.deepEqual(parse("05 02 00 01 01 04 00 00 00 07 05 02 00 02"), { ...PLAIN, randomPort: 1, nonce: 7 });
  assert.deepEqual(parse("04 04 01 00 00 00 04 04 00 00 00 00"), { ...PLAIN, discovery: "advertisement" });
  const twice = "03 08 00 00 c0 a8 01 0a c3 50 03 08 00 00 c0 a8 01 0b c3 50";
  assert.deepEqual(parse(twice), { ...PLAIN, alternates: [{ address: ipv4("192.168.1.10"), port: 50000 }] });
});

Deno.test("[TRL-02] an unknown type with top bits 01 discards the packet, wherever it stands among good trailers", () => {
  for (let type = 0; type < 256; type++) {
    const area = join(hex("01 04 00 00 00 01"), Uint8Array.of(type, 0), hex("05 02 00 01"));
    assert.equal(parseTrailers(area, 0, area.length).discard, type >= 0x40 && type <= 0x7f, `type ${type}`);
  }
});

Deno.test("[TRL-03] every other unknown type is skipped and kept as it was", () => {
  for (let type = 0; type < 256; type++) {
    if ([1, 3, 4, 5].includes(type) || type >>> 6 === 1) continue;
    const area = join(Uint8Array.of(type, 3), hex("aa bb cc"), hex("01 04 00 00 00 01"));
    assert.deepEqual(parseTrailers(area, 0, area.length), {
      discard: false,
      nonce: 1,
      unknown: [{ type, value: hex("aa bb cc") }],
    });
  }
});

Deno.test("[TRL-04 TRL-05] one octet left over ends the walk and spoils nothing before it", () => {
  assert.deepEqual(parse("01 04 00 00 00 01 05"), { ...PLAIN, nonce: 1 });
  assert.deepEqual(parse("40"), PLAIN);
  assert.deepEqual(parse(""), PLAIN);
});

Deno.test("[TRL-04 TRL-06] a value that reaches past the end ends the walk, even of a type that would discard the packet", () => {
  assert.deepEqual(parse("01 04 00 00 00 01 05 02 04"), { ...PLAIN, nonce: 1 });
  assert.deepEqual(parse("01 04 00 00 00 01 7f 01"), { ...PLAIN, nonce: 1 });
  assert.deepEqual(parse("31 32 33 34 01 04 00 00 00 01"), PLAIN);
  assert.deepEqual(parse("01 04 00 00 00"), PLAIN);
});

Deno.test("[TRL-17] a known type with a wrong length is ignored, and neither discards nor hides a good one", () => {
  for (
    const bad of [
      "01 00",
      "01 03 00 00 09",
      "01 05 00 00 00 09 09",
      "04 03 00 00 00",
      "04 05 00 00 00 00 00",
      "05 01 09",
      "05 03 09 09 09",
    ]
  ) {
    assert.deepEqual(parse(bad), PLAIN, bad);
    assert.deepEqual(
      parse(`${bad} 01 04 00 00 00 01 04 04 00 00 00 00 05 02 00 02`),
      { ...PLAIN, nonce: 1, discovery: "solicitation", randomPort: 2 },
      bad,
    );
  }
});

Deno.test("any trailers that were written split into the same, and octets that are no trailer are kept apart", () => {
  fc.assert(
    fc.property(
      fc.array(anyTrailer, { maxLength: 6 }),
      fc.constantFrom("", "01", "31 32 33 34"),
      (trailers, remainder) => {
        const area = join(written((bytes, at) => writeTrailers(trailers, bytes, at)), hex(remainder));
        assert.deepEqual(splitTrailers(area, 0, area.length), { trailers, remainder: hex(remainder) });
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("what the trailers of a client say reads back the same", () => {
  const anyUnicast = anyEndpoint.map(({ address, port }) => ({
    address: (address & 0x1fffffff) | 0x20000000,
    port: port | 1,
  }));
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 0xffffffff }),
      fc.tuple(anyUnicast, anyUnicast),
      fc.constantFrom("solicitation" as const, "advertisement" as const),
      unsigned(16),
      (nonce, alternates, discovery, randomPort) => {
        const trailers = [
          nonceTrailer(nonce),
          alternateAddressTrailer(alternates),
          discoveryTrailer(discovery),
          randomPortTrailer(randomPort),
        ];
        const area = written((bytes, at) => writeTrailers(trailers, bytes, at));
        assert.deepEqual(parseTrailers(area, 0, area.length), { ...PLAIN, nonce, alternates, discovery, randomPort });
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("a value of more than 255 octets cannot be a trailer", () => {
  assert.throws(() => writeTrailers([{ type: 9, value: new Uint8Array(256) }], new Uint8Array(1000), 0), RangeError);
  assert.equal(writeTrailers([{ type: 9, value: new Uint8Array(255) }], new Uint8Array(1000), 0), 257);
});
