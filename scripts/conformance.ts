/**
 * Makes docs/conformance.md: each rule of tests/checklist.ts with the tests that hold it, and each decision of tests/differences.ts. Part of
 * `deno task docs`; a test compares the committed page with what this makes.
 */

import { CHECKLIST, type Rule } from "../tests/checklist.ts";
import { DIFFERENCES } from "../tests/differences.ts";
import { coverage, type Place } from "./checklist.ts";

const TARGET = new URL("../docs/conformance.md", import.meta.url);

const ROLES: Readonly<Record<string, string>> = { A: "all", C: "client", R: "relay", S: "server" };

/** The page in Markdown. @throws when a rule has no test */
export function conformancePage(): string {
  const { places, missing } = coverage();
  if (missing.length > 0) {
    throw new Error(`Cannot report rules without a test: ${missing.map(({ id }) => id).join(" ")}`);
  }
  const parts = Map.groupBy(CHECKLIST, (rule) => rule.part);
  const tests = new Set([...places.values()].flat().map(({ file, line }) => `${file}:${line}`)).size;
  const lines = [
    "# Conformance",
    "",
    "What the RFCs ask of a Teredo client, relay and server, rule by rule, with the tests that hold each; then where we decided",
    "otherwise, or where the texts leave the decision to us. This page is made from the tests by `deno task docs`; `deno task checklist`",
    "prints the same with line numbers and fails when a rule has no test.",
    "",
    `${CHECKLIST.length} rules, each held by at least one of ${tests} tests. The words are reminders: the RFC's section is the rule itself.`,
    "Levels in capitals are the RFC's own (RFC 2119), in lower case they are its plain words, _ours_ is our decision.",
    "",
    "## Deliberately different",
    "",
    "| rules | the RFCs | here | why |",
    "| --- | --- | --- | --- |",
    ...DIFFERENCES.map(({ rules, text, ours, why }) => row([rules.join(" "), text, ours, why])),
  ];
  for (const [part, rules] of parts) {
    lines.push(
      "",
      `## ${part}`,
      "",
      "| rule | binds | level | what | source | held by |",
      "| --- | --- | --- | --- | --- | --- |",
    );
    for (const rule of rules) lines.push(ruleRow(rule, places.get(rule.id) ?? []));
  }
  return `${lines.join("\n")}\n`;
}

function ruleRow(rule: Rule, places: readonly Place[]): string {
  const roles = rule.role.split(" ").map((letter) => ROLES[letter]).join(", ");
  const files = Map.groupBy(places, ({ file }) => file);
  const held = [...files].map(([file, held]) => `[${file.replace(/^tests\//, "")}](../${file}): ${names(held)}`);
  return row([rule.id, roles, rule.level, rule.text, rule.source, held.join("<br>")]);
}

function names(places: readonly Place[]): string {
  return [...new Set(places.map(({ name }) => name.replaceAll(/\\(.)/g, "$1")))].join("; ");
}

function row(cells: readonly string[]): string {
  const plain = (cell: string): string => cell.replaceAll("|", "\\|").replaceAll(/\s+/g, " ");
  return `| ${cells.map(plain).join(" | ")} |`;
}

if (import.meta.main) await Deno.writeTextFile(TARGET, conformancePage());
