/**
 * Single packets of public captures, as UDP payloads: `Teredo.pcap`, `teredo_bubble_with_payload.pcap`, `gtp8_teredo.pcap` and
 * `teredo-udp-in-udp.pcap` of the test suite of Zeek (github.com/zeek/zeek, testing/btest/Traces/tunnels).
 */

import assert from "node:assert/strict";
import { isBubble, writeBubble } from "../../lib/wire/bubble.ts";
import { Datagram, writeAuthentication, writeOrigin } from "../../lib/wire/encapsulation.ts";
import { parseEcho, writeEcho } from "../../lib/wire/icmpv6.ts";
import { formatEndpoint } from "../../lib/wire/ipv4.ts";
import { addressAt, DESTINATION_AT, hopLimit, SOURCE_AT } from "../../lib/wire/ipv6.ts";
import { formatIpv6 } from "../../lib/wire/ipv6_address.ts";
import { parseRouterAdvertisement, writeRouterAdvertisement } from "../../lib/wire/router_advertisement.ts";
import { parseRouterSolicitation, writeRouterSolicitation } from "../../lib/wire/router_solicitation.ts";
import {
  isWellFormedTeredo,
  RS_SOURCE_CONE,
  RS_SOURCE_RESTRICTED,
  serverLinkLocal,
} from "../../lib/wire/teredo_address.ts";
import { parseTrailers, splitTrailers, writeTrailers } from "../../lib/wire/trailers.ts";
import { hex, ipv4, ipv6, written } from "./octets.ts";

function decode(payload: Uint8Array): Datagram {
  const datagram = new Datagram();
  assert.equal(datagram.decode(payload, 0, payload.length), true);
  return datagram;
}

function origin(datagram: Datagram): string | undefined {
  return datagram.origin ? formatEndpoint({ address: datagram.originAddress, port: datagram.originPort }) : undefined;
}

function addresses(payload: Uint8Array, at: number): readonly string[] {
  return [SOURCE_AT, DESTINATION_AT].map((offset) => formatIpv6(addressAt(payload, at + offset)));
}

const CLIENT = "2001:0:4137:9e50:8000:f12a:b9c8:2815";

Deno.test("[ENC-02 ICM-01] zeek Teredo.pcap frame 6: solicitation of the cone phase with a source link-layer option of 16 octets", () => {
  const payload = hex(`
    00 01 00 00 cd 56 69 40 0b 22 df 88 00
    60 00 00 00 00 18 3a ff
    fe 80 00 00 00 00 00 00 80 00 ff ff ff ff ff fd
    ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 02
    85 00 a9 1d 00 00 00 00
    01 02 00 00 00 00 00 00 80 00 f1 2a b9 c8 28 15`);
  const { authentication, ipv6At, ipv6Length } = decode(payload);
  assert.ok(authentication);
  assert.deepEqual(authentication.nonce, hex("cd5669400b22df88"));
  const solicitation = parseRouterSolicitation(payload, ipv6At, ipv6Length);
  assert.deepEqual(solicitation, {
    source: RS_SOURCE_CONE,
    destination: ipv6("ff02::2"),
    options: [{ type: 1, body: hex("000000000000 8000f12ab9c82815") }],
  });
  const again = written((bytes, at) => {
    const head = writeAuthentication(authentication, bytes, at);
    return head + writeRouterSolicitation(RS_SOURCE_CONE, bytes, at + head, solicitation?.options);
  });
  assert.deepEqual(again, payload);
});

Deno.test("[ENC-01 ENC-08 ICM-01] zeek Teredo.pcap frame 7: authentication, origin 70.55.215.234:3797 and an advertisement without MTU", () => {
  const payload = hex(`
    00 01 00 00 cd 56 69 40 0b 22 df 88 00
    00 00 f1 2a b9 c8 28 15
    60 00 00 00 00 30 3a ff
    fe 80 00 00 00 00 00 00 80 00 f2 27 be c8 61 af
    fe 80 00 00 00 00 00 00 80 00 ff ff ff ff ff fd
    86 00 1f 57 00 00 00 00 00 00 00 00 00 00 07 d0
    03 04 40 40 ff ff ff ff ff ff ff ff 00 00 00 00
    20 01 00 00 41 37 9e 50 00 00 00 00 00 00 00 00`);
  const datagram = decode(payload);
  assert.equal(origin(datagram), "70.55.215.234:3797");
  const ra = parseRouterAdvertisement(payload, datagram.ipv6At, datagram.ipv6Length);
  assert.ok(ra && datagram.authentication);
  assert.deepEqual(ra.source, serverLinkLocal(ipv4("65.55.158.80")));
  assert.deepEqual(ra.destination, RS_SOURCE_CONE);
  assert.deepEqual([ra.mtu, ra.routerLifetime, ra.retransTimer], [undefined, 0, 2000]);
  assert.deepEqual(ra.prefixes.map(({ prefix }) => formatIpv6(prefix)), ["2001:0:4137:9e50::"]);
  const { authentication, originAddress, originPort } = datagram;
  const again = written((bytes, at) => {
    const head = writeAuthentication(authentication, bytes, at);
    const both = head + writeOrigin({ address: originAddress, port: originPort }, bytes, at + head);
    return both + writeRouterAdvertisement(ra, bytes, at + both);
  });
  assert.deepEqual(again, payload);
});

