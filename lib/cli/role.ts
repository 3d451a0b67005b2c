/** Running a role in the foreground: load the configuration, set up logging, run the daemon until it ends. */

import { type Config, type LoadOptions, loadWithSources, type Role } from "../../config/mod.ts";
import { getLogger, setUpLogging } from "../control/logging.ts";
import { ExitCode } from "./exit_code.ts";
import { say } from "./output.ts";
import { VERSION } from "./version.ts";

const log = getLogger(["miredo"]);

/**
 * Runs a role.
 * @returns the exit code
 * @throws ConfigError
 */
export async function runRole(role: Role, options: LoadOptions): Promise<number> {
  // Loaded here and not at the top, so that commands without a daemon need none of its permissions.
  const { Syslog } = await import("../host/system/syslog.ts");
  const system = new Syslog();
  let format: string = "text";
  const load = (reader?: LoadOptions["reader"]): Config => {
    const { config, warnings } = loadWithSources(role, reader === undefined ? options : { ...options, reader });
    format = setUpLogging(config.log, system);
    for (const warning of warnings) log.warn(warning);
    return config;
  };
  const config = load();
  log.info("Starting", { version: VERSION, role, config: config.file ?? "none" });
  try {
    const { runDaemon } = await import("../host/roles/daemon.ts");
    return await runDaemon({ config, reload: load, version: VERSION });
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    // People read the last line; the journal, the system log and programs want the level.
    if (format !== "text") log.error(words);
    if (format === "text" || format === "syslog") say(`miredo: ${words}`);
    if (config.log.level === "debug" && error instanceof Error && error.stack !== undefined) say(error.stack);
    return ExitCode.failure;
  }
}
