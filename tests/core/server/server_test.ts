import assert from "node:assert/strict";
import fc from "fast-check";
import { Socket } from "../../../lib/core/machine.ts";
import { parseEcho } from "../../../lib/wire/icmpv6.ts";
import type { Endpoint } from "../../../lib/wire/ipv4.ts";
import { parseRouterAdvertisement } from "../../../lib/wire/router_advertisement.ts";
import { formTeredoAddress, serverLinkLocal } from "../../../lib/wire/teredo_address.ts";
import { concat, hex, ip4, ip6, packet, toHex } from "../harness.ts";
import {
  A,
  A_MAPPED,
  ALL_ROUTERS,
  altered,
  B,
  B_MAPPED,
  bubble,
  echo,
  Fixture,
  INDIRECT_BUBBLE,
  LINK_LOCAL,
  NATIVE,
  NULL_AUTHENTICATION,
  PRIMARY,
  RELAY,
  RS_CONE_PACKET,
  RS_PACKET,
  RS_SECURE,
  SECONDARY,
  SECRETS,
} from "./server_fixture.ts";

// ---- Acceptance

Deno.test("[SRV-01 ENC-01 ENC-02 ENC-04 ENC-05 ENC-06 ENC-14] malformed datagrams are dropped in silence", () => {
  const fixture = new Fixture();
  const good = bubble(A, B);
  const long = good.slice();
  long[5] = 1;
  const origin = hex("00 00 ef ff 3f ff fd fe");
  const wrong = [
    new Uint8Array(0),
    good.subarray(0, 39),
    concat(hex("40"), good.subarray(1)),
    concat(hex("00 02"), good),
    concat(hex("00 01 ff ff"), good),
    concat(NULL_AUTHENTICATION.subarray(0, 12), good),
    concat(origin, origin, good),
    concat(NULL_AUTHENTICATION, NULL_AUTHENTICATION, good),
    concat(origin, NULL_AUTHENTICATION, good),
    long,
  ];
  for (const each of wrong) fixture.drops("malformed", each);
});

Deno.test("[SRV-02 SRV-27] TCP, UDP and extension headers are not carried", () => {
  const fixture = new Fixture();
  for (const nextHeader of [6, 17, 43, 0, 44, 60]) {
    fixture.drops("not-bubble-nor-icmpv6", packet(A, B, { nextHeader, payload: new Uint8Array(24) }));
  }
  fixture.drops("not-bubble-nor-icmpv6", packet(A, B, { nextHeader: 59, payload: new Uint8Array(1) }));
});

Deno.test("[SRV-03] whatever comes from an address that is not global is dropped", () => {
  const fixture = new Fixture();
  const mapped = { address: ip4("10.1.2.3"), port: 4096 };
  const source = formTeredoAddress({ server: PRIMARY, flags: 0, mapped });
  fixture.drops("not-global-ipv4", bubble(source, B), mapped);
  fixture.drops("not-global-ipv4", bubble(NATIVE, B), mapped);
});

Deno.test("[SRV-05 SRV-07] a Teredo source has to name the mapping that the datagram came from", () => {
  const fixture = new Fixture();
  assert.equal(fixture.udp(bubble(A, B), A_MAPPED).length, 1);
  fixture.drops("spoofed-source", bubble(A, B), { ...A_MAPPED, port: 4097 });
  fixture.drops("spoofed-source", bubble(A, B), B_MAPPED);
  fixture.drops("spoofed-source", echo(A, NATIVE), B_MAPPED);
});

Deno.test("[ADR-08 ADR-19 SRV-05] no bit of the flags field makes a difference to what is accepted", () => {
  const fixture = new Fixture();
  for (let bit = 0; bit < 16; bit++) {
    const source = formTeredoAddress({ server: PRIMARY, flags: 1 << bit, mapped: A_MAPPED });
    const destination = formTeredoAddress({ server: PRIMARY, flags: 1 << bit, mapped: B_MAPPED });
    assert.equal(fixture.udp(bubble(source, destination), A_MAPPED).length, 1);
  }
});

