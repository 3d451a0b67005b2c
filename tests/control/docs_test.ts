/** docs/monitoring.md, docs/logging.md and the dashboard against the program: nothing is missing there, and nothing is invented. */

import assert from "node:assert/strict";
import { HEALTH_CODES } from "../../lib/control/health.ts";
import { formatMetrics } from "../../lib/control/metrics.ts";
import { COUNTER_NAMES, Counters, DROP_REASONS } from "../../lib/core/counters.ts";
import { readCounters } from "../../lib/host/control/counter_view.ts";
import { sampleStatus } from "./sample_status.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string): string => Deno.readTextFileSync(new URL(path, ROOT));

/** Every TypeScript file below a directory. */
function sources(path: string): string[] {
  return Array.from(Deno.readDirSync(new URL(path, ROOT))).flatMap(({ name, isDirectory }) =>
    isDirectory ? sources(`${path}/${name}`) : name.endsWith(".ts") ? [`${path}/${name}`] : []
  );
}

Deno.test("the guide has every health code with its words, every counter and every drop reason", () => {
  const guide = read("docs/monitoring.md").replaceAll(/ +/g, " ");
  for (const [code, { severity, text, action }] of Object.entries(HEALTH_CODES)) {
    assert.ok(guide.includes(`| \`${code}\` | ${severity} | ${text} | ${action} |`), code);
  }
  for (const name of COUNTER_NAMES) assert.ok(guide.includes(`| \`miredo_${name}_total\` | counter |`), name);
  for (const reason of DROP_REASONS) assert.ok(guide.includes(`\`${reason}\``), reason);
});

Deno.test("every message that is logged stands in the list of messages, and the list has no others", () => {
  const listed = [...read("docs/logging.md").matchAll(/^\| `([^`]+)` +\| (error|warning|info|debug) +\|/gm)]
    .map(([, message, level]) => `${level} ${message}`);
  const logged = sources("lib").flatMap((path) =>
    [...read(path).matchAll(/\blog\.(error|warn|info|debug)\(\s*"((?:[^"\\]|\\.)*)"/g)]
      .map(([, level, message]) => `${level === "warn" ? "warning" : level} ${message}`)
  );
  assert.deepEqual([...new Set(listed)].toSorted(), [...new Set(logged)].toSorted());
});

Deno.test("the dashboard asks for metrics that exist", () => {
  const dashboard: { readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[] } = JSON
    .parse(read("docs/grafana-dashboard.json"));
  const text = formatMetrics({ ...sampleStatus, ...readCounters(new Counters()) });
  const known = new Set([...text.matchAll(/^(miredo_\w+)/gm)].map(([, name]) => name));
  const asked = dashboard.panels.flatMap(({ targets }) =>
    targets.flatMap(({ expr }) => [...expr.matchAll(/miredo_\w+/g)].map(([name]) => name))
  );
  assert.ok(asked.length > 10);
  for (const name of asked) assert.ok(known.has(name), name);
});
