/**
 * What reading the head of a datagram costs: the part of the wire formats that every packet passes.
 */

import { Datagram, writeOrigin } from "../../lib/wire/encapsulation.ts";
import { parseIpv6 } from "../../lib/wire/ipv6_address.ts";
import { writeIpv6Header } from "../../lib/wire/ipv6.ts";
import { isWellFormedTeredo, mappedAddressAt, mappedPortAt } from "../../lib/wire/teredo_address.ts";

/** Rounds a measurement, so that one takes microseconds and not nanoseconds. */
const ROUNDS = 1000;

const PAYLOAD_LENGTH = 1232;
const SOURCE_AT = 8;

const source = parseIpv6("2001:0:c000:201:c5a:63bf:34ff:8ef8") ?? new Uint8Array(16);
const destination = parseIpv6("2001:0:c000:201:1c5a:63bf:39cd:9bf5") ?? new Uint8Array(16);
const header = {
  trafficClass: 0,
  flowLabel: 0,
  payloadLength: PAYLOAD_LENGTH,
  nextHeader: 17,
  hopLimit: 64,
  source,
  destination,
};

const plain = new Uint8Array(40 + PAYLOAD_LENGTH);
writeIpv6Header(header, plain, 0);

const withOrigin = new Uint8Array(8 + plain.length);
writeIpv6Header(header, withOrigin, writeOrigin({ address: 0xcb007107, port: 40000 }, withOrigin, 0));

const datagram = new Datagram();

/** Results go here, so that no round can be left out. */
let sink = 0;

Deno.bench(`decode ${ROUNDS} plain data packets`, { group: "decode", baseline: true }, () => {
  for (let round = 0; round < ROUNDS; round++) if (datagram.decode(plain, 0, plain.length)) sink += datagram.ipv6Length;
});

Deno.bench(`decode ${ROUNDS} packets with origin`, { group: "decode" }, () => {
  for (let round = 0; round < ROUNDS; round++) {
    if (datagram.decode(withOrigin, 0, withOrigin.length)) sink += datagram.originPort;
  }
});

Deno.bench(`check the Teredo source of ${ROUNDS} packets`, () => {
  for (let round = 0; round < ROUNDS; round++) {
    if (isWellFormedTeredo(plain, SOURCE_AT)) {
      sink += mappedAddressAt(plain, SOURCE_AT) + mappedPortAt(plain, SOURCE_AT);
    }
  }
});
