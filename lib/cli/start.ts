/** The very start of the program: a role's threads first, then the command line, which loads while they do. */

import { startThread } from "../host/threads/role_threads.ts";

/** With one of these, a role only says something about itself. */
const QUESTIONS: readonly string[] = ["-h", "--help"];

/**
 * Does what the command line asks for.
 * @param args arguments after the program's name
 * @returns the exit code
 */
export async function start(args: readonly string[]): Promise<number> {
  const [command] = args;
  if (!args.some((arg) => QUESTIONS.includes(arg))) {
    if (command === "client") startThread("interface");
    if (command === "client" || command === "relay" || command === "server") {
      startThread("data");
      const { startRole } = await import("./role_start.ts");
      const code = await startRole(args);
      if (code !== undefined) return code;
    }
  }
  const { runCommandLine } = await import("./command_line.ts");
  return await runCommandLine(args);
}
