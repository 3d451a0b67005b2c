/**
 * What is wrong with a configuration: every problem with its place, and the nearest name to a misspelt one.
 *
 * A problem prints as `file:line:column: key: what is wrong, what is allowed`. Lines and columns count from 1; a place without them
 * is a whole file or the command line.
 */

/** Where something of a configuration was written. */
export interface Place {
  /** A file as it was named, or where else it came from: `--set`, `--user`, `command line`. */
  readonly file: string;
  /** From 1; 0: the whole of `file`. */
  readonly line: number;
  /** From 1, in UTF-16 code units; 0: the whole of `file`. */
  readonly column: number;
}

/** One problem. */
export interface ConfigIssue extends Place {
  /** Dotted, such as `interface.mtu`; empty when no key is meant. */
  readonly key: string;
  readonly message: string;
}

/** The line that people read. */
export function formatIssue(issue: ConfigIssue): string {
  const key = issue.key === "" ? "" : `${issue.key}: `;
  return `${formatPlace(issue)}: ${key}${issue.message}`;
}

/** `file:line:column`, or `file` alone. */
export function formatPlace(place: Place): string {
  return place.line === 0 ? place.file : `${place.file}:${place.line}:${place.column}`;
}

/** A configuration that cannot be used. Its message is one line for each problem. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly issues: readonly ConfigIssue[];

  /** @param issues at least one; they are put in the order of the text of each file */
  constructor(issues: readonly ConfigIssue[]) {
    const files = issues.map((issue) => issue.file);
    const sorted = issues.toSorted((a, b) =>
      files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column
    );
    super(sorted.map(formatIssue).join("\n"));
    this.issues = sorted;
  }
}

/** The one of `names` that `word` was most likely meant to be, if any is near enough: a third of its letters may be wrong. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    // Names of very different lengths are no candidates; this also bounds the work for absurd words.
    if (Math.abs(name.length - word.length) >= least) continue;
    const distance = editDistance(word.toLowerCase(), name);
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      let cost = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2] + 1);
      }
      row.push(cost);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length];
}
