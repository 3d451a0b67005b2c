/**
 * A tree of TOML against the schema of a role: all problems at once, each at its place.
 *
 * First every key by itself (known? right kind? in range?), then the rules that join several keys.
 */

import * as v from "valibot";
import { ipv4Number, ipv4Text, serverAddressProblem } from "./addresses.ts";
import { find, type Node, plain, type TableNode } from "./document.ts";
import { type ConfigIssue, nearest, type Place } from "./problems.ts";
import { type Role, ROLES } from "./schema.ts";
import { type LeafShape, type RecordShape, type Shape, SHAPES, type TableShape } from "./shape.ts";

/** The longest value or key that is quoted whole in a message, characters. */
const SHOWN_MAXIMUM = 48;

/** Names that JavaScript objects cannot carry safely as keys. */
const UNUSABLE_NAMES: readonly string[] = ["__proto__", "prototype", "constructor"];

/**
 * Every problem of `root` as the configuration of a `role`.
 * @param nowhere stands for the place of what is missing; `undefined`: the tree is not whole, only its single keys are checked
 */
export function problemsOf(role: Role, root: TableNode, nowhere: Place | undefined): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  new Walk(role, issues).table(root, SHAPES[role], []);
  if (nowhere === undefined) return issues;
  const bad = new Set(issues.map((issue) => issue.key));
  for (const issue of joinedProblems(role, root, nowhere)) {
    if (!bad.has(issue.key)) issues.push(issue);
  }
  return issues;
}

/** One pass over a tree, side by side with its shape. */
class Walk {
  readonly #role: Role;
  readonly #issues: ConfigIssue[];

  constructor(role: Role, issues: ConfigIssue[]) {
    this.#role = role;
    this.#issues = issues;
  }

  table(table: TableNode, shape: TableShape, path: readonly string[]): void {
    for (const [key, { keyAt, node }] of table.entries) {
      const here = [...path, key];
      const inner = shape.entries.get(key);
      if (inner === undefined) this.#report(keyAt, here, unknownWords(this.#role, shape, path, key, node));
      else this.#value(node, inner, here);
    }
  }

  #value(node: Node, shape: Shape, path: readonly string[]): void {
    switch (shape.type) {
      case "table":
        if (node.type === "table") this.table(node, shape, path);
        else this.#report(node.at, path, `${shown(node)} is ${kindOf(node)}, allowed: a table`);
        return;
      case "record":
        if (node.type === "table") this.#record(node, shape, path);
        else this.#report(node.at, path, `${shown(node)} is ${kindOf(node)}, allowed: ${shape.notes.allowed}`);
        return;
      case "list":
        if (node.type === "list") {
          for (const item of node.items) this.#leaf(item, shape.item, path);
        } else this.#report(node.at, path, `${shown(node)} is ${kindOf(node)}, allowed: ${shape.notes.allowed}`);
        return;
      case "leaf":
        return this.#leaf(node, shape, path);
    }
  }

  #record(table: TableNode, shape: RecordShape, path: readonly string[]): void {
    for (const [key, { keyAt, node }] of table.entries) {
      const problem = UNUSABLE_NAMES.includes(key) ? "cannot be used" : problemOf(key, shape.key);
      if (problem !== undefined) {
        this.#report(keyAt, path, `${quoted(key)} ${problem}, allowed: ${shape.key.notes.allowed}`);
      }
      this.#leaf(node, shape.value, [...path, key]);
    }
  }

  #leaf(node: Node, shape: LeafShape, path: readonly string[]): void {
    // Tables and lists are no values, however deep they go.
    const value = node.type === "value" ? node.value : undefined;
    const words = typeof value === "bigint" ? "is out of range" : problemOf(value, shape);
    if (words === undefined) return;
    const what = shape.notes.hidden === true ? "the value" : shown(node);
    this.#report(
      node.at,
      path,
      `${what} ${words === "" ? `is ${kindOf(node)}` : words}, allowed: ${shape.notes.allowed}`,
    );
  }

  #report(at: Place, path: readonly string[], message: string): void {
    this.#issues.push({ ...at, key: dotted(path), message });
  }
}

/** Why a value does not fit: words, "" for the wrong kind of value, `undefined` when it does fit. */
function problemOf(value: unknown, shape: LeafShape): string | undefined {
  const issue = v.safeParse(shape.schema, value).issues?.[0];
  if (issue === undefined) return undefined;
  if (issue.kind === "validation") return issue.message;
  return issue.type === "picklist" && typeof value === "string" ? "is none of the choices" : "";
}

function unknownWords(role: Role, shape: TableShape, path: readonly string[], key: string, node: Node): string {
  const what = path.length === 0 && node.type === "table" ? "unknown table" : "unknown key";
  const others = ROLES.filter((other) => other !== role && knows(SHAPES[other], [...path, key]));
  if (others.length > 0) return `${what}: it is for a ${others.join(" or ")}, not for a ${role}`;
  const names = [...shape.entries.keys()];
  const near = nearest(key.replaceAll("-", "_"), names);
  if (near !== undefined) return `${what}, did you mean "${near}"?`;
  const elsewhere = [...SHAPES[role].entries]
    .filter(([, inner]) => inner.type === "table" && inner.entries.has(key))
    .map(([table]) => `"${table}.${key}"`);
  if (elsewhere.length > 0) return `${what}, did you mean ${elsewhere.join(" or ")}?`;
  return `${what}, allowed here: ${names.join(", ")}`;
}

