/** Runs a role whose command line is plain. */

import { failed } from "./failed.ts";
import { type RoleArguments, roleArguments } from "./role_arguments.ts";
import { runClient, runRelay, runServer } from "./role_commands.ts";

/**
 * @param args arguments after the program's name
 * @returns the exit code; undefined when the whole grammar is needed to understand them, and nothing was done
 */
export async function startRole(args: readonly string[]): Promise<number | undefined> {
  const role = roleArguments(args);
  if (role === undefined) return undefined;
  try {
    return await run(role);
  } catch (error) {
    return failed(error);
  }
}

function run(role: RoleArguments): Promise<number> {
  switch (role.command) {
    case "client":
      return runClient(role);
    case "relay":
      return runRelay(role);
    case "server":
      return runServer(role);
  }
}
