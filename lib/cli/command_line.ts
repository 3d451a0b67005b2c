/** The command line: its grammar, and which command a command line means. One command a file, joined here. */

import { or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import type { InferValue } from "@optique/core/parser";
import { run } from "@optique/run";
import { ConfigError } from "../../config/mod.ts";
import { addressCommand, runAddress } from "./address.ts";
import { clientCommand, runClient } from "./client.ts";
import { configCommand, runConfigCheck, runConfigExample, runConfigShow } from "./config.ts";
import { ExitCode } from "./exit_code.ts";
import { answer, say } from "./output.ts";
import { relayCommand, runRelay } from "./relay.ts";
import { runServer, serverCommand } from "./server.ts";
import { VERSION } from "./version.ts";

const commands = or(clientCommand, relayCommand, serverCommand, addressCommand, configCommand);

/** One parsed command, told apart by `command`. */
type Command = InferValue<typeof commands>;

/** Width of help where standard output is no terminal, characters. */
const HELP_WIDTH = 100;

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
    if (args.length === 0) return parse(["--help"], say) === undefined ? ExitCode.usage : ExitCode.usage;
    return await runCommand(parse(args, (text) => answer(`${text}\n`)));
  } catch (error) {
    if (error instanceof Ended) return args.length === 0 ? ExitCode.usage : error.code;
    if (error instanceof ConfigError) {
      say(error.message);
      return ExitCode.config;
    }
    say(`miredo: ${error instanceof Error ? error.message : String(error)}`);
    return ExitCode.failure;
  }
}

function parse(args: readonly string[], show: (text: string) => void): Command {
  return run(commands, {
    programName: "miredo",
    args,
    brief: message`IPv6 through NATs: Teredo client, relay and server.`,
    help: { option: { names: ["-h", "--help"] } },
    version: { value: VERSION, option: { names: ["-V", "--version"] } },
    completion: "command",
    aboveError: "none",
    errorExitCode: ExitCode.usage,
    commandList: "top-level",
    termWidth: "auto",
    maxWidth: helpWidth(),
    colors: !Deno.noColor && Deno.stdout.isTerminal(),
    stdout: show,
    stderr: (text) => say(text.replace(/^Error:/, "miredo:")),
    onExit: (code) => {
      throw new Ended(code);
    },
  });
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
    case "address":
      return runAddress(parsed);
    case "config check":
      return runConfigCheck(parsed);
    case "config show":
      return runConfigShow(parsed);
    case "config example":
      return runConfigExample(parsed);
  }
}
