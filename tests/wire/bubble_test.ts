import assert from "node:assert/strict";
import fc from "fast-check";
import { BUBBLE_HOP_LIMIT, isBubble, writeBubble } from "../../lib/wire/bubble.ts";
import { type Ipv6, parseIpv6Header } from "../../lib/wire/ipv6.ts";
import { ALL_NODES } from "../../lib/wire/ipv6_address.ts";
import { anyIpv6, unsigned } from "./arbitraries.ts";
import { join, written } from "./octets.ts";
import {
  A,
  B,
  DIRECT_BUBBLE,
  ECHO_REQUEST,
  INDIRECT_BUBBLE,
  LOCAL_DISCOVERY,
  RELAY,
  RELAY_BUBBLE_FORWARDED,
  REPLY_TO_RELAY,
} from "./worked_examples.ts";

const write = (source: Ipv6, destination: Ipv6, hopLimit: number): Uint8Array =>
  written((bytes, at) => writeBubble(source, destination, hopLimit, bytes, at));

Deno.test("[ENC-12] a bubble is a header of payload length 0 and next header 59: worked bubbles, RFC 6081 figure 3.1 addresses", () => {
  assert.deepEqual(write(A, B, BUBBLE_HOP_LIMIT), DIRECT_BUBBLE);
  assert.deepEqual(write(RELAY, A, BUBBLE_HOP_LIMIT), RELAY_BUBBLE_FORWARDED.subarray(8));
  assert.deepEqual(write(A, RELAY, BUBBLE_HOP_LIMIT), REPLY_TO_RELAY);
  assert.deepEqual(write(A, ALL_NODES, 1), LOCAL_DISCOVERY);
  for (const bubble of [DIRECT_BUBBLE, INDIRECT_BUBBLE, LOCAL_DISCOVERY, REPLY_TO_RELAY]) {
    assert.equal(isBubble(bubble, 0), true);
  }
  assert.equal(isBubble(RELAY_BUBBLE_FORWARDED, 8), true);
});

Deno.test("[ENC-12] another next header, or one octet of payload, is no bubble", () => {
  assert.equal(isBubble(ECHO_REQUEST, 0), false);
  for (const [at, value] of [[4, 1], [5, 1], [6, 58]] as const) {
    const bytes = DIRECT_BUBBLE.slice();
    bytes[at] = value;
    assert.equal(isBubble(bytes, 0), false);
  }
});

Deno.test("[ENC-13] every hop limit makes a bubble, 0 as relays send it included", () => {
  for (let hopLimit = 0; hopLimit < 256; hopLimit++) assert.equal(isBubble(write(A, B, hopLimit), 0), true);
});

Deno.test("a bubble that was written reads back as source, destination and hop limit, at any offset", () => {
  fc.assert(
    fc.property(anyIpv6, anyIpv6, unsigned(8), (source, destination, hopLimit) => {
      const bytes = join(new Uint8Array(3), write(source, destination, hopLimit));
      assert.equal(isBubble(bytes, 3), true);
      assert.deepEqual(parseIpv6Header(bytes, 3, 40), {
        trafficClass: 0,
        flowLabel: 0,
        payloadLength: 0,
        nextHeader: 59,
        hopLimit,
        source,
        destination,
      });
    }),
    { numRuns: 50 },
  );
});
