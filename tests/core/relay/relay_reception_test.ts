import assert from "node:assert/strict";
import fc from "fast-check";
import { Server } from "../../../lib/core/server/server.ts";
import { parseIpv6Prefix } from "../../../lib/wire/ipv6_address.ts";
import { formTeredoAddress } from "../../../lib/wire/teredo_address.ts";
import { Bench, concat, hex, ip4, ip6, packet, toHex } from "../harness.ts";
import { C, C_MAPPED, client, data, Fixture, NATIVE, OWN_IPV4, SERVER } from "./relay_fixture.ts";

const ELSEWHERE = { address: ip4("192.0.2.99"), port: 5555 };

Deno.test("[RLY-17 RLY-18] a packet from a known client goes out from where it lies, without origin and trailers", () => {
  const fixture = new Fixture();
  fixture.connect(0);
  const inner = data(C, NATIVE, 9);
  fixture.bench.udp(fixture.relay, concat(hex("0000efff3ffffdfe"), inner, hex("0104a1b2c3d4")), C_MAPPED, 1);
  assert.equal(fixture.bench.lastAt, fixture.bench.inputAt + 8);
  assert.deepEqual(fixture.bench.takeIpv6().map(({ bytes }) => toHex(bytes)), [toHex(inner)]);
});

Deno.test("[RLY-17] the first packet of a client makes it trusted even if it is no bubble", () => {
  const fixture = new Fixture();
  fixture.tun(data(NATIVE, C, 1), 0);
  fixture.bench.udp(fixture.relay, data(C, NATIVE, 2), C_MAPPED, 50);
  assert.deepEqual(
    fixture.bench.take().map((output) =>
      output.kind === "event"
        ? output.event.type
        : toHex(output.kind === "udp" || output.kind === "ipv6" ? output.bytes : new Uint8Array())
    ),
    ["peer-up", toHex(data(NATIVE, C, 1)), toHex(data(C, NATIVE, 2))],
  );
});

Deno.test("[RLY-17] an answer that comes after the last bubble still counts", () => {
  const fixture = new Fixture();
  const [{ bytes: bubble }] = fixture.tun(data(NATIVE, C), 0);
  fixture.run(9000);
  fixture.udp(packet(C, bubble.slice(8, 24)), C_MAPPED, 10_000);
  assert.deepEqual(fixture.tun(data(NATIVE, C), 10_001).map(({ port }) => port), [C_MAPPED.port]);
});

Deno.test("[RLY-14 ENC-05 ENC-06] malformed datagrams are dropped in silence", () => {
  const fixture = new Fixture();
  fixture.connect(0);
  const good = data(C, NATIVE);
  for (
    const each of [
      new Uint8Array(0),
      good.subarray(0, 59),
      concat(hex("45"), good.subarray(1)),
      concat(hex("0002"), good),
    ]
  ) {
    fixture.dropsUdp("malformed", each);
  }
});

Deno.test("[RLY-15] a source that is not Teredo, or names another mapping, is dropped in silence", () => {
  const fixture = new Fixture();
  fixture.connect(0);
  fixture.dropsUdp("bad-ipv6-source", data(NATIVE, ip6("2001:db8:2::1")));
  fixture.dropsUdp("bad-ipv6-source", data(ip6("fe80::1"), NATIVE));
  fixture.dropsUdp("spoofed-source", data(C, NATIVE), ELSEWHERE);
  fixture.dropsUdp("spoofed-source", data(C, NATIVE), { ...C_MAPPED, port: 4097 });
  assert.deepEqual(fixture.tun(data(NATIVE, C), 1).map(({ port }) => port), [C_MAPPED.port], "the entry is as it was");
});

Deno.test("[RLY-16] a client that nobody sent to is dropped in silence and leaves nothing behind", () => {
  const fixture = new Fixture();
  fixture.dropsUdp("unknown-peer", data(C, NATIVE));
  fixture.dropsUdp("unknown-peer", packet(C, ip6("fe80::1")));
  fixture.dropsUdp("spoofed-source", data(C, NATIVE), ELSEWHERE);
  assert.equal(fixture.relay.peers, 0);
});

