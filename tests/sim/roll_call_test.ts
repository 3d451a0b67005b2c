/** Asking several servers at once which of them answer. */

import assert from "node:assert/strict";
import { type Millis, Socket } from "../../lib/core/machine.ts";
import { RollCall } from "../../lib/core/netcheck/roll_call.ts";
import type { Credentials } from "../../lib/core/qualification/solicitor.ts";
import { Network } from "./network.ts";
import { MachineNode, ServerNode } from "./nodes.ts";
import { SERVER, World } from "./world.ts";

const OTHER = 0xcb007121;
const NOBODY = 0xcb007141;

/** Asks in a network with two servers, 10 ms a line. @returns who answered, and how long that took */
function ask(
  servers: readonly number[],
  options: { readonly credentials?: Credentials; readonly secrets?: ReadonlyMap<string, Uint8Array> } = {},
): { readonly answered: readonly number[]; readonly elapsed: Millis; readonly sent: number } {
  const network = new Network(1);
  const link = { delay: 10 };
  const world = new World(network, {
    link,
    ...(options.secrets === undefined ? {} : { server: { secrets: options.secrets } }),
  });
  new ServerNode(network, "other", { primary: OTHER, secondary: undefined, link });
  const host = network.host("asker", network.internet, [0xcb007105], link);
  const node = new MachineNode(
    network,
    host,
    (environment) => new RollCall(servers, options.credentials, [], environment),
    () => {},
  );
  node.bind(Socket.service, 40_000);
  node.machine.start(network.now);
  node.rearm();
  const elapsed = world.runUntil(() => node.machine.done, 10_000);
  assert.ok(elapsed !== undefined);
  return { answered: node.machine.answered, elapsed, sent: node.counters.get("rs_sent") };
}

Deno.test("the best server's answer ends the roll call", () => {
  assert.deepEqual(ask([SERVER.primary, OTHER, NOBODY]), { answered: [SERVER.primary], elapsed: 40, sent: 3 });
});

Deno.test("answers stand in the order of the list, and a better server has 300 ms more than the first to answer", () => {
  assert.deepEqual(ask([NOBODY, OTHER, SERVER.primary]), {
    answered: [OTHER, SERVER.primary],
    elapsed: 340,
    sent: 3,
  });
});

Deno.test("where nobody answers the roll call ends after 1.5 s, with one question each", () => {
  assert.deepEqual(ask([NOBODY]), { answered: [], elapsed: 1500, sent: 1 });
});

Deno.test("a server that does not know our secret does not answer, or not so that it counts", () => {
  const identifier = new TextEncoder().encode("alice");
  const secret = new TextEncoder().encode("correct horse");
  const secrets = new Map([["alice", secret]]);
  const credentials = { identifier, secret };
  assert.deepEqual(ask([SERVER.primary], { credentials, secrets }).answered, [SERVER.primary]);
  assert.deepEqual(ask([SERVER.primary], { secrets }).answered, []);
  const guess = { identifier, secret: new TextEncoder().encode("guess") };
  assert.deepEqual(ask([SERVER.primary, OTHER], { credentials: guess, secrets }).answered, []);
});
