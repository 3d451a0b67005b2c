/** Every parser over every kind of octets: it never throws, and it reads nothing outside of what it was given. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { authenticationInput, Datagram } from "../../lib/wire/encapsulation.ts";
import { findUpperLayer, isSourceRouted } from "../../lib/wire/extension_headers.ts";
import { icmpv6Type, mayAnswerWithError, parseEcho } from "../../lib/wire/icmpv6.ts";
import { isIpv6Packet, parseIpv6Header } from "../../lib/wire/ipv6.ts";
import { parseNeighborOptions } from "../../lib/wire/neighbor_options.ts";
import { parseRouterAdvertisement } from "../../lib/wire/router_advertisement.ts";
import { parseRouterSolicitation } from "../../lib/wire/router_solicitation.ts";
import { parseTeredoAddress } from "../../lib/wire/teredo_address.ts";
import { parseTrailers, splitTrailers } from "../../lib/wire/trailers.ts";
import { anyNoise } from "./arbitraries.ts";
import { guard } from "./octets.ts";

type Parser = (bytes: Uint8Array, at: number, length: number) => unknown;

function decode(bytes: Uint8Array, at: number, length: number): Datagram | undefined {
  const datagram = new Datagram();
  return datagram.decode(bytes, at, length) ? datagram : undefined;
}

const PARSERS: Readonly<Record<string, Parser>> = {
  "Datagram.decode": decode,
  authenticationInput,
  parseIpv6Header,
  findUpperLayer,
  isSourceRouted: (bytes, at, length) => isIpv6Packet(bytes, at, length) && isSourceRouted(bytes, at, length),
  icmpv6Type: (bytes, at, length) => isIpv6Packet(bytes, at, length) && icmpv6Type(bytes, at),
  parseEcho,
  mayAnswerWithError,
  parseNeighborOptions,
  parseRouterSolicitation,
  parseRouterAdvertisement,
  parseTeredoAddress: (bytes, at, length) => parseTeredoAddress(bytes.slice(at, at + length)),
  splitTrailers,
  parseTrailers,
};

for (const [name, parser] of Object.entries(PARSERS)) {
  Deno.test(`${name} takes any octets without throwing and reads none but those given`, () => {
    fc.assert(
      fc.property(anyNoise, ({ bytes, at, length }) => {
        parser(guard(bytes, at, length).bytes, at, length);
      }),
      { numRuns: 400 },
    );
  });
}

Deno.test("what a decoded datagram points at lies inside it, element behind element", () => {
  fc.assert(
    fc.property(anyNoise, ({ bytes, at, length }) => {
      const datagram = decode(bytes, at, length);
      if (datagram === undefined) return;
      assert.ok(datagram.ipv6At >= at);
      assert.ok(datagram.ipv6Length >= 40);
      assert.equal(datagram.trailersAt, datagram.ipv6At + datagram.ipv6Length);
      assert.equal(datagram.trailersAt + datagram.trailersLength, at + length);
    }),
    { numRuns: 400 },
  );
});

Deno.test("the generator of hostile octets reaches every parser's good end, so that these tests test something", () => {
  const reached = new Set<string>();
  for (const { bytes, at, length } of fc.sample(anyNoise, { numRuns: 3000, seed: 1 })) {
    const trailers = parseTrailers(bytes, at, length);
    if (trailers.alternates) reached.add("alternates");
    if (trailers.alternateMalformed) reached.add("malformed alternate");
    if (trailers.discovery) reached.add("discovery");
    if (trailers.discard) reached.add("discard");
    if (parseNeighborOptions(bytes, at, length)) reached.add("options");
    const datagram = decode(bytes, at, length);
    if (datagram === undefined) continue;
    const { ipv6At, ipv6Length, authentication, origin, trailersAt, trailersLength } = datagram;
    if (authentication) reached.add("authentication");
    if (origin) reached.add("origin");
    if (parseEcho(bytes, ipv6At, ipv6Length)) reached.add("echo");
    if (parseRouterSolicitation(bytes, ipv6At, ipv6Length)) reached.add("solicitation");
    if (parseRouterAdvertisement(bytes, ipv6At, ipv6Length)) reached.add("advertisement");
    if (parseTrailers(bytes, trailersAt, trailersLength).nonce) reached.add("nonce in a datagram");
  }
  assert.equal(reached.size, 11, [...reached].join(", "));
});