Deno.test("[SRV-06 SRV-07] a native source reaches our clients, and nobody else", () => {
  const fixture = new Fixture();
  assert.equal(fixture.udp(bubble(ip6("fe80::1c5f:6ad2:93b1:77e0"), A), RELAY).length, 1);
  assert.equal(fixture.udp(bubble(NATIVE, A), RELAY).length, 1);
  const foreign = formTeredoAddress({ server: ip4("198.51.100.118"), flags: 0, mapped: B_MAPPED });
  fixture.drops("foreign-client", bubble(NATIVE, foreign), RELAY);
  fixture.drops("bad-ipv6-source", bubble(NATIVE, ip6("2001:db8:2::1")), RELAY);
  fixture.drops("bad-ipv6-source", echo(NATIVE, ip6("2001:db8:2::1")), RELAY);
  const open = new Fixture({ forwardForeign: true });
  open.drops("foreign-client", bubble(NATIVE, foreign), RELAY);
});

Deno.test("[SRV-07] a solicitation that is not link-local to all routers is nothing to us", () => {
  const fixture = new Fixture();
  fixture.drops("bad-ipv6-source", altered((bytes) => bytes.set(NATIVE, 8)));
  fixture.drops("bad-ipv6-source", altered((bytes) => bytes.set(ip6("::"), 8)));
  fixture.drops("bad-ipv6-source", altered((bytes) => bytes.set(ip6("ff02::1"), 24)));
  fixture.drops("icmpv6-type", altered((bytes) => bytes.set(A, 8)));
});

// ---- The server itself

Deno.test("[SRV-08 ICM-01] an echo request of a client to the server or to all routers is answered", () => {
  const fixture = new Fixture();
  for (const destination of [LINK_LOCAL, ALL_ROUTERS]) {
    const outputs = fixture.udp(echo(A, destination), A_MAPPED, Socket.secondary);
    assert.equal(outputs.length, 1);
    const [{ socket, bytes, address, port }] = outputs;
    assert.deepEqual({ socket, address, port }, { socket: Socket.secondary, ...A_MAPPED });
    const { hopLimit: _, ...reply } = parseEcho(bytes, 0, bytes.length) ?? assert.fail("no echo");
    const data = hex("55 66 77 88 99 aa bb cc");
    assert.deepEqual(reply, {
      source: LINK_LOCAL,
      destination: A,
      reply: true,
      identifier: 0x1122,
      sequence: 0x3344,
      data,
    });
  }
  const wrong = echo(A, LINK_LOCAL);
  wrong[43] ^= 1;
  fixture.drops("malformed", wrong);
  fixture.drops("oversize-icmpv6", echo(A, LINK_LOCAL, { data: new Uint8Array(81) }));
  fixture.drops("icmpv6-type", echo(A, LINK_LOCAL, { reply: true }));
  fixture.drops("bad-ipv6-destination", bubble(A, LINK_LOCAL));
  assert.deepEqual(serverLinkLocal(PRIMARY), LINK_LOCAL);
});

// ---- Forwarding over UDP

Deno.test("[SRV-12 SRV-13 SRV-25 TRL-16 ENC-07] an indirect bubble goes on as the worked example shows, trailers unchanged", () => {
  const { bench, server } = new Fixture({ primary: ip4("198.51.100.118"), secondary: undefined });
  bench.udp(server, INDIRECT_BUBBLE, A_MAPPED, 0);
  assert.equal(bench.lastAt, bench.inputAt - 8, "written in place");
  const [{ socket, bytes, address, port }] = bench.takeUdp();
  assert.deepEqual({ socket, address, port }, { socket: Socket.service, ...B_MAPPED });
  assert.equal(toHex(bytes), toHex(concat(hex("00 00 ef ff 3f ff fd fe"), INDIRECT_BUBBLE)));
  assert.equal(bench.count("bubbles_forwarded"), 1);
});

Deno.test("[SRV-06 SRV-12 SRV-13] a relay's bubble reaches its client as the worked example shows", () => {
  const fixture = new Fixture();
  const fromRelay = hex(`
    60 00 00 00 00 00 3b 15
    fe 80 00 00 00 00 00 00 1c 5f 6a d2 93 b1 77 e0
    20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe`);
  const [{ bytes, address, port }] = fixture.udp(fromRelay, RELAY);
  assert.deepEqual({ address, port }, A_MAPPED);
  assert.equal(toHex(bytes), toHex(concat(hex("00 00 63 bf 3f ff fd 37"), fromRelay)));
});

Deno.test("[SRV-12] what arrives at the secondary address is forwarded from the primary, which clients know", () => {
  const [{ socket }] = new Fixture().udp(bubble(A, B), A_MAPPED, Socket.secondary);
  assert.equal(socket, Socket.service);
});

