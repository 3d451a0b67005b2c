/** `miredo netcheck`: what kind of network is this, and can Teredo work here? Needs no daemon and no privilege. */

import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional } from "@optique/core/modifiers";
import { argument, command, constant, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { path } from "@optique/run/valueparser";
import { type ClientConfig, ConfigError, defaultFile, loadConfig } from "../../config/mod.ts";
import { painter } from "../control/status_text.ts";
import type { NetcheckRequest } from "../host/tools/netcheck.ts";
import { parseIpv4 } from "../wire/ipv4.ts";
import { ExitCode } from "./exit_code.ts";
import { netcheckJson, netcheckText, verdictOf } from "./netcheck_text.ts";
import { answer, answerColumns, say } from "./output.ts";
import { Progress } from "./progress.ts";

export const netcheckCommand = command(
  "netcheck",
  object({
    command: constant("netcheck"),
    named: multiple(argument(string({ metavar: "SERVER" }), {
      description: message`Teredo servers to ask, as with --server.`,
    })),
    servers: multiple(option("-s", "--server", string({ metavar: "SERVER" }), {
      description:
        message`Teredo server to ask, a host name or an IPv4 address. May be repeated. Without it those of the client's configuration are asked.`,
    })),
    secondary: optional(option("--secondary", string({ metavar: "ADDRESS" }), {
      description: message`Second address of the servers: auto (the next address), none, or an IPv4 address.`,
    })),
    lifetime: optional(option("--lifetime", {
      description: message`Measure how long the NAT keeps an idle mapping, which takes up to 5 minutes.`,
    })),
    config: optional(option("-c", "--config", path({ metavar: "FILE", type: "file" }), {
      description: message`Configuration of the client, for its servers and its secret: /etc/miredo/client.toml.`,
    })),
    json: optional(option("--json", { description: message`Answer as JSON, with "schema": 1.` })),
  }),
  {
    brief: message`Tell what NAT there is and whether Teredo can work.`,
    description:
      message`Asks Teredo servers how they see this host, and tells mapping, filtering, port assignment and hairpinning of the NAT. Needs no daemon and no privilege. Exits with 0 if Teredo can work, with 1 if not.`,
  },
);

export interface NetcheckArguments {
  readonly named: readonly string[];
  readonly servers: readonly string[];
  readonly secondary: string | undefined;
  readonly lifetime: boolean | undefined;
  readonly config: string | undefined;
  readonly json: boolean | undefined;
}

/** What a terminal shows while the check is at each stage. */
const STAGES = {
  names: "looking up names",
  servers: "asking the servers",
  ports: "looking at ports",
  paths: "trying ways in",
  lifetime: "measuring the lifetime of mappings, up to 5 minutes",
  done: "done",
} as const;

/** @returns the exit code */
export async function runNetcheck(args: NetcheckArguments): Promise<number> {
  const request = requestOf(args);
  if (typeof request === "string") {
    say(`miredo: ${request}`);
    return ExitCode.usage;
  }
  const { checkNetwork } = await import("../host/tools/netcheck.ts");
  using progress = new Progress();
  const result = await checkNetwork(request, (stage) => progress.show(STAGES[stage]));
  progress.clear();
  const paint = painter(!Deno.noColor && Deno.stdout.isTerminal());
  answer(args.json === true ? netcheckJson(result) : netcheckText(result, paint, answerColumns()));
  return verdictOf(result).teredo === "no" ? ExitCode.failure : ExitCode.ok;
}

/** What to check, or what is wrong with the command line. */
function requestOf(args: NetcheckArguments): NetcheckRequest | string {
  const secondary = secondaryOf(args.secondary ?? "auto");
  if (secondary === undefined) {
    return `Cannot use --secondary ${JSON.stringify(args.secondary)}, allowed: auto, none or an IPv4 address`;
  }
  const lifetime = args.lifetime === true;
  const asked = [...args.named, ...args.servers];
  if (asked.length > 0 && args.config === undefined) {
    return { servers: asked, secondary, credentials: undefined, lifetime };
  }
  const client = clientConfig(args.config);
  if (client === undefined) {
    return `Cannot tell whom to ask: no server is named (--server SERVER, or client.servers in ${
      defaultFile("client")
    })`;
  }
  const { identifier, secret, servers, secondary: configured } = client;
  const encoder = new TextEncoder();
  return {
    servers: asked.length > 0 ? asked : servers,
    secondary: args.secondary === undefined ? secondaryOf(configured) ?? "auto" : secondary,
    credentials: identifier === undefined || secret === undefined
      ? undefined
      : { identifier: encoder.encode(identifier), secret: encoder.encode(secret) },
    lifetime,
  };
}

function secondaryOf(text: string): NetcheckRequest["secondary"] | undefined {
  return text === "auto" || text === "none" ? text : parseIpv4(text);
}

/** The client's part of a configuration; undefined when none is named and there is none in its usual place. @throws ConfigError */
function clientConfig(file: string | undefined): ClientConfig["client"] | undefined {
  try {
    return loadConfig("client", { file }).client;
  } catch (error) {
    // Nothing but "no server is given" is said of a file that is not there.
    const nothing = error instanceof ConfigError &&
      error.issues.every(({ line, key }) => line === 0 && key === "client.servers");
    if (file === undefined && nothing) return undefined;
    throw error;
  }
}
