/** Which server is asked when: order, names that do not resolve, waits. */

import assert from "node:assert/strict";
import { ServerList, type ServerListPorts } from "../../../lib/host/servers/server_list.ts";
import { formatIpv4, parseIpv4 } from "../../../lib/wire/ipv4.ts";

interface Recorded {
  readonly ports: ServerListPorts;
  readonly failures: string[];
  readonly waits: number[];
}

/** Ports over a table of names; `after` is called before each wait ends. */
function recorded(names: Map<string, readonly string[]>, after: () => void = () => {}): Recorded {
  const failures: string[] = [];
  const waits: number[] = [];
  return {
    failures,
    waits,
    ports: {
      resolve: (name) => {
        const addresses = names.get(name);
        if (addresses === undefined) return Promise.reject(new Error("Cannot resolve it"));
        return Promise.resolve(addresses.map((text) => parseIpv4(text) ?? assert.fail(text)));
      },
      wait: (milliseconds) => {
        waits.push(milliseconds);
        after();
        return Promise.resolve();
      },
      random: () => 0.5,
      failed: (name, reason) => failures.push(`${name}: ${reason}`),
      waiting: () => {},
    },
  };
}

const text = (address: number | undefined): string => address === undefined ? "none" : formatIpv4(address);

Deno.test("servers are known in the order of their names, with every global address, each once", async () => {
  const { ports, failures } = recorded(
    new Map([
      ["private.example", ["10.0.0.1"]],
      ["mixed.example", ["192.168.0.1", "203.0.113.9", "192.0.2.1"]],
      ["one.example", ["192.0.2.1", "198.51.100.1"]],
    ]),
  );
  const servers = await new ServerList(["private.example", "mixed.example", "one.example"], "auto", ports).available();
  assert.deepEqual(servers.map(({ primary, rank }) => [text(primary), rank]), [
    ["203.0.113.9", 1],
    ["192.0.2.1", 1],
    ["198.51.100.1", 2],
  ]);
  assert.deepEqual(failures, ["private.example: no global IPv4 address among 10.0.0.1"]);
});

Deno.test("the secondary address is the next one, none, or the one configured", async () => {
  const { ports } = recorded(new Map());
  const ask = async (secondary: "auto" | "none" | number): Promise<string> =>
    text((await new ServerList(["192.0.2.1"], secondary, ports).available())[0].secondary);
  assert.equal(await ask("auto"), "192.0.2.2");
  assert.equal(await ask("none"), "none");
  assert.equal(await ask(0xc6336401), "198.51.100.1");
});

Deno.test("names are tried for ever, with waits that double up to a minute, and each reason is told once", async () => {
  const names = new Map<string, readonly string[]>();
  let rounds = 0;
  const { ports, waits, failures } = recorded(names, () => {
    if (++rounds === 8) names.set("late.example", ["192.0.2.1"]);
  });
  const [server] = await new ServerList(["late.example"], "auto", ports).available();
  assert.equal(text(server.primary), "192.0.2.1");
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
  assert.deepEqual(failures, ["late.example: Cannot resolve it"]);
});

Deno.test("a look takes new addresses over, and a name that fails keeps its old ones", async () => {
  const names = new Map<string, readonly string[]>([["moving.example", ["192.0.2.1"]]]);
  const { ports, failures } = recorded(names);
  const list = new ServerList(["moving.example"], "auto", ports);
  await list.available();
  names.delete("moving.example");
  await list.look();
  assert.deepEqual(list.known.map(({ primary }) => text(primary)), ["192.0.2.1"]);
  names.set("moving.example", ["203.0.113.1"]);
  await list.look();
  assert.deepEqual(list.known.map(({ primary }) => text(primary)), ["203.0.113.1"]);
  names.delete("moving.example");
  await list.look();
  assert.equal(failures.length, 2, "a new failure is told again");
});
