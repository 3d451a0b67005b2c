/** Configurations in temporary files, and their problems as lines. */

import { type Config, ConfigError, loadConfig, type LoadOptions, type Role } from "../../config/mod.ts";

/** Runs `work` with the path of a file that holds `content`; the file is gone afterwards. */
export function withFile<T>(content: string | Uint8Array, work: (file: string) => T): T {
  const file = Deno.makeTempFileSync({ suffix: ".toml" });
  try {
    if (typeof content === "string") Deno.writeTextFileSync(file, content);
    else Deno.writeFileSync(file, content);
    return work(file);
  } finally {
    Deno.removeSync(file);
  }
}

/** Loads `content` as a role's file. */
export function load(role: Role, content: string | Uint8Array, options: LoadOptions = {}): Config {
  return withFile(content, (file) => loadConfig(role, { ...options, file }));
}

/** What is wrong with `content`, a line for each problem, with FILE for the file's name; empty when nothing is. */
export function problems(role: Role, content: string | Uint8Array, options: LoadOptions = {}): readonly string[] {
  return withFile(
    content,
    (file) => linesOf(() => loadConfig(role, { ...options, file })).map((line) => line.replaceAll(file, "FILE")),
  );
}

/** The lines of the ConfigError that `work` throws; empty when it throws none. */
export function linesOf(work: () => unknown): readonly string[] {
  try {
    work();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
}
