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
  /** What the test's name says behind the ids. */
  readonly name: string;
}

/** What the tests hold of the list. */
export interface Coverage {
  /** Places by rule id, in the order of files and lines. */
  readonly places: ReadonlyMap<string, readonly Place[]>;
  /** Rules that have no test. */
  readonly missing: readonly Rule[];
  /** Ids in the names of tests that no rule has. */
  readonly unknown: readonly Place[];
}

/** A call of `Deno.test` (or a helper of ours whose name ends so) or a `name:` property, and the ids its text starts with. */
const NAMED_TEST =
  /(?:\b\w*[tT]est(?:\.only)?\(\s*|\bname:\s*)(["'`])\[((?:[A-Z]{3}-\d{2}[ ,]*)+)\]\s*((?:\\.|(?!\1).)*)\1/gs;

/** The rules that one test file says it holds. */
export function placesIn(file: string, source: string): Place[] {
  const places: Place[] = [];
  for (const match of source.matchAll(NAMED_TEST)) {
    const line = source.slice(0, match.index + match[0].indexOf("[")).split("\n").length;
    const [, , ids, name] = match;
    for (const id of ids.split(/[ ,]+/).filter((word) => word !== "")) places.push({ id, file, line, name });
  }
  return places;
}

/** Compares the places found with the list. */
export function compare(rules: readonly Rule[], places: readonly Place[]): Coverage {
  const byId = Map.groupBy(places, (place) => place.id);
  const known = new Set(rules.map((rule) => rule.id));
  return {
    places: byId,
    missing: rules.filter((rule) => !byId.has(rule.id)),
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
    const held = places.length > 0 ? places.join(" ") : "NO TEST";
    lines.push(`  ${rule.id}  ${held}`, `          ${rule.text} (${rule.level}, ${rule.source})`);
  }
  lines.push("");
  for (const place of found.unknown) lines.push(`${place.file}:${place.line}: no rule has the id ${place.id}`);
  if (found.missing.length > 0) lines.push(`Rules without a test: ${found.missing.map((rule) => rule.id).join(" ")}`);
  lines.push(`${rules.length - found.missing.length} of ${rules.length} rules held`);
  return lines;
}

if (import.meta.main) {
  const found = coverage();
  for (const line of report(CHECKLIST, found)) console.log(line);
  Deno.exit(found.missing.length + found.unknown.length > 0 ? 1 : 0);
}
