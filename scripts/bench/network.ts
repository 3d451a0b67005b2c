/**
 * Hosts that are network namespaces of the kernel, joined by veth pairs. Their names hold the number of this process, so that several
 * benchmarks may run at once, and what a killed one left behind is known for what it is.
 */

import { attempt, run } from "./command.ts";

const PREFIX = "miredo-bench";

/** One end of a link. */
export interface End {
  readonly host: Host;
  readonly device: string;
  /** Addresses with prefix length, of either family. */
  readonly addresses: readonly string[];
}

/** A network namespace. */
export class Host {
  readonly name: string;
  readonly namespace: string;
  /** The veth ends it has. */
  readonly devices: string[] = [];

  constructor(network: string, name: string) {
    this.name = name;
    this.namespace = `${PREFIX}-${Deno.pid}-${network}-${name}`;
  }

  /** The command line that runs `argv` here. */
  inside(argv: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.namespace, ...argv];
  }

  /** Runs a command here that must succeed. @returns its standard output */
  run(...argv: string[]): Promise<string> {
    return run(this.inside(argv));
  }

  /** Runs lines of ip(8) here, `link set eth0 up`. */
  async ip(...lines: string[]): Promise<void> {
    await run(["ip", "-n", this.namespace, "-batch", "-"], { input: `${lines.join("\n")}\n` });
  }

  /** Sets sysctls here, `net.ipv4.ip_forward=1`. */
  async sysctl(...settings: string[]): Promise<void> {
    await this.run("sysctl", "-qw", ...settings);
  }

  /** Loads rules of nft(8) here. */
  async nft(rules: string): Promise<void> {
    await run(this.inside(["nft", "-f", "-"]), { input: rules });
  }
}

/** A set of hosts and links that is taken down as one. */
export class Network {
  static readonly #all: Network[] = [];
  readonly #name: string;
  readonly #hosts: Host[] = [];
  #removed: Promise<void> | undefined;

  /** @param name tells it from others of this process */
  constructor(name: string) {
    this.#name = name;
    Network.#all.push(this);
  }

  /** Removes every network, half-built ones too. */
  static async removeAll(): Promise<void> {
    for (const network of Network.#all) await network.remove();
    // A command that was killed while it made a namespace may have made it after all.
    await removeLeftovers();
  }

  /** Makes a host with nothing but its loopback interface. */
  async host(name: string): Promise<Host> {
    const host = new Host(this.#name, name);
    this.#hosts.push(host);
    await run(["ip", "netns", "add", host.namespace]);
    await host.ip("link set lo up");
    return host;
  }

  /** Joins two hosts. */
  async link(one: End, other: End): Promise<void> {
    await one.host.ip(
      `link add ${one.device} type veth peer name ${other.device} netns ${other.host.namespace}`,
    );
    for (const { host, device, addresses } of [one, other]) {
      host.devices.push(device);
      await host.ip(
        `link set ${device} up`,
        ...addresses.map((address) => `addr add ${address} dev ${device}${address.includes(":") ? " nodad" : ""}`),
      );
    }
  }

  /** Turns features of ethtool(8) on or off on every veth. @returns whether the kernel took them everywhere */
  async feature(names: readonly string[], on: boolean): Promise<boolean> {
    const words = names.flatMap((name) => [name, on ? "on" : "off"]);
    let taken = true;
    for (const host of this.#hosts) {
      for (const device of host.devices) {
        const { code } = await attempt(host.inside(["ethtool", "-K", device, ...words]));
        taken &&= code === 0;
      }
    }
    return taken;
  }

  /** Removes every host; links go with them. */
  remove(): Promise<void> {
    return this.#removed ??= this.#removeHosts();
  }

  async #removeHosts(): Promise<void> {
    for (const { namespace } of this.#hosts) await attempt(["ip", "netns", "del", namespace], { cleansUp: true });
  }
}

/** Removes what benchmarks that were killed left behind, and whatever is left of this one. */
export async function removeLeftovers(): Promise<void> {
  const { stdout } = await attempt(["ip", "netns", "list"], { cleansUp: true });
  for (const match of stdout.matchAll(new RegExp(`^${PREFIX}-(\\d+)-\\S+`, "gm"))) {
    const pid = Number(match[1]);
    if (pid === Deno.pid || !alive(pid)) await attempt(["ip", "netns", "del", match[0]], { cleansUp: true });
  }
}

function alive(pid: number): boolean {
  try {
    return Deno.statSync(`/proc/${pid}`).isDirectory;
  } catch {
    return false;
  }
}
