/** The keys of NAT traversal and of meeting at relays. */

import assert from "node:assert/strict";
import { nativeNodeProblem, relayEndpointProblem } from "../../config/addresses.ts";
import { loadConfig } from "../../config/mod.ts";

const NOWHERE = { directory: "/nonexistent" };

Deno.test("every way through NATs is on by default, and can be switched off by itself", () => {
  const { nat } = loadConfig("client", { ...NOWHERE, set: ['client.servers=["192.0.2.1"]'] });
  for (const [key, value] of Object.entries(nat)) assert.equal(value, true, key);
  for (const key of Object.keys(nat)) {
    const set = ['client.servers=["192.0.2.1"]', `nat.${key}=false`];
    const off = Object.entries(loadConfig("client", { ...NOWHERE, set }).nat).filter(([, value]) => !value);
    assert.deepEqual(off, [[key, false]]);
  }
});

Deno.test("a client's relay is a global IPv4 address and a port", () => {
  for (const good of ["192.0.2.9:3545", "8.8.8.8:1", "203.0.113.1:65535"]) {
    assert.equal(relayEndpointProblem(good), undefined);
  }
  for (const bad of ["", "192.0.2.9", "192.0.2.9:0", "192.0.2.9:65536", "10.0.0.1:3545", "[::1]:3545", "relay:3545"]) {
    assert.notEqual(relayEndpointProblem(bad), undefined, bad);
  }
});

Deno.test("the node that a client probes for relays is a native one", () => {
  for (const good of ["2001:db8::1", "2606:4700::1111"]) assert.equal(nativeNodeProblem(good), undefined);
  for (const bad of ["", "192.0.2.9", "2001:0:c000:201::1", "fe80::1", "::1", "ff02::1", "2001:db8::1%eth0"]) {
    assert.notEqual(nativeNodeProblem(bad), undefined, bad);
  }
});
