/** Every pair of RFC 6081 figure 1, in both directions, in calm and in rough weather, with and without relays to meet at. */

import assert from "node:assert/strict";
import { forSeeds } from "./diagram.ts";
import { drawRun, FIGURE_KINDS, FIGURE_NAMES, figureCell, pairFault, runPair, type Weather } from "./figure.ts";
import { Network } from "./network.ts";

/** Seeds for each of the 81 pairs and each of the four tests. `deno task sim` runs thousands. */
const SEEDS = 80;

const make = (seed: number) => new Network(seed);

function holdFigure(weather: Weather, relays: boolean, firstSeed: number): void {
  const seeds = Array.from({ length: SEEDS }, (_, i) => firstSeed + i);
  for (const initiator of FIGURE_NAMES) {
    for (const peer of FIGURE_NAMES) {
      // Hours of vain attempts show nothing that minutes do not.
      if (weather === "rough" && !relays && figureCell(initiator, peer) === "-") continue;
      forSeeds(seeds, make, (network) => {
        const run = drawRun(network, weather);
        const traversal = { relayPaths: relays };
        const result = runPair(network, FIGURE_KINDS[initiator], FIGURE_KINDS[peer], { ...run, traversal });
        const fault = pairFault(initiator, peer, weather, relays, result);
        assert.equal(fault, undefined, `${initiator} to ${peer}: ${fault}`);
      });
    }
  }
}

Deno.test("in calm weather the pairs of RFC 6081 figure 1 connect within 5 s, and the others are told so", () => {
  holdFigure("calm", false, 1);
});

Deno.test("with a relay to meet at, every pair connects within 15 s, and over the relay only where there is no direct way", () => {
  holdFigure("calm", true, 1001);
});

Deno.test("through losses up to 20 %, reordering and copies the pairs of the figure connect all the same", () => {
  holdFigure("rough", false, 2001);
});

Deno.test("through losses up to 20 %, reordering and copies every pair connects where there is a relay", () => {
  holdFigure("rough", true, 3001);
});