Deno.test("[SRV-13] origin and authentication of the sender go no further; the origin is where it really came from", () => {
  const fixture = new Fixture();
  const lie = hex("00 00 00 00 00 00 00 00");
  const [{ bytes }] = fixture.udp(concat(NULL_AUTHENTICATION, lie, bubble(A, B)), A_MAPPED);
  assert.equal(toHex(bytes), toHex(concat(hex("00 00 ef ff 3f ff fd fe"), bubble(A, B))));
});

Deno.test("[SRV-25 ENC-13] a hop limit of 0 or 1 stops no bubble and stays as it is", () => {
  const fixture = new Fixture();
  for (const hopLimit of [0, 1, 255]) {
    const [{ bytes }] = fixture.udp(bubble(A, B, hopLimit), A_MAPPED);
    assert.equal(bytes[8 + 7], hopLimit);
  }
});

Deno.test("[SRV-11] a client whose embedded IPv4 address is not global is never sent to", () => {
  const fixture = new Fixture();
  for (
    const address of [
      "10.0.0.1",
      "172.16.0.1",
      "192.168.3.4",
      "169.254.1.1",
      "192.88.99.1",
      "224.0.0.253",
      "255.255.255.255",
      "198.51.100.255",
    ]
  ) {
    const destination = formTeredoAddress({ server: PRIMARY, flags: 0, mapped: { address: ip4(address), port: 1 } });
    fixture.drops("not-global-ipv4", bubble(A, destination));
    fixture.drops("not-global-ipv4", bubble(NATIVE, destination), RELAY);
  }
});

Deno.test("[ADR-18] a client with port 0 is never sent to", () => {
  const destination = formTeredoAddress({ server: PRIMARY, flags: 0, mapped: { ...B_MAPPED, port: 0 } });
  new Fixture().drops("port-zero", bubble(A, destination));
});

Deno.test("[SRV-13] a client of another server is sent to only if so configured, and then without origin", () => {
  const foreign = formTeredoAddress({ server: ip4("198.51.100.118"), flags: 0, mapped: B_MAPPED });
  new Fixture().drops("foreign-client", bubble(A, foreign));
  const outputs = new Fixture({ forwardForeign: true }).udp(concat(bubble(A, foreign), hex("05 02 04 b1")), A_MAPPED);
  assert.deepEqual(outputs.map(({ bytes }) => toHex(bytes)), [toHex(concat(bubble(A, foreign), hex("05 02 04 b1")))]);
});

Deno.test("[SRV-26 SRV-27] only echoes up to the limit are forwarded over UDP", () => {
  const fixture = new Fixture();
  assert.equal(fixture.udp(echo(A, B, { data: new Uint8Array(80) }), A_MAPPED).length, 1);
  assert.equal(fixture.udp(echo(A, B, { reply: true }), A_MAPPED).length, 1);
  assert.equal(fixture.bench.count("echo_forwarded"), 2);
  fixture.drops("oversize-icmpv6", echo(A, B, { data: new Uint8Array(81) }));
  for (const type of [1, 2, 3, 4, 130, 133, 134, 135, 136, 137, 255]) {
    fixture.drops("icmpv6-type", packet(A, B, { nextHeader: 58, payload: Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0) }));
  }
});

// ---- Forwarding to the IPv6 Internet

Deno.test("[SRV-10 TRL-16] a connectivity test goes out natively, one hop older and without trailers", () => {
  const { bench, server } = new Fixture();
  const request = hex(`
    60 00 00 00 00 10 3a 15
    20 01 00 00 cb 00 71 78 00 00 ef ff 3f ff fd fe
    20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01
    80 00 60 b5 11 22 33 44 55 66 77 88 99 aa bb cc`);
  bench.udp(server, concat(request, hex("01 04 a1 b2 c3 d4")), A_MAPPED, 0);
  const expected = request.slice();
  expected[7] = 0x14;
  assert.deepEqual(bench.take().map((output) => output.kind === "ipv6" ? toHex(output.bytes) : output), [
    toHex(expected),
  ]);
  assert.equal(bench.count("echo_forwarded"), 1);
});

