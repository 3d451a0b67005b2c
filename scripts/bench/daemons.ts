/** Starts the programs under measurement: ours, and the C Miredo of Debian, each in the three roles. */

import { PERMISSIONS } from "../compile.ts";
import { attempt, pause, until, which } from "./command.ts";
import type { Host } from "./network.ts";
import { Program } from "./process.ts";
import { SERVER } from "./topology.ts";

/** Whose program. */
export type Maker = "ours" | "debian";

/** Name of the tunnel interface, in every namespace. */
export const INTERFACE = "teredo";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** Longest that anything may take from its start to being usable, milliseconds. */
const START_LIMIT = 15_000;

/** How often to look whether a program is up, milliseconds: the resolution of the time from start to address. */
const LOOK_INTERVAL = 2;

/** What else to do with a program of ours. */
export interface Watch {
  /** Called with all it writes. */
  readonly onText: (text: string) => void;
  /** Added to its environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Whether an example of a configuration has a key, commented out or not. */
export function hasKey(example: string, table: string, key: string): boolean {
  let here = "";
  for (const line of example.split("\n")) {
    here = /^\[(.+)\]$/.exec(line)?.[1] ?? here;
    if (here === table && new RegExp(`^#?\\s*${key} = `).test(line)) return true;
  }
  return false;
}

/** The two programs as they are installed here. */
export class Daemons {
  /** The command line of ours, without arguments. */
  readonly ours: readonly string[];
  readonly #directory: string;
  readonly #keys = new Map<string, string>();
  #count = 0;

  /** @param directory for configurations, pid files and sockets */
  constructor(directory: string) {
    const executable = Deno.env.get("MIREDO");
    this.ours = executable === undefined
      ? [Deno.execPath(), "run", ...PERMISSIONS, MAIN]
      : [Deno.realPathSync(executable)];
    this.#directory = directory;
  }

  /** What of Debian's is not installed. */
  static missing(): string[] {
    return ["miredo", "miredo-server"].filter((program) => which(program) === undefined);
  }

  /** Whether ours has a key in the configuration of a role, `supports("server", "server", "workers")`. */
  async supports(role: string, table: string, key: string): Promise<boolean> {
    if (!this.#keys.has(role)) {
      this.#keys.set(role, (await attempt([...this.ours, "config", "example", role])).stdout);
    }
    return hasKey(this.#keys.get(role) ?? "", table, key);
  }

  /** A client of {@link SERVER}. It is not waited for. */
  client(maker: Maker, host: Host, watch?: Watch): Promise<Program> {
    return maker === "ours"
      ? this.#ours(host, "client", [SERVER], [], watch)
      : this.#debian(host, "miredo", `RelayType client\nServerAddress ${SERVER}\nInterfaceName ${INTERFACE}\n`);
  }

  /** A relay, waited for. */
  async relay(maker: Maker, host: Host, settings: readonly string[] = []): Promise<Program> {
    const program = maker === "ours"
      ? await this.#ours(host, "relay", [], settings)
      : await this.#debian(host, "miredo", `RelayType relay\nInterfaceName ${INTERFACE}\n`);
    // fe80:: is there as soon as the interface is up.
    await this.ready(program, "relay", () => addresses(program).some((line) => line.endsWith(INTERFACE)));
    return program;
  }

  /** A server on {@link SERVER} and the address after it, waited for. */
  async server(maker: Maker, host: Host, settings: readonly string[] = []): Promise<Program> {
    const program = maker === "ours"
      ? await this.#ours(host, "server", [SERVER], settings)
      : await this.#debian(host, "miredo-server", `ServerBindAddress ${SERVER}\n`);
    await this.ready(program, "server", () => boundTo3544(program));
    return program;
  }

  /** Waits until a client has a Teredo address. @returns how long that took from `since`, milliseconds */
  async qualified(program: Program, since = performance.now()): Promise<number> {
    await this.ready(program, "client", () => addresses(program).some((line) => line.startsWith("20010000")));
    return performance.now() - since;
  }

  /** Waits until `condition` holds. @throws Error with the program's last words when it ends or takes too long */
  async ready(program: Program, role: string, condition: () => boolean): Promise<void> {
    const up = await until(() => program.ended || condition(), START_LIMIT, LOOK_INTERVAL);
    if (up && !program.ended) return;
    await program.stop();
    throw new Error(`Cannot start the ${role}: ${program.tail.split("\n").slice(-6).join(" / ") || "it says nothing"}`);
  }

  async #ours(
    host: Host,
    role: string,
    args: readonly string[],
    settings: readonly string[],
    watch?: Watch,
  ): Promise<Program> {
    const sets = [...settings];
    const number = ++this.#count;
    // Several of one role run at once here, so they need sockets of their own.
    if (await this.supports(role, "status", "socket")) sets.push(`status.socket=${this.#directory}/${number}.sock`);
    const argv = [...this.ours, role, ...args, "--log-level", "warning", ...sets.flatMap((set) => ["--set", set])];
    return new Program(host.inside(argv), watch?.onText, watch?.env);
  }

  async #debian(host: Host, program: string, configuration: string): Promise<Program> {
    const path = `${this.#directory}/${++this.#count}`;
    await Deno.writeTextFile(`${path}.conf`, configuration);
    return new Program(host.inside([which(program) ?? program, "-f", "-c", `${path}.conf`, "-p", `${path}.pid`]));
  }
}

/** Ends several programs. */
export async function stopAll(programs: Program[]): Promise<void> {
  await Promise.all(programs.splice(0).map((program) => program.stop()));
  // The kernel is not done with their interfaces the moment they are gone.
  await pause(50);
}

function file(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

/** Lines of /proc/PID/net/if_inet6: 32 hexadecimal digits of an address first, the device last. */
function addresses(program: Program): string[] {
  return file(`/proc/${program.pid}/net/if_inet6`).trim().split("\n");
}

/** Whether something in the program's namespace listens to UDP port 3544 (0DD8). */
function boundTo3544(program: Program): boolean {
  return /^\s*\d+: [0-9A-F]{8}:0DD8 /m.test(file(`/proc/${program.pid}/net/udp`));
}
