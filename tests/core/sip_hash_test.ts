import assert from "node:assert/strict";
import fc from "fast-check";
import { BubbleSource } from "../../lib/core/relay/bubble_source.ts";
import { SipHash } from "../../lib/core/sip_hash.ts";
import { ip6, SeededRandom } from "./harness.ts";

const MASK = (1n << 64n) - 1n;
const rotate = (x: bigint, by: bigint): bigint => (x << by | x >> 64n - by) & MASK;

function number(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, octet) => sum << 8n | BigInt(octet), 0n);
}

/** SipHash-2-4 as its authors wrote it, of any number of octets. */
function reference(key: Uint8Array, message: Uint8Array): bigint {
  const k0 = number(key.subarray(0, 8)), k1 = number(key.subarray(8, 16));
  let [a, b, c, d] = [0x736f6d6570736575n, 0x646f72616e646f6dn, 0x6c7967656e657261n, 0x7465646279746573n];
  [a, b, c, d] = [a ^ k0, b ^ k1, c ^ k0, d ^ k1];
  const round = (): void => {
    a = a + b & MASK;
    b = rotate(b, 13n) ^ a;
    a = rotate(a, 32n);
    c = c + d & MASK;
    d = rotate(d, 16n) ^ c;
    a = a + d & MASK;
    d = rotate(d, 21n) ^ a;
    c = c + b & MASK;
    b = rotate(b, 17n) ^ c;
    c = rotate(c, 32n);
  };
  const padded = new Uint8Array((message.length >> 3) * 8 + 8);
  padded.set(message);
  padded[padded.length - 1] = message.length;
  for (let at = 0; at < padded.length; at += 8) {
    const word = number(padded.subarray(at, at + 8));
    d ^= word;
    round();
    round();
    a ^= word;
  }
  c ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  return a ^ b ^ c ^ d;
}

Deno.test("SipHash of 16 octets is what the definition says, which gives the example of its paper (appendix A)", () => {
  const counting = Uint8Array.from({ length: 16 }, (_, i) => i);
  assert.equal(reference(counting, counting.subarray(0, 15)), 0xa129ca6149be45e5n);
  const octets = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(fc.property(octets, octets, (key, message) => {
    const hash = new SipHash(key);
    hash.of16(message, 0);
    assert.equal(BigInt(hash.second) << 32n | BigInt(hash.first), reference(key, message));
  }));
});

Deno.test("the source of bubbles is link-local, differs by client and process, and is known again", () => {
  const one = new BubbleSource(new SeededRandom(1)), two = new BubbleSource(new SeededRandom(2));
  const a = ip6("2001:0:cb00:7178:0:efff:3fff:fdfe"), b = ip6("2001:0:cb00:7178:0:efff:3fff:fdff");
  const source = one.of(a).slice();
  assert.deepEqual([...source.subarray(0, 8)], [0xfe, 0x80, 0, 0, 0, 0, 0, 0]);
  assert.equal(source[8] & 3, 0);
  assert.notDeepEqual(one.of(b), source);
  assert.notDeepEqual(two.of(a), source);
  assert.equal(one.matches(a, source, 0), true);
  assert.equal(one.matches(b, source, 0), false);
  assert.equal(two.matches(a, source, 0), false);
  for (let octet = 0; octet < 16; octet++) {
    const wrong = source.slice();
    wrong[octet] ^= 0x80;
    assert.equal(one.matches(a, wrong, 0), false);
  }
});