Deno.test("[RLY-18 RLY-19] a host-specific relay forwards to the addresses of its host, and to no other", () => {
  const served = ["2001:db8:1::1/128", "2001:db8:5::/64"].map((text) => parseIpv6Prefix(text) ?? assert.fail(text));
  const fixture = new Fixture({ served });
  fixture.connect(0);
  for (const destination of ["2001:db8:1::1", "2001:db8:5::77"]) {
    assert.equal(fixture.udp(data(C, ip6(destination)), C_MAPPED, 1).length, 1);
  }
  for (const destination of ["2001:db8:1::2", "2001:db8:5:1::", "2001:db9::1"]) {
    fixture.dropsUdp("not-served", data(C, ip6(destination)));
  }
});

Deno.test("[RLY-19 ICM-05] no relay forwards to multicast, link-local, loopback or Teredo destinations", () => {
  const fixture = new Fixture();
  fixture.connect(0);
  for (const destination of ["ff02::1", "ff0e::1", "fe80::1", "::1", "::", "2001:0:cb00:7178::1"]) {
    fixture.dropsUdp("not-served", data(C, ip6(destination)));
  }
});

Deno.test("neighbor discovery, source routes and ways back into our own tunnels are not let out", () => {
  const fixture = new Fixture();
  fixture.connect(0);
  for (const type of [133, 134, 135, 136, 137]) {
    const payload = Uint8Array.of(type, 0, ...new Uint8Array(22));
    fixture.dropsUdp("icmpv6-type", packet(C, NATIVE, { nextHeader: 58, hopLimit: 255, payload }));
  }
  const payload = Uint8Array.of(59, 2, 0, 1, ...new Uint8Array(20));
  fixture.dropsUdp("routing-header", packet(C, NATIVE, { nextHeader: 43, payload }));
  fixture.dropsUdp("loop", data(C, ip6("2002:c000:2c8::1")));
});

// ---- Symmetric clients

Deno.test("[RLY-15] a bubble that proves the arrival of ours teaches the mapping of a symmetric client, when that is wanted", () => {
  const wanted = new Fixture({ symmetricClients: true }), unwanted = new Fixture();
  const [{ bytes: bubble }] = wanted.tun(data(NATIVE, C, 1), 0);
  const answer = packet(C, bubble.slice(8, 24));
  wanted.bench.udp(wanted.relay, answer, ELSEWHERE, 50);
  assert.deepEqual(wanted.bench.takeUdp(), [{ kind: "udp", socket: 0, bytes: data(NATIVE, C, 1), ...ELSEWHERE }]);
  assert.equal(wanted.udp(data(C, NATIVE), ELSEWHERE, 60).length, 1);
  assert.deepEqual(wanted.tun(data(NATIVE, C), 70).map(({ port }) => port), [ELSEWHERE.port]);
  const [{ bytes: refused }] = unwanted.tun(data(NATIVE, C), 0);
  unwanted.dropsUdp("spoofed-source", packet(C, refused.slice(8, 24)), ELSEWHERE, 50);
});

Deno.test("[RLY-15] no other packet teaches another mapping: wrong address, no bubble, another client's proof, a bad source", () => {
  const fixture = new Fixture({ symmetricClients: true });
  const other = client({ ...C_MAPPED, port: 77 });
  const source = fixture.tun(data(NATIVE, C), 0)[0].bytes.slice(8, 24);
  const others = fixture.tun(data(NATIVE, other), 0)[0].bytes.slice(8, 24);
  const nearly = source.slice();
  nearly[15] ^= 1;
  fixture.dropsUdp("spoofed-source", packet(C, nearly), ELSEWHERE);
  fixture.dropsUdp("spoofed-source", packet(C, others), ELSEWHERE);
  fixture.dropsUdp("spoofed-source", packet(C, NATIVE), ELSEWHERE);
  fixture.dropsUdp("spoofed-source", data(C, source), ELSEWHERE);
  fixture.dropsUdp("spoofed-source", packet(C, source), { ...ELSEWHERE, port: 0 });
  for (const address of ["10.0.0.9", "224.0.0.1", "198.51.100.255"]) {
    fixture.dropsUdp("spoofed-source", packet(C, source), { address: ip4(address), port: 5555 });
  }
  fixture.dropsUdp("spoofed-source", packet(C, source), { address: OWN_IPV4, port: 5555 });
});

