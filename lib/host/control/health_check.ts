/** Finds out which health codes are on. Asks the kernel at the moment of the question; everything else was watched. */

import type { Config } from "../../../config/mod.ts";
import { readTextFile } from "../../../ffi/io.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { type HealthCode, type HealthLine, healthLine } from "../../control/health.ts";
import type { DaemonState } from "../../control/status.ts";
import type { CounterTrend } from "./counter_view.ts";
import { hostAddresses } from "../system/host_addresses.ts";

/** What the health check looks at besides the configuration. */
export interface Facts {
  readonly config: Config;
  readonly state: DaemonState;
  /** How long the state has lasted, milliseconds. */
  readonly stateAge: number;
  readonly reason: string | undefined;
  readonly symmetric: boolean;
  readonly keyExpired: boolean;
  readonly trend: CounterTrend;
  readonly clock: ClockWatch;
  /** Deaths of the data isolate in the last hour. */
  readonly deaths: number;
}

/** Within which time drops count as happening, milliseconds. */
const LATELY = 60_000;
const MINUTES = 600_000;

/** A wait for the server longer than this is worth telling, milliseconds: the first solicitation and its repeat went unanswered. */
const SILENCE = 8_000;
/** Reasons that the server's silence is behind. */
const SILENT: readonly string[] = ["no-answer-primary", "maintenance-lost"];
/** How long a name may take to resolve, milliseconds. */
const RESOLUTION = 5_000;
/** Mapping changes in {@link MINUTES} that a NAT should not make. */
const MANY_MAPPINGS = 3;
/** Tests that no relay answered. */
const MANY_TESTS = 4;
/** A difference between the clocks that is no adjustment, milliseconds. */
const JUMP = 2_000;

/** Compares the clock of the wall with one that never jumps and stands still while the host sleeps. */
export class ClockWatch {
  readonly #wall: () => number;
  readonly #steady: () => number;
  #offset: number;
  #jump: { readonly at: number; readonly by: number } | undefined;

  /** @param wall @param steady the clocks, milliseconds */
  constructor(wall: () => number = Date.now, steady: () => number = () => performance.now()) {
    this.#wall = wall;
    this.#steady = steady;
    this.#offset = wall() - steady();
  }

  look(): void {
    const offset = this.#wall() - this.#steady();
    if (Math.abs(offset - this.#offset) > JUMP) this.#jump = { at: this.#steady(), by: offset - this.#offset };
    this.#offset = offset;
  }

  /** The last jump, if it was in the last ten minutes, milliseconds. */
  get jump(): number | undefined {
    return this.#jump !== undefined && this.#steady() - this.#jump.at < MINUTES ? this.#jump.by : undefined;
  }
}

/** What the kernel is asked. */
export interface KernelState {
  /** Whether there is a way to the IPv6 Internet. */
  readonly hasIpv6: () => boolean;
  readonly forwardsIpv6: () => boolean;
  readonly isUp: (name: string) => boolean;
}

const KERNEL: KernelState = { hasIpv6: () => hostAddresses().nativeSource !== undefined, forwardsIpv6, isUp };

/** Everything that is wrong now, errors first. */
export function findHealth(facts: Facts, kernel: KernelState = KERNEL): HealthLine[] {
  const lines: HealthLine[] = [];
  const add = (code: HealthCode, when: boolean, detail?: string): void => {
    if (when) lines.push(healthLine(code, detail));
  };
  const { config, trend, clock, deaths } = facts;
  if (config.role === "client") addClient(facts, add);
  if (config.role === "relay" || (config.role === "server" && config.server.native_forwarding)) {
    add("NO-IPV6-ROUTE", !kernel.hasIpv6());
  }
  if (config.role === "relay") add("FORWARDING-OFF", !config.relay.host_only && !kernel.forwardsIpv6());
  if (config.role !== "server") add("INTERFACE-DOWN", !kernel.isUp(config.interface.name), config.interface.name);
  const lately = (...names: readonly Parameters<typeof trend.growth>[0][]): number =>
    names.reduce((sum, name) => sum + trend.growth(name, LATELY), 0);
  const dropped = (count: number): string => `${count} in the last minute`;
  const full = lately("peer-table-full");
  add("PEER-TABLE-FULL", full > 0, dropped(full));
  const limited = lately("rate-limited");
  add("RATE-LIMITED", limited > 0, dropped(limited));
  const unsent = lately("udp-send-failed", "tun-write-failed");
  add("SEND-FAILED", unsent > 0, dropped(unsent));
  add("CLOCK", clock.jump !== undefined, `by ${Math.round((clock.jump ?? 0) / 1000)} s`);
  add("DATA-RESTARTED", deaths > 0, `${deaths} ${deaths === 1 ? "time" : "times"} in the last hour`);
  return lines.toSorted((a, b) => Number(a.severity !== "error") - Number(b.severity !== "error"));
}

function addClient(facts: Facts, add: (code: HealthCode, when: boolean, detail?: string) => void): void {
  const { state, stateAge, reason, symmetric, keyExpired, trend } = facts;
  const away = state === "offline" || state === "qualifying";
  const secondarySilent = away && reason === "no-answer-secondary";
  const symmetricNat = away && reason === "symmetric-nat";
  const refused = trend.growth("bad-authentication", LATELY);
  add("NAT-SYMMETRIC", symmetricNat);
  add("SERVER-SECONDARY-SILENT", secondarySilent);
  add("SECRET-REFUSED", away && refused > 0);
  const silent = state === "offline" ||
    (state === "qualifying" && (stateAge > SILENCE || SILENT.includes(reason ?? "")));
  add("SERVER-SILENT", silent && !secondarySilent && !symmetricNat && refused === 0);
  add("SERVER-UNKNOWN", state === "resolving" && stateAge > RESOLUTION);
  add("NAT-SYMMETRIC-LIMITED", state === "qualified" && symmetric);
  const changes = trend.growth("mapping_changes", MINUTES);
  add("MAPPING-UNSTABLE", changes >= MANY_MAPPINGS, `${changes} times`);
  add("SECRET-EXPIRED", keyExpired);
  const tests = trend.growth("connectivity_tests_sent", MINUTES);
  const passed = trend.growth("connectivity_tests_passed", MINUTES);
  add("RELAY-UNREACHABLE", state === "qualified" && tests >= MANY_TESTS && passed === 0, `${tests} tests unanswered`);
}

/** Whether the kernel forwards IPv6 packets between interfaces; true where it does not say. */
function forwardsIpv6(): boolean {
  try {
    return readTextFile("/proc/sys/net/ipv6/conf/all/forwarding").trim() !== "0";
  } catch {
    return true;
  }
}

function isUp(name: string): boolean {
  using netlink = Netlink.open();
  const index = netlink.linkIndex(name);
  return index !== undefined && netlink.link(index)?.up === true;
}