function knows(shape: Shape, path: readonly string[]): boolean {
  const [first, ...rest] = path;
  if (first === undefined) return true;
  const inner = shape.type === "table" ? shape.entries.get(first) : undefined;
  return inner !== undefined && knows(inner, rest);
}

/** Rules between keys. Values of the wrong kind are left alone here: they were told already. */
function joinedProblems(role: Role, root: TableNode, nowhere: Place): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const read = (path: string): unknown => {
    const entry = find(root, path.split("."));
    if (entry === undefined) return fallbackOf(role, path);
    // No rule here is about a table, and a table may be too deep to be turned into a value.
    return entry.node.type === "table" ? {} : plain(entry.node);
  };
  /** The place of a key, else of its table, else nowhere. */
  const place = (path: string): Place => {
    const keys = path.split(".");
    return find(root, keys)?.node.at ?? find(root, keys.slice(0, -1))?.keyAt ?? nowhere;
  };
  const report = (key: string, message: string): void => {
    issues.push({ ...place(key), key, message });
  };

  const perPeer = read("limits.queue_octets_per_peer");
  const total = read("limits.queue_octets_total");
  if (typeof perPeer === "number" && typeof total === "number" && total < perPeer) {
    report("limits.queue_octets_total", `${total} is too small, allowed: at least queue_octets_per_peer (${perPeer})`);
  }
  switch (role) {
    case "client":
      clientProblems(read, report);
      break;
    case "server":
      serverProblems(read, report);
      break;
    case "relay":
      break;
  }
  return issues;
}

type Read = (path: string) => unknown;
type Report = (key: string, message: string) => void;

function clientProblems(read: Read, report: Report): void {
  const servers = read("client.servers");
  if (Array.isArray(servers)) {
    if (servers.length === 0) {
      report(
        "client.servers",
        'no server is given, allowed: servers = ["teredo.example.net"], or as an argument: miredo client SERVER',
      );
    }
    const secondary = read("client.secondary");
    if (servers.length > 1 && typeof secondary === "string" && ipv4Number(secondary) !== undefined) {
      report(
        "client.secondary",
        `${quoted(secondary)} can belong to one server only, allowed with several: "auto" or "none"`,
      );
    }
  }
  const identifier = read("client.identifier");
  const secret = read("client.secret");
  if (identifier !== undefined && secret === undefined) {
    report("client.identifier", "a secret is missing, allowed: identifier and secret together, or none of them");
  }
  if (secret !== undefined && identifier === undefined) {
    report("client.secret", "an identifier is missing, allowed: identifier and secret together, or none of them");
  }
}

function serverProblems(read: Read, report: Report): void {
  const primary = read("server.address");
  const secondary = read("server.secondary_address");
  if (primary === undefined) {
    report(
      "server.address",
      'no address is given, allowed: address = "192.0.2.1", or as an argument: miredo server ADDRESS',
    );
    return;
  }
  if (typeof primary !== "string" || serverAddressProblem(primary) !== undefined) return;
  if (secondary === primary) {
    report(
      "server.secondary_address",
      `${quoted(primary)} is the first address, allowed: another one, "auto" or "none"`,
    );
  }
  if (secondary === "auto") {
    const next = ipv4Text((ipv4Number(primary) ?? 0) + 1);
    const problem = serverAddressProblem(next);
    if (problem !== undefined) {
      report(
        "server.secondary_address",
        `${quoted(next)}, the address after the first, ${problem}, allowed: an address or "none"`,
      );
    }
  }
}

/** The default of a dotted key, or `undefined`. */
export function fallbackOf(role: Role, path: string): unknown {
  let shape: Shape | undefined = SHAPES[role];
  for (const key of path.split(".")) shape = shape?.type === "table" ? shape.entries.get(key) : undefined;
  return shape?.type === "leaf" || shape?.type === "list" ? shape.fallback : undefined;
}

/** A path of keys as TOML writes it. */
export function dotted(path: readonly string[]): string {
  return path.map((key) => (/^[A-Za-z0-9_-]+$/.test(key) ? shorten(key) : quoted(key))).join(".");
}

function quoted(text: string): string {
  return JSON.stringify(shorten(text));
}

function shorten(text: string): string {
  return text.length > SHOWN_MAXIMUM ? `${text.slice(0, SHOWN_MAXIMUM)}...` : text;
}

/** The value as it was written, on one line, shortened. */
function shown(node: Node): string {
  switch (node.type) {
    case "value":
      return typeof node.value === "string" ? quoted(node.value) : shorten(node.written);
    case "list":
      return node.items.length === 0
        ? "[]"
        : `[${node.items.slice(0, 2).map(shown).join(", ")}${node.items.length > 2 ? ", ..." : ""}]`;
    case "table":
      return "{...}";
  }
}

function kindOf(node: Node): string {
  return node.type === "value" ? node.kind : node.type === "list" ? "a list" : "a table";
}
