/**
 * Reading configuration text: from a file, within bounds and with a reason for every refusal, and from `--set table.key=value`.
 */

import { parseDocument, type TableNode } from "./document.ts";
import { ConfigError } from "./problems.ts";

/** The largest file that is read, octets. Ours: a full sample has about 5000. */
const FILE_MAXIMUM = 1 << 20;

/** Permission bit "others may read" (chmod(1)). */
const OTHERS_READ = 0o004;

/** The text of a configuration file. */
export interface ConfigText {
  readonly text: string;
  /** Every user of this host may read the file. */
  readonly worldReadable: boolean;
}

/**
 * How the octets of a file are had, at most `maximum` of them, and its mode. Throws what `Deno.openSync` throws, or an Error whose words say
 * why. A confined daemon has one of its own, since the runtime lets it read nothing any more.
 */
export type FileReader = (file: string, maximum: number) => { readonly bytes: Uint8Array; readonly mode: number };

/**
 * The text of `file`, or `undefined` when there is none and none is `required`.
 * @throws ConfigError when it cannot be read, is a directory, is too large or is not UTF-8
 */
export function readConfigText(
  file: string,
  required: boolean,
  reader: FileReader = readFile,
): ConfigText | undefined {
  const refuse = (message: string, line: number = 0): ConfigError =>
    new ConfigError([{ file, line, column: line === 0 ? 0 : 1, key: "", message }]);
  try {
    const { bytes, mode } = reader(file, FILE_MAXIMUM + 1);
    if (bytes.length > FILE_MAXIMUM) {
      throw refuse("is larger than 1 MiB, allowed: a TOML file of at most 1048576 octets");
    }
    const text = decode(bytes);
    if (typeof text === "number") throw refuse("is not UTF-8 text, allowed: a TOML file", text);
    return { text, worldReadable: (mode & OTHERS_READ) !== 0 };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      if (!required) return undefined;
      throw refuse("cannot be read: ENOENT (no such file)");
    }
    if (error instanceof Deno.errors.IsADirectory) throw refuse("is a directory, allowed: a TOML file");
    if (error instanceof ConfigError || !(error instanceof Error)) throw error;
    throw refuse(`cannot be read: ${systemWords(error)}`);
  }
}

/** Reads by the runtime. Pipes and devices have no size to ask for first. */
function readFile(file: string, maximum: number): { readonly bytes: Uint8Array; readonly mode: number } {
  using handle = Deno.openSync(file);
  const { isDirectory, mode } = handle.statSync();
  if (isDirectory) throw new Deno.errors.IsADirectory(file);
  const bytes = new Uint8Array(maximum);
  let length = 0;
  while (length < maximum) {
    const count = handle.readSync(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return { bytes: bytes.subarray(0, length), mode: mode ?? 0 };
}

/** The text, or the number of the first line that is not UTF-8. */
function decode(bytes: Uint8Array): string | number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    return decoder.decode(bytes);
  } catch {
    let line = 1;
    for (let from = 0;; line++) {
      const end = bytes.indexOf(0x0a, from);
      try {
        decoder.decode(bytes.subarray(from, end === -1 ? bytes.length : end));
      } catch {
        return line;
      }
      if (end === -1) return line;
      from = end + 1;
    }
  }
}

function systemWords(error: Error): string {
  if (error instanceof Deno.errors.PermissionDenied) return "EACCES (permission denied)";
  if (error instanceof Deno.errors.NotADirectory) return "ENOTDIR (part of its path is no directory)";
  return error.message;
}

/**
 * One `table.key=value`. The value is TOML; a bare word that is not TOML is taken as a string, so that no shell quoting is needed.
 * @throws ConfigError with columns counted in `text`
 */
export function parseSetting(text: string): TableNode {
  const refuse = (message: string): ConfigError =>
    new ConfigError([{ file: "--set", line: 1, column: 1, key: "", message: `${JSON.stringify(text)} ${message}` }]);
  const parts = /^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\.(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))+)\s*=(.*)$/s.exec(
    text,
  );
  if (parts === null) throw refuse("is not understood, allowed: table.key=value");
  if (/[\r\n]/.test(text)) throw refuse("has more than one line, allowed: table.key=value");
  const value = parts[2];
  if (/^\s*[^\s"'[\]{},#=\p{Cc}]+\s*$/u.test(value)) {
    try {
      // A word that TOML knows (true, 1280, inf) is what TOML says it is.
      return parseDocument(text, "--set");
    } catch {
      const head = text.slice(0, text.length - value.trimStart().length);
      return parseDocument(head + JSON.stringify(value.trim()), "--set");
    }
  }
  return parseDocument(text, "--set");
}
