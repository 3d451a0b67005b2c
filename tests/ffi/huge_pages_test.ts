import assert from "node:assert/strict";
import { HUGE_PAGE, HugePages } from "../../ffi/huge_pages.ts";

Deno.test("memory keeps its content while its pages become large, and there is an end to it", () => {
  const wasm = new WebAssembly.Memory({ initial: 4 * HUGE_PAGE / 65_536, maximum: 4 * HUGE_PAGE / 65_536 });
  const words = new Uint32Array(wasm.buffer);
  for (let i = 0; i < words.length; i += 512) words[i] = i + 1;
  const pages = new HugePages(wasm.buffer);
  pages.advise(false);
  pages.advise(true);
  let steps = 0;
  while (pages.collapseNext()) assert.ok(++steps <= 4);
  for (let i = 0; i < words.length; i += 512) assert.equal(words[i], i + 1);
  assert.equal(pages.collapseNext(), false);
});
