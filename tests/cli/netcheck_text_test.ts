/** The answer of a network check for people and for programs. */

import assert from "node:assert/strict";
import { drawPath, netcheckJson, netcheckText } from "../../lib/cli/netcheck_text.ts";
import { painter } from "../../lib/control/status_text.ts";
import type { AddressReport, NetcheckReport } from "../../lib/core/netcheck/netcheck_report.ts";
import { type Endpoint, parseIpv4 } from "../../lib/wire/ipv4.ts";

function endpoint(text: string): Endpoint {
  const [address, port] = text.split(":");
  return { address: parseIpv4(address) ?? 0, port: Number(port) };
}

function address(text: string, mapped?: string, more: Partial<AddressReport> = {}): AddressReport {
  return {
    address: endpoint(`${text}:0`).address,
    mapped: mapped === undefined ? undefined : endpoint(mapped),
    roundTrip: mapped === undefined ? undefined : 21.04,
    invalid: undefined,
    fault: undefined,
    keyExpired: false,
    ...more,
  };
}

const NOTHING: NetcheckReport = {
  local: endpoint("192.168.1.2:40001"),
  servers: [],
  udp: "not-checked",
  nat: "not-checked",
  mapping: "not-checked",
  ports: { kind: "not-checked" },
  filtering: "not-checked",
  hairpin: "not-checked",
  hairpinSource: undefined,
  bubbles: "not-checked",
  lifetime: undefined,
};

const GOOD: NetcheckReport = {
  ...NOTHING,
  servers: [{
    name: "teredo.example.net",
    primary: address("192.0.2.1", "198.51.100.7:40001"),
    secondary: address("192.0.2.2", "198.51.100.7:40001"),
    mtu: 1280,
  }],
  udp: "yes",
  nat: "yes",
  mapping: "endpoint-independent",
  ports: { kind: "sequential", step: 2 },
  filtering: "address-dependent-or-stricter",
  hairpin: "yes",
  hairpinSource: "external",
  bubbles: "yes",
  lifetime: { alive: 30_000, dead: 47_500 },
};

Deno.test("a good network, whole", () => {
  const text = netcheckText({ report: GOOD, unresolved: [], nativeIpv6: "no" }, painter(false), Infinity);
  assert.equal(
    text,
    `this host             outside the NAT        server
192.168.1.2:40001 --- 198.51.100.7:40001 -+- 192.0.2.1:3544  21.0 ms
                                          +- 192.0.2.2:3544  21.0 ms

UDP           yes
NAT           yes
mapping       the same for every destination (endpoint-independent)
ports         counted in steps of 2 (sequential)
filtering     lets in only who was written to (address-dependent or stricter)
hairpinning   yes, with the external address as source
lifetime      an idle mapping lives 30 s at least, and less than 48 s
bubbles       carried by the server
native IPv6   no

Teredo can work here: the NAT keeps one mapping for all destinations.
`,
  );
});

Deno.test("branches of the path stay together, silent servers come last", () => {
  const servers = [
    { name: "a", primary: address("192.0.2.1", "198.51.100.7:1111"), secondary: address("192.0.2.2"), mtu: undefined },
    {
      name: "b",
      primary: address("203.0.113.1", "198.51.100.7:2222"),
      secondary: address("203.0.113.2", "198.51.100.7:1111"),
      mtu: undefined,
    },
    {
      name: "c",
      primary: address("203.0.113.9", undefined, { fault: "refused" }),
      secondary: undefined,
      mtu: undefined,
    },
  ];
  assert.deepEqual(drawPath({ ...GOOD, servers }), [
    "this host             outside the NAT       server",
    "192.168.1.2:40001 -+- 198.51.100.7:1111 -+- 192.0.2.1:3544    21.0 ms",
    "                   |                     +- 203.0.113.2:3544  21.0 ms",
    "                   +- 198.51.100.7:2222 --- 203.0.113.1:3544  21.0 ms",
    "                   +- ?                 --X 192.0.2.2:3544    no answer",
    "                                        --X 203.0.113.9:3544  refused",
  ]);
});

Deno.test("programs get the same, with what is not known as null or not-checked", () => {
  const json = JSON.parse(netcheckJson({ report: GOOD, unresolved: [], nativeIpv6: "yes" }));
  assert.equal(json.schema, 1);
  assert.equal(json.teredo, "yes");
  assert.deepEqual(json.servers[0].primary, {
    address: "192.0.2.1",
    mapped: { address: "198.51.100.7", port: 40001 },
    rtt_ms: 21.04,
    problem: null,
  });
  assert.deepEqual(json.ports, { kind: "sequential", step: 2 });
  assert.deepEqual(json.lifetime_seconds, { at_least: 30, less_than: 48 });
  const unresolved = [{ name: "x.invalid", reason: "Cannot resolve" }];
  const nothing = JSON.parse(netcheckJson({ report: NOTHING, unresolved, nativeIpv6: "not-checked" }));
  assert.equal(nothing.teredo, "no");
  assert.equal(nothing.verdict, "Teredo cannot work here: no server name leads to an address");
  assert.deepEqual(nothing.unresolved, unresolved);
  assert.deepEqual([nothing.udp, nothing.mapping, nothing.lifetime_seconds], ["not-checked", "not-checked", null]);
});

Deno.test("each reason why nobody gave a good answer has words of its own", () => {
  const only = (primary: AddressReport, secondary?: AddressReport) =>
    netcheckText(
      {
        report: { ...NOTHING, servers: [{ name: "s.example", primary, secondary, mtu: undefined }] },
        unresolved: [],
        nativeIpv6: "no",
      },
      painter(false),
      Infinity,
    );
  const silent = address("192.0.2.1");
  assert.match(only(silent), /it is down, wants a secret, or UDP port 3544 is blocked on the way\.\n$/);
  assert.match(only({ ...silent, invalid: "not-global-ipv4" }), /sees this host under a private address/);
  assert.match(only({ ...silent, invalid: "bad-authentication" }), /fail the check of the secret/);
  assert.match(only({ ...silent, invalid: "bad-advertisement" }), /not valid \(bad-advertisement\)\.\n$/);
  assert.match(
    only(silent, address("192.0.2.2", "198.51.100.7:1")),
    /from its second address but not from its first\.\n$/,
  );
});
