/** Which part of a new configuration a running daemon takes over, and which keys have to wait for a restart. */

import type { Config } from "../../../config/mod.ts";

/** The outcome of a reload. */
export interface Reload {
  /** What runs from now on: the new configuration with the old values of {@link waiting}. */
  readonly config: Config;
  /** Changed keys and tables that need a restart, as `table.key` or `table`. */
  readonly waiting: readonly string[];
}

/** Compares the running configuration with a newly read one of the same role. */
export function planReload(before: Config, after: Config): Reload {
  const config = keepFixed(before, after);
  const waiting: string[] = [];
  for (const [table, values] of Object.entries(after)) {
    const kept: unknown = Reflect.get(config, table);
    if (same(values, kept)) continue;
    if (!isTable(values) || !isTable(kept)) continue;
    for (const key of new Set([...Object.keys(values), ...Object.keys(kept)])) {
      if (!same(Reflect.get(values, key), Reflect.get(kept, key))) waiting.push(`${table}.${key}`);
    }
  }
  return { config, waiting };
}

/** The new configuration, with everything that descriptors, the interface or privileges were made from left as it was. */
function keepFixed(before: Config, after: Config): Config {
  const { security, status, metrics } = before;
  if (before.role === "client" && after.role === "client") {
    const { local_discovery } = before.client;
    return {
      ...after,
      client: { ...after.client, local_discovery },
      interface: before.interface,
      bind: before.bind,
      security,
      status,
      state: before.state,
      metrics,
    };
  }
  if (before.role === "relay" && after.role === "relay") {
    return {
      ...after,
      teredo: before.teredo,
      interface: before.interface,
      bind: before.bind,
      security,
      status,
      metrics,
    };
  }
  if (before.role === "server" && after.role === "server") {
    const { address, secondary_address, native_forwarding } = before.server;
    return {
      ...after,
      server: { ...after.server, address, secondary_address, native_forwarding },
      teredo: before.teredo,
      security,
      status,
      metrics,
    };
  }
  throw new TypeError(`Cannot reload a ${before.role} with the configuration of a ${after.role}`);
}

function isTable(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
