/** What a running daemon takes over from a new configuration. */

import assert from "node:assert/strict";
import { loadConfig } from "../../../config/mod.ts";
import { planReload } from "../../../lib/host/roles/reload.ts";

const NOWHERE = { directory: "/nonexistent" };
const client = (...set: string[]) =>
  loadConfig("client", { ...NOWHERE, set: ['client.servers=["192.0.2.1"]', ...set] });
const server = (...set: string[]) => loadConfig("server", { ...NOWHERE, set: ['server.address="192.0.2.1"', ...set] });
const relay = (...set: string[]) => loadConfig("relay", { ...NOWHERE, set });

Deno.test("an unchanged configuration changes nothing and waits for nothing", () => {
  for (const config of [client(), server(), relay()]) {
    assert.deepEqual(planReload(config, config), { config, waiting: [] });
  }
});

Deno.test("servers, intervals, limits and log level are taken over at once", () => {
  const after = client(
    'client.servers=["198.51.100.1"]',
    "client.refresh_interval=20",
    "limits.max_peers=5",
    "log.level=debug",
  );
  const { config, waiting } = planReload(client(), after);
  assert.deepEqual(waiting, []);
  assert.deepEqual(config, after);
});

Deno.test("what sockets, the interface and privileges were made from stays, and is named", () => {
  const before = client();
  const after = client(
    "interface.name=other",
    "bind.port=4000",
    "security.user=daemon",
    "client.local_discovery=false",
  );
  const { config, waiting } = planReload(before, after);
  assert.deepEqual(waiting.toSorted(), ["bind.port", "client.local_discovery", "interface.name", "security.user"]);
  assert.deepEqual(config, before);
});

Deno.test("a server keeps its addresses and prefix until a restart", () => {
  const after = server("server.address=198.51.100.1", "server.rate_total=7", "teredo.prefix=2001:db8::/32");
  const { config, waiting } = planReload(server(), after);
  assert.deepEqual(waiting.toSorted(), ["server.address", "teredo.prefix"]);
  assert.equal(config.role === "server" && config.server.rate_total, 7);
});

Deno.test("a relay takes new behaviour over and keeps its prefix", () => {
  const { config, waiting } = planReload(relay(), relay("relay.direct_bubbles=false", "teredo.prefix=2001:db8::/32"));
  assert.deepEqual(waiting, ["teredo.prefix"]);
  assert.equal(config.role === "relay" && config.relay.direct_bubbles, false);
});
