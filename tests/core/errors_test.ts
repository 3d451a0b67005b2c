import assert from "node:assert/strict";
import { ADDRESS_UNREACHABLE, ErrorSender } from "../../lib/core/errors.ts";
import { verifyIcmpv6 } from "../../lib/wire/checksum.ts";
import { Bench, concat, hex, ip6, packet, toHex } from "./harness.ts";

const SOURCE = ip6("2001:db8:1::ff");
const N = ip6("2001:db8:1::1");
const CLIENT = ip6("2001:0:cb00:7178:0:efff:3fff:fdfe");

/** protocol example "dest-unreachable": the error, and behind its first 48 octets the offending packet. */
const DEST_UNREACHABLE = hex(`
  60 00 00 00 00 40 3a 40
  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 ff
  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01
  01 03 08 33 00 00 00 00
  60 00 00 00 00 10 3a 15
  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01
  20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
  80 00 f6 aa 00 01 00 01 31 32 33 34 35 36 37 38`);

Deno.test("[ICM-01] address unreachable about an echo request, octet for octet", () => {
  const bench = new Bench();
  const sender = new ErrorSender(bench.environment, 10, 10);
  const offending = DEST_UNREACHABLE.slice(48);
  assert.equal(sender.unreachable(ADDRESS_UNREACHABLE, SOURCE, offending, 0, offending.length, 0), true);
  assert.deepEqual(bench.takeIpv6().map(({ bytes }) => toHex(bytes)), [toHex(DEST_UNREACHABLE)]);
  assert.equal(bench.count("icmpv6_errors_sent"), 1);
});

Deno.test("[ICM-04] an error quotes as much as fits in 1280 octets", () => {
  const bench = new Bench();
  const sender = new ErrorSender(bench.environment, 10, 10);
  for (const length of [0, 1191, 1192, 1193, 1400]) {
    const offending = packet(N, CLIENT, { nextHeader: 17, payload: new Uint8Array(length).fill(7) });
    assert.equal(sender.packetTooBig(1280, SOURCE, offending, 0, offending.length, 0), true);
    const [{ bytes }] = bench.takeIpv6();
    assert.equal(bytes.length, Math.min(1280, 48 + 40 + length));
    assert.equal(toHex(bytes.subarray(48)), toHex(offending.subarray(0, bytes.length - 48)));
    assert.deepEqual([bytes[40], bytes[41], ...bytes.subarray(44, 48)], [2, 0, 0, 0, 5, 0]);
    assert.ok(verifyIcmpv6(bytes, 0, bytes.length - 40));
  }
});

Deno.test("[ICM-02] no error about an error, to an unspecified or multicast source, about a multicast destination", () => {
  const bench = new Bench();
  const sender = new ErrorSender(bench.environment, 100, 100);
  const wrong = [
    packet(N, CLIENT, { nextHeader: 58, payload: hex("01 03 0000 00000000") }),
    packet(N, CLIENT, { nextHeader: 58, payload: hex("04 00 0000 00000000") }),
    packet(N, CLIENT, { nextHeader: 58, payload: hex("89 00 0000 00000000") }),
    packet(ip6("::"), CLIENT),
    packet(ip6("ff02::1"), CLIENT),
    packet(N, ip6("ff02::2")),
    concat(packet(N, CLIENT)).subarray(0, 39),
  ];
  for (const each of wrong) {
    assert.equal(sender.unreachable(ADDRESS_UNREACHABLE, SOURCE, each, 0, each.length, 0), false);
    assert.equal(sender.timeExceeded(SOURCE, each, 0, each.length, 0), false);
  }
  assert.deepEqual(bench.take(), []);
});

Deno.test("[ICM-03] errors are limited: a burst, then the rate", () => {
  const bench = new Bench();
  const sender = new ErrorSender(bench.environment, 10, 10);
  const offending = packet(N, CLIENT);
  const send = (now: number) => sender.unreachable(ADDRESS_UNREACHABLE, SOURCE, offending, 0, offending.length, now);
  let sent = 0;
  for (let i = 0; i < 1000; i++) if (send(i)) sent++;
  assert.ok(sent >= 19 && sent <= 20, `${sent} errors in a second`);
});
