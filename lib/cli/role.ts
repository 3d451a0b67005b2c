/** Running a role in the foreground: load the configuration, set up logging, run the daemon until it ends. */

import { type LoadOptions, loadWithSources, type Role } from "../../config/mod.ts";
import { getLogger, setUpLogging } from "../control/logging.ts";
import { VERSION } from "./version.ts";

const log = getLogger(["miredo"]);

/**
 * Runs a role.
 * @returns the exit code
 * @throws ConfigError; an error of one line when the daemon cannot be set up
 */
export async function runRole(role: Role, options: LoadOptions): Promise<number> {
  const load = () => {
    const { config, warnings } = loadWithSources(role, options);
    setUpLogging(config.log);
    for (const warning of warnings) log.warn(warning);
    return config;
  };
  const config = load();
  log.info("Starting", { version: VERSION, role, config: config.file ?? "none" });
  // Loaded here and not at the top, so that commands without a daemon need none of its permissions.
  const { runDaemon } = await import("../host/daemon.ts");
  return await runDaemon({ config, reload: load });
}
