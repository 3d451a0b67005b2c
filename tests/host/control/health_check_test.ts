/** Each health code appears where something is wrong, and nothing is wrong where nothing is. */

import assert from "node:assert/strict";
import type { Config } from "../../../config/mod.ts";
import { HEALTH_CODES } from "../../../lib/control/health.ts";
import { type CounterName, Counters, type DropReason } from "../../../lib/core/counters.ts";
import { CounterTrend } from "../../../lib/host/control/counter_view.ts";
import { ClockWatch, type Facts, findHealth, type KernelState } from "../../../lib/host/control/health_check.ts";
import { load } from "../../config/helpers.ts";

const CLIENT = load("client", '[client]\nservers = ["192.0.2.1"]\n');
const RELAY = load("relay", "");
const HOST_ONLY = load("relay", "[relay]\nhost_only = true\n");
const SERVER = load("server", '[server]\naddress = "192.0.2.1"\n');

const WELL: KernelState = { hasIpv6: () => true, forwardsIpv6: () => true, isUp: () => true };

/** What is different from a daemon that is well. */
interface Scene extends Partial<Omit<Facts, "trend" | "config">> {
  readonly counts?: readonly (readonly [CounterName | DropReason, number])[];
  readonly kernel?: Partial<KernelState>;
}

/** The codes that are on, and their details. */
function health(config: Config, { counts = [], kernel = {}, ...facts }: Scene = {}): readonly string[] {
  const counters = new Counters();
  const trend = new CounterTrend(counters);
  for (const [name, count] of counts) for (let i = 0; i < count; i++) counters.count(name);
  const state = config.role === "client" ? "qualified" : config.role === "relay" ? "relaying" : "serving";
  const well: Facts = {
    config,
    state,
    stateAge: 1_000,
    reason: undefined,
    symmetric: false,
    keyExpired: false,
    trend,
    clock: new ClockWatch(),
    deaths: 0,
  };
  return findHealth({ ...well, ...facts }, { ...WELL, ...kernel }).map(({ code }) => code);
}

/** A clock of the wall that was set, by so many milliseconds. */
function jumped(by: number): ClockWatch {
  let wall = 1_000_000;
  const clock = new ClockWatch(() => wall, () => 0);
  wall += by;
  clock.look();
  return clock;
}

const SCENES: readonly (readonly [keyof typeof HEALTH_CODES, Config, Scene])[] = [
  ["SERVER-SILENT", CLIENT, { state: "offline", reason: "no-answer-primary" }],
  ["SERVER-SILENT", CLIENT, { state: "qualifying", stateAge: 9_000 }],
  ["SERVER-SILENT", CLIENT, { state: "qualifying", reason: "maintenance-lost" }],
  ["SERVER-SECONDARY-SILENT", CLIENT, { state: "offline", reason: "no-answer-secondary" }],
  ["SERVER-UNKNOWN", CLIENT, { state: "resolving", stateAge: 6_000 }],
  ["NAT-SYMMETRIC", CLIENT, { state: "offline", reason: "symmetric-nat" }],
  ["NAT-SYMMETRIC-LIMITED", CLIENT, { symmetric: true }],
  ["MAPPING-UNSTABLE", CLIENT, { counts: [["mapping_changes", 3]] }],
  ["SECRET-EXPIRED", CLIENT, { keyExpired: true }],
  ["SECRET-REFUSED", CLIENT, { state: "offline", counts: [["bad-authentication", 1]] }],
  ["NO-IPV6-ROUTE", RELAY, { kernel: { hasIpv6: () => false } }],
  ["FORWARDING-OFF", RELAY, { kernel: { forwardsIpv6: () => false } }],
  ["INTERFACE-DOWN", CLIENT, { kernel: { isUp: () => false } }],
  ["INTERFACE-DOWN", RELAY, { kernel: { isUp: () => false } }],
  ["PEER-TABLE-FULL", RELAY, { counts: [["peer-table-full", 1]] }],
  ["RATE-LIMITED", SERVER, { counts: [["rate-limited", 1]] }],
  ["RELAY-UNREACHABLE", CLIENT, { counts: [["connectivity_tests_sent", 4]] }],
  ["SEND-FAILED", SERVER, { counts: [["udp-send-failed", 1]] }],
  ["CLOCK", CLIENT, { clock: jumped(5_000) }],
  ["CLOCK", SERVER, { clock: jumped(-5_000) }],
  ["DATA-RESTARTED", RELAY, { deaths: 1 }],
];

for (const [code, config, scene] of SCENES) {
  Deno.test(`a ${config.role} says ${code} and nothing else where that is what is wrong: ${words(scene)}`, () => {
    assert.deepEqual(health(config, scene), [code]);
  });
}

function words(scene: Scene): string {
  return JSON.stringify(scene, (_, value) => typeof value === "function" ? "no" : value);
}

Deno.test("every health code has a scene in which it appears", () => {
  assert.deepEqual([...new Set(SCENES.map(([code]) => code))].toSorted(), Object.keys(HEALTH_CODES).toSorted());
});

Deno.test("nothing is wrong with daemons that are well, nor with what is no fault", () => {
  for (const config of [CLIENT, RELAY, SERVER]) assert.deepEqual(health(config), [], config.role);
  assert.deepEqual(health(CLIENT, { state: "qualifying", stateAge: 3_000 }), [], "it has just begun");
  assert.deepEqual(health(CLIENT, { state: "resolving", stateAge: 3_000 }), []);
  assert.deepEqual(health(CLIENT, { state: "standby", stateAge: 1e9 }), []);
  assert.deepEqual(health(CLIENT, { counts: [["connectivity_tests_sent", 9], ["connectivity_tests_passed", 1]] }), []);
  assert.deepEqual(health(CLIENT, { clock: jumped(500) }), [], "time was adjusted");
  assert.deepEqual(health(HOST_ONLY, { kernel: { forwardsIpv6: () => false } }), []);
  assert.deepEqual(health(SERVER, { kernel: { hasIpv6: () => false, isUp: () => false } }), ["NO-IPV6-ROUTE"]);
});

Deno.test("errors stand before warnings", () => {
  const all = health(CLIENT, { symmetric: true, deaths: 2, kernel: { isUp: () => false } });
  assert.deepEqual(all, ["INTERFACE-DOWN", "NAT-SYMMETRIC-LIMITED", "DATA-RESTARTED"]);
});
