import assert from "node:assert/strict";
import fc from "fast-check";
import { copyBytes, equalBytes, readU16, readU32, writeU16, writeU32 } from "../../lib/wire/bytes.ts";
import { unsigned } from "./arbitraries.ts";
import { hex, written } from "./octets.ts";

Deno.test("integers stand in network order, unsigned, at any offset", () => {
  const bytes = hex("00 fe dc ba 98");
  assert.equal(readU16(bytes, 1), 0xfedc);
  assert.equal(readU32(bytes, 1), 0xfedcba98);
  assert.equal(readU16(bytes, 3), 0xba98);
});

Deno.test("an integer that was written reads back, and nothing beside it changes", () => {
  fc.assert(fc.property(unsigned(16), unsigned(32), (short, long) => {
    const bytes = written((bytes, at) => {
      writeU16(short, bytes, at);
      writeU32(long, bytes, at + 2);
      return 6;
    });
    assert.deepEqual([readU16(bytes, 0), readU32(bytes, 2)], [short, long]);
  }));
});

Deno.test("equalBytes compares runs inside arrays, and no run reaches past an end", () => {
  const bytes = hex("01 02 03 01 02 04");
  assert.equal(equalBytes(bytes, 0, bytes, 3, 2), true);
  assert.equal(equalBytes(bytes, 0, bytes, 3, 3), false);
  assert.equal(equalBytes(bytes, 5, hex("04"), 0, 1), true);
  assert.equal(equalBytes(bytes, 6, bytes, 6, 1), false);
  assert.equal(equalBytes(bytes, 0, hex("01"), 0, 2), false);
  assert.equal(equalBytes(bytes, 1, bytes, 4, 0), true);
});

Deno.test("copyBytes copies short and long runs, between arrays and onto themselves, overlapping or not", () => {
  fc.assert(fc.property(
    fc.uint8Array({ minLength: 300, maxLength: 300 }),
    fc.nat(100),
    fc.nat(100),
    fc.nat(200),
    fc.constantFrom("other array" as const, "same array" as const, "view of the same memory" as const),
    (from, fromAt, toAt, length, where) => {
      const fresh = from.slice();
      const others = {
        "other array": new Uint8Array(300),
        "same array": fresh,
        "view of the same memory": new Uint8Array(fresh.buffer),
      };
      const to = others[where];
      const expected = to.slice();
      for (let i = 0; i < length; i++) expected[toAt + i] = from[fromAt + i];
      copyBytes(fresh, fromAt, to, toAt, length);
      assert.deepEqual(to, expected);
    },
  ));
});
