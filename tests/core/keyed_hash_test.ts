/** The keyed hash is HalfSipHash-1-3: held against a slow one written from its definition, which in turn gives the published values. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { KeyedHash } from "../../lib/core/keyed_hash.ts";
import type { Random } from "../../lib/core/machine.ts";

const rotate = (word: number, by: number): number => (word << by | word >>> (32 - by)) >>> 0;
const add = (a: number, b: number): number => (a + b) >>> 0;

/** HalfSipHash with one round a word and three at the end, over words that hold the whole input, padding and length included. */
function halfSipHash13(key: readonly [number, number], words: readonly number[]): number {
  let [v0, v1, v2, v3] = [key[0], key[1], (key[0] ^ 0x6c796765) >>> 0, (key[1] ^ 0x74656462) >>> 0];
  const round = (): void => {
    v0 = add(v0, v1);
    v1 = (rotate(v1, 5) ^ v0) >>> 0;
    v0 = rotate(v0, 16);
    v2 = add(v2, v3);
    v3 = (rotate(v3, 8) ^ v2) >>> 0;
    v0 = add(v0, v3);
    v3 = (rotate(v3, 7) ^ v0) >>> 0;
    v2 = add(v2, v1);
    v1 = (rotate(v1, 13) ^ v2) >>> 0;
    v2 = rotate(v2, 16);
  };
  for (const word of words) {
    v3 = (v3 ^ word) >>> 0;
    round();
    v0 = (v0 ^ word) >>> 0;
  }
  v2 = (v2 ^ 0xff) >>> 0;
  for (let i = 0; i < 3; i++) round();
  return (v1 ^ v3) >>> 0;
}

/** Octets as the words that HalfSipHash takes: little-endian, the length in the top octet of the last one. */
function wordsOf(octets: readonly number[]): number[] {
  const padded = [...octets, ...new Array(3 - octets.length % 4).fill(0), octets.length];
  return padded.flatMap((_, i) => {
    const [a, b, c, d] = padded.slice(i, i + 4);
    return i % 4 === 0 ? [(a | b << 8 | c << 16 | d << 24) >>> 0] : [];
  });
}

function keyed(key0: number, key1: number): KeyedHash {
  const drawn = [key0, key1];
  const random: Random = { u32: () => drawn.shift() ?? assert.fail("a third word of key"), fill: () => assert.fail() };
  return new KeyedHash(random);
}

Deno.test("the slow hash gives the values of the Linux kernel's self-test (lib/test_siphash.c, test_vectors_hsiphash)", () => {
  const key = [0x03020100, 0x07060504] as const;
  const expected = [0x5814c896, 0xe7e864ca, 0xbc4b0e30, 0x01539939, 0x7e059ea6, 0x88e3d89b, 0xa0080b65, 0x9d38d9d6];
  expected.forEach((value, length) => {
    const octets = Array.from({ length }, (_, i) => i);
    assert.equal(halfSipHash13(key, wordsOf(octets)), value, `${length} octets`);
  });
});

Deno.test("for every key and every four words the hash is that of the slow one", () => {
  const word = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(fc.property(word, word, word, word, word, word, (key0, key1, ...words) => {
    const [w0, w1, w2, w3] = words;
    assert.equal(keyed(key0, key1).of4(w0, w1, w2, w3) >>> 0, halfSipHash13([key0, key1], words));
    assert.equal(keyed(key0, key1).of1(w0) >>> 0, halfSipHash13([key0, key1], [w0, 0, 0, 0]));
  }));
});