Deno.test("[ENC-12] zeek Teredo.pcap frame 29: direct bubble to the relay, hop limit 21", () => {
  const payload = hex(`
    60 00 00 00 00 00 3b 15
    20 01 00 00 41 37 9e 50 80 00 f1 2a b9 c8 28 15
    20 01 48 60 00 00 20 01 00 00 00 00 00 00 00 68`);
  assert.equal(isBubble(payload, decode(payload).ipv6At), true);
  assert.deepEqual(addresses(payload, 0), [CLIENT, "2001:4860:0:2001::68"]);
  assert.deepEqual(
    written((bytes, at) => writeBubble(ipv6(CLIENT), ipv6("2001:4860:0:2001::68"), 21, bytes, at)),
    payload,
  );
});

Deno.test("[ICM-01] zeek Teredo.pcap frames 30 and 33: connectivity test and its answer, same identifier, sequence and data", () => {
  const request = hex(`
    60 00 00 00 00 0c 3a 15
    20 01 00 00 41 37 9e 50 80 00 f1 2a b9 c8 28 15
    20 01 48 60 00 00 20 01 00 00 00 00 00 00 00 68
    80 00 c5 7c d3 73 b6 9b 53 aa 01 26`);
  const reply = hex(`
    60 00 00 00 00 0c 3a 3a
    20 01 48 60 00 00 20 01 00 00 00 00 00 00 00 68
    20 01 00 00 41 37 9e 50 80 00 f1 2a b9 c8 28 15
    81 00 c4 7c d3 73 b6 9b 53 aa 01 26`);
  const sent = {
    source: ipv6(CLIENT),
    destination: ipv6("2001:4860:0:2001::68"),
    hopLimit: 21,
    reply: false,
    identifier: 0xd373,
    sequence: 0xb69b,
    data: hex("53 aa 01 26"),
  };
  const answered = { ...sent, source: sent.destination, destination: sent.source, hopLimit: 58, reply: true };
  assert.deepEqual(parseEcho(request, 0, request.length), sent);
  assert.deepEqual(parseEcho(reply, 0, reply.length), answered);
  assert.deepEqual(written((bytes, at) => writeEcho(sent, bytes, at)), request);
  assert.deepEqual(written((bytes, at) => writeEcho(answered, bytes, at)), reply);
});

Deno.test("[ENC-03 ENC-13] zeek Teredo.pcap frame 31: bubble of a relay with hop limit 0 and the relay's endpoint as origin", () => {
  const payload = hex(`
    00 00 7f 7b ac 55 fe d9
    60 00 00 00 00 00 3b 00
    fe 80 00 00 00 00 00 00 70 8d fe 83 41 14 a5 12
    20 01 00 00 41 37 9e 50 80 00 f1 2a b9 c8 28 15`);
  const datagram = decode(payload);
  assert.equal(origin(datagram), "83.170.1.38:32900");
  assert.equal(isBubble(payload, 8), true);
  assert.equal(hopLimit(payload, 8), 0);
});

Deno.test("[ENC-07] zeek teredo_bubble_with_payload.pcap frame 5: four octets behind a bubble that are no trailer leave it a bubble", () => {
  const payload = hex(`
    00 00 7f 7b ac 55 fe d9
    60 00 00 00 00 00 3b 00
    fe 80 00 00 00 00 00 00 70 8d fe 83 41 14 a5 12
    20 01 00 00 41 37 9e 50 80 00 f1 2a b9 c8 28 15
    31 32 33 34`);
  const { ipv6At, trailersAt, trailersLength } = decode(payload);
  assert.equal(isBubble(payload, ipv6At), true);
  assert.deepEqual(parseTrailers(payload, trailersAt, trailersLength), { discard: false, unknown: [] });
  assert.deepEqual(splitTrailers(payload, trailersAt, trailersLength), { trailers: [], remainder: hex("31 32 33 34") });
});

