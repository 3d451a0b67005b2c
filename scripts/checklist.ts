/**
 * Prints which test holds each rule of tests/checklist.ts, and fails when a rule has none.
 *
 * A test says which rules it holds at the start of its name: `Deno.test("[ADR-01 ADR-02] the address embeds ...", ...)`. Tests that never
 * run (`Deno.test.ignore`) hold nothing.
 */

import { CHECKLIST, type Rule } from "../tests/checklist.ts";
import { testFiles } from "./test_files.ts";

/** A place where a rule is held. */
export interface Place {
  readonly id: string;
  /** Path below the root. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
}

/** What the tests hold of the list. */
export interface Coverage {
  /** Places by rule id, in the order of files and lines. */
  readonly places: ReadonlyMap<string, readonly Place[]>;
  /** Rules that need a test and have none. */
  readonly missing: readonly Rule[];
  /** Rules that are built later and have no test yet. */
  readonly later: readonly Rule[];
  /** Ids in the names of tests that no rule has. */
  readonly unknown: readonly Place[];
}

/** A call of `Deno.test` (or a helper of ours whose name ends so) or a `name:` property, and the ids its text starts with. */
const NAMED_TEST = /(?:\b\w*[tT]est(?:\.only)?\(\s*|\bname:\s*)["'`]\[((?:[A-Z]{3}-\d{2}[ ,]*)+)\]/g;

/** The rules that one test file says it holds. */
export function placesIn(file: string, source: string): Place[] {
  const places: Place[] = [];
  for (const match of source.matchAll(NAMED_TEST)) {
    const line = source.slice(0, match.index + match[0].indexOf("[")).split("\n").length;
    for (const id of match[1].split(/[ ,]+/).filter((word) => word !== "")) places.push({ id, file, line });
  }
  return places;
}

/** Compares the places found with the list. */
export function compare(rules: readonly Rule[], places: readonly Place[]): Coverage {
  const byId = Map.groupBy(places, (place) => place.id);
  const bare = rules.filter((rule) => !byId.has(rule.id));
  const known = new Set(rules.map((rule) => rule.id));
  return {
    places: byId,
    missing: bare.filter((rule) => !rule.later),
    later: bare.filter((rule) => rule.later),
    unknown: places.filter((place) => !known.has(place.id)),
  };
}

/** What the tests of this repository hold. Reads the files below tests/. */
export function coverage(): Coverage {
  const root = new URL("../", import.meta.url);
  const files = testFiles(root, "tests");
  return compare(CHECKLIST, files.flatMap((file) => placesIn(file, Deno.readTextFileSync(new URL(file, root)))));
}

/** The table and its summary, as lines. */
export function report(rules: readonly Rule[], found: Coverage): string[] {
  const lines: string[] = [];
  let part = "";
  for (const rule of rules) {
    if (rule.part !== part) {
      part = rule.part;
      lines.push("", part);
    }
    const places = (found.places.get(rule.id) ?? []).map((place) => `${place.file}:${place.line}`);
    const held = places.length > 0 ? places.join(" ") : rule.later ? "later" : "NO TEST";
    lines.push(`  ${rule.id}  ${held}`, `          ${rule.text} (${rule.level}, ${rule.source})`);
  }
  lines.push("");
  for (const place of found.unknown) lines.push(`${place.file}:${place.line}: no rule has the id ${place.id}`);
  if (found.missing.length > 0) lines.push(`Rules without a test: ${found.missing.map((rule) => rule.id).join(" ")}`);
  const due = rules.filter((rule) => !rule.later).length;
  const later = rules.length - due;
  lines.push(
    `${due - found.missing.length} of ${due} rules held; built later: ${later - found.later.length} of ${later}`,
  );
  return lines;
}

if (import.meta.main) {
  const found = coverage();
  for (const line of report(CHECKLIST, found)) console.log(line);
  Deno.exit(found.missing.length + found.unknown.length > 0 ? 1 : 0);
}
