import assert from "node:assert/strict";
import fc from "fast-check";
import { writeU16 } from "../../lib/wire/bytes.ts";
import { checksumIcmpv6 } from "../../lib/wire/checksum.ts";
import {
  parseRouterAdvertisement,
  type RouterAdvertisement,
  teredoAdvertisement,
  writeRouterAdvertisement,
} from "../../lib/wire/router_advertisement.ts";
import { RS_SOURCE_RESTRICTED, serverLinkLocal, TEREDO_PREFIX } from "../../lib/wire/teredo_address.ts";
import { anyIpv6, anyOption, PLAIN, unsigned } from "./arbitraries.ts";
import { hex, ipv4, ipv6, join, written } from "./octets.ts";
import { ECHO_REQUEST, RA, RA_SECURE, RS_RESTRICTED } from "./worked_examples.ts";

const SERVER = ipv4("203.0.113.120");
const PACKET = RA.subarray(21);
const PREFIX_OPTION = PACKET.subarray(56, 88);
const MTU_OPTION = PACKET.subarray(88);

const EXPECTED: RouterAdvertisement = {
  source: ipv6("fe80::8000:f227:34ff:8e87"),
  destination: RS_SOURCE_RESTRICTED,
  currentHopLimit: 0,
  flags: 0,
  routerLifetime: 0,
  reachableTime: 0,
  retransTimer: 2000,
  prefixes: [{
    prefix: ipv6("2001:0:cb00:7178::"),
    length: 64,
    flags: 0x40,
    validLifetime: 0xffffffff,
    preferredLifetime: 0xffffffff,
  }],
  mtu: 1280,
  others: [],
};

/** A packet with some octets replaced, and then the checksum made right. */
function changed(packet: Uint8Array, ...changes: readonly (readonly [number, number])[]): Uint8Array {
  const bytes = packet.slice();
  for (const [at, value] of changes) bytes[at] = value;
  writeU16(checksumIcmpv6(bytes, 0, bytes.length - 40), bytes, 42);
  return bytes;
}

/** The worked advertisement with other options. */
function withOptions(...options: readonly Uint8Array[]): Uint8Array {
  const bytes = join(PACKET.subarray(0, 56), ...options);
  writeU16(bytes.length - 40, bytes, 4);
  return changed(bytes);
}

const parse = (packet: Uint8Array): RouterAdvertisement | undefined =>
  parseRouterAdvertisement(packet, 0, packet.length);
const write = (ra: RouterAdvertisement): Uint8Array => written((bytes, at) => writeRouterAdvertisement(ra, bytes, at));

Deno.test("worked advertisement of 203.0.113.120 with MTU 1280 (RFC 4380 5.3.2) writes and reads octet by octet", () => {
  const made = teredoAdvertisement(serverLinkLocal(SERVER), RS_SOURCE_RESTRICTED, TEREDO_PREFIX, SERVER, 1280);
  assert.deepEqual(made, EXPECTED);
  assert.deepEqual(write(made), PACKET);
  assert.deepEqual(parse(PACKET), EXPECTED);
  assert.deepEqual(parseRouterAdvertisement(RA_SECURE, 46, 96), EXPECTED);
});

Deno.test("[ICM-01] the same without MTU option is 88 octets with checksum 9f56, as deployed servers send it", () => {
  const packet = write({ ...EXPECTED, mtu: undefined });
  assert.equal(packet.length, 88);
  assert.deepEqual(packet.subarray(42, 44), hex("9f56"));
  assert.deepEqual(parse(packet), { ...EXPECTED, mtu: undefined });
});

Deno.test("another Teredo prefix is advertised as it is configured", () => {
  const made = teredoAdvertisement(serverLinkLocal(SERVER), RS_SOURCE_RESTRICTED, 0x20010db8, SERVER, 1400);
  assert.deepEqual(made.prefixes[0].prefix, ipv6("2001:db8:cb00:7178::"));
  assert.equal(made.mtu, 1400);
});

