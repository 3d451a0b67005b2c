/** Broken services over real kernels: the status names what is wrong by its code, and what to do stands below. */

import assert from "node:assert/strict";
import { HEALTH_CODES, type HealthCode } from "../../lib/control/health.ts";
import { until } from "./child.ts";
import type { LabHost } from "./lab.ts";
import { launchClient, miredoCommand, startClient, startRelay, startServer } from "./programs.ts";
import { labTest, LabWorld, SERVER, WEB } from "./world.ts";

/** Names are given up, solicitations repeated and tests unanswered within this time, milliseconds. */
const LIMIT = 30_000;

/** Waits until the status on `host` says `code` with its words; returns its exit code. */
async function shown(host: LabHost, socket: string, code: HealthCode): Promise<number> {
  const { severity, text, action } = HEALTH_CODES[code];
  return await until(`${code} on ${host.name}`, async () => {
    const child = host.start(miredoCommand("status", "--socket", socket));
    const ended = await child.ended();
    const lines = child.lines.map((line) => line.text.replace(/ +/g, " "));
    const at = lines.findIndex((line) => line.startsWith(`${severity} ${code} ${text}`));
    if (at < 0) return undefined;
    assert.equal(lines[at + 1], ` ${action}`);
    return ended.code;
  }, LIMIT);
}

/** An action that the codes are not for. */
type Break = (host: LabHost, socket: string) => Promise<unknown>;

labTest("every fault of a service that can be made in the lab is named, and errors make the exit code 1", async () => {
  const directory = await Deno.makeTempDir({ prefix: "miredo-health-" });
  await Deno.chmod(directory, 0o777);
  try {
    await using world = await LabWorld.open();
    const oneAddress = "server.secondary_address=none";
    await startServer(world.server, [SERVER], { args: ["--set", `status.socket=${directory}/server.sock`] });
    // Another server on another host, with one address only.
    const poor = await world.lab.host("poor", { ipv4: ["203.0.113.1/24"] });
    await startServer(poor, ["203.0.113.1"], {
      args: ["--set", oneAddress, "--set", `status.socket=${directory}/poor.sock`],
    });
    const set = (socket: string, ...keys: readonly string[]) => ({
      args: [`status.socket=${socket}`, ...keys].flatMap((key) => ["--set", key]),
    });
    const run = async (host: LabHost, ...command: readonly string[]): Promise<unknown> =>
      await host.start(command).ended();
    const scenes: readonly (readonly [HealthCode, string, "symmetric" | "port-restricted", Break])[] = [
      ["SERVER-SILENT", "silent", "port-restricted", async (host, socket) => {
        const client = launchClient(host, ["203.0.113.99"], set(socket));
        return await client.line(/Qualifying/);
      }],
      ["SERVER-SECONDARY-SILENT", "second", "port-restricted", async (host, socket) => {
        const client = launchClient(host, ["203.0.113.1"], set(socket));
        return await client.line(/Qualifying/);
      }],
      ["SERVER-UNKNOWN", "names", "port-restricted", async (host, socket) => {
        const client = launchClient(host, ["teredo.invalid"], set(socket));
        return await client.line(/No server to ask yet|Cannot use server/);
      }],
      ["NAT-SYMMETRIC", "plain", "symmetric", async (host, socket) => {
        const client = launchClient(host, [SERVER], set(socket, "nat.symmetric=false"));
        return await client.line(/Qualifying/);
      }],
      ["NAT-SYMMETRIC-LIMITED", "symmetric", "symmetric", (host, socket) => startClient(host, [SERVER], set(socket))],
      ["RELAY-UNREACHABLE", "lonely", "port-restricted", async (host, socket) => {
        await startClient(host, [SERVER], set(socket));
        await run(host, ...miredoCommand("ping", WEB, "-n", "1", "--socket", socket));
      }],
      ["INTERFACE-DOWN", "down", "port-restricted", async (host, socket) => {
        await startClient(host, [SERVER], set(socket));
        await run(host, "ip", "link", "set", "dev", "teredo", "down");
      }],
      ["SEND-FAILED", "mute", "port-restricted", async (host, socket) => {
        const { address } = await startClient(host, [SERVER], set(socket));
        assert.notEqual(address, "");
        await run(host, "nft", "add table ip t; add chain ip t o { type filter hook output priority 0; }");
        await run(host, "nft", "add rule ip t o udp dport 3544 drop");
        await run(host, ...miredoCommand("ping", WEB, "-n", "1", "--timeout", "1s", "--socket", socket));
      }],
      ["NO-IPV6-ROUTE", "relay", "port-restricted", (host, socket) => startRelay(host, set(socket))],
      ["FORWARDING-OFF", "relay2", "port-restricted", (host, socket) => startRelay(host, set(socket))],
    ];
    await Promise.all(scenes.map(async ([code, name, nat, fault]) => {
      const { host } = await world.home(name, nat);
      const socket = `${directory}/${name}.sock`;
      await fault(host, socket);
      const exit = await shown(host, socket, code);
      // The two relays lack IPv6 as well, which is an error.
      assert.equal(exit, HEALTH_CODES[code].severity === "error" || name.startsWith("relay") ? 1 : 0, code);
    }));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
