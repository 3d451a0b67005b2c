/** The NAT model, axis by axis (RFC 4787). */

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Dependence, Nat, NAT_KINDS, type NatOptions, Protocol, type Verdict } from "./nat.ts";
import type { Endpoint } from "../../lib/wire/ipv4.ts";

const OUTSIDE = 0xc6336407; // 198.51.100.7
const INSIDE = { address: 0x0a000002, port: 5000 }; // 10.0.0.2
const OTHER_INSIDE = { address: 0x0a000003, port: 6000 };
const SERVER = { address: 0xcb007109, port: 3544 }; // 203.0.113.9
const SERVER_OTHER_PORT = { ...SERVER, port: 3545 };
const STRANGER = { address: 0xc0000201, port: 3544 }; // 192.0.2.1
const DEPENDENCES: readonly Dependence[] = ["endpoint-independent", "address-dependent", "address-and-port-dependent"];

function nat(options: Partial<NatOptions> = {}): Nat {
  return new Nat({ addresses: [OUTSIDE], ...options });
}

function send(to: Nat, source: Endpoint, destination: Endpoint, now = 0, protocol: number = Protocol.udp): Endpoint {
  const verdict = to.outbound({ protocol, source, destination }, now);
  assert.equal(verdict.kind, "forward");
  return verdict.kind === "forward" ? verdict.header.source : INSIDE;
}

function receive(by: Nat, source: Endpoint, destination: Endpoint, now = 0, protocol: number = Protocol.udp): Verdict {
  return by.inbound({ protocol, source, destination }, now);
}

function outcome(verdict: Verdict): string {
  return verdict.kind === "drop" ? verdict.reason : verdict.kind;
}

Deno.test("endpoint-independent mapping gives one external endpoint for all destinations", () => {
  const box = nat({ mapping: "endpoint-independent" });
  const first = send(box, INSIDE, SERVER);
  assert.equal(first.address, OUTSIDE);
  assert.deepEqual(send(box, INSIDE, SERVER_OTHER_PORT), first);
  assert.deepEqual(send(box, INSIDE, STRANGER), first);
  assert.notDeepEqual(send(box, OTHER_INSIDE, SERVER), first);
});

Deno.test("address-dependent mapping gives one external endpoint for all ports of a destination", () => {
  const box = nat({ mapping: "address-dependent" });
  const first = send(box, INSIDE, SERVER);
  assert.deepEqual(send(box, INSIDE, SERVER_OTHER_PORT), first);
  assert.notDeepEqual(send(box, INSIDE, STRANGER), first);
});

Deno.test("address-and-port-dependent mapping gives another external endpoint for each destination", () => {
  const box = nat({ mapping: "address-and-port-dependent" });
  const seen = [SERVER, SERVER_OTHER_PORT, STRANGER].map((remote) => send(box, INSIDE, remote).port);
  assert.equal(new Set(seen).size, 3);
  assert.deepEqual([SERVER, SERVER_OTHER_PORT, STRANGER].map((remote) => send(box, INSIDE, remote).port), seen);
});

Deno.test("filtering lets in whom its dependence allows, whatever the mapping", () => {
  for (const mapping of DEPENDENCES) {
    const expected: Record<Dependence, readonly string[]> = {
      "endpoint-independent": ["forward", "forward", "forward"],
      "address-dependent": ["forward", "forward", "filtered"],
      "address-and-port-dependent": ["forward", "filtered", "filtered"],
    };
    for (const filtering of DEPENDENCES) {
      const box = nat({ mapping, filtering });
      const external = send(box, INSIDE, SERVER);
      const outcomes = [SERVER, SERVER_OTHER_PORT, STRANGER].map((remote) => outcome(receive(box, remote, external)));
      assert.deepEqual(outcomes, expected[filtering], `${mapping} x ${filtering}`);
    }
  }
});

Deno.test("a packet to an external port without mapping is dropped", () => {
  const box = nat({ filtering: "endpoint-independent" });
  const external = send(box, INSIDE, SERVER);
  assert.equal(outcome(receive(box, SERVER, { ...external, port: external.port ^ 1 })), "no-mapping");
  assert.equal(outcome(receive(box, SERVER, external, 0, Protocol.tcp)), "no-mapping");
});

Deno.test("port preservation keeps the inside port while it is free", () => {
  const box = nat({ ports: { kind: "preserving" } });
  assert.equal(send(box, INSIDE, SERVER).port, INSIDE.port);
  assert.notEqual(send(box, { ...OTHER_INSIDE, port: INSIDE.port }, SERVER).port, INSIDE.port);
  assert.equal(send(box, INSIDE, SERVER, 0, Protocol.tcp).port, INSIDE.port);
});

