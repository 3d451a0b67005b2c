/**
 * From the files of the C Miredo to TOML, with a note for each line: where it went, or why it went nowhere.
 *
 * ```
 *   files ─▶ lines ─▶ role ─▶ meanings ─▶ check against the schema ─▶ TOML with notes, and what is wrong
 * ```
 */

import { overlay, type TableNode, tableOf } from "./document.ts";
import { argumentMeanings, DIRECTIVES, HOOK_SETTINGS, type Meaning } from "./legacy_keys.ts";
import { type LegacyLine, parseConf, parseDefaults } from "./legacy_text.ts";
import { type ConfigIssue, nearest, type Place } from "./problems.ts";
import type { Role } from "./schema.ts";
import { SHAPES } from "./shape.ts";
import { readConfigText } from "./source.ts";
import { problemsOf } from "./validate.ts";

/** Where the original's files are, in the order in which they are looked for. */
export const LEGACY_FILES: readonly string[] = [
  "/etc/miredo/miredo.conf",
  "/etc/miredo.conf",
  "/etc/miredo/miredo-server.conf",
  "/etc/miredo-server.conf",
  "/etc/default/miredo",
  "/etc/default/miredo-server",
];

/** Something to be known about a line; an error keeps the line out of the result. */
export interface Remark extends Place {
  readonly severity: "note" | "warning" | "error";
  /** `SyslogFacility daemon` */
  readonly subject: string;
  readonly message: string;
}

/** The outcome for one role. */
export interface LegacyImport {
  readonly role: Role;
  /** A configuration file of that role. */
  readonly toml: string;
  readonly remarks: readonly Remark[];
}

/** One file with its lines. */
interface LegacyFile {
  readonly file: string;
  readonly kind: "conf" | "defaults";
  readonly server: boolean;
  readonly lines: readonly LegacyLine[];
}

/** A value of the result. */
interface Setting {
  readonly key: string;
  readonly value: Extract<Meaning, { kind: "set" }>["value"];
  readonly line: LegacyLine;
  readonly subject: string;
  readonly note: string;
}

/**
 * Imports files, as one for each role they are about.
 * @throws ConfigError when a file cannot be read
 */
export function importLegacy(files: readonly string[]): readonly LegacyImport[] {
  const read = files.map(readLegacy);
  const imports: LegacyImport[] = [];
  const forClients = read.filter(({ server }) => !server);
  if (forClients.length > 0) imports.push(importRole(typeOf(forClients), forClients));
  const forServers = read.filter(({ server }) => server);
  if (forServers.length > 0) imports.push(importRole("server", forServers));
  return imports;
}

/** `file:line: subject: message` */
export function formatRemark({ file, line, subject, message }: Remark): string {
  return `${line === 0 ? file : `${file}:${line}`}: ${subject === "" ? "" : `${subject}: `}${message}`;
}

function readLegacy(file: string): LegacyFile {
  const text = readConfigText(file, true)?.text ?? "";
  const name = file.slice(file.lastIndexOf("/") + 1);
  const script = text.startsWith("#!");
  const assignments = text.split("\n").some((line) => /^\s*(?:START_MIREDO\w*|DAEMON_ARGS)=/.test(line));
  const kind = script || assignments || /\/default\/[^/]*$/.test(file) ? "defaults" : "conf";
  const lines = kind === "conf"
    ? parseConf(text, file)
    : parseDefaults(text, file).filter(({ name }) => !script || HOOK_SETTINGS.has(name));
  const has = (wanted: string): boolean => lines.some((line) => line.name.toLowerCase() === wanted.toLowerCase());
  const server = has("ServerBindAddress") || has("START_MIREDO_SERVER") ||
    (/server/.test(name) && !has("ServerAddress") && !has("RelayType"));
  return { file, kind, server, lines };
}

/** Client, unless the first RelayType says otherwise. */
function typeOf(files: readonly LegacyFile[]): "client" | "relay" {
  const line = files.flatMap(({ lines }) => lines).find(({ name }) => name.toLowerCase() === "relaytype");
  return ["relay", "cone", "restricted"].includes(line?.value.toLowerCase() ?? "") ? "relay" : "client";
}

