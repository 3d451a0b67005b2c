/** Options that several commands share. */

import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import type { UsageTerm } from "@optique/core/usage";
import { choice, string } from "@optique/core/valueparser";
import { path } from "@optique/run/valueparser";
import { LOG_FORMATS, LOG_LEVELS } from "../../config/mod.ts";

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
