/**
 * TOML text as a tree in which every value remembers where it was written, and layers of such trees laid over one another:
 *
 * ```
 *   file  <  --set table.key=value (each)  <  options and arguments
 * ```
 */

import { type AST, ParseError, parseTOML } from "toml-eslint-parser";
import { ConfigError, type Place } from "./problems.ts";

/** A value, list or table, and its place. */
export type Node = ValueNode | ListNode | TableNode;

export interface ValueNode {
  readonly type: "value";
  /** A string, a boolean, a whole number (a bigint beyond 2^53), or {@link Unfit} for kinds that no key takes. */
  readonly value: string | boolean | number | bigint | Unfit;
  /** What kind it is: "a string". */
  readonly kind: string;
  /** As it was written. */
  readonly written: string;
  readonly at: Place;
}

export interface ListNode {
  readonly type: "list";
  readonly items: Node[];
  readonly at: Place;
}

export interface TableNode {
  readonly type: "table";
  readonly entries: Map<string, Entry>;
  readonly at: Place;
}

export interface Entry {
  /** Where the key is written. */
  readonly keyAt: Place;
  readonly node: Node;
}

/** Stands for a float or a date, which no schema accepts. */
export class Unfit {}

/** What the parser calls its errors, and what people call them. */
const SYNTAX_WORDS: ReadonlyMap<string, string> = new Map([
  ["Defining a key multiple times is invalid", "is given more than once, allowed: once"],
  ["Must be a newline", "something follows on the same line, allowed: one key = value a line, text in quotes"],
  ["Unspecified values are invalid", "the value is missing, allowed: key = value"],
  ["Unterminated table-key", "the name of a table is not closed, allowed: [table]"],
  ["Unterminated string constant", "a text is not closed by its quote"],
  ["Unterminated array", 'a list is not closed by "]"'],
  ["Unterminated inline table", 'a table is not closed by "}"'],
  ["Empty bare keys are not allowed", "the key is missing, allowed: key = value"],
  ["Expected equal (=) token", '"=" is missing, allowed: key = value'],
  ["Expected comma (,) token", '"," is missing'],
  [
    "The key, equals sign, and value must be on the same line",
    "the line is not whole, allowed: [table] or key = value",
  ],
  ["Unexpected token", "the value is not one of TOML, allowed: text in quotes, a number, true, false, a [list]"],
  ["Unexpected character", "an unexpected character, allowed: key = value, [table] or # comment"],
  ["Control characters (codes < 0x1f and 0x7f) are not allowed", "a control character, allowed: plain text"],
]);

/**
 * Reads TOML 1.1.
 * @param file how the text is called in places
 * @throws ConfigError at the first syntax error or key given twice
 */
export function parseDocument(text: string, file: string): TableNode {
  try {
    return treeOf(parseTOML(text, { tomlVersion: "1.1" }), text, file);
  } catch (error) {
    if (error instanceof ParseError) {
      const message = SYNTAX_WORDS.get(error.message) ?? lowerFirst(error.message);
      const key = message.startsWith("is ") ? /^[^\s=\]#]{1,40}/.exec(text.slice(error.index))?.[0] ?? "" : "";
      throw new ConfigError([{ file, ...placeOf(error, text), key, message }]);
    }
    // Parser and tree recurse: thousands of brackets exhaust the stack.
    if (error instanceof RangeError) {
      throw new ConfigError([{ file, line: 0, column: 0, key: "", message: "is nested too deeply" }]);
    }
    throw error;
  }
}

function treeOf(program: AST.TOMLProgram, text: string, file: string): TableNode {
  const at = (node: AST.TOMLNode): Place => ({ file, line: node.loc.start.line, column: node.loc.start.column + 1 });
  const written = (node: AST.TOMLNode): string => text.slice(node.range[0], node.range[1]);

  const content = (node: AST.TOMLContentNode): Node => {
    switch (node.type) {
      case "TOMLValue":
        return { type: "value", ...plainValue(node), written: written(node), at: at(node) };
      case "TOMLArray":
        return { type: "list", items: node.elements.map(content), at: at(node) };
      case "TOMLInlineTable": {
        const table: TableNode = { type: "table", entries: new Map(), at: at(node) };
        for (const pair of node.body) put(table, pair);
        return table;
      }
    }
  };
  /** Lays `key = value` into `table`, through the tables that a dotted key names. */
  const put = (table: TableNode, pair: AST.TOMLKeyValue): void => {
    const parts = pair.key.keys;
    const last = parts[parts.length - 1];
    descend(table, parts.slice(0, -1)).entries.set(keyName(last), { keyAt: at(last), node: content(pair.value) });
  };
  const descend = (from: TableNode, parts: readonly (AST.TOMLBare | AST.TOMLQuoted)[]): TableNode => {
    let table = from;
    for (const part of parts) {
      const found = table.entries.get(keyName(part))?.node;
      // The last element of a list of tables is what later headers mean (TOML 1.1, array of tables).
      const target = found?.type === "list" ? found.items.at(-1) : found;
      if (target?.type === "table") {
        table = target;
      } else {
        const made: TableNode = { type: "table", entries: new Map(), at: at(part) };
        table.entries.set(keyName(part), { keyAt: at(part), node: made });
        table = made;
      }
    }
    return table;
  };

  const root: TableNode = { type: "table", entries: new Map(), at: { file, line: 1, column: 1 } };
  for (const item of program.body[0].body) {
    if (item.type === "TOMLKeyValue") {
      put(root, item);
    } else if (item.kind === "standard") {
      const table = descend(root, item.key.keys);
      for (const pair of item.body) put(table, pair);
    } else {
      const last = item.key.keys[item.key.keys.length - 1];
      const parent = descend(root, item.key.keys.slice(0, -1));
      const table: TableNode = { type: "table", entries: new Map(), at: at(item) };
      const list = parent.entries.get(keyName(last))?.node;
      if (list?.type === "list") list.items.push(table);
      else parent.entries.set(keyName(last), { keyAt: at(last), node: { type: "list", items: [table], at: at(item) } });
      for (const pair of item.body) put(table, pair);
    }
  }
  return root;
}

