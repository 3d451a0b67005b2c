/**
 * A daemon from start to end, for every role:
 *
 * ```
 *   load the data isolate ─┬─ open descriptors, set up the interface     with privileges
 *                          ▼
 *             give up privileges (confinement.ts)
 *             run the machine in the data isolate                       without
 *             answer on the control socket
 *             SIGHUP: reload   SIGINT, SIGTERM: end
 * ```
 */

import { getLogger } from "@logtape/logtape";
import { type Config, ConfigError, formatIssue } from "../../../config/mod.ts";
import { reasonOf } from "../system/advice.ts";
import { ClientRole } from "./client_role.ts";
import { confine, serviceUser } from "../confinement/confinement.ts";
import { ControlPlane } from "../control/control.ts";
import { DataIsolate } from "../threads/data_isolate.ts";
import { Monitor } from "../control/monitor.ts";
import { readByLibc, revokePermissions } from "../confinement/permissions.ts";
import { RelayRole } from "./relay_role.ts";
import { planReload } from "./reload.ts";
import type { Role } from "./role.ts";
import { ServerRole } from "./server_role.ts";
import { ServiceManager } from "../system/service_manager.ts";

const log = getLogger(["miredo", "daemon"]);

/** What to do about a file that was readable at the start, as root, and is not any more. */
const UNREADABLE = "let that user read the file, or restart";

/** What the daemon is started with. */
export interface DaemonOptions {
  readonly config: Config;
  /** Reads the configuration again; throws what is wrong with it. */
  readonly reload: (reader?: typeof readByLibc) => Config;
  /** Version of this program, for those who ask. */
  readonly version?: string;
  /** Another program in the data isolate's place, for tests. */
  readonly worker?: URL;
}

/**
 * Runs a daemon until a signal ends it.
 * @returns the exit code, 0
 * @throws an error of one line when it cannot be set up or cannot go on; nothing is left behind then
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const { config } = options;
  using manager = new ServiceManager();
  const user = serviceUser(config.security.user);
  using data = new DataIsolate({
    onEvent: (event) => {
      monitor.onEvent(event);
      role.onEvent(event);
      manager.tell();
    },
    onDeath: () => {
      monitor.onDeath();
      role.onDeath();
      manager.tell();
      tellReady();
    },
    ...(options.worker === undefined ? {} : { worker: options.worker }),
  });
  using role = openRole(config);
  using control = new ControlPlane(config, user);
  using monitor = new Monitor(options.version ?? "unknown", config, data, role.descriptors);
  // The service user may not be able to read the program: it has to be in memory first.
  await data.loaded;
  confine({
    role: config.role,
    user,
    chroot: config.security.chroot,
    holder: role.holder,
    startPrograms: () => role.startPrograms?.(),
  });
  revokePermissions();

  const ended = Promise.withResolvers<Deno.Signal>();
  const end = (signal: Deno.Signal) => () => ended.resolve(signal);
  const onInterrupt = end("SIGINT");
  const onTerminate = end("SIGTERM");
  let running = config;
  const onHangUp = (): void =>
    manager.reload(() => {
      running = reload(role, running, () => options.reload(readByLibc));
      monitor.reconfigure(running);
    });
  const alive = async (): Promise<boolean> => await data.look(-1) !== undefined;
  const tellReady = (): void => void data.ready.then(() => manager.ready({ words: () => monitor.words, alive }));
  Deno.addSignalListener("SIGINT", onInterrupt);
  Deno.addSignalListener("SIGTERM", onTerminate);
  Deno.addSignalListener("SIGHUP", onHangUp);
  try {
    data.run(role.machine, role.descriptors);
    role.attach(data, ended.reject);
    control.serve(monitor);
    tellReady();
    const signal = await ended.promise;
    log.info("Ending", { signal });
    manager.stopping();
    await Promise.all([data.stop(), role.end?.()]);
    return 0;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
    Deno.removeSignalListener("SIGTERM", onTerminate);
    Deno.removeSignalListener("SIGHUP", onHangUp);
  }
}

function openRole(config: Config): Role {
  switch (config.role) {
    case "client":
      return new ClientRole(config);
    case "relay":
      return new RelayRole(config);
    case "server":
      return new ServerRole(config);
  }
}

/** Takes over what can be taken over; on any problem the old configuration goes on. Returns what runs now. */
function reload(role: Role, running: Config, read: () => Config): Config {
  try {
    const { config, waiting } = planReload(running, read());
    role.reconfigure(config);
    log.info("Reloaded");
    for (const key of waiting) log.warn("Key changes only at restart", { key });
    return config;
  } catch (cause) {
    const problems = cause instanceof ConfigError ? cause.issues.map(formatIssue) : [reasonOf(cause)];
    for (const reason of problems) {
      const unreadable = reason.includes("EACCES") ? { user: running.security.user, hint: UNREADABLE } : {};
      log.error("Cannot reload", { reason, ...unreadable });
    }
    log.warn("The old configuration goes on");
    return running;
  }
}
