/** Options that several commands share, and how they become configuration. */

import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import type { UsageTerm } from "@optique/core/usage";
import { choice, string } from "@optique/core/valueparser";
import { path } from "@optique/run/valueparser";
import { type LoadOptions, LOG_FORMATS, LOG_LEVELS, type Override } from "../../config/mod.ts";
import { say } from "./output.ts";

/** How a role's options stand in its usage line; the help lists them below. */
export const OPTIONS: UsageTerm = { type: "multiple", terms: [{ type: "argument", metavar: "OPTION" }], min: 0 };

/** Of every command that loads a configuration. */
export const configOptions = object("Configuration", {
  config: optional(option("-c", "--config", path({ metavar: "FILE", type: "file" }), {
    description: message`Configuration file. Without it /etc/miredo/ROLE.toml is read, if there is one.`,
  })),
  set: multiple(option("--set", string({ metavar: "TABLE.KEY=VALUE" }), {
    description: message`Set any key of the configuration, over the file. May be repeated.`,
  })),
});

/** Of every role. */
export const roleOptions = object("Options", {
  user: optional(option("-u", "--user", string({ metavar: "USER" }), {
    description: message`User to become once everything is set up (security.user).`,
  })),
  logLevel: optional(option("--log-level", choice(LOG_LEVELS, { metavar: "LEVEL" }), {
    description: message`Least urgent message to log: error, warning, info or debug (log.level).`,
  })),
  logFormat: optional(option("--log-format", choice(LOG_FORMATS, { metavar: "FORMAT" }), {
    description: message`How messages look: auto, text, journal or json (log.format).`,
  })),
});

/**
 * What people and init scripts still write for the C Miredo, understood and not shown. `-c` and `-u` are what they were, `-t` is
 * security.chroot; `-f` and `-p` have nothing to do any more: roles run in the foreground, and systemd knows their process.
 */
export const oldOptions = object("Old", {
  conf: optional(option("--conf", path({ metavar: "FILE", type: "file" }), { hidden: true })),
  username: optional(option("--username", string({ metavar: "USER" }), { hidden: true })),
  foreground: optional(option("-f", "--foreground", { hidden: true })),
  pidfile: optional(option("-p", "--pidfile", string({ metavar: "FILE" }), { hidden: true })),
  chroot: optional(option("-t", "--chroot", "--chrootdir", string({ metavar: "DIRECTORY" }), { hidden: true })),
});

/** Of the roles with a tunnel interface. */
export const interfaceOptions = object("Options", {
  interface: optional(option("-i", "--interface", string({ metavar: "NAME" }), {
    description: message`Name of the tunnel interface (interface.name).`,
  })),
});

/** What {@link configOptions}, {@link roleOptions} and {@link interfaceOptions} parse to. */
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
