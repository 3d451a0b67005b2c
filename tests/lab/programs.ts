/**
 * The programs that run on the lab's hosts: our roles (from source, or the executable that `MIREDO` names), those of the C Miredo of the
 * system, and the lab's own tools. Each start waits for a state (a log line, an address on an interface), never for a time.
 */

import { PERMISSIONS } from "../../scripts/compile.ts";
import type { Millis } from "../../lib/core/machine.ts";
import { type Child, LOOK_EVERY, PATIENCE } from "./child.ts";
import type { LabHost } from "./lab.ts";
import type { FirstLine, GetLine, PingLine, PingSummary, ServeLine } from "./tool.ts";

/** Environment variable: a compiled `miredo` to use instead of the source. */
const EXECUTABLE = "MIREDO";
const ROOT = new URL("../../", import.meta.url).pathname;
const DEFAULT_INTERFACE = "teredo";
const DEBIAN_CLIENT = "/usr/sbin/miredo";
const DEBIAN_SERVER = "/usr/sbin/miredo-server";
/** How long a graceful end may take before it is forced. */
const END_PATIENCE: Millis = 5000;

/** The modules that run on hosts: those have no way to a package registry. */
const MODULES = [
  "main.ts",
  "lib/host/threads/data_worker.ts",
  "lib/host/threads/interface_worker.ts",
  "tests/lab/tool.ts",
];

let prepared: Promise<void> | undefined;

/** Downloads what the programs import, unless it is there. To be called outside of the lab, with the network of this machine. */
export function prepare(): Promise<void> {
  return prepared ??= cacheModules();
}

async function cacheModules(): Promise<void> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", ...MODULES],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  });
  const { success, stderr } = await command.output();
  if (!success) throw new Error(`Cannot load the programs of the lab: ${new TextDecoder().decode(stderr).trim()}`);
}

/** The command line of our program. */
export function miredoCommand(...args: readonly string[]): readonly string[] {
  const executable = Deno.env.get(EXECUTABLE);
  if (executable !== undefined && executable !== "") return [Deno.realPathSync(executable), ...args];
  return [Deno.execPath(), "run", ...PERMISSIONS, `${ROOT}main.ts`, ...args];
}

