/** Each target with as many inputs as take seconds; `deno task fuzz` plays more. */

import { TARGETS } from "./targets.ts";
import { play } from "./target.ts";

const INPUTS = 100_000;

for (const target of TARGETS) {
  Deno.test(`${target.name} holds its rules over generated and damaged ${target.about}`, () => {
    play(target, 1, INPUTS / target.weight);
  });
}
