/** Which server is asked when: order, names that do not resolve, waits. */

import assert from "node:assert/strict";
import { ServerList, type ServerListPorts } from "../../lib/host/server_list.ts";
import { formatIpv4, parseIpv4 } from "../../lib/wire/ipv4.ts";

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

Deno.test("servers are asked in order and in a circle", async () => {
  const { ports } = recorded(new Map([["one.example", ["192.0.2.1"]], ["two.example", ["198.51.100.1"]]]));
  const list = new ServerList(["one.example", "two.example"], "auto", ports);
  const names = [];
  for (let i = 0; i < 3; i++) names.push((await list.next()).name);
  assert.deepEqual(names, ["one.example", "two.example", "one.example"]);
});

Deno.test("the secondary address is the next one, none, or the one configured", async () => {
  const { ports } = recorded(new Map());
  const ask = async (secondary: "auto" | "none" | number): Promise<string> =>
    text((await new ServerList(["192.0.2.1"], secondary, ports).next()).secondary);
  assert.equal(await ask("auto"), "192.0.2.2");
  assert.equal(await ask("none"), "none");
  assert.equal(await ask(0xc6336401), "198.51.100.1");
});

Deno.test("the first global address of a name is taken, and a name with none is passed over", async () => {
  const { ports, failures } = recorded(
    new Map([["private.example", ["10.0.0.1"]], ["mixed.example", ["192.168.0.1", "203.0.113.9"]]]),
  );
  const server = await new ServerList(["private.example", "mixed.example"], "auto", ports).next();
  assert.equal(server.name, "mixed.example");
  assert.equal(text(server.primary), "203.0.113.9");
  assert.deepEqual(failures, ["private.example: no global IPv4 address among 10.0.0.1"]);
});

Deno.test("names are tried for ever, with waits that double up to a minute", async () => {
  const names = new Map<string, readonly string[]>();
  let rounds = 0;
  const { ports, waits, failures } = recorded(names, () => {
    if (++rounds === 8) names.set("late.example", ["192.0.2.1"]);
  });
  const server = await new ServerList(["late.example"], "auto", ports).next();
  assert.equal(text(server.primary), "192.0.2.1");
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
  assert.equal(failures.length, 8);
});

Deno.test("each name is resolved anew when its turn comes", async () => {
  const names = new Map<string, readonly string[]>([["moving.example", ["192.0.2.1"]]]);
  const { ports } = recorded(names);
  const list = new ServerList(["moving.example"], "auto", ports);
  assert.equal(text((await list.next()).primary), "192.0.2.1");
  names.set("moving.example", ["203.0.113.1"]);
  assert.equal(text((await list.next()).primary), "203.0.113.1");
});
