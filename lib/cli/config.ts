/** `miredo config check | show | example | import`: what is wrong with configurations, what is in effect, what there is to set. */

import { merge, object, or } from "@optique/core/constructs";
import { message, value } from "@optique/core/message";
import { multiple, optional } from "@optique/core/modifiers";
import { argument, command, constant, option } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { path } from "@optique/run/valueparser";
import {
  ConfigError,
  defaultFile,
  effectiveConfig,
  formatRemark,
  importLegacy,
  LEGACY_FILES,
  loadWithSources,
  type Role,
  roleOfFile,
  ROLES,
  sampleConfig,
} from "../../config/mod.ts";
import { ExitCode } from "./exit_code.ts";
import { configOptions } from "./options.ts";
import { type CommonArguments, loadOptions } from "./role_commands.ts";
import { answer, say } from "./output.ts";

const role = choice(ROLES, { metavar: "ROLE" });

const roleArgument = argument(role, {
  description: message`client, relay or server`,
  errors: { endOfInput: message`A role is missing, allowed: client, relay or server` },
});

const checkCommand = command(
  "check",
  object({
    command: constant("config check"),
    files: multiple(argument(path({ metavar: "FILE", type: "file" }), {
      description: message`Files to check. Without any: those in /etc/miredo.`,
    })),
    role: optional(option("--role", role, {
      description: message`Role the files are for. Without it the name of a file tells, or its tables.`,
    })),
  }),
  {
    brief: message`Tell all that is wrong with configuration files.`,
    description:
      message`Checks files as the roles would read them. Needs no privilege and no network. Exits with 78 when something is wrong.`,
  },
);

const showCommand = command(
  "show",
  merge(
    object({
      command: constant("config show"),
      role: roleArgument,
    }),
    configOptions,
  ),
  {
    brief: message`Show the configuration in effect, and where each value comes from.`,
    description: message`Prints every key with the value a role would use, as TOML. Secrets are not shown.`,
  },
);

const exampleCommand = command(
  "example",
  object({
    command: constant("config example"),
    role: roleArgument,
  }),
  {
    brief: message`Print a sample configuration file.`,
    description: message`Prints a file with every key of a role, what it does, what it may be, and its default.`,
  },
);

const importCommand = command(
  "import",
  object({
    command: constant("config import"),
    files: multiple(argument(path({ metavar: "FILE", type: "file" }), {
      description:
        message`miredo.conf, miredo-server.conf or a file of /etc/default. Without any: those in their usual places.`,
    })),
    role: optional(option("--role", role, {
      description: message`Role to print, where the files are about several.`,
    })),
  }),
  {
    brief: message`Turn files of the C Miredo into a configuration file.`,
    description:
      message`Prints TOML with a note for each line of the old files. What is wrong, and what Miredo ignored, is told on standard error. Exits with 78 when a line cannot be used.`,
  },
);

export const configCommand = command(
  "config",
  or(checkCommand, showCommand, exampleCommand, importCommand, {
    errors: { noMatch: message`Cannot run ${value("config")} alone: say check, show, example or import` },
  }),
  {
    brief: message`Check, show, explain and import configurations.`,
  },
);

/** @returns the exit code */
export function runConfigCheck(args: { readonly files: readonly string[]; readonly role: Role | undefined }): number {
  const files = args.files.length > 0 ? args.files : defaultFiles(args.role);
  if (files.length === 0) {
    say("miredo: Cannot check: no file is named, and /etc/miredo has none (miredo config example ROLE prints one)");
    return ExitCode.failure;
  }
  let code: number = ExitCode.ok;
  for (const file of files) {
    try {
      const checkedRole = args.role ?? roleOfFile(file);
      const { warnings } = loadWithSources(checkedRole, { file });
      for (const warning of warnings) say(`warning: ${warning}`);
      answer(`${file}: ok (${checkedRole})\n`);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      say(error.message);
      code = ExitCode.config;
    }
  }
  return code;
}

/** The files in their usual place that exist, or whose existence cannot be told. */
function defaultFiles(role: Role | undefined): string[] {
  return (role === undefined ? ROLES : [role]).map((one) => defaultFile(one)).filter(mayExist);
}

/** False only where there is certainly no such file. */
function mayExist(file: string): boolean {
  try {
    Deno.statSync(file);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/** @returns the exit code */
export function runConfigShow(args: CommonArguments & { readonly role: Role }): number {
  const loading = loadWithSources(args.role, loadOptions(args));
  for (const warning of loading.warnings) say(`warning: ${warning}`);
  answer(effectiveConfig(loading));
  return ExitCode.ok;
}

/** @returns the exit code */
export function runConfigExample(args: { readonly role: Role }): number {
  answer(sampleConfig(args.role));
  return ExitCode.ok;
}

/** @returns the exit code */
export function runConfigImport(args: { readonly files: readonly string[]; readonly role: Role | undefined }): number {
  const files = args.files.length > 0 ? args.files : LEGACY_FILES.filter(mayExist);
  if (files.length === 0) {
    say("miredo: Cannot import: no file is named, and no file of Miredo is in its usual place");
    return ExitCode.failure;
  }
  const imports = importLegacy(files);
  const chosen = imports.filter(({ role }) => args.role === undefined || role === args.role);
  if (chosen.length !== 1) {
    const found = imports.map(({ role }) => role).join(" and ");
    say(
      `miredo: Cannot import ${args.role ?? "several roles at once"}: the files are for ${found} (--role says which)`,
    );
    return ExitCode.usage;
  }
  const [{ toml, remarks }] = chosen;
  for (const remark of remarks) {
    if (remark.severity !== "note") say(`${remark.severity}: ${formatRemark(remark)}`);
  }
  answer(toml);
  return remarks.some(({ severity }) => severity === "error") ? ExitCode.config : ExitCode.ok;
}