/** Where an error is. The parser sees that something is missing only on the next line; people look for it at the end of the line before. */
function placeOf(error: ParseError, text: string): { readonly line: number; readonly column: number } {
  const before = text.slice(0, error.index);
  const written = before.trimEnd();
  if (
    !/^(?:Unspecified|Unterminated|Expected|Empty|The key, equals)/.test(error.message) ||
    !before.slice(written.length).includes("\n")
  ) {
    return { line: error.lineNumber, column: error.column + 1 };
  }
  const lines = written.split("\n");
  return { line: lines.length, column: (lines.at(-1) ?? "").length + 1 };
}

function lowerFirst(words: string): string {
  return words.charAt(0).toLowerCase() + words.slice(1);
}

function keyName(part: AST.TOMLBare | AST.TOMLQuoted): string {
  return part.type === "TOMLBare" ? part.name : part.value;
}

function plainValue(node: AST.TOMLValue): Pick<ValueNode, "value" | "kind"> {
  switch (node.kind) {
    case "string":
      return { value: node.value, kind: "a string" };
    case "boolean":
      return { value: node.value, kind: "a boolean" };
    case "integer":
      return { value: Number.isSafeInteger(node.value) ? node.value : node.bigint, kind: "a number" };
    case "float":
      return { value: new Unfit(), kind: "a float" };
    default:
      return { value: new Unfit(), kind: "a date or time" };
  }
}

/** A table that holds what `value` says under the dotted `key`, all at one place: an option or argument of the command line. */
export function tableOf(key: string, value: string | number | boolean | readonly string[], at: Place): TableNode {
  const leaf = (one: string | number | boolean): Node => ({
    type: "value",
    value: one,
    kind: typeof one === "string" ? "a string" : `a ${typeof one}`,
    written: JSON.stringify(one),
    at,
  });
  const node: Node = typeof value === "object" ? { type: "list", items: value.map(leaf), at } : leaf(value);
  const inTable = (name: string, inner: Node): TableNode => ({
    type: "table",
    entries: new Map([[name, { keyAt: at, node: inner }]]),
    at,
  });
  const [first, ...rest] = key.split(".");
  return inTable(first, rest.reduceRight<Node>((inner, name) => inTable(name, inner), node));
}

/** `over` laid on `under`: tables are merged key by key, all else is replaced. Both stay as they are. */
export function overlay(under: TableNode, over: TableNode): TableNode {
  const entries = new Map(under.entries);
  for (const [key, entry] of over.entries) {
    const below = entries.get(key)?.node;
    const node = below?.type === "table" && entry.node.type === "table" ? overlay(below, entry.node) : entry.node;
    entries.set(key, { keyAt: entry.keyAt, node });
  }
  return { type: "table", entries, at: under.at };
}

/** The value of a tree as schemas take it. */
export function plain(node: Node): unknown {
  switch (node.type) {
    case "value":
      return node.value;
    case "list":
      return node.items.map(plain);
    case "table": {
      // Without a prototype, so that a key named "__proto__" is a key like any other.
      const object: Record<string, unknown> = Object.create(null);
      for (const [key, entry] of node.entries) object[key] = plain(entry.node);
      return object;
    }
  }
}

/** The entry at a path of keys, if there is one. */
export function find(root: TableNode, path: readonly string[]): Entry | undefined {
  let table: Node = root;
  let entry: Entry | undefined;
  for (const key of path) {
    if (table.type !== "table") return undefined;
    entry = table.entries.get(key);
    if (entry === undefined) return undefined;
    table = entry.node;
  }
  return entry;
}
