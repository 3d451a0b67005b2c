/** Which running daemon a command means: one socket, the one of a configuration file, or all that run. */

import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import { path } from "@optique/run/valueparser";
import { loadConfig, roleOfFile } from "../../config/mod.ts";
import { isStatus } from "../control/status_text.ts";
import type { PeerStatus, Status } from "../control/status.ts";
import { ControlClient, NotRunning } from "../host/control/control_client.ts";

/** Where daemons put their sockets unless told otherwise. */
const SOCKET_DIRECTORY = "/run/miredo";

/** Options that say which daemon. */
export const daemonOptions = object("Which daemon", {
  socket: optional(option("--socket", path({ metavar: "PATH" }), {
    description: message`Control socket of the daemon. Without it all in /run/miredo.`,
  })),
  config: optional(option("-c", "--config", path({ metavar: "FILE", type: "file" }), {
    description: message`Configuration file of the daemon, which names its socket.`,
  })),
});

/** What {@link daemonOptions} parses to. */
export interface DaemonArguments {
  readonly socket: string | undefined;
  readonly config: string | undefined;
}

/**
 * The sockets that may belong to a daemon.
 * @throws ConfigError; Error when the configuration says there is none
 */
export function candidateSockets({ socket, config }: DaemonArguments): readonly string[] {
  if (socket !== undefined) return [socket];
  if (config !== undefined) {
    const named = loadConfig(roleOfFile(config), { file: config }).status.socket;
    if (named === "") throw new Error(`Cannot find a daemon: ${JSON.stringify(config)} has status.socket = ""`);
    return [named];
  }
  try {
    return Array.from(Deno.readDirSync(SOCKET_DIRECTORY)).filter(({ name }) => name.endsWith(".sock"))
      .map(({ name }) => `${SOCKET_DIRECTORY}/${name}`).toSorted();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/**
 * Connections to the daemons that run.
 * @throws NotRunning when there are none; SystemError when one may not be talked to
 */
export function connectAll(args: DaemonArguments): readonly ControlClient[] {
  const clients: ControlClient[] = [];
  let reason: NotRunning | undefined;
  for (const socket of candidateSockets(args)) {
    try {
      clients.push(ControlClient.connect(socket));
    } catch (error) {
      if (!(error instanceof NotRunning)) throw error;
      reason = error; // a daemon that was killed left it
    }
  }
  if (clients.length > 0) return clients;
  const named = args.socket !== undefined || args.config !== undefined;
  throw named && reason !== undefined ? reason : new NotRunning(
    `No miredo runs here: nobody listens in ${SOCKET_DIRECTORY} (miredo client starts one, --socket finds others)`,
  );
}

/** The only daemon that runs. @throws NotRunning, SystemError; Error when there are several */
export function connectOne(args: DaemonArguments): ControlClient {
  const [first, ...others] = connectAll(args);
  if (others.length === 0) return first;
  const sockets = [first, ...others].map((client) => client.path);
  for (const client of [first, ...others]) client[Symbol.dispose]();
  throw new Error(`Cannot tell which daemon is meant: ${sockets.join(", ")} (--socket says it)`);
}

/** The status of a daemon, with the list of its peers if wanted. @throws Error when it is of another version's form */
export async function askStatus(client: ControlClient, withPeers: boolean = false): Promise<Status> {
  const list: PeerStatus[] = [];
  for await (const { kind, value } of client.ask("status", { peers: withPeers })) {
    if (kind === "item") list.push(...(Array.isArray(value) ? value : []));
    else if (isStatus(value)) {
      return withPeers && value.peers !== null ? { ...value, peers: { ...value.peers, list } } : value;
    }
  }
  throw new Error(`Cannot understand the daemon at ${JSON.stringify(client.path)}: it is of another version`);
}
