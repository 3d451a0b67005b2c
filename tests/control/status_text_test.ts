/** The status as people read it. */

import assert from "node:assert/strict";
import { HEALTH_CODES, healthLine } from "../../lib/control/health.ts";
import { factsText, fitted, isStatus, painter, peersText, statusText } from "../../lib/control/status_text.ts";
import { duration, folded, grouped, milliseconds, scaled, sparkline } from "../../lib/control/words.ts";
import { sampleStatus, TAKEN_AT } from "./sample_status.ts";

const plain = painter(false);

Deno.test("a status tells first what matters most", () => {
  assert.equal(
    statusText(sampleStatus, plain, TAKEN_AT, Infinity),
    `miredo client: qualified for 12 s

warning    RATE-LIMITED Packets are dropped because a rate limit is reached (a "b")
           If these are no attacks, raise server.rate_per_source, server.rate_total or limits.connectivity_tests_per_second

address    2001:0:c000:201:1234:62ff:39cc:9bfe
server     192.0.2.1 and 192.0.2.2, answers in 24 ms, heard 12 s ago
mapped     198.51.100.1:40192, from local 0.0.0.0:40211
NAT        mapping is the same for all, changes the port, filtering not checked, hairpin not checked
refresh    every 30 s
interface  teredo, MTU 1280
offloads   tun-tcp+udp
peers      1 of at most 1 048 576
process    4711, miredo 2.0.0, up 4 min 17 s

packets    in 3 (1.50 kB), out 0 (0 B)
datagrams  in 5 (2.05 kB), out 0 (0 B)

counters
  rs sent 2

dropped
  queue-full 4
`,
  );
});

Deno.test("colours change nothing but colour", () => {
  const painted = statusText(sampleStatus, painter(true), TAKEN_AT, Infinity);
  // deno-lint-ignore no-control-regex
  assert.equal(painted.replace(/\x1b\[\d+m/g, ""), statusText(sampleStatus, plain, TAKEN_AT, Infinity));
  assert.ok(painted.includes("\x1b[32mqualified\x1b[0m"));
});

Deno.test("the reason of a state that is no service stands beside it", () => {
  const offline = { ...sampleStatus, state: "offline", reason: "symmetric-nat" } as const;
  assert.match(statusText(offline, plain, TAKEN_AT, Infinity), /^miredo client: offline \(symmetric-nat\) for 12 s\n/);
});

Deno.test("peers are columns, in the order given", () => {
  const peer = {
    endpoint: "198.51.100.2:7",
    path: "direct",
    last_sent_seconds: 1,
    rx_packets: 1234,
    tx_packets: 7,
  } as const;
  const lines = peersText(
    [
      { ...peer, address: "2001:0::2", state: "idle", last_heard_seconds: 95 },
      { ...peer, address: "2001:0::1", endpoint: null, path: "relay", state: "negotiating", last_heard_seconds: 30 },
    ],
    plain,
    Infinity,
  );
  assert.deepEqual(lines, [
    "peer       endpoint        path    state        heard           packets in  out",
    "2001:0::2  198.51.100.2:7  direct  idle         1 min 35 s ago       1 234    7",
    "2001:0::1  -               relay   negotiating  never                1 234    7",
  ]);
});

Deno.test("in a narrow terminal what follows a peer's address stands below it, and nothing is wider", () => {
  const peer = {
    address: "2001:0:c000:201:1498:64aa:3fff:fd9a",
    endpoint: "192.0.2.101:39765",
    path: "direct",
    state: "open",
    last_heard_seconds: 3,
    last_sent_seconds: 1,
    rx_packets: 12_345_678,
    tx_packets: 7,
  } as const;
  const lines = peersText([peer], plain, 80);
  assert.deepEqual(lines, [
    "peer",
    "  endpoint           path    state  heard    packets in  out",
    "2001:0:c000:201:1498:64aa:3fff:fd9a",
    "  192.0.2.101:39765  direct  open   3 s ago  12 345 678    7",
  ]);
  assert.equal(peersText([peer], plain, 120).length, 2);
});

Deno.test("lines too long for a terminal are broken between words, colours not counted, and go on behind the label", () => {
  assert.deepEqual(folded("NAT   keeps the port, hairpins", 20, 6), ["NAT   keeps the", "      port, hairpins"]);
  assert.deepEqual(folded("\x1b[1mabc\x1b[0m  de f", 9, 2), ["\x1b[1mabc\x1b[0m  de f"]);
  assert.deepEqual(folded("a line that fits", 16, 2), ["a line that fits"]);
  assert.deepEqual(folded("onelongword word", 8, 2), ["onelongword", "  word"]);
  assert.deepEqual(folded("a     onelongword", 12, 6), ["a     onelongword"]);
  for (const line of fitted(factsText(sampleStatus), 48)) assert.ok(line.length <= 48, line);
});

Deno.test("only a status of this schema is taken for one", () => {
  assert.ok(isStatus(JSON.parse(JSON.stringify(sampleStatus))));
  assert.ok(!isStatus({ ...sampleStatus, schema: 2 }));
  for (const value of [null, 1, "x", [], {}, { schema: 1 }]) assert.ok(!isStatus(value));
});

Deno.test("every health code says what is the matter and what to do, in sentences without an end", () => {
  for (const [code, { text, action }] of Object.entries(HEALTH_CODES)) {
    assert.match(code, /^[A-Z0-9]+(?:-[A-Z0-9]+)*$/);
    for (const words of [text, action]) assert.match(words, /^[A-Z].*[^.\s]$/s, code);
  }
  assert.equal(healthLine("CLOCK", "by 5 s").text, "The clock of this host jumped, or the host slept (by 5 s)");
});

Deno.test("numbers are short and exact enough", () => {
  assert.deepEqual([0, 59.9, 60, 252, 7500, 529_200].map(duration), [
    "0 s",
    "59 s",
    "1 min",
    "4 min 12 s",
    "2 h 5 min",
    "6 d 3 h",
  ]);
  assert.deepEqual([0, 7, 999, 999.7, 1234, 45_600, 999_999, 1e9].map((value) => scaled(value, "B")), [
    "0 B",
    "7 B",
    "999 B",
    "1.00 kB",
    "1.23 kB",
    "45.6 kB",
    "1.00 MB",
    "1.00 GB",
  ]);
  assert.deepEqual([1, 1234, 1234567].map(grouped), ["1", "1 234", "1 234 567"]);
  assert.deepEqual([0.421, 24.125, 123.4, 1300].map(milliseconds), ["0.42 ms", "24.1 ms", "123 ms", "1.30 s"]);
});

Deno.test("a sparkline is as wide as asked, its highest bar is the largest value, and nothing is the lowest", () => {
  assert.equal(sparkline([0, 1, 4, 8], 6), "  ▁▂▅█");
  assert.equal(sparkline([9, 9, 0, 0], 2), "▁▁");
  assert.equal(sparkline([], 3), "   ");
});
