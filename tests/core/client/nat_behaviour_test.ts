/** What a client tells of its NAT: yes, no, or not checked; never a guess. */

import assert from "node:assert/strict";
import { NatBehaviour } from "../../../lib/core/qualification/nat_behaviour.ts";

const at = (port: number) => ({ address: 0xc0000201, port });

/** A client on local port 4000 that the servers saw at these ports. */
function seen(first: number, second?: number): NatBehaviour {
  const behaviour = new NatBehaviour();
  behaviour.observeQualification(4000, at(first), second === undefined ? undefined : at(second));
  return behaviour;
}

Deno.test("the mapping is the same for two destinations, or it is not, or nobody asked the second", () => {
  assert.equal(seen(5000, 5000).report.endpointIndependent, true);
  assert.equal(seen(5000, 5001).report.endpointIndependent, false);
  assert.equal(seen(5000).report.endpointIndependent, undefined);
  const moved = new NatBehaviour();
  moved.observeQualification(4000, at(5000), { address: 0xc0000202, port: 5000 });
  assert.equal(moved.report.endpointIndependent, false, "several external addresses");
});

Deno.test("a mapped port that is the local one was preserved", () => {
  assert.equal(seen(4000, 4000).report.ports.kind, "preserving");
  assert.equal(seen(4000, 61_234).report.ports.kind, "preserving");
});

Deno.test("one small difference may be chance: a step counts when another agrees", () => {
  const behaviour = seen(5000, 5001);
  assert.equal(behaviour.report.ports.kind, "not-checked");
  behaviour.observeEcho({ lower: 6000, upper: 6002 });
  assert.deepEqual(behaviour.report.ports, { kind: "sequential", step: 1 });
  const two = seen(5000, 5002);
  two.observeEcho({ lower: 6000, upper: 6004 });
  assert.deepEqual(two.report.ports, { kind: "sequential", step: 2 });
});

Deno.test("a large, backward or odd difference is no step, nor are two that differ", () => {
  assert.equal(seen(5000, 9000).report.ports.kind, "random");
  assert.equal(seen(5001, 5000).report.ports.kind, "random");
  const odd = seen(5000, 5001);
  odd.observeEcho({ lower: 6000, upper: 6003 });
  assert.equal(odd.report.ports.kind, "random");
  const torn = seen(5000, 5001);
  torn.observeEcho({ lower: 6000, upper: 6008 });
  assert.equal(torn.report.ports.kind, "random");
});

Deno.test("nothing is known of port numbering before anything was asked, nor where the mapping is the same for all", () => {
  assert.equal(new NatBehaviour().report.ports.kind, "not-checked");
  assert.equal(seen(5000, 5000).report.ports.kind, "not-checked");
});

Deno.test("a new qualification begins anew", () => {
  const behaviour = seen(5000, 9000);
  behaviour.observeQualification(4000, at(5000), at(5000));
  assert.deepEqual(behaviour.report, { endpointIndependent: true, ports: { kind: "not-checked" } });
});