Deno.test("a port-preserving symmetric NAT keeps the port for the first destination only, unless it overloads ports", () => {
  const plain = nat({ ...NAT_KINDS.symmetric, ports: { kind: "preserving" } });
  assert.equal(send(plain, INSIDE, SERVER).port, INSIDE.port);
  assert.notEqual(send(plain, INSIDE, STRANGER).port, INSIDE.port);

  const overloading = nat({ ...NAT_KINDS.symmetric, ports: { kind: "preserving", overload: true } });
  const same = { ...OTHER_INSIDE, port: INSIDE.port };
  assert.equal(send(overloading, INSIDE, SERVER).port, INSIDE.port);
  assert.equal(send(overloading, INSIDE, STRANGER).port, INSIDE.port);
  assert.equal(send(overloading, same, SERVER_OTHER_PORT).port, INSIDE.port);
  assert.notEqual(send(overloading, same, SERVER).port, INSIDE.port);
  const answer = receive(overloading, SERVER_OTHER_PORT, { address: OUTSIDE, port: INSIDE.port });
  assert.equal(answer.kind === "forward" && answer.header.destination.address, OTHER_INSIDE.address);
});

Deno.test("sequential assignment steps from one mapping to the next and wraps above 1023", () => {
  for (const step of [1, 2, -3]) {
    const box = nat({ ...NAT_KINDS.symmetric, ports: { kind: "sequential", step }, seed: step });
    let last = send(box, INSIDE, { ...SERVER, port: 1 }).port;
    for (let i = 2; i < 300; i++) {
      const port = send(box, INSIDE, { ...SERVER, port: i }).port;
      assert.equal(((port - last) % 64512 + 64512) % 64512, (step + 64512) % 64512);
      assert.ok(port >= 1024 && port <= 65535);
      last = port;
    }
  }
});

Deno.test("a NAT whose ports are used up refuses new mappings and keeps the old ones", () => {
  const box = nat({ ...NAT_KINDS.symmetric, ports: { kind: "sequential", step: 1 } });
  const first = send(box, INSIDE, { address: 1, port: 1 });
  for (let i = 1; i < 64512; i++) send(box, INSIDE, { address: 1 + (i & 0xff), port: 1 + (i >>> 8) });
  assert.equal(
    outcome(box.outbound({ protocol: Protocol.udp, source: OTHER_INSIDE, destination: SERVER }, 0)),
    "no-port",
  );
  assert.deepEqual(send(box, INSIDE, { address: 1, port: 1 }), first);
});

Deno.test("a mapping dies after its lifetime without outbound traffic", () => {
  const box = nat({ lifetime: 30_000, ports: { kind: "sequential", step: 1 } });
  const first = send(box, INSIDE, SERVER, 0);
  assert.equal(outcome(receive(box, SERVER, first, 29_999)), "forward");
  assert.equal(outcome(receive(box, SERVER, first, 30_000)), "no-mapping");
  assert.notDeepEqual(send(box, INSIDE, SERVER, 30_000), first);
});

Deno.test("inbound traffic keeps a mapping alive only where the NAT refreshes on both", () => {
  for (const refresh of ["outbound", "both"] as const) {
    const box = nat({ lifetime: 30_000, refresh });
    const external = send(box, INSIDE, SERVER, 0);
    receive(box, SERVER, external, 20_000);
    const late = outcome(receive(box, SERVER, external, 40_000));
    assert.equal(late, refresh === "both" ? "forward" : "no-mapping");
  }
});

Deno.test("a filter closes for a remote that was not written to for a lifetime, while the mapping lives on", () => {
  const box = nat({ lifetime: 30_000 });
  const external = send(box, INSIDE, SERVER, 0);
  send(box, INSIDE, STRANGER, 20_000);
  assert.equal(outcome(receive(box, SERVER, external, 35_000)), "filtered");
  assert.equal(outcome(receive(box, STRANGER, external, 35_000)), "forward");
});

Deno.test("TCP mappings outlive UDP ones", () => {
  const box = nat({ lifetime: 30_000 });
  const external = send(box, INSIDE, SERVER, 0, Protocol.tcp);
  assert.equal(outcome(receive(box, SERVER, external, 3_600_000, Protocol.tcp)), "forward");
});

Deno.test("hairpinning shows the configured source to the other host inside", () => {
  for (const hairpin of ["none", "external-source", "internal-source"] as const) {
    const box = nat({ ...NAT_KINDS.cone, hairpin });
    const target = send(box, OTHER_INSIDE, SERVER);
    const external = send(box, INSIDE, SERVER);
    const verdict = box.outbound({ protocol: Protocol.udp, source: INSIDE, destination: target }, 0);
    if (hairpin === "none") assert.equal(outcome(verdict), "no-hairpin");
    else {
      assert.equal(verdict.kind, "hairpin");
      assert.deepEqual(verdict.kind === "hairpin" && verdict.header, {
        protocol: Protocol.udp,
        source: hairpin === "external-source" ? external : INSIDE,
        destination: OTHER_INSIDE,
      });
    }
  }
});

