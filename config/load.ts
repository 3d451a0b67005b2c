/**
 * Loading: defaults, then the file, then every `--set`, then options and arguments of the command line; checked as one.
 *
 * All problems are reported together. A syntax error hides what stands in the same file, but not what other sources hold.
 */

import * as v from "valibot";
import { find, overlay, parseDocument, plain, type TableNode, tableOf } from "./document.ts";
import { ConfigError, type ConfigIssue, type Place } from "./problems.ts";
import {
  type ClientConfig,
  type Config,
  type RelayConfig,
  type Role,
  ROLES,
  SCHEMAS,
  type ServerConfig,
} from "./schema.ts";
import { type FileReader, parseSetting, readConfigText } from "./source.ts";
import { problemsOf } from "./validate.ts";

/** Where configuration files are looked for. */
export const CONFIG_DIRECTORY = "/etc/miredo";

/** A value that an option or argument of the command line gives to a key. */
export interface Override {
  /** Dotted, such as `interface.name`. */
  readonly key: string;
  readonly value: string | number | readonly string[];
  /** The option or argument, for messages: `--interface`, `SERVER`. */
  readonly from: string;
}

export interface LoadOptions {
  /** A file that must exist. Without it the role's file in {@link directory} is read if there is one. */
  readonly file?: string | undefined;
  /** Values of `--set`, in order; the last one of a key wins. */
  readonly set?: readonly string[];
  readonly overrides?: readonly Override[];
  /** Default: {@link CONFIG_DIRECTORY}. */
  readonly directory?: string;
  /** How the file is read; default: by the runtime. */
  readonly reader?: FileReader;
}

/** A checked configuration and what is known about it. */
export interface Loading<C extends Config = Config> {
  readonly config: C;
  /** What an operator should know, though it is no error. */
  readonly warnings: readonly string[];
  /** Where a key got its value from; `undefined`: its default. */
  readonly placeOf: (path: readonly string[]) => Place | undefined;
}

/** The file that is read for a role when no other is named. */
export function defaultFile(role: Role, directory: string = CONFIG_DIRECTORY): string {
  return `${directory}/${role}.toml`;
}

/**
 * The configuration of a role.
 * @throws ConfigError with every problem found
 */
export function loadConfig(role: "client", options?: LoadOptions): ClientConfig;
export function loadConfig(role: "relay", options?: LoadOptions): RelayConfig;
export function loadConfig(role: "server", options?: LoadOptions): ServerConfig;
export function loadConfig(role: Role, options?: LoadOptions): Config;
export function loadConfig(role: Role, options: LoadOptions = {}): Config {
  return loadWithSources(role, options).config;
}

/** Like {@link loadConfig}, and tells where each value came from. */
export function loadWithSources(role: Role, options: LoadOptions = {}): Loading {
  const issues: ConfigIssue[] = [];
  const file = options.file ?? defaultFile(role, options.directory);
  const attempt = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      issues.push(...error.issues);
      return undefined;
    }
  };

  const source = attempt(() => readConfigText(file, options.file !== undefined, options.reader));
  const document = source === undefined ? undefined : attempt(() => parseDocument(source.text, file));
  const layers: TableNode[] = document === undefined ? [] : [document];
  for (const setting of options.set ?? []) {
    const layer = attempt(() => parseSetting(setting));
    if (layer !== undefined) layers.push(layer);
  }
  for (const { key, value, from } of options.overrides ?? []) {
    layers.push(tableOf(key, value, { file: from, line: 0, column: 0 }));
  }
  const nowhere: Place = source === undefined
    ? { file: "command line", line: 0, column: 0 }
    : { file, line: 1, column: 1 };
  const root = layers.reduce(overlay, { type: "table", entries: new Map(), at: nowhere });
  // What seems to be missing may stand in the part that could not be read.
  issues.push(...problemsOf(role, root, issues.length === 0 ? nowhere : undefined));
  if (issues.length > 0) throw new ConfigError(issues);

  const warnings: string[] = [];
  if (source?.worldReadable && document !== undefined && holdsSecrets(document)) {
    warnings.push(`${JSON.stringify(file)} holds secrets and every user may read it (chmod o-r ${file})`);
  }
  return {
    config: checked(role, root, source === undefined ? undefined : file),
    warnings,
    placeOf: (path) => find(root, path)?.node.at,
  };
}

function holdsSecrets(document: TableNode): boolean {
  const secrets = find(document, ["server", "secrets"])?.node;
  return find(document, ["client", "secret"]) !== undefined || (secrets?.type === "table" && secrets.entries.size > 0);
}

/** The values of a tree that has no problems, typed, with defaults. */
function checked(role: Role, root: TableNode, file: string | undefined): Config {
  const values = plain(root);
  switch (role) {
    case "client":
      return { role, file, ...v.parse(SCHEMAS.client, values) };
    case "relay":
      return { role, file, ...v.parse(SCHEMAS.relay, values) };
    case "server": {
      const { server, ...rest } = v.parse(SCHEMAS.server, values);
      if (server.address === undefined) {
        throw new TypeError("Cannot load a server without address: the check let it through");
      }
      return { role, file, ...rest, server: { ...server, address: server.address } };
    }
  }
}

/**
 * The role a file is for: its name tells when it has the word of one role, else its tables do.
 * @throws ConfigError when neither tells, or the file cannot be read
 */
export function roleOfFile(file: string): Role {
  const name = file.slice(file.lastIndexOf("/") + 1);
  const named = ROLES.filter((role) => new RegExp(`(?<![a-z])${role}(?![a-z])`, "i").test(name));
  if (named.length === 1) return named[0];
  const document = parseDocument(readConfigText(file, true)?.text ?? "", file);
  const held = ROLES.filter((role) => document.entries.has(role));
  if (held.length === 1) return held[0];
  const message = held.length === 0
    ? "the role cannot be told from its name nor its tables (--role client, relay or server says it)"
    : `holds tables of several roles: ${held.join(", ")} (--role says which is meant)`;
  throw new ConfigError([{ file, line: 0, column: 0, key: "", message }]);
}
