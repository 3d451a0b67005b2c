/**
 * Makes the man pages in docs/man from the command line and the schema of the configuration, as mdoc (mdoc(7)).
 *
 * ```
 *   lib/cli/command_line.ts ─▶ miredo.8, miredo-client.8 ... miredo-netcheck.1 ...
 *   config/schema.ts        ─▶ miredo.toml.5
 * ```
 *
 * A test holds the committed pages equal to what this makes.
 */

import { formatMessage, type Message } from "@optique/core/message";
import type { DocPage } from "@optique/core/doc";
import { getDocPageSync } from "@optique/core/parser";
import type { UsageTerm } from "@optique/core/usage";
import { defaultFile, ROLES } from "../config/mod.ts";
import { SHAPES } from "../config/shape.ts";
import type { Notes } from "../config/keys.ts";
import { tableWords } from "../config/text.ts";
import { commands } from "../lib/cli/command_line.ts";
import { EXAMPLES, FILES, MISC_SECTIONS, PROGRAM } from "./docs_text.ts";

/** Date of the pages: that of the last change of their form or of what the program does. */
const DATE = "November 21, 2026";

/** Commands that need privileges: their pages are in section 8. */
const ADMINISTRATION: readonly string[] = ["client", "relay", "server"];

/** Longest line of running text in a page's source, characters. */
const LINE_WIDTH = 78;

const DIRECTORY = new URL("../docs/man/", import.meta.url);

/** Exit codes, by what they mean. */
const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [0, "Success."],
  [1, "It could not be done, or the answer is no."],
  [2, "The command line is not understood."],
  [3, "No daemon runs, or it does not give service yet."],
  [78, "The configuration cannot be used."],
];

/** All pages by file name. */
export function manPages(): ReadonlyMap<string, string> {
  const pages = new Map<string, string>();
  const names = commandNames();
  pages.set("miredo.8", programPage(names));
  for (const name of names) pages.set(`miredo-${name}.${section(name)}`, commandPage(name, names));
  pages.set("miredo.toml.5", configurationPage(names));
  return pages;
}

/** Every command but the one that the parser adds itself. */
export function commandNames(): readonly string[] {
  return documentation([]).sections.flatMap(({ entries }) => entries).flatMap(({ term }) =>
    term.type === "command" ? [term.name] : []
  );
}

function section(command: string): number {
  return ADMINISTRATION.includes(command) ? 8 : 1;
}

function documentation(path: readonly string[]): DocPage {
  const page = getDocPageSync(commands, path);
  if (page === undefined) {
    throw new Error(`Cannot document ${JSON.stringify(path.join(" "))}: there is no such command`);
  }
  return page;
}

function programPage(names: readonly string[]): string {
  return [
    ...head("miredo", 8, PROGRAM.brief),
    ".Sh SYNOPSIS",
    ".Nm miredo",
    ".Ar command",
    ".Op Ar argument ...",
    ".Sh DESCRIPTION",
    ...PROGRAM.description.flatMap((paragraph, i) => [...(i > 0 ? [".Pp"] : []), ...prose(paragraph)]),
    ".Bl -tag -width Ds",
    ...names.flatMap((
      name,
    ) => [
      `.It Cm ${name}`,
      ...prose(words(documentation([name]).brief)),
      "See",
      `.Xr miredo-${name} ${section(name)} .`,
    ]),
    ".It Cm completion Ar shell",
    ...prose("Print the completion script of bash, zsh or fish, to be sourced by it."),
    ".El",
    ".Pp",
    ...prose("Answers go to standard output, words to standard error."),
    ...prose('Answers of --json have "schema": 1, which changes when they do.'),
    ...files(),
    ...exitStatus(),
    ...examples("miredo"),
    ...seeAlso(names, "miredo"),
    ...MISC_SECTIONS,
  ].join("\n").concat("\n");
}

