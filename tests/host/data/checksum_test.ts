/** The WebAssembly checksum against the plain one, and the committed module against its source. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { plainSum, simdSum } from "../../../lib/host/data/checksum.ts";
import { committed, expected } from "../../../scripts/assemble.ts";

const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
const bytes = new Uint8Array(memory.buffer);
const plain = plainSum(bytes);

Deno.test("the committed module is what the assembler makes of its source", async () => {
  assert.equal(await committed(), await expected());
});

Deno.test("the WebAssembly sum equals the plain sum over any octets at any offset", () => {
  const simd = simdSum(memory);
  assert.ok(simd !== undefined);
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 0, maxLength: 400, size: "max" }),
      fc.integer({ min: 0, max: 70 }),
      fc.integer({ min: 0, max: 70 }),
      (octets, at, before) => {
        bytes.fill(0xff, 0, 1000); // what lies around must not count
        bytes.set(octets, at + before);
        assert.equal(simd(at + before, octets.length), plain(at + before, octets.length));
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("the WebAssembly sum of the largest packet of ones overflows nowhere", () => {
  const simd = simdSum(memory);
  assert.ok(simd !== undefined);
  bytes.fill(0xff);
  for (const length of [65535, 65534, 65536 + 64, 131072, 131072 - 1]) assert.equal(simd(0, length), plain(0, length));
  bytes.fill(0);
  assert.equal(simd(1, 65535), 0);
  assert.equal(plain(1, 65535), 0);
});

Deno.test("the sum is that of the example of RFC 1071 3", () => {
  const simd = simdSum(memory);
  bytes.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 3);
  assert.equal(simd?.(3, 8), 0xddf2);
  assert.equal(plain(3, 8), 0xddf2);
});
