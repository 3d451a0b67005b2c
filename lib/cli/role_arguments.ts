/**
 * The command lines with which service managers start roles, understood without the grammar of the whole command line: loading that takes as
 * long as all the rest of a start. Whatever is not entirely plain is left to the grammar, which means the same by it and knows what to say.
 *
 * ```
 *   client|relay|server   WORD ...   --option VALUE ...   --option=VALUE ...
 * ```
 */

import { LOG_FORMATS, LOG_LEVELS } from "../../config/mod.ts";
import type { ClientArguments, CommonArguments, ServerArguments } from "./role_commands.ts";

/** A role's command line. */
export type RoleArguments =
  | { readonly command: "client" } & ClientArguments
  | { readonly command: "relay" } & CommonArguments
  | { readonly command: "server" } & ServerArguments;

/** Options that have a value and may stand once, by every name of theirs. */
const ONCE: ReadonlyMap<string, "config" | "user" | "interface" | "logLevel" | "logFormat"> = new Map([
  ["-c", "config"],
  ["--config", "config"],
  ["-u", "user"],
  ["--user", "user"],
  ["-i", "interface"],
  ["--interface", "interface"],
  ["--log-level", "logLevel"],
  ["--log-format", "logFormat"],
]);
const SET = "--set";

/** Options of which only these values exist. */
const CHOICES: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ["logLevel", LOG_LEVELS],
  ["logFormat", LOG_FORMATS],
]);

/** A word or value that cannot be meant as anything else. */
const PLAIN = /^[^-]/;

/** What the arguments after the program's name mean; undefined when they are no role's, or not plain. */
export function roleArguments(args: readonly string[]): RoleArguments | undefined {
  const [command, ...rest] = args;
  if (command !== "client" && command !== "relay" && command !== "server") return undefined;
  const words: string[] = [], set: string[] = [];
  const given: Map<string, string> = new Map();
  for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
    if (PLAIN.test(next)) {
      words.push(next);
      continue;
    }
    const [name, joined] = next.startsWith("--") ? split(next) : [next, undefined];
    const value = joined ?? rest.shift();
    if (value === undefined || !PLAIN.test(value)) return undefined;
    if (name === SET) {
      set.push(value);
      continue;
    }
    const key = ONCE.get(name);
    if (key === undefined || given.has(key) || key === "interface" && command === "server") return undefined;
    if (CHOICES.get(key)?.includes(value) === false) return undefined;
    given.set(key, value);
  }
  const common = {
    config: given.get("config"),
    set,
    user: given.get("user"),
    interface: given.get("interface"),
    logLevel: given.get("logLevel"),
    logFormat: given.get("logFormat"),
  };
  const [address, secondary] = words;
  switch (command) {
    case "client":
      return { command, ...common, servers: words };
    case "relay":
      return words.length > 0 ? undefined : { command, ...common };
    case "server":
      return words.length > 2 ? undefined : { command, ...common, address, secondary };
  }
}

function split(option: string): [string, string | undefined] {
  const equals = option.indexOf("=");
  return equals < 0 ? [option, undefined] : [option.slice(0, equals), option.slice(equals + 1)];
}
