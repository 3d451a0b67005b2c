/** Hosts, traces and small tools for the tests of whole daemons. */

import { until } from "../../lab/child.ts";
import { Lab, type LabHost } from "../../lab/lab.ts";
import { mayRunLab } from "../../lab/privilege.ts";
import { formatAddress } from "../../../ffi/text.ts";

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

/** The address of the interface's default route... */
export function hasDefaultRoute(host: LabHost, name: string = TEREDO): boolean {
  return host.netlink((netlink) => {
    const index = netlink.linkIndex(name);
    return netlink.routes({ family: 6 }).some((route) => route.prefixLength === 0 && route.index === index);
  });
}
