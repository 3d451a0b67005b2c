/** Configurations as TOML text: the sample file of a role, and the values in effect with where each came from. */

import type { Notes } from "./keys.ts";
import { CONFIG_DIRECTORY, defaultFile, type Loading } from "./load.ts";
import { formatPlace } from "./problems.ts";
import type { Role } from "./schema.ts";
import { SHAPES, type TableShape } from "./shape.ts";

/** Width of comment lines, characters. */
const COMMENT_WIDTH = 100;

/** The widest value that the comments beside it are lined up for, characters. */
const COLUMN_MAXIMUM = 44;

/** What a role is for, at the top of its sample. */
const PURPOSES: Readonly<Record<Role, string>> = {
  client: "gives this host IPv6 from behind NATs, with the help of a Teredo server",
  relay: "connects IPv6 hosts with Teredo clients",
  server: "lets Teredo clients find out their address and reach each other",
};

/** What each table is about. */
const TABLES: Readonly<Record<string, string>> = {
  client: "Who to qualify with.",
  nat: "Which ways through NATs to try besides those of RFC 4380.",
  relay: "Whom to serve, and how.",
  server: "What to answer, and to whom.",
  teredo: "The Teredo service this node is part of.",
  interface: "The tunnel interface.",
  bind: "The UDP socket.",
  security: "What remains of privileges once everything is set up.",
  hooks: "Programs that are run at changes, one after another, beside the daemon.",
  limits: "Bounds on memory and on what others can make this node send.",
  log: "What is logged, and where.",
  status: "What is told to those who ask on this host.",
  state: "What outlives a restart.",
  metrics: "What is told to monitoring.",
};

/** What a table is about, in a sentence; empty for one that does not exist. */
export function tableWords(table: string): string {
  return TABLES[table] ?? "";
}

/** The sample file of a role. Every key is in it; keys with a default are commented out. */
export function sampleConfig(role: Role): string {
  const lines = [
    `# miredo ${role}: ${PURPOSES[role]}.`,
    "#",
    ...comment(
      `Read by "miredo ${role}" from ${
        defaultFile(role, CONFIG_DIRECTORY)
      }. "miredo config check FILE" tells all that is wrong with a ` +
        `file, "miredo config show ${role}" what is in effect. Keys that are commented out show their default, or an example where they have none.`,
    ),
  ];
  for (const [table, shape] of SHAPES[role].entries) {
    if (shape.type !== "table") continue;
    lines.push("", ...comment(TABLES[table] ?? ""), `[${table}]`, ...sampleTable(table, shape));
  }
  return `${lines.join("\n")}\n`;
}

function sampleTable(table: string, shape: TableShape): string[] {
  const lines: string[] = [];
  for (const [key, inner] of shape.entries) {
    switch (inner.type) {
      case "table":
        throw new TypeError(`Cannot write the sample of "${table}.${key}": tables inside tables are not foreseen`);
      case "record":
        lines.push("", ...keyComment(inner.notes), `[${table}.${key}]`);
        lines.push(`#${inner.notes.example} = ${toml(inner.value.notes.example)}`);
        break;
      case "list":
      case "leaf":
        if (lines.length > 0) lines.push("");
        lines.push(...keyComment(inner.notes), sampleLine(key, inner.notes, inner.fallback));
    }
  }
  return lines;
}

function sampleLine(key: string, notes: Notes, fallback: unknown): string {
  if (notes.required === true) return `${key} = ${toml(notes.example)}`;
  return `#${key} = ${toml(fallback ?? notes.example)}`;
}

function keyComment(notes: Notes): string[] {
  return [...comment(notes.description), ...comment(`Allowed: ${notes.allowed}.`)];
}

/** Words as comment lines of bounded width. */
function comment(words: string): string[] {
  const lines: string[] = [];
  let line = "#";
  for (const word of words.split(" ")) {
    if (line.length + 1 + word.length > COMMENT_WIDTH) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** All values in effect, each with its source beside it; secrets are not shown. It is TOML that loads, but for the secrets. */
export function effectiveConfig(loading: Loading): string {
  const { config } = loading;
  const lines = [`# miredo ${config.role}: what is in effect, and where it comes from`];
  for (const [table, shape] of SHAPES[config.role].entries) {
    if (shape.type !== "table") continue;
    const values: unknown = Reflect.get(config, table);
    lines.push("", `[${table}]`, ...effectiveTable(loading, [table], shape, values));
  }
  return `${lines.join("\n")}\n`;
}

function effectiveTable(loading: Loading, path: readonly string[], shape: TableShape, values: unknown): string[] {
  const rows: [left: string, right: string][] = [];
  const later: string[] = [];
  const row = (key: string, notes: Notes, value: unknown, where: readonly string[]): [string, string] => {
    const place = loading.placeOf(where);
    const source = place === undefined ? "default" : formatPlace(place);
    return notes.hidden === true
      ? [`${tomlKey(key)} = "(hidden)"`, source]
      : [`${tomlKey(key)} = ${toml(value)}`, source];
  };
  for (const [key, inner] of shape.entries) {
    const value = get(values, key);
    if (value === undefined) continue;
    if (inner.type === "record") {
      const records = Object.entries(isObject(value) ? value : {});
      if (records.length === 0) continue;
      later.push("", `[${[...path, key].join(".")}]`);
      later.push(...aligned(records.map(([name, one]) => row(name, inner.value.notes, one, [...path, key, name]))));
    } else if (inner.type !== "table") {
      rows.push(row(key, inner.notes, value, [...path, key]));
    }
  }
  return [...aligned(rows), ...later];
}

function aligned(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.min(COLUMN_MAXIMUM, Math.max(0, ...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => `${left.padEnd(width)}  # ${right}`);
}

function get(values: unknown, key: string): unknown {
  return isObject(values) ? Reflect.get(values, key) : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** A value as TOML writes it. */
function toml(value: unknown): string {
  // JSON's escapes are TOML's, but JSON leaves DEL as it is.
  if (typeof value === "string") return JSON.stringify(value).replaceAll("\x7f", "\\u007f");
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  return String(value);
}

function tomlKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : toml(key);
}
