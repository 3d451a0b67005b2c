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

/** Names of the fields in an object literal that begins at `text[at]`; `open` when it takes in others by a spread. */
function fieldsOf(text: string, at: number): { readonly names: readonly string[]; readonly open: boolean } {
  let depth = 0, part = "";
  const parts: string[] = [];
  for (let i = at; i < text.length; i++) {
    const character = text[i];
    if ("})]".includes(character)) depth--;
    if (depth === 0 && i > at) break;
    if (depth === 1 && character === ",") parts.push(part), part = "";
    else if (depth > 0) part += character;
    if ("{([".includes(character)) depth++;
  }
  const named = [...parts, part].map((each) => each.trim()).filter((each) => each !== "");
  return {
    names: named.filter((each) => !each.startsWith("...")).map((each) => /^\w+/.exec(each)?.[0] ?? each),
    open: named.some((each) => each.startsWith("...")),
  };
}

/** Every message in the code, with its level, and the fields that go with it. */
function logged(): ReadonlyMap<string, { readonly names: Set<string>; open: boolean }> {
  const messages = new Map<string, { readonly names: Set<string>; open: boolean }>();
  for (const text of sources("lib").map(read)) {
    for (const match of text.matchAll(/\blog\.(error|warn|info|debug)\(\s*"((?:[^"\\]|\\.)*)"(,\s*(?=\{))?/g)) {
      const [all, level, message, fields] = match;
      const key = `${level === "warn" ? "warning" : level} ${message}`;
      const entry = messages.get(key) ?? { names: new Set(), open: false };
      messages.set(key, entry);
      if (fields === undefined) continue;
      const { names, open } = fieldsOf(text, match.index + all.length);
      names.forEach((name) => entry.names.add(name));
      entry.open ||= open;
    }
  }
  return messages;
}

/** The same as docs/logging.md has it. */
function listed(): ReadonlyMap<string, ReadonlySet<string>> {
  const messages = new Map<string, Set<string>>();
  const rows = read("docs/logging.md").matchAll(/^\| `([^`]+)` +\| (error|warning|info|debug) +\| ([^|]*)\|$/gm);
  for (const [, message, level, fields] of rows) {
    const key = `${level} ${message}`;
    const names = fields.split(":")[0].split(",").map((name) => name.trim()).filter((name) => name !== "");
    messages.set(key, new Set([...messages.get(key) ?? [], ...names]));
  }
  return messages;
}

Deno.test("every message that is logged stands in the list of messages, and the list has no others", () => {
  assert.ok(logged().size > 50);
  assert.deepEqual([...listed().keys()].toSorted(), [...logged().keys()].toSorted());
});

Deno.test("every field of a message stands beside it in the list, and the list has no others", () => {
  const list = listed();
  for (const [key, { names, open }] of logged()) {
    const beside = list.get(key) ?? new Set();
    assert.deepEqual([...names].filter((name) => !beside.has(name)), [], `fields of ${key} that are not listed`);
    if (!open) assert.deepEqual([...beside].filter((name) => !names.has(name)), [], `fields listed for ${key}`);
  }
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
