/**
 * The files of the C Miredo as lines: miredo.conf and miredo-server.conf, and /etc/default/miredo and its kin.
 *
 * ```
 *   miredo.conf        # comment                     /etc/default/miredo    START_MIREDO=true
 *                      ServerAddress  192.0.2.1                             DAEMON_ARGS="-u miredo"
 * ```
 *
 * In a .conf a name ends at white space or after 31 characters, a value at white space after 1023 at most; what follows is ignored, there are
 * no quotes. The original also loses a last line without newline; here it counts, and that is told.
 */

import type { Place } from "./problems.ts";

/** What the original's scanner takes of a name and of a value, characters. */
const NAME_MAXIMUM = 31;
const VALUE_MAXIMUM = 1023;

/** The longest line it reads, octets: about the two together. */
const LINE_MAXIMUM = 1055;

/** One line that says something. */
export interface LegacyLine extends Place {
  /** As it is written. */
  readonly name: string;
  /** Empty when there is none. */
  readonly value: string;
  /** What is peculiar about the line; empty for most. */
  readonly remarks: readonly string[];
}

/** The lines of a .conf file. */
export function parseConf(text: string, file: string): LegacyLine[] {
  const rows = text.split("\n");
  const unfinished = rows.at(-1) !== "";
  return rows.flatMap((row, i) => {
    const line = i + 1;
    const parts = /^(\s*)(\S+)(?:(\s+)(\S+)(.*))?/s.exec(row);
    if (parts === null || parts[2].startsWith("#")) return [];
    const remarks: string[] = [];
    let name = parts[2], value = parts[4] ?? "";
    let column = parts[1].length + name.length + (parts[3] ?? "").length + 1;
    if (name.length > NAME_MAXIMUM) {
      value = name.slice(NAME_MAXIMUM);
      name = name.slice(0, NAME_MAXIMUM);
      column = parts[1].length + NAME_MAXIMUM + 1;
      remarks.push(`its name has more than ${NAME_MAXIMUM} characters: the rest is taken as the value`);
    }
    const rest = parts[5]?.trim() ?? "";
    if (rest !== "" && !rest.startsWith("#")) remarks.push(`${JSON.stringify(rest)} behind the value is ignored`);
    if (value.length > VALUE_MAXIMUM) value = value.slice(0, VALUE_MAXIMUM);
    if (row.length > LINE_MAXIMUM) remarks.push("Miredo skips a line as long as this");
    if (unfinished && i === rows.length - 1) remarks.push("Miredo skips a last line without newline: here it counts");
    return [{ file, line, column, name, value, remarks }];
  });
}

/** The assignments of a file that a shell reads. */
export function parseDefaults(text: string, file: string): LegacyLine[] {
  return text.split("\n").flatMap((row, i) => {
    const parts = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(row);
    if (parts === null) return [];
    const value = shellWords(parts[2])[0] ?? "";
    return [{ file, line: i + 1, column: row.indexOf("=") + 2, name: parts[1], value, remarks: [] }];
  });
}

/** Words as a shell splits them, quotes and backslashes taken away; a comment ends them. Nothing is substituted. */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  const word = /\s*((?:[^\s"'\\#]|(?<=\S)#|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+)/y;
  for (let parts = word.exec(text); parts !== null; parts = word.exec(text)) {
    words.push(
      parts[1].replaceAll(
        /\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g,
        (_all, escaped, double, single) => escaped ?? single ?? String(double).replaceAll(/\\(["\\$`])/g, "$1"),
      ),
    );
  }
  return words;
}

/** A whole number as strtoul reads it with base 0: decimal, 0x600, octal 010; undefined for anything else. */
export function parseInteger(text: string): number | undefined {
  if (/^\+?0x[0-9a-f]+$/i.test(text)) return Number.parseInt(text.replace("+", ""), 16);
  if (/^\+?0[0-7]*$/.test(text)) return Number.parseInt(text.replace("+", ""), 8);
  return /^\+?[1-9]\d*$/.test(text) ? Number(text) : undefined;
}