Deno.test("an advertisement that was written reads back the same", () => {
  const anyAdvertisement: fc.Arbitrary<RouterAdvertisement> = fc.record({
    source: anyIpv6.map((address) => join(hex("fe80 0000 0000 0000"), address.subarray(8))),
    destination: anyIpv6,
    currentHopLimit: unsigned(8),
    flags: unsigned(8),
    routerLifetime: unsigned(16),
    reachableTime: unsigned(32),
    retransTimer: unsigned(32),
    prefixes: fc.array(
      fc.record({
        prefix: anyIpv6,
        length: unsigned(8),
        flags: unsigned(8),
        validLifetime: unsigned(32),
        preferredLifetime: unsigned(32),
      }, PLAIN),
      { maxLength: 3 },
    ),
    mtu: fc.option(fc.integer({ min: 1280, max: 65507 }), { nil: undefined }),
    others: fc.array(anyOption.filter(({ type }) => type !== 3 && type !== 5), { maxLength: 3 }),
  }, PLAIN);
  fc.assert(fc.property(anyAdvertisement, (ra) => assert.deepEqual(parse(write(ra)), ra)), { numRuns: 50 });
});

Deno.test("[ICM-07] an advertisement whose hop limit is not 255 is refused (RFC 4861 6.1.2)", () => {
  for (let hopLimit = 0; hopLimit < 255; hopLimit++) assert.equal(parse(changed(PACKET, [7, hopLimit])), undefined);
});

Deno.test("an advertisement from an address that is not link-local is refused (RFC 4861 6.1.2)", () => {
  assert.equal(parse(changed(PACKET, [8, 0x20])), undefined);
  assert.equal(parse(changed(PACKET, [9, 0xc0])), undefined);
  assert.notEqual(parse(changed(PACKET, [9, 0xbf])), undefined);
});

Deno.test("[ICM-01] an advertisement with a wrong checksum is refused", () => {
  const packet = PACKET.slice();
  packet[42] ^= 0x80;
  assert.equal(parse(packet), undefined);
});

Deno.test("an advertisement of another code or type, or too short, is refused (RFC 4861 6.1.2)", () => {
  assert.equal(parse(changed(PACKET, [41, 1])), undefined);
  assert.equal(parse(changed(PACKET, [40, 133])), undefined);
  assert.equal(parse(changed(PACKET.subarray(0, 55), [5, 15])), undefined);
  assert.notEqual(parse(changed(PACKET.subarray(0, 56), [5, 16])), undefined);
  assert.equal(parse(ECHO_REQUEST), undefined);
  assert.equal(parseRouterAdvertisement(RS_RESTRICTED, 13, 48), undefined);
});

Deno.test("an option of length 0, or longer than the message, condemns the advertisement (RFC 4861 6.1.2)", () => {
  for (const option of ["18 00 000000000000", "18 02 000000000000", "18 01 0000", "18"]) {
    assert.equal(parse(withOptions(PREFIX_OPTION, hex(option))), undefined, option);
  }
});

Deno.test("rubbish behind the prefix, as servers in the wild leave it, is handed on as it stands", () => {
  const option = PREFIX_OPTION.slice();
  option.set(hex("de ad be ef"), 26);
  assert.deepEqual(parse(withOptions(option))?.prefixes[0].prefix, hex("20010000 cb007178 0000 deadbeef 0000"));
});

Deno.test("no prefix and two prefixes are both reported, for the client to judge", () => {
  assert.deepEqual(parse(withOptions(MTU_OPTION)), { ...EXPECTED, prefixes: [] });
  assert.equal(parse(withOptions(PREFIX_OPTION, PREFIX_OPTION))?.prefixes.length, 2);
});

Deno.test("an MTU below 1280 or above any UDP payload is not believed", () => {
  const mtu = (value: number): number | undefined => {
    const option = MTU_OPTION.slice();
    new DataView(option.buffer).setUint32(4, value);
    return parse(withOptions(PREFIX_OPTION, option))?.mtu;
  };
  assert.deepEqual([0, 1279, 1280, 1500, 65507, 65508, 0xffffffff].map(mtu), [
    undefined,
    undefined,
    1280,
    1500,
    65507,
    undefined,
    undefined,
  ]);
});

Deno.test("of two MTU options the first that can be believed counts, and options we do not know are kept", () => {
  const options = [
    hex("05 01 0000 00000100"),
    hex("05 01 0000 000005dc"),
    MTU_OPTION,
    hex("19 01 000000000000"),
    hex("03 01 000000000000"),
    hex("05 02 0000 00000500 0000000000000000"),
  ];
  const ra = parse(withOptions(...options));
  assert.equal(ra?.mtu, 1500);
  assert.deepEqual(ra?.prefixes, []);
  assert.deepEqual(
    ra?.others,
    [options[0], options[2], options[3], options[4], options[5]].map((option) => ({
      type: option[0],
      body: option.subarray(2),
    })),
  );
});