Deno.test("[TRL-07 TRL-08 TRL-14] zeek gtp8_teredo.pcap frame 1: indirect bubble with nonce, alternate address and random port", () => {
  const payload = hex(`
    60 00 00 00 00 00 3b 15
    20 01 00 00 5e f5 79 fd 3c a5 6a e6 2b 37 be 97
    20 01 00 00 41 37 9e 76 20 1a 3f 51 3a fd 57 3e
    01 04 77 a0 5e 76 03 08 00 00 ac 18 cc c8 dc d0 05 02 df 78`);
  const { trailersAt, trailersLength } = decode(payload);
  assert.equal(isWellFormedTeredo(payload, SOURCE_AT) && isWellFormedTeredo(payload, DESTINATION_AT), true);
  assert.deepEqual(parseTrailers(payload, trailersAt, trailersLength), {
    discard: false,
    nonce: 0x77a05e76,
    alternates: [{ address: ipv4("172.24.204.200"), port: 56528 }],
    randomPort: 57208,
    unknown: [],
  });
  const { trailers } = splitTrailers(payload, trailersAt, trailersLength);
  assert.deepEqual(written((bytes, at) => writeTrailers(trailers, bytes, at)), payload.subarray(40));
});

Deno.test("zeek gtp8_teredo.pcap frame 2: connectivity test to a 6to4 address", () => {
  const payload = hex(`
    60 00 00 00 00 0c 3a 15
    20 01 00 00 5e f5 79 fb 38 b8 16 95 2b 37 be 8e
    20 02 25 71 c8 17 00 00 00 00 00 00 25 71 c8 17
    80 00 84 0d 48 bd 85 d5 00 00 00 00`);
  const echo = parseEcho(payload, 0, payload.length);
  assert.ok(echo);
  assert.equal(formatIpv6(echo.destination), "2002:2571:c817::2571:c817");
  assert.deepEqual(written((bytes, at) => writeEcho(echo, bytes, at)), payload);
});

Deno.test("zeek gtp8_teredo.pcap frame 8: a server hands an indirect bubble on with its trailers and without origin", () => {
  const payload = hex(`
    60 00 00 00 00 00 3b 15
    20 01 00 00 41 37 9e 76 28 2c a4 72 4e 9f 9d ab
    20 01 00 00 5e f5 79 fd 30 ec 35 be 2b 37 be 81
    01 04 f4 49 7c 4a 03 08 00 00 c0 a8 01 64 cc cd`);
  const datagram = decode(payload);
  assert.equal(origin(datagram), undefined);
  assert.deepEqual(parseTrailers(payload, datagram.trailersAt, datagram.trailersLength), {
    discard: false,
    nonce: 0xf4497c4a,
    alternates: [{ address: ipv4("192.168.1.100"), port: 52429 }],
    unknown: [],
  });
});

Deno.test("zeek gtp8_teredo.pcap frames 6 and 7: restricted solicitations to both addresses of a server differ in their nonces only", () => {
  const packet = `
    60 00 00 00 00 08 3a ff
    fe 80 00 00 00 00 00 00 00 00 ff ff ff ff ff fe
    ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 02
    85 00 7d 38 00 00 00 00`;
  for (const nonce of ["b4 33 56 66 cc e7 1d 74", "d9 2c df 71 f6 e4 52 38"]) {
    const payload = hex(`00 01 00 00 ${nonce} 00 ${packet}`);
    const { authentication, ipv6At, ipv6Length } = decode(payload);
    assert.ok(authentication);
    assert.deepEqual(authentication.nonce, hex(nonce));
    assert.deepEqual(parseRouterSolicitation(payload, ipv6At, ipv6Length)?.source, RS_SOURCE_RESTRICTED);
    const again = written((bytes, at) => {
      const head = writeAuthentication(authentication, bytes, at);
      return head + writeRouterSolicitation(RS_SOURCE_RESTRICTED, bytes, at + head);
    });
    assert.deepEqual(again, payload);
  }
});

Deno.test("zeek Teredo.pcap frame 60: a DNS question that looks like IPv6 names no Teredo address", () => {
  const payload = hex(`
    68 7a 01 00 00 01 00 00 00 00 00 00 03 77 77 77 09 77 69 72 65 73 68 61 72 6b 03 6f 72 67
    07 67 61 74 65 77 61 79 05 32 77 69 72 65 03 6e 65 74 00 00 1c 00 01`);
  const { ipv6At } = decode(payload);
  assert.equal(isWellFormedTeredo(payload, ipv6At + SOURCE_AT), false);
  assert.equal(isWellFormedTeredo(payload, ipv6At + DESTINATION_AT), false);
  assert.equal(isBubble(payload, ipv6At), false);
});

Deno.test("zeek teredo-udp-in-udp.pcap frame 1: fuzzed payload reads as origin 255.255.255.252:59135 and 25 octets of UDP", () => {
  const payload = hex(`
    00 00 19 00 00 00 00 03
    65 64 75 00 00 19 11 40
    00 00 00 00 00 00 00 00 00 38 5f 55 62 65 72 6b
    20 90 90 90 90 90 90 90 90 90 90 00 00 00 00 00
    65 79 65 6c 00 19 6a 34 00 61 74 65 64 55 00 00 00 00 65 55 00 00 00 00 65`);
  const datagram = decode(payload);
  assert.equal(origin(datagram), "255.255.255.252:59135");
  assert.deepEqual([datagram.ipv6Length, datagram.trailersLength], [65, 0]);
});
