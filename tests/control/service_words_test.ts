/** The state in one line for a service manager. */

import assert from "node:assert/strict";
import { type ServiceState, serviceWords } from "../../lib/control/service_words.ts";

const NOTHING: ServiceState = {
  state: "resolving",
  reason: undefined,
  address: undefined,
  server: undefined,
  prefix: undefined,
  listen: [],
};

Deno.test("each state has a line of its own, with what is known", () => {
  const address = "2001:0:c000:201:0:1234:39cd:f901";
  const words = (state: Partial<ServiceState>): string => serviceWords({ ...NOTHING, ...state });
  assert.equal(words({}), "Looking for a Teredo server");
  assert.equal(words({ state: "standby" }), "Standing by while the host has native IPv6");
  assert.equal(words({ state: "qualifying", server: "192.0.2.1" }), "Qualifying with 192.0.2.1");
  assert.equal(
    words({ state: "qualifying", server: "192.0.2.1", reason: "maintenance-lost" }),
    "Qualifying again with 192.0.2.1: the server stopped answering",
  );
  assert.equal(words({ state: "qualified", address, server: "192.0.2.1" }), `Qualified as ${address} by 192.0.2.1`);
  assert.equal(words({ state: "offline", reason: "symmetric-nat" }), "Off-line: the NAT is symmetric");
  assert.equal(words({ state: "offline", reason: "tired" }), "Off-line: tired");
  assert.equal(words({ state: "relaying", prefix: "2001::/32" }), "Relaying 2001::/32");
  assert.equal(
    words({ state: "serving", listen: ["192.0.2.1:3544", "192.0.2.2:3544"] }),
    "Serving on 192.0.2.1:3544 and 192.0.2.2:3544",
  );
  assert.equal(words({ state: "restarting" }), "Starting the data isolate again");
  for (const state of ["qualifying", "qualified", "offline", "relaying", "serving"] as const) {
    assert.match(words({ state }), /^\S+$/);
  }
});
