import assert from "node:assert/strict";
import fc from "fast-check";
import { NumberCache } from "../../../lib/host/data/number_cache.ts";

Deno.test("a number comes back as it was given, whatever came before", () => {
  const u32 = fc.oneof(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xc0000201),
  );
  fc.assert(fc.property(fc.array(u32, { maxLength: 300 }), (list) => {
    const cache = new NumberCache();
    for (const value of [...list, ...list]) assert.equal(cache.same(value), value);
  }));
});
