/** The roles as commands: what their arguments become. Nothing here needs the grammar of the command line. */

import type { LoadOptions, Override } from "../../config/mod.ts";
import { say } from "./output.ts";
import { runRole } from "./role.ts";

/** What the options that several commands share parse to. */
export interface CommonArguments {
  readonly config: string | undefined;
  readonly set: readonly string[];
  readonly user?: string | undefined;
  readonly interface?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logFormat?: string | undefined;
  readonly conf?: string | undefined;
  readonly username?: string | undefined;
  readonly pidfile?: string | undefined;
  readonly chroot?: string | undefined;
}

/** What to load for a command line, with what its own arguments add. */
export function loadOptions(common: CommonArguments, own: readonly Override[] = []): LoadOptions {
  const overrides: Override[] = [...own];
  const give = (key: string, from: string, value: string | undefined): void => {
    if (value !== undefined) overrides.push({ key, value, from });
  };
  give("security.user", "--username", common.username);
  give("security.user", "--user", common.user);
  give("security.chroot", "--chroot", common.chroot);
  give("interface.name", "--interface", common.interface);
  give("log.level", "--log-level", common.logLevel);
  give("log.format", "--log-format", common.logFormat);
  if (common.pidfile !== undefined) say("warning: --pidfile is ignored: there is none, miredo status finds the daemon");
  return { file: common.config ?? common.conf, set: common.set, overrides };
}

export interface ClientArguments extends CommonArguments {
  readonly servers: readonly string[];
}

export interface ServerArguments extends CommonArguments {
  readonly address: string | undefined;
  readonly secondary: string | undefined;
}

/** @returns the exit code */
export function runClient(args: ClientArguments): Promise<number> {
  const servers = args.servers.length === 0 ? [] : [{ key: "client.servers", value: args.servers, from: "SERVER" }];
  return runRole("client", loadOptions(args, servers));
}

/** @returns the exit code */
export function runServer(args: ServerArguments): Promise<number> {
  const overrides: Override[] = [];
  if (args.address !== undefined) overrides.push({ key: "server.address", value: args.address, from: "ADDRESS" });
  if (args.secondary !== undefined) {
    overrides.push({ key: "server.secondary_address", value: args.secondary, from: "ADDRESS2" });
  }
  return runRole("server", loadOptions(args, overrides));
}

/** @returns the exit code */
export function runRelay(args: CommonArguments): Promise<number> {
  return runRole("relay", loadOptions(args));
}