Deno.test("[SRV-10 ICM-05] natively a hop limit that runs out ends the journey, without an error", () => {
  const fixture = new Fixture();
  fixture.drops("hop-limit", echo(A, NATIVE, { hopLimit: 1 }));
  fixture.drops("hop-limit", echo(A, NATIVE, { hopLimit: 0 }));
  fixture.bench.udp(fixture.server, echo(A, NATIVE, { hopLimit: 2 }), A_MAPPED, 0);
  assert.equal(fixture.bench.takeIpv6()[0].bytes[7], 1);
});

Deno.test("[SRV-26 SRV-27] natively only bubbles and echoes up to the limit go out", () => {
  const fixture = new Fixture();
  const { bench, server } = fixture;
  for (
    const each of [bubble(A, NATIVE), echo(A, NATIVE, { reply: true }), echo(A, NATIVE, { data: new Uint8Array(80) })]
  ) {
    bench.udp(server, each, A_MAPPED, 0);
    assert.equal(bench.takeIpv6().length, 1);
  }
  fixture.drops("oversize-icmpv6", echo(A, NATIVE, { data: new Uint8Array(81) }));
  for (const type of [1, 3, 134, 135, 136, 137]) {
    fixture.drops(
      "icmpv6-type",
      packet(A, NATIVE, { nextHeader: 58, payload: Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0) }),
    );
  }
});

Deno.test("[SRV-09] nothing is forwarded to an IPv6 address that is not global", () => {
  const fixture = new Fixture();
  for (const destination of ["fe80::1", "ff02::1", "ff0e::1", "::1", "::", "::ffff:192.0.2.1"]) {
    fixture.drops("bad-ipv6-destination", bubble(A, ip6(destination)));
    fixture.drops("bad-ipv6-destination", echo(A, ip6(destination)));
  }
});

Deno.test("without IPv6 of its own a server still forwards bubbles", () => {
  const fixture = new Fixture({ nativeForwarding: false });
  fixture.drops("no-ipv6", echo(A, NATIVE));
  assert.equal(fixture.udp(bubble(A, B), A_MAPPED).length, 1);
});

// ---- Loops, limits, state

Deno.test("[SRV-23] a datagram from port 3544 of our own address is dropped, whatever it is", () => {
  const fixture = new Fixture();
  for (const address of [PRIMARY, SECONDARY]) {
    const own = { address, port: 3544 };
    const source = formTeredoAddress({ server: PRIMARY, flags: 0, mapped: own });
    for (
      const each of [RS_PACKET, bubble(source, B), bubble(source, source), bubble(NATIVE, A), echo(source, NATIVE)]
    ) {
      fixture.drops("loop", each, own);
    }
  }
});

Deno.test("[SRV-23 SRV-22] from another port of our own address comes a relay's bubble, and nothing else", () => {
  const fixture = new Fixture();
  const own = { address: PRIMARY, port: 40_000 };
  const source = formTeredoAddress({ server: PRIMARY, flags: 0, mapped: own });
  fixture.drops("loop", RS_PACKET, own);
  fixture.drops("loop", bubble(source, B), own);
  fixture.drops("loop", echo(source, NATIVE), own);
  const [{ bytes, address, port }] = fixture.udp(bubble(ip6("fe80::1234"), A), own);
  assert.deepEqual({ address, port }, A_MAPPED);
  assert.equal(toHex(bytes.subarray(0, 8)), "000063bf34ff8e87");
});

Deno.test("[SRV-24] a packet for a client at our own address is dropped, whatever the port", () => {
  const fixture = new Fixture({ forwardForeign: true });
  for (const address of [PRIMARY, SECONDARY]) {
    for (const port of [3544, 1]) {
      for (const server of [PRIMARY, ip4("198.51.100.118")]) {
        const destination = formTeredoAddress({ server, flags: 0, mapped: { address, port } });
        fixture.drops("loop", bubble(A, destination));
        if (server === PRIMARY) fixture.drops("loop", bubble(NATIVE, destination), RELAY);
      }
    }
  }
});

Deno.test("[SRV-24] a 6to4 or ISATAP destination at our own address is not handed to the kernel", () => {
  const fixture = new Fixture();
  for (const destination of ["2002:cb00:7178::1", "2001:db8::5efe:203.0.113.121", "2001:db8::200:5efe:203.0.113.120"]) {
    fixture.drops("loop", echo(A, ip6(destination)));
  }
  fixture.bench.udp(fixture.server, echo(A, ip6("2002:c000:201::1")), A_MAPPED, 0);
  assert.equal(fixture.bench.takeIpv6().length, 1);
});

