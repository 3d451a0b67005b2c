import assert from "node:assert/strict";
import fc from "fast-check";
import { libc } from "../../ffi/libc.ts";
import { copyFrom, type NativeBuffer, nativeBuffer, pointerTo } from "../../ffi/memory.ts";
import { cString, formatAddress, formatIpv4Number, readCString } from "../../ffi/text.ts";

const kinds: readonly (readonly [string, () => ArrayBufferLike])[] = [
  ["an ArrayBuffer", () => new ArrayBuffer(65536)],
  ["a SharedArrayBuffer", () => new SharedArrayBuffer(65536)],
  ["a WebAssembly memory", () => new WebAssembly.Memory({ initial: 1, maximum: 1 }).buffer],
  ["a shared WebAssembly memory", () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer],
];

function address(memory: NativeBuffer, target: number): bigint {
  memory.writePointer(8, target);
  return memory.view.getBigUint64(8, true);
}

for (const [name, make] of kinds) {
  Deno.test(`${name} is the same memory to the C library as to JavaScript`, () => {
    const memory = nativeBuffer(make());
    memory.bytes.set([1, 2, 3, 4, 5], 1000);
    libc().copy(memory.pointer(2001), memory.pointer(1000), 5);
    assert.deepEqual([...memory.bytes.subarray(2000, 2007)], [0, 1, 2, 3, 4, 5, 0]);
    assert.deepEqual([...copyFrom(memory.pointer(2002), 2)], [2, 3]);
  });

  Deno.test(`an address written into ${name} is the address of its target`, () => {
    const memory = nativeBuffer(make());
    memory.bytes.set([7, 8, 9], 4000);
    assert.deepEqual([...copyFrom(pointerTo(address(memory, 4000)), 3)], [7, 8, 9]);
  });
}

Deno.test("an address carries from its low into its high word", () => {
  const memory = nativeBuffer(new ArrayBuffer(64));
  const base = address(memory, 0);
  fc.assert(fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (target) => {
    assert.equal(address(memory, target), base + BigInt(target));
  }));
  // Whatever the base is, one of these two passes a border of 2^32.
  const border = 0x1_0000_0000n - (base & 0xffff_ffffn);
  assert.equal(address(memory, Number(border) - 1), base + border - 1n);
  assert.equal(address(memory, Number(border)), base + border);
});

Deno.test("address 0 is the null pointer", () => {
  assert.equal(pointerTo(0n), null);
});

Deno.test("a C string ends with a NUL octet and may hold none", () => {
  assert.deepEqual([...cString("aé")], [0x61, 0xc3, 0xa9, 0]);
  assert.throws(() => cString("a\0b"), TypeError);
  assert.equal(readCString(cString("teredo"), 0), "teredo");
  assert.equal(readCString(Uint8Array.of(0x61, 0x62), 1), "b");
});

Deno.test("addresses in errors are written as RFC 5952 4 says", () => {
  const ipv6 = (...words: readonly number[]): Uint8Array => Uint8Array.from(words.flatMap((w) => [w >> 8, w & 255]));
  assert.equal(formatIpv4Number(0xc0000201), "192.0.2.1");
  assert.equal(formatAddress(Uint8Array.of(198, 51, 100, 7)), "198.51.100.7");
  assert.equal(formatAddress(ipv6(0, 0, 0, 0, 0, 0, 0, 0)), "::");
  assert.equal(formatAddress(ipv6(0, 0, 0, 0, 0, 0, 0, 1)), "::1");
  assert.equal(formatAddress(ipv6(0x2001, 0, 0, 0, 0, 0, 0, 0)), "2001::");
  // 4.2.2 and 4.2.3: no "::" for one group; the longest run, the first of equals.
  assert.equal(formatAddress(ipv6(0x2001, 0xdb8, 0, 1, 1, 1, 1, 1)), "2001:db8:0:1:1:1:1:1");
  assert.equal(formatAddress(ipv6(0x2001, 0, 0, 1, 0, 0, 0, 1)), "2001:0:0:1::1");
  assert.equal(formatAddress(ipv6(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1)), "2001:db8::1:0:0:1");
});