/** True when the C Miredo is installed. */
export function hasDebianMiredo(): boolean {
  return [DEBIAN_CLIENT, DEBIAN_SERVER].every((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** A daemon on a host. */
export interface Daemon {
  readonly child: Child;
  readonly host: LabHost;
  /** Milliseconds from its start to the state waited for. */
  readonly startup: Millis;
}

/** A client that has its address. */
export interface RunningClient extends Daemon {
  /** Teredo address, as text. */
  readonly address: string;
}

/** How one of our roles is started. */
export interface StartOptions {
  /** More arguments, `--set` among them. */
  readonly args?: readonly string[];
  readonly interface?: string;
}

/** Waits until an interface of the host has a global IPv6 address, and the default route that is set after it. */
async function globalAddress(child: Child, host: LabHost, name: string, limit: Millis): Promise<string> {
  const ready = () => routeTo(host, name, 0) ? host.globalIpv6(name) : undefined;
  return await child.whileRunning(`a global IPv6 address and default route on "${name}" of ${host.name}`, ready, limit);
}

/** All hosts share the file system: clients keep their state only where a test gives each a file of its own. */
const FORGETFUL = ["--set", 'state.file=""'];

/** Starts our client without waiting for anything. */
export function launchClient(host: LabHost, servers: readonly string[], options: StartOptions = {}): Child {
  return host.start(miredoCommand("client", ...servers, "--log-level", "debug", ...FORGETFUL, ...options.args ?? []));
}

/** Starts our client and waits until it has its address. */
export async function startClient(
  host: LabHost,
  servers: readonly string[],
  options: StartOptions = {},
): Promise<RunningClient> {
  const child = launchClient(host, servers, options);
  const address = await globalAddress(child, host, options.interface ?? DEFAULT_INTERFACE, PATIENCE);
  return { child, host, address, startup: performance.now() - child.startedAt };
}

/** Starts our relay and waits until it says that it relays. */
export async function startRelay(host: LabHost, options: StartOptions = {}): Promise<Daemon> {
  const child = host.start(miredoCommand("relay", "--log-level", "debug", ...options.args ?? []));
  const { at } = await child.line(/Relaying/);
  return { child, host, startup: at - child.startedAt };
}

/** Starts our server and waits until it says that it serves. */
export async function startServer(
  host: LabHost,
  addresses: readonly string[],
  options: StartOptions = {},
): Promise<Daemon> {
  const child = host.start(miredoCommand("server", ...addresses, "--log-level", "debug", ...options.args ?? []));
  const { at } = await child.line(/Serving/);
  return { child, host, startup: at - child.startedAt };
}

/** Starts a C Miredo program with a configuration of `lines`. */
async function startDebian(host: LabHost, program: string, lines: readonly string[], user: string): Promise<Child> {
  const directory = await Deno.makeTempDir({ prefix: "miredo-lab-" });
  const config = `${directory}/miredo.conf`;
  // Its reader loses a last line without line feed.
  await Deno.writeTextFile(config, lines.map((line) => `${line}\n`).join(""));
  const child = host.start([program, "-f", "-c", config, "-p", `${directory}/pid`, "-u", user]);
  void child.ended().then(() => Deno.remove(directory, { recursive: true })).catch(() => {});
  return child;
}

/** Starts the C Miredo as client and waits until it has its address. */
export async function startDebianClient(host: LabHost, server: string): Promise<RunningClient> {
  const lines = [`InterfaceName ${DEFAULT_INTERFACE}`, `ServerAddress ${server}`];
  const child = await startDebian(host, DEBIAN_CLIENT, lines, "miredo");
  const address = await globalAddress(child, host, DEFAULT_INTERFACE, PATIENCE);
  return { child, host, address, startup: performance.now() - child.startedAt };
}

/** Starts the C Miredo as relay and waits until its route is there. */
export async function startDebianRelay(host: LabHost, address: string): Promise<Daemon> {
  const lines = [`InterfaceName ${DEFAULT_INTERFACE}`, "RelayType relay", "Prefix 2001:0::", `BindAddress ${address}`];
  const child = await startDebian(host, DEBIAN_CLIENT, lines, "miredo");
  await child.whileRunning(`the route of the relay on ${host.name}`, () => routeTo(host, DEFAULT_INTERFACE, 32));
  return { child, host, startup: performance.now() - child.startedAt };
}

/** Starts the C Miredo server and waits until it has its sockets. */
export async function startDebianServer(host: LabHost, primary: string, secondary: string): Promise<Daemon> {
  const lines = [`ServerBindAddress ${primary}`, `ServerBindAddress2 ${secondary}`];
  const child = await startDebian(host, DEBIAN_SERVER, lines, "miredo-server");
  const bound = async () => {
    const sockets = await host.start(["cat", "/proc/net/udp"]).result();
    // Port 3544, both addresses.
    return sockets.match(/:0DD8 /g)?.length === 2 ? true : undefined;
  };
  while (await bound() === undefined) {
    if (!child.running) throw new Error(`Cannot start the server on ${host.name}:\n${child.output}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
  return { child, host, startup: performance.now() - child.startedAt };
}

/** True when an IPv6 route leads to an interface of the host: the default route, or the one to a Teredo prefix. */
function routeTo(host: LabHost, name: string, prefixLength: 0 | 32): true | undefined {
  return host.netlink((netlink) => {
    const index = netlink.linkIndex(name);
    const found = netlink.routes({ family: 6 }).some((route) =>
      route.index === index && route.prefixLength === prefixLength &&
      (prefixLength === 0 || route.destination[0] === 0x20)
    );
    return found ? true : undefined;
  });
}

/** Ends a daemon by SIGTERM. @returns how long that took, and its exit code */
export async function terminate(daemon: Daemon): Promise<{ readonly elapsed: Millis; readonly code: number }> {
  const start = performance.now();
  const hard = setTimeout(() => void daemon.child.signal("SIGKILL"), END_PATIENCE);
  await daemon.child.signal("SIGTERM");
  const { code } = await daemon.child.ended();
  clearTimeout(hard);
  return { elapsed: performance.now() - start, code };
}

function tool(host: LabHost, name: string, ...args: readonly string[]): Child {
  return host.start([Deno.execPath(), "run", "-A", "--no-prompt", `${ROOT}tests/lab/tool.ts`, ...args], { name });
}

/** Result of a series of pings. */
export interface Pings extends PingSummary {
  readonly lines: readonly PingLine[];
}

/** Pings from a host. Failures are in the result. */
export async function ping(
  host: LabHost,
  destination: string,
  options: { readonly count?: number; readonly interval?: Millis; readonly timeout?: Millis; readonly size?: number } =
    {},
): Promise<Pings> {
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = tool(host, `ping on ${host.name}`, "ping6", destination, ...flags);
  await child.ended();
  const lines = child.lines.filter(({ stream }) => stream === "stdout").map(({ text }) => JSON.parse(text));
  const summary: PingSummary | undefined = lines.pop();
  if (summary === undefined) throw new Error(`Cannot ping from ${host.name}:\n${child.output}`);
  return { ...summary, lines };
}

/** Pings from a host once a second until the first answer. Failure is in the result. */
export async function firstAnswer(host: LabHost, destination: string, timeout: Millis): Promise<FirstLine> {
  const child = tool(host, `first6 on ${host.name}`, "first6", destination, "--timeout", String(timeout));
  await child.ended();
  const line = child.lines.find(({ stream }) => stream === "stdout");
  if (line === undefined) throw new Error(`Cannot ping from ${host.name}:\n${child.output}`);
  return JSON.parse(line.text);
}

/** An HTTP server on a host. */
export interface WebServer extends ServeLine {
  readonly child: Child;
}

/** Serves `octets` of content on a host. */
export async function serve(host: LabHost, octets: number, port: number = 8080): Promise<WebServer> {
  const child = tool(host, `serve on ${host.name}`, "serve", "--port", String(port), "--octets", String(octets));
  const line: ServeLine = JSON.parse((await child.line(/"sha256"/)).text);
  return { ...line, child };
}

/** Downloads on a host from `address`. */
export async function download(host: LabHost, address: string, port: number = 8080): Promise<GetLine> {
  return JSON.parse(await tool(host, `get on ${host.name}`, "get", `http://[${address}]:${port}/`).result());
}
