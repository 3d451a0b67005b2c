/** What is said when a command cannot be done. */

import { ConfigError } from "../../config/mod.ts";
import { ExitCode } from "./exit_code.ts";
import { say } from "./output.ts";

/** Says what went wrong. @returns the exit code */
export function failed(error: unknown): number {
  if (error instanceof ConfigError) {
    say(error.message);
    return ExitCode.config;
  }
  say(`miredo: ${error instanceof Error ? error.message : String(error)}`);
  return ExitCode.failure;
}