Deno.test("filtering holds for hairpinned packets too", () => {
  const box = nat({ ...NAT_KINDS["port-restricted"], hairpin: "external-source" });
  const mine = send(box, INSIDE, SERVER);
  const theirs = send(box, OTHER_INSIDE, SERVER);
  const there = { protocol: Protocol.udp, source: INSIDE, destination: theirs };
  assert.equal(outcome(box.outbound(there, 0)), "filtered");
  assert.equal(
    outcome(box.outbound({ protocol: Protocol.udp, source: OTHER_INSIDE, destination: mine }, 0)),
    "hairpin",
  );
  assert.equal(outcome(box.outbound(there, 0)), "hairpin");
});

Deno.test("paired pooling keeps one external address for an inside host, arbitrary pooling does not", () => {
  const addresses = [OUTSIDE, OUTSIDE + 1, OUTSIDE + 2, OUTSIDE + 3];
  const used = (pooling: "paired" | "arbitrary") => {
    const box = nat({ ...NAT_KINDS.symmetric, addresses, pooling });
    const ports = Array.from({ length: 64 }, (_, i) => i + 1);
    return new Set(ports.map((port) => send(box, INSIDE, { ...SERVER, port }).address)).size;
  };
  assert.equal(used("paired"), 1);
  assert.equal(used("arbitrary"), addresses.length);
});

Deno.test("a reserved port is open to everybody; only an endpoint-independent NAT sends from it", () => {
  for (const kind of ["port-restricted", "symmetric"] as const) {
    const box = nat(NAT_KINDS[kind]);
    box.forward(Protocol.udp, 4242, INSIDE);
    const verdict = receive(box, STRANGER, { address: OUTSIDE, port: 4242 }, 1e9);
    assert.deepEqual(verdict.kind === "forward" && verdict.header.destination, INSIDE);
    assert.equal(send(box, INSIDE, SERVER).port === 4242, kind === "port-restricted");
  }
});

Deno.test("a reboot forgets every mapping and gives new ports", () => {
  const box = nat({ ports: { kind: "sequential", step: 1 } });
  const before = send(box, INSIDE, SERVER);
  box.reboot([OUTSIDE + 9]);
  assert.equal(outcome(receive(box, SERVER, before)), "no-mapping");
  const after = send(box, INSIDE, SERVER);
  assert.equal(after.address, OUTSIDE + 9);
  assert.notEqual(after.port, before.port);
});

Deno.test("ICMP errors find the host inside by the packet they quote", () => {
  for (const kind of ["cone", "symmetric"] as const) {
    const box = nat(NAT_KINDS[kind]);
    const external = send(box, INSIDE, SERVER);
    const quoted = { protocol: Protocol.udp, source: external, destination: SERVER };
    assert.deepEqual(box.inboundError(quoted, 1), { ...quoted, source: INSIDE });
    assert.equal(box.inboundError({ ...quoted, source: { ...external, port: external.port ^ 1 } }, 1), undefined);
    const received = { protocol: Protocol.udp, source: SERVER, destination: INSIDE };
    assert.deepEqual(box.outboundError(received, 1), { ...received, destination: external });
  }
});

Deno.test("dead mappings do not pile up", () => {
  const box = nat({ ...NAT_KINDS.symmetric, lifetime: 1000 });
  for (let i = 0; i < 50_000; i++) send(box, INSIDE, { ...SERVER, port: 1 + i % 60_000 }, i);
  assert.ok(box.size < 6000, `${box.size} mappings`);
});

Deno.test("whatever a NAT lets out, the answer of exactly that remote comes back to exactly that host", () => {
  const endpoint = fc.record({
    address: fc.integer({ min: 0x0a000001, max: 0x0a000004 }),
    port: fc.integer({ min: 1, max: 9 }),
  }, { noNullPrototype: true });
  const remote = fc.record({
    address: fc.integer({ min: 0xcb007101, max: 0xcb007103 }),
    port: fc.integer({ min: 1, max: 4 }),
  }, { noNullPrototype: true });
  const ports = fc.constantFrom<NonNullable<NatOptions["ports"]>>(
    { kind: "preserving" },
    { kind: "preserving", overload: true },
    { kind: "sequential", step: 1 },
    { kind: "random" },
  );
  fc.assert(fc.property(
    fc.constantFrom(...DEPENDENCES),
    fc.constantFrom(...DEPENDENCES),
    ports,
    fc.array(fc.tuple(endpoint, remote), { maxLength: 60 }),
    (mapping, filtering, assignment, flows) => {
      const box = nat({ mapping, filtering, ports: assignment });
      flows.forEach(([source, destination], now) => {
        const external = send(box, source, destination, now);
        const back = receive(box, destination, external, now);
        assert.deepEqual(back.kind === "forward" && back.header.destination, source);
      });
    },
  ));
});