function importRole(role: Role, files: readonly LegacyFile[]): LegacyImport {
  const settings = new Map<string, Setting>();
  const remarks: Remark[] = [];
  const remark = (severity: Remark["severity"], line: LegacyLine, subject: string, message: string): void =>
    void remarks.push({ severity, file: line.file, line: line.line, column: line.column, subject, message });
  const take = (line: LegacyLine, subject: string, meaning: Meaning): void => {
    switch (meaning.kind) {
      case "note":
        return remark("note", line, subject, meaning.note);
      case "error":
        return remark("error", line, subject, meaning.message);
      case "set":
        if (isKey(role, meaning.key)) {
          const before = settings.get(meaning.key);
          if (before !== undefined) {
            remark("note", before.line, before.subject, `${subject} of ${line.file}:${line.line} wins`);
          }
          settings.set(meaning.key, { ...meaning, line, subject });
        } else {
          remark("note", line, subject, `a ${role} has no ${meaning.key}`);
        }
    }
  };
  for (const { kind, lines } of files) {
    const seen = new Set<string>();
    for (const line of lines) {
      const subject = `${line.name} ${line.value}`.trim();
      for (const words of line.remarks) remark("warning", line, subject, words);
      if (kind === "conf") directive(line, subject, seen);
      else assignment(line, subject);
    }
  }
  return { role, remarks, toml: write(role, files, checked(role, settings, remarks), remarks) };

  function directive(line: LegacyLine, subject: string, seen: Set<string>): void {
    const name = line.name.toLowerCase();
    const translate = DIRECTIVES.get(name);
    if (translate === undefined) {
      const near = nearest(name, [...DIRECTIVES.keys()]);
      return remark("warning", line, subject, `no directive of Miredo${near === undefined ? "" : `, ${near} is one`}`);
    }
    if (line.value === "") return remark("warning", line, subject, "has no value, Miredo ignores it");
    if (seen.has(name)) return remark("warning", line, subject, "given before, and the first one counts");
    seen.add(name);
    take(line, subject, translate(line.value, role));
  }

  function assignment(line: LegacyLine, subject: string): void {
    if (line.name === "DAEMON_ARGS") {
      for (const { text, meaning } of argumentMeanings(line, role)) take(line, text, meaning);
    } else if (line.name === "START_MIREDO" || line.name === "START_MIREDO_SERVER") {
      const verb = line.value === "true" ? "enable" : "disable";
      remark("note", line, subject, `systemctl ${verb} miredo-${role}`);
    } else {
      const translate = HOOK_SETTINGS.get(line.name);
      if (translate === undefined) remark("warning", line, subject, "no setting of Miredo");
      else take(line, subject, translate(line.value, role));
    }
  }
}

/** The settings that the schema takes; the others become errors. What is missing altogether is one too. */
function checked(role: Role, settings: ReadonlyMap<string, Setting>, remarks: Remark[]): readonly Setting[] {
  const first = [...settings.values()][0]?.line;
  const nowhere: Place = { file: first?.file ?? "import", line: 0, column: 0 };
  let root: TableNode = { type: "table", entries: new Map(), at: nowhere };
  for (const { key, value, line } of settings.values()) root = overlay(root, tableOf(key, value, line));
  const issues = problemsOf(role, root, nowhere);
  for (const issue of issues) remarks.push(remarkOf(issue, settings));
  return [...settings.values()].filter(({ key }) => !issues.some((issue) => keyOf(issue) === key));
}

/** The key of an issue without the place in a list. */
function keyOf(issue: ConfigIssue): string {
  return issue.key.replace(/\[\d+\]$/, "");
}

function remarkOf(issue: ConfigIssue, settings: ReadonlyMap<string, Setting>): Remark {
  const subject = settings.get(keyOf(issue))?.subject ?? issue.key;
  const { file, line, column, message } = issue;
  return { severity: "error", file, line, column, subject, message };
}

/** Whether a role has a key. */
function isKey(role: Role, key: string): boolean {
  const [table, name] = key.split(".");
  const shape = SHAPES[role].entries.get(table);
  return shape?.type === "table" && shape.entries.has(name);
}

/** The file: tables in the order of the schema, every value with the line it comes from, and at the end what was not carried over. */
function write(
  role: Role,
  files: readonly LegacyFile[],
  settings: readonly Setting[],
  remarks: readonly Remark[],
): string {
  const lines = [
    `# miredo ${role}: imported from ${files.map(({ file }) => file).join(", ")}`,
    `# Its place is /etc/miredo/${role}.toml. "miredo config example ${role}" shows all keys.`,
  ];
  for (const [table, shape] of SHAPES[role].entries) {
    if (shape.type !== "table") continue;
    const here = [...shape.entries.keys()].flatMap((name) => settings.filter(({ key }) => key === `${table}.${name}`));
    if (here.length === 0) continue;
    lines.push("", `[${table}]`);
    for (const { key, value, line, subject, note } of here) {
      lines.push(`# ${line.file}:${line.line}: ${subject}${note === "" ? "" : `: ${note}`}`);
      lines.push(`${key.slice(table.length + 1)} = ${toml(value)}`);
    }
  }
  if (remarks.length > 0) {
    lines.push(
      "",
      "# Not carried over, or with a remark:",
      ...remarks.map((each) => `# ${formatRemark(each)}`),
    );
  }
  // A comment must not hold control characters, whatever the files held.
  return `${lines.map((line) => line.replaceAll(/\p{Cc}/gu, "?")).join("\n")}\n`;
}

function toml(value: Setting["value"]): string {
  if (typeof value === "string") return JSON.stringify(value).replaceAll("\x7f", "\\u007f");
  return typeof value === "object" ? `[${value.map(toml).join(", ")}]` : String(value);
}
