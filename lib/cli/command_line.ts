/** The command line: its grammar, and which command a command line means. One command a file, joined here. */

import { or } from "@optique/core/constructs";
import { type Message, message, value } from "@optique/core/message";
import type { InferValue } from "@optique/core/parser";
import { extractCommandNames, extractOptionNames } from "@optique/core/usage";
import { run } from "@optique/run";
import { nearest } from "../../config/mod.ts";
import { addressCommand, runAddress } from "./address.ts";
import { clientCommand } from "./client.ts";
import { configCommand, runConfigCheck, runConfigExample, runConfigImport, runConfigShow } from "./config.ts";
import { ExitCode } from "./exit_code.ts";
import { failed } from "./failed.ts";
import { mireCommand, runMireCommand } from "./mire.ts";
import { netcheckCommand, runNetcheck } from "./netcheck.ts";
import { answer, say } from "./output.ts";
import { metricsCommand, runMetrics } from "./metrics.ts";
import { pingCommand, runPing } from "./ping.ts";
import { relayCommand } from "./relay.ts";
import { serverCommand } from "./server.ts";
import { runClient, runRelay, runServer } from "./role_commands.ts";
import { runStatus, statusCommand } from "./status.ts";
import { VERSION } from "./version.ts";
import { runWait, waitCommand } from "./wait.ts";

/** The grammar of all commands. */
export const commands = or(
  clientCommand,
  relayCommand,
  serverCommand,
  statusCommand,
  pingCommand,
  waitCommand,
  metricsCommand,
  netcheckCommand,
  mireCommand,
  addressCommand,
  configCommand,
  {
    errors: { unexpectedInput: notUnderstood, suggestions: () => [] },
  },
);

/** One parsed command, told apart by `command`. */
type Command = InferValue<typeof commands>;

/** Width of help where standard output is no terminal, characters. */
const HELP_WIDTH = 100;

/** Options of the program itself. */
const HELP_NAMES = ["-h", "--help"] as const;
const VERSION_NAMES = ["-V", "--version"] as const;

/** Words and options shorter than this are too short to be a misspelling of another, characters. */
const GUESS_MINIMUM = 4;

/** What is said of a word or option that fits nowhere. */
function notUnderstood(token: string): Message {
  const name = token.replace(/=.*$/s, "");
  const names: readonly string[] = token.startsWith("-")
    ? [...extractOptionNames(commands.usage), ...HELP_NAMES, ...VERSION_NAMES]
    : [...extractCommandNames(commands.usage), "completion"];
  if (names.includes(name)) return message`Cannot use ${value(name)} here (miredo COMMAND --help)`;
  const guess = name.length >= GUESS_MINIMUM && /^[a-z-]+$/i.test(name);
  const near = guess ? nearest(name, names) : undefined;
  return near === undefined
    ? message`Cannot understand ${value(name)} (miredo --help)`
    : message`Cannot understand ${value(name)}, did you mean ${value(near)}?`;
}

/** Thrown where the parser would end the process: help or version was shown, or the command line was wrong. */
class Ended extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`Ended with ${code}`);
    this.code = code;
  }
}

/**
 * Does what the command line asks for.
 * @param args arguments after the program's name
 * @returns the exit code
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    // Nothing asked for: help, but as words, and it is no success.
    if (args.length === 0) parse(["--help"], say);
    return await runCommand(parse(args, (text) => answer(`${text}\n`)));
  } catch (error) {
    if (error instanceof Ended) return args.length === 0 ? ExitCode.usage : error.code;
    return failed(error);
  }
}

function parse(args: readonly string[], show: (text: string) => void): Command {
  return run(commands, {
    programName: "miredo",
    args,
    brief: message`IPv6 through NATs: Teredo client, relay and server.`,
    help: { option: { names: HELP_NAMES } },
    usageLine: [
      { type: "argument", metavar: "COMMAND" },
      { type: "multiple", terms: [{ type: "argument", metavar: "ARGUMENT" }], min: 0 },
    ],
    version: { value: `miredo ${VERSION}`, option: { names: VERSION_NAMES } },
    completion: "command",
    aboveError: "none",
    errorExitCode: ExitCode.usage,
    commandList: "top-level",
    termWidth: "auto",
    maxWidth: helpWidth(),
    colors: !Deno.noColor && Deno.stdout.isTerminal(),
    stdout: (text) => show(tidy(text)),
    stderr: (text) => say(oneLine(text)),
    onExit: (code) => {
      throw new Ended(code);
    },
  });
}

/** Help without the white space that wrapping leaves at the ends of lines, and at its own end. */
function tidy(text: string): string {
  return text.replaceAll(/ +$/gm, "").trimEnd();
}

/** An error of the parser as ours look: one line that starts with the program's name and has no period. */
function oneLine(text: string): string {
  return text.trim().replace(/^Error:/, "miredo:").replaceAll(/\s*\n\s*/g, " ").replace(/\.$/, "");
}

function helpWidth(): number {
  try {
    return Math.max(60, Deno.consoleSize().columns);
  } catch {
    return HELP_WIDTH;
  }
}

function runCommand(parsed: Command): number | Promise<number> {
  switch (parsed.command) {
    case "client":
      return runClient(parsed);
    case "relay":
      return runRelay(parsed);
    case "server":
      return runServer(parsed);
    case "status":
      return runStatus(parsed);
    case "ping":
      return runPing(parsed);
    case "wait":
      return runWait(parsed);
    case "metrics":
      return runMetrics(parsed);
    case "netcheck":
      return runNetcheck(parsed);
    case "mire":
      return runMireCommand(parsed);
    case "address":
      return runAddress(parsed);
    case "config check":
      return runConfigCheck(parsed);
    case "config show":
      return runConfigShow(parsed);
    case "config example":
      return runConfigExample(parsed);
    case "config import":
      return runConfigImport(parsed);
  }
}
