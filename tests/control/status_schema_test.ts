/** docs/status.schema.json against what `miredo status --json` prints: valid, and every key is described. */

import assert from "node:assert/strict";
import { healthLine } from "../../lib/control/health.ts";
import { peersOf } from "../../lib/host/data/peer_view.ts";
import { PEER_WORDS } from "../../lib/host/data/messages.ts";
import { Counters } from "../../lib/core/counters.ts";
import { readCounters } from "../../lib/host/control/counter_view.ts";
import { sampleStatus } from "./sample_status.ts";
import { statusProblems } from "./status_schema.ts";

const FULL = {
  ...sampleStatus,
  ...readCounters(new Counters()),
  peers: { count: 1, limit: 10, list: peersOf(new Uint32Array(PEER_WORDS).fill(0xffff_ffff)) },
  health: [healthLine("CLOCK", "by 5 s")],
};

Deno.test("a status of each role is valid, and every key of it is described", () => {
  assert.deepEqual(statusProblems(FULL), []);
  const server = { ...FULL, role: "server", state: "serving", address: null, server: null, mapped: null, nat: null };
  assert.deepEqual(statusProblems({ ...server, interface: null, peers: null, prefix: "2001::/32", offloads: [] }), []);
});

Deno.test("what is no status is not valid: another type, another word, a key that is missing or not described", () => {
  const { since: _, ...incomplete } = FULL;
  for (
    const wrong of [
      incomplete,
      { ...FULL, schema: 2 },
      { ...FULL, state: "asleep" },
      { ...FULL, surprise: 1 },
      { ...FULL, nat: { ...FULL.nat, hairpin: "maybe" } },
      { ...FULL, health: [{ ...FULL.health[0], detail: "x" }] },
      { ...FULL, drops: { loop: -1 } },
      { ...FULL, address: "192.0.2.1" },
    ]
  ) assert.notDeepEqual(statusProblems(wrong), [], JSON.stringify(wrong));
});
