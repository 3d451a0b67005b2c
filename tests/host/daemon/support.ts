/** Hosts, traces and small tools for the tests of whole daemons. */

import { formatAddress } from "../../../ffi/text.ts";
import { type Child, until } from "../../lab/child.ts";
import { Lab, type LabHost } from "../../lab/lab.ts";
import { mayRunLab } from "../../lab/privilege.ts";
import { miredoCommand } from "../../lab/programs.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

/** Addresses of the hosts of {@link World}. */
export const SERVER = "192.0.2.1";
export const SERVER_SECONDARY = "192.0.2.2";
export const CLIENT = "198.51.100.1";
export const OTHER_CLIENT = "203.0.113.1";

/** The name of the interface where nothing else is said. */
export const TEREDO = "teredo";

/** The user that daemons become where nothing else is said. */
export const NOBODY = 65534;

/** A server's host and two hosts of clients, all on the public internet, without any program. */
export class World implements AsyncDisposable {
  readonly lab: Lab;
  readonly server: LabHost;
  readonly client: LabHost;
  readonly other: LabHost;

  private constructor(lab: Lab, server: LabHost, client: LabHost, other: LabHost) {
    this.lab = lab;
    this.server = server;
    this.client = client;
    this.other = other;
  }

  static async open(): Promise<World> {
    const lab = await Lab.open();
    return new World(
      lab,
      await lab.host("server", { ipv4: [`${SERVER}/24`, `${SERVER_SECONDARY}/24`] }),
      await lab.host("client", { ipv4: [`${CLIENT}/24`] }),
      await lab.host("other", { ipv4: [`${OTHER_CLIENT}/24`] }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

/** A test that needs root itself, since daemons give root up in it; its name says so where it is skipped. */
export function rootTest(name: string, body: (t: Deno.TestContext) => Promise<void>): void {
  const ignore = Deno.uid() !== 0 || !mayRunLab();
  Deno.test({ name: ignore ? `${name} (skipped: needs root and /dev/net/tun)` : name, ignore, fn: body });
}

/** Everything that a program can leave behind on a host: interfaces, addresses, routes, rules. */
export function traces(host: LabHost): readonly string[] {
  return host.netlink((netlink) => [
    ...netlink.links().map(({ name, up }) => `interface ${name} ${up}`),
    ...netlink.addresses().map(({ address, index }) => `address ${formatAddress(address)} on ${index}`),
    ...netlink.routes().map((route) =>
      `route ${formatAddress(route.destination)}/${route.prefixLength} to ${route.index} in ${route.table}`
    ),
    ...netlink.rules().map(({ source, table, priority }) => `rule ${formatAddress(source)} ${table} ${priority}`),
  ]).toSorted();
}

/** Waits until `look` is true. */
export async function untilTrue(what: string, look: () => boolean | Promise<boolean>, limit?: number): Promise<void> {
  await until(what, async () => (await look()) ? true : undefined, limit);
}

/** Whether a default route leads into the tunnel. */
export function hasDefaultRoute(host: LabHost, name: string = TEREDO): boolean {
  return host.netlink((netlink) => {
    const index = netlink.linkIndex(name);
    return netlink.routes({ family: 6 }).some((route) => route.prefixLength === 0 && route.index === index);
  });
}

/** Without control socket: all hosts share /run, also with daemons that are no part of a test. */
export const UNASKED: readonly string[] = ["--set", 'status.socket=""'];

/** Starts a role whose log level comes from its configuration. */
export function launch(host: LabHost, ...args: readonly string[]): Child {
  const forgetful = args[0] === "client" && !args.some((arg) => arg.startsWith("state.file="));
  return host.start(miredoCommand(...args, ...UNASKED, ...(forgetful ? ["--set", 'state.file=""'] : [])));
}

/** Starts a server and waits until it serves. */
export async function startServer(host: LabHost, ...args: readonly string[]): Promise<Child> {
  const server = launch(host, "server", ...args);
  await server.line(/Serving/);
  return server;
}

/** Starts a relay and waits until it relays. */
export async function startRelay(host: LabHost, ...args: readonly string[]): Promise<Child> {
  const relay = launch(host, "relay", ...args);
  await relay.line(/Relaying/);
  return relay;
}

/** Starts a client and waits until it has its address, on the interface and by its own words. */
export async function startClient(
  host: LabHost,
  ...args: readonly string[]
): Promise<{ readonly child: Child; readonly address: string }> {
  const child = launch(host, "client", ...args);
  await child.line(/Qualified/);
  const [{ address }] = qualifications(child);
  await child.whileRunning(`${address} on "${TEREDO}"`, () => host.globalIpv6(TEREDO) === address ? true : undefined);
  return { child, address };
}

/** The addresses and the times of all lines that say "Qualified". */
export function qualifications(child: Child): readonly { readonly address: string; readonly mapped: string }[] {
  return child.lines.flatMap(({ text }) => {
    const fields = / Qualified address=(\S+) .*mapped=(\S+)/.exec(text);
    return fields === null ? [] : [{ address: fields[1], mapped: fields[2] }];
  });
}

/** How often a line matches. */
export function count(child: Child, pattern: RegExp): number {
  return child.lines.filter(({ text }) => pattern.test(text)).length;
}

/** Sends SIGHUP and waits until it was dealt with. `done` matches a line that comes once for each. */
export async function reload(child: Child, done: RegExp = / Reloaded$/): Promise<void> {
  const before = count(child, done);
  await child.signal("SIGHUP");
  await child.whileRunning(`${done} after SIGHUP`, () => count(child, done) > before ? true : undefined);
}

/** A directory that every user may enter, gone at the end. */
export class Directory implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<Directory> {
    const path = await Deno.makeTempDir({ prefix: "miredo-host-" });
    await Deno.chmod(path, 0o755);
    return new Directory(path);
  }

  /** Writes a file in place, so that a mount of it sees the change too. @returns its path */
  async write(name: string, content: string | Uint8Array): Promise<string> {
    const path = `${this.path}/${name}`;
    await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** A command that does the shell command `first` in a mount namespace of its own, then becomes `command`. */
export function inMountNamespace(first: string, command: readonly string[]): readonly string[] {
  return ["unshare", "--mount", "sh", "-c", `set -e; ${first}; exec "$@"`, "sh", ...command];
}

/** Resolves by the hosts file only, so that no test asks a name server. */
export function withOwnHosts(directory: Directory, command: readonly string[]): readonly string[] {
  const mounts = ["hosts", "nsswitch.conf"].map((file) => `mount --bind "${directory.path}/${file}" /etc/${file}`);
  return inMountNamespace(mounts.join("; "), command);
}

/** A directory with a hosts file for {@link withOwnHosts}. */
export async function hostsFile(content: string): Promise<Directory> {
  const directory = await Directory.make();
  await directory.write("hosts", content);
  await directory.write("nsswitch.conf", "hosts: files\npasswd: files\ngroup: files\n");
  return directory;
}

/**
 * The command with sources and cache where every user may read them: they may lie below a directory that only root may enter.
 * @param become what stands before the command
 */
export async function readableByAll(
  directory: Directory,
  command: readonly string[],
  become: readonly string[] = [],
): Promise<readonly string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { denoDir }: { readonly denoDir: string } = JSON.parse(new TextDecoder().decode(stdout));
  const [root, cache] = [`${directory.path}/root`, `${directory.path}/cache`];
  for (const path of [root, cache]) await Deno.mkdir(path, { recursive: true });
  const moved = command.map((word) => word.startsWith(ROOT) ? word.replace(ROOT, `${root}/`) : word);
  return inMountNamespace(
    `mount --bind "${ROOT}" "${root}"; mount --bind "${denoDir}" "${cache}"; export DENO_DIR="${cache}"`,
    [...become, ...moved],
  );
}

/** What one thread of a process may do. */
export interface Thread {
  readonly name: string;
  readonly first: boolean;
  readonly users: readonly string[];
  readonly groups: readonly string[];
  /** Supplementary groups. */
  readonly otherGroups: readonly string[];
  /** Bits of permitted, effective and inheritable capabilities together. */
  readonly capabilities: bigint;
}

/** All threads of a program. */
export async function threadsOf(child: Child): Promise<readonly Thread[]> {
  const pid = await child.pid();
  const threads: Thread[] = [];
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const status = Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`);
    const words = (key: string): readonly string[] =>
      (new RegExp(`^${key}:(.*)$`, "m").exec(status)?.[1] ?? "").split(/\s+/).filter((word) => word !== "");
    const bits = (key: string): bigint => BigInt(`0x${words(key)[0] ?? "0"}`);
    threads.push({
      name: words("Name").join(" "),
      first: Number(name) === pid,
      users: words("Uid"),
      groups: words("Gid"),
      otherGroups: words("Groups"),
      capabilities: bits("CapPrm") | bits("CapEff") | bits("CapInh") | bits("CapAmb"),
    });
  }
  return threads;
}

/** How long the number of descriptors must not change to count as at rest, milliseconds. */
const REST = 500;

/** How many descriptors a program has open once it is at rest: what it opens for a moment (to ask the kernel, a router) does not count. */
export async function descriptorsOf(child: Child): Promise<number> {
  const path = `/proc/${await child.pid()}/fd`;
  const look = () => [...Deno.readDirSync(path)].length;
  let [open, since] = [look(), performance.now()];
  return await until("descriptors at rest", () => {
    const now = look();
    if (now !== open) [open, since] = [now, performance.now()];
    return performance.now() - since >= REST ? open : undefined;
  });
}