Deno.test("one source gets no more than its rate, and all together no more than theirs", () => {
  const fixture = new Fixture({ ratePerSource: 4, rateTotal: 6 });
  const answered = (from: Endpoint, now: number) =>
    Array.from({ length: 10 }, () => fixture.udp(RS_PACKET, from, Socket.service, now).length).reduce((a, b) => a + b);
  assert.equal(answered(A_MAPPED, 1000), 4);
  assert.equal(answered(B_MAPPED, 1000), 2);
  assert.equal(answered(A_MAPPED, 2000), 4);
  assert.equal(fixture.bench.count("rate-limited"), 10 + 10 + 10 - 10);
});

Deno.test("[SRV-21] a server keeps nothing: the answer to a datagram depends on that datagram alone", () => {
  const inputs = [
    RS_PACKET,
    concat(NULL_AUTHENTICATION, RS_CONE_PACKET),
    INDIRECT_BUBBLE,
    bubble(A, B),
    echo(A, LINK_LOCAL),
    echo(A, NATIVE),
    new Uint8Array(30),
  ];
  const answer = (fixture: Fixture, input: Uint8Array) => {
    fixture.bench.udp(fixture.server, input, A_MAPPED, 0);
    return fixture.bench.take();
  };
  const fresh = inputs.map((input) => answer(new Fixture(), input));
  fc.assert(fc.property(fc.array(fc.nat(inputs.length - 1), { maxLength: 30 }), (order) => {
    const fixture = new Fixture();
    for (const i of order) assert.deepEqual(answer(fixture, inputs[i]), fresh[i]);
    assert.equal(fixture.server.nextTimer(), Infinity);
  }));
});

Deno.test("[SRV-01 ICM-05] any octets from anywhere: no exception, at most one packet out, never an ICMPv6 error", () => {
  const seeds = [RS_PACKET, INDIRECT_BUBBLE, echo(A, NATIVE), echo(A, LINK_LOCAL), bubble(NATIVE, A), RS_SECURE];
  const mutated = fc.tuple(
    fc.constantFrom(...seeds),
    fc.array(fc.tuple(fc.nat(160), fc.nat(255)), { maxLength: 4 }),
    fc.nat(100),
  )
    .map(([seed, changes, cut]) => {
      const bytes = seed.slice(0, seed.length - (cut > 60 ? cut - 60 : 0));
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes;
    });
  const datagrams = fc.oneof(fc.uint8Array({ maxLength: 120 }), mutated);
  const fixture = new Fixture({ forwardForeign: true }), secure = new Fixture({ secrets: SECRETS });
  fc.assert(
    fc.property(
      datagrams,
      fc.nat(1),
      fc.constantFrom(A_MAPPED, RELAY, { address: PRIMARY, port: 9 }),
      (bytes, socket, from) => {
        for (const { bench, server } of [fixture, secure]) {
          bench.udp(server, bytes, from, 0, { socket });
          const outputs = bench.take();
          assert.ok(outputs.length <= 1);
          for (const output of outputs) {
            assert.ok(output.kind === "udp" || output.kind === "ipv6");
            const type = output.kind === "ipv6" && output.bytes[6] === 58 ? output.bytes[40] : 128;
            assert.ok(type >= 128);
            if (output.kind === "udp") assert.ok(output.bytes.length <= 150 || output.bytes.length <= bytes.length + 8);
          }
        }
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("a server for another prefix than 2001::/32 advertises and accepts that one", () => {
  const prefix = 0x20010db8;
  const fixture = new Fixture({ prefix });
  const [{ bytes }] = fixture.udp(RS_PACKET, A_MAPPED);
  const ra = parseRouterAdvertisement(bytes, 8, bytes.length - 8);
  assert.deepEqual(ra?.prefixes.map(({ prefix }) => prefix), [ip6("2001:db8:cb00:7178::")]);
  const [a, b] = [A_MAPPED, B_MAPPED].map((mapped) => formTeredoAddress({ server: PRIMARY, flags: 0, mapped }, prefix));
  assert.equal(fixture.udp(bubble(a, b), A_MAPPED).length, 1);
  fixture.drops("bad-ipv6-source", bubble(A, ip6("3fff::1")));
});