function commandPage(name: string, names: readonly string[]): string {
  const page = documentation([name]);
  const nested = subcommands(page);
  const lines = [
    ...head(`miredo-${name}`, section(name), words(page.brief)),
    ".Sh SYNOPSIS",
    ...(nested.length === 0
      ? synopsis([name], page)
      : nested.flatMap((inner) => synopsis([name, inner], documentation([name, inner])))),
    ".Sh DESCRIPTION",
    ...prose(words(page.description ?? page.brief)),
    ...options(page),
    ...nested.flatMap((inner) => {
      const sub = documentation([name, inner]);
      return [`.Ss miredo ${name} ${inner}`, ...prose(words(sub.description ?? sub.brief)), ...options(sub)];
    }),
    ...files(),
    ...exitStatus(),
    ...examples(name),
    ...seeAlso(names, `miredo-${name}`),
    ...MISC_SECTIONS,
  ];
  return `${lines.join("\n")}\n`;
}

function subcommands(page: DocPage): readonly string[] {
  return page.sections.flatMap(({ entries }) => entries).flatMap(({ term }) =>
    term.type === "command" ? [term.name] : []
  );
}

function head(name: string, number: number, brief: string): string[] {
  // "IPv6" stays as it is.
  const first = /^[A-Z][a-z]* /.test(brief) ? brief.charAt(0).toLowerCase() : brief.charAt(0);
  const description = first + brief.slice(1).replace(/\.$/, "");
  return [
    '.\\" Made by scripts/docs.ts: do not edit.',
    `.Dd ${DATE}`,
    `.Dt ${name.toUpperCase()} ${number}`,
    ".Os",
    ".Sh NAME",
    `.Nm ${name}`,
    `.Nd ${escape(description)}`,
  ];
}

function synopsis(path: readonly string[], page: DocPage): string[] {
  const terms = (page.usage ?? []).filter((term) => term.type !== "command");
  return [
    ".Nm miredo",
    `.Cm ${path.join(" ")}`,
    ...terms.map((term) => `.${usage(term)}`).filter((line) => line !== "."),
  ];
}

/** A term of the usage as a macro line without its period. */
function usage(term: UsageTerm): string {
  switch (term.type) {
    case "argument":
      return `Ar ${term.metavar}`;
    case "option":
      return term.hidden === true ? "" : `${flags(term.names.slice(0, 1))}${metavar(term.metavar)}`;
    case "command":
      return `Cm ${term.name}`;
    case "optional":
    case "multiple": {
      const inner = term.terms.map(usage).filter((text) => text !== "").join(" ");
      if (inner === "") return "";
      const more = term.type === "multiple" ? " ..." : "";
      return term.type === "multiple" && term.min > 0 ? `${inner}${more}` : `Op ${inner}${more}`;
    }
    default:
      return "";
  }
}

function flags(names: readonly string[]): string {
  return names.map((name) => `Fl ${name.slice(1)}`).join(" , ");
}

function metavar(name: string | undefined): string {
  return name === undefined ? "" : ` Ar ${name}`;
}

/** All options and arguments as one list for each group. */
function options(page: DocPage): string[] {
  return page.sections.flatMap(({ entries }) => {
    const items = entries.flatMap(({ term, description }) => {
      if (term.type === "option") {
        return [[`.It ${flags(term.names)}${metavar(term.metavar)}`, ...prose(words(description))]];
      }
      return term.type === "argument" ? [[`.It Ar ${term.metavar}`, ...prose(words(description))]] : [];
    });
    return items.length === 0 ? [] : [".Bl -tag -width Ds", ...items.flat(), ".El"];
  });
}

function files(): string[] {
  const list = FILES.flatMap(([file, what]) => [`.It Pa ${file}`, ...prose(what)]);
  return [".Sh FILES", ".Bl -tag -width Ds", ...list, ".El"];
}

function exitStatus(): string[] {
  const list = EXIT_CODES.flatMap(([code, meaning]) => [`.It ${code}`, ...prose(meaning)]);
  return [".Sh EXIT STATUS", ".Bl -tag -width Ds", ...list, ".El"];
}

function examples(name: string): string[] {
  const list = EXAMPLES[name] ?? [];
  if (list.length === 0) return [];
  return [
    ".Sh EXAMPLES",
    ...list.flatMap(({ what, line }, i) => [
      ...(i > 0 ? [".Pp"] : []),
      ...prose(`${what}:`),
      `.Dl ${escape(line).replaceAll('"', "\\(dq")}`,
    ]),
  ];
}

