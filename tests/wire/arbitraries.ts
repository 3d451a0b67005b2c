/** Generators of values and of hostile octets. */

import fc from "fast-check";
import type { Endpoint } from "../../lib/wire/ipv4.ts";
import type { NeighborOption } from "../../lib/wire/neighbor_options.ts";
import type { Trailer } from "../../lib/wire/trailers.ts";
import { DATAGRAMS, DISCOVERY_SOLICITATION, INDIRECT_BUBBLE, RA, RS_RESTRICTED } from "./worked_examples.ts";

/** Unsigned integers of so many bits. */
export function unsigned(bits: number): fc.Arbitrary<number> {
  return fc.oneof(fc.integer({ min: 0, max: 2 ** bits - 1 }), fc.constantFrom(0, 1, 2 ** bits - 1, 2 ** (bits - 1)));
}

/** Records compare deeply equal to object literals. */
export const PLAIN = { noNullPrototype: true } as const;

export const anyIpv4: fc.Arbitrary<number> = unsigned(32);

export const anyEndpoint: fc.Arbitrary<Endpoint> = fc.record(
  { address: anyIpv4, port: unsigned(16) },
  PLAIN,
);

/** Exactly so many octets. */
export function octets(length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length });
}

/** Any address, zeros in it more often than chance has them. */
export const anyIpv6: fc.Arbitrary<Uint8Array> = fc.oneof(
  octets(16),
  fc.array(fc.oneof(fc.constant(0), fc.constant(0), unsigned(16)), { minLength: 8, maxLength: 8 })
    .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >>> 8, group & 0xff]))),
);

export const anyTrailer: fc.Arbitrary<Trailer> = fc.record({
  type: fc.oneof(fc.constantFrom(1, 2, 3, 4, 5), unsigned(8)),
  value: fc.oneof(fc.uint8Array({ maxLength: 30 }), octets(2), octets(4), octets(8), octets(14), octets(255)),
}, PLAIN);

export const anyOption: fc.Arbitrary<NeighborOption> = fc.record({
  type: unsigned(8),
  body: fc.integer({ min: 1, max: 6 }).chain((units) => octets(8 * units - 2)),
}, PLAIN);

/** Octets somewhere in a larger buffer. */
export interface Noise {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
}

/** Good datagrams, and good parts of them for the parsers of parts: packets, options, trailers. */
const GOOD: readonly Uint8Array[] = [
  ...DATAGRAMS,
  RS_RESTRICTED.subarray(13),
  RA.subarray(21),
  RA.subarray(21 + 56),
  INDIRECT_BUBBLE.subarray(40),
  DISCOVERY_SOLICITATION.subarray(40),
];

/** Something good with a few octets changed, cut short or made longer: gets further into a parser than random octets do. */
const mutated: fc.Arbitrary<Uint8Array> = fc.tuple(
  fc.constantFrom(...GOOD),
  fc.array(fc.tuple(fc.nat(150), unsigned(8)), { maxLength: 3 }),
  fc.option(fc.nat(150)),
  fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ maxLength: 40 })),
).map(([good, changes, kept, tail]) => {
  const bytes = Uint8Array.from([...(kept === null ? good : good.subarray(0, kept)), ...tail]);
  for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
  return bytes;
});

/** Any octets at any place of a buffer. */
export const anyNoise: fc.Arbitrary<Noise> = fc.tuple(
  fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated, mutated),
  fc.uint8Array({ maxLength: 70 }),
  fc.uint8Array({ maxLength: 70 }),
).map(([middle, before, after]) => ({
  bytes: Uint8Array.from([...before, ...middle, ...after]),
  at: before.length,
  length: middle.length,
}));