Deno.test("[RLY-15] a symmetric client that moves is found again by its next answer, and not before", () => {
  const fixture = new Fixture({ symmetricClients: true });
  const moved = { ...ELSEWHERE, port: 6666 };
  const source = fixture.connect(0, C, ELSEWHERE);
  fixture.dropsUdp("spoofed-source", data(C, NATIVE), moved, 10);
  fixture.bench.udp(fixture.relay, packet(C, source), moved, 20);
  assert.equal(fixture.udp(data(C, NATIVE), moved, 30).length, 1);
  fixture.dropsUdp("spoofed-source", data(C, NATIVE), ELSEWHERE, 40);
});

// ---- Other prefixes, other inputs, other roles

Deno.test("a relay for another prefix carries that one and no other", () => {
  const fixture = new Fixture({ prefix: 0x3fff0001 });
  const own = formTeredoAddress({ server: SERVER, flags: 0, mapped: C_MAPPED }, 0x3fff0001);
  fixture.connect(0, own);
  assert.deepEqual(fixture.tun(data(NATIVE, own), 1).map(({ port }) => port), [C_MAPPED.port]);
  assert.equal(fixture.udp(data(own, NATIVE), C_MAPPED, 2).length, 1);
  fixture.bench.tun(fixture.relay, data(NATIVE, C), 3);
  assert.equal(fixture.bench.count("not-teredo-destination"), 1);
});

Deno.test("[RLY-14] any octets from either side, at any time: no exception, and never a datagram to an address that is not global", () => {
  const fixture = new Fixture({ symmetricClients: true, directBubbles: true, served: "any" });
  fixture.connect(0);
  const seeds = [
    data(NATIVE, C),
    data(C, NATIVE),
    packet(C, ip6("fe80::1")),
    data(NATIVE, client({ ...C_MAPPED, port: 9 })),
  ];
  const mutated = fc.tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(59), fc.nat(255)), { maxLength: 3 }))
    .map(([seed, changes]) => {
      const bytes = seed.slice();
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    });
  const input = fc.oneof(fc.uint8Array({ maxLength: 90 }), mutated);
  let now = 0;
  fc.assert(
    fc.property(
      input,
      fc.boolean(),
      fc.nat(3000),
      fc.constantFrom(C_MAPPED, ELSEWHERE),
      (bytes, fromTun, wait, from) => {
        now += wait;
        fixture.bench.run(fixture.relay, now);
        if (fromTun) fixture.bench.tun(fixture.relay, bytes, now);
        else fixture.bench.udp(fixture.relay, bytes, from, now);
        for (const output of fixture.bench.take()) {
          if (output.kind !== "udp") continue;
          assert.ok(output.port > 0);
          assert.ok(
            output.address >>> 24 !== 10 && output.address >>> 24 !== 127 && output.address >>> 24 < 224 ||
              output.address >>> 28 === 15,
          );
        }
        assert.ok(fixture.relay.peers <= 16);
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("[SRV-22 SRV-23] server and relay of one host, each on its port of the same address, bring a packet to a client", () => {
  const host = SERVER;
  const fixture = new Fixture({ ownAddresses: [host] });
  const serverBench = new Bench();
  const server = new Server({
    primary: host,
    secondary: undefined,
    prefix: 0x20010000,
    mtu: 1280,
    maxIcmpv6Payload: 88,
    nativeForwarding: true,
    forwardForeign: false,
    secrets: new Map(),
    ratePerSource: 0,
    rateTotal: 0,
    subnets: [],
  }, serverBench.environment);
  const relayPort = { address: host, port: 40_000 };
  const [bubble] = fixture.tun(data(NATIVE, C, 3), 0);
  assert.deepEqual([bubble.address, bubble.port], [host, 3544]);
  serverBench.udp(server, bubble.bytes, relayPort, 1);
  const [indirect] = serverBench.takeUdp();
  assert.deepEqual({ address: indirect.address, port: indirect.port }, C_MAPPED);
  assert.equal(toHex(indirect.bytes.subarray(0, 8)), "000063bf34ff8e87", "the origin is the relay");
  fixture.bench.udp(fixture.relay, packet(C, indirect.bytes.slice(16, 32)), C_MAPPED, 2);
  assert.deepEqual(fixture.bench.takeUdp(), [{ kind: "udp", socket: 0, bytes: data(NATIVE, C, 3), ...C_MAPPED }]);
});