/** @param self page that this is for */
function seeAlso(names: readonly string[], self: string): string[] {
  const every = [
    ...names.map((name) => [`miredo-${name}`, section(name)] as const),
    ["miredo.toml", 5] as const,
    ["miredo", 8] as const,
  ].toSorted(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
  const all = every.filter(([name]) => name !== self);
  return [".Sh SEE ALSO", ...all.map(([name, number], i) => `.Xr ${name} ${number}${i < all.length - 1 ? " ," : ""}`)];
}

/** One key of one table, in the roles that have it. */
interface KeyPage {
  readonly key: string;
  readonly notes: Notes;
  readonly fallbacks: Map<string, unknown>;
}

function configurationPage(names: readonly string[]): string {
  const tables = new Map<string, Map<string, KeyPage>>();
  for (const role of ROLES) {
    for (const [table, shape] of SHAPES[role].entries) {
      if (shape.type !== "table") continue;
      const keys = tables.get(table) ?? new Map<string, KeyPage>();
      tables.set(table, keys);
      for (const [key, inner] of shape.entries) {
        if (inner.type === "table") continue;
        const page = keys.get(key) ?? { key, notes: inner.notes, fallbacks: new Map() };
        keys.set(key, page);
        page.fallbacks.set(role, inner.type === "record" ? undefined : inner.fallback);
      }
    }
  }
  const lines = [
    ...head("miredo.toml", 5, "configuration of miredo"),
    ".Sh DESCRIPTION",
    ...prose(PROGRAM.configuration),
    ...ROLES.flatMap((role) => [".Bl -tag -width Ds -compact", `.It Pa ${defaultFile(role)}`, ".El"]),
    ".Pp",
    ...prose(PROGRAM.precedence),
    ...[...tables].flatMap(([table, keys]) => [
      `.Ss Table ${table}`,
      ...prose(tableWords(table)),
      `Roles: ${rolesOf(keys).join(", ")}.`,
      ".Bl -tag -width Ds",
      ...[...keys.values()].flatMap((page) => keyEntry(page, rolesOf(keys))),
      ".El",
    ]),
    ...files(),
    ...examples("miredo.toml"),
    ...seeAlso(names, "miredo.toml"),
    ...MISC_SECTIONS,
  ];
  return `${lines.join("\n")}\n`;
}

/** The roles that have any key of a table. */
function rolesOf(keys: ReadonlyMap<string, KeyPage>): readonly string[] {
  return ROLES.filter((role) => [...keys.values()].some(({ fallbacks }) => fallbacks.has(role)));
}

function keyEntry({ key, notes, fallbacks }: KeyPage, roles: readonly string[]): string[] {
  const lines = [`.It Va ${key}`, ...prose(notes.description), ...prose(`Allowed: ${notes.allowed}.`)];
  if (fallbacks.size < roles.length) lines.push(`Roles: ${[...fallbacks.keys()].join(", ")}.`);
  const values = [...new Set([...fallbacks.values()].map(shown))];
  if (notes.required === true) return [...lines, "Must be given."];
  const words = values.length === 1
    ? values[0] === "" ? "none" : values[0]
    : [...fallbacks].map(([role, value]) => `${shown(value)} (${role})`).join(", ");
  return [...lines, ...prose(`Default: ${words}.`)];
}

function shown(value: unknown): string {
  return value === undefined ? "" : JSON.stringify(value);
}

function words(message: Message | undefined): string {
  return message === undefined ? "" : formatMessage(message, { colors: false, quotes: false });
}

/** Text as lines that hold no macro: every sentence begins one, none is too long. */
function prose(text: string): string[] {
  return text.trim().split(/(?<=[A-Za-z0-9)"\]][.!?])\s+(?=[A-Z0-9"])/).flatMap(wrap).map(escape).map((line) =>
    /^[.']/.test(line) ? `\\&${line}` : line
  );
}

function wrap(sentence: string): string[] {
  const lines: string[] = [];
  for (const word of sentence.split(/\s+/)) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > LINE_WIDTH) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll(
    /[^\x20-\x7e]/gu,
    (char) => `\\[u${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`,
  );
}

if (import.meta.main) {
  await Deno.mkdir(DIRECTORY, { recursive: true });
  for await (const { name } of Deno.readDir(DIRECTORY)) await Deno.remove(new URL(name, DIRECTORY));
  for (const [name, page] of manPages()) await Deno.writeTextFile(new URL(name, DIRECTORY), page);
}
