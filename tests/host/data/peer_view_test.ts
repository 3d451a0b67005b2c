/** The list of peers, from a client's table to the status: how each is reached. */

import assert from "node:assert/strict";
import type { PeerStatus } from "../../../lib/control/status.ts";
import { MachineViewer } from "../../../lib/host/data/machine_viewer.ts";
import { SharedState } from "../../../lib/host/data/messages.ts";
import { peersOf } from "../../../lib/host/data/peer_view.ts";
import { formTeredoAddress } from "../../../lib/wire/teredo_address.ts";
import { formatIpv6 } from "../../../lib/wire/ipv6_address.ts";
import {
  A,
  A_MAPPED,
  ALL_NODES,
  B,
  B_MAPPED,
  data,
  echoReply,
  type Fixture,
  isEchoRequest,
  NATIVE,
  PRIMARY,
  RELAY,
} from "../../core/client/client_fixture.ts";
import { ip4, packet } from "../../core/harness.ts";
import { behind } from "../../core/client/traversal_fixture.ts";

/** C is on the link of A, behind the same NAT. */
const C = formTeredoAddress({ server: PRIMARY, flags: 0x1234, mapped: { ...A_MAPPED, port: 7000 } });
const C_LOCAL = { address: ip4("192.168.1.77"), port: 51_000 };

/** What the status says of a client's peers: path, state and endpoint by address. */
function shown(fixture: Fixture): Record<string, readonly (string | null)[]> {
  return Object.fromEntries(
    listed(fixture).map(({ address, path, state, endpoint }) => [address, [path, state, endpoint]]),
  );
}

function listed(fixture: Fixture): readonly PeerStatus[] {
  const shared = new SharedState();
  const viewer = new MachineViewer(shared, fixture.client);
  shared.want(0);
  const view = viewer.look(fixture.now);
  assert.ok(view !== undefined);
  return peersOf(view.list);
}

Deno.test("packets from and to each peer are told, those that waited for its hole among them and bubbles not", () => {
  const fixture = behind("plain");
  fixture.send(data(A, B));
  fixture.send(data(A, B));
  fixture.trustB(); // by a bubble, at which both go
  fixture.send(data(A, B));
  for (let i = 0; i < 5; i++) fixture.receive(data(B, A), B_MAPPED);
  const [b] = listed(fixture).filter(({ address }) => address === formatIpv6(B));
  assert.deepEqual([b.rx_packets, b.tx_packets], [5, 3]);
});

Deno.test("a Teredo peer that is met at a relay is shown so, and as direct once a direct way opens", () => {
  const fixture = behind("plain", { relayPaths: true, relay: RELAY });
  fixture.send(data(A, B));
  assert.deepEqual(shown(fixture)[formatIpv6(B)].slice(0, 2), ["direct", "negotiating"]);
  fixture.pass(8_000);
  const [test] = fixture.udp().filter(isEchoRequest);
  fixture.receive(echoReply(test.bytes), RELAY);
  const [path, state, endpoint] = shown(fixture)[formatIpv6(B)];
  assert.deepEqual([path, state], ["relay", "open"]);
  assert.match(endpoint ?? "", /^192\.0\.2\.|^198\.51\.100\.|^203\.0\.113\./);
  fixture.trustB();
  assert.deepEqual(shown(fixture)[formatIpv6(B)].slice(0, 2), ["direct", "open"]);
});

Deno.test("direct, native and local peers are shown as what they are", () => {
  const fixture = behind("plain", {}, { localDiscovery: true });
  fixture.trustB();
  fixture.trustNative();
  fixture.discover(packet(C, ALL_NODES, { hopLimit: 1 }), C_LOCAL);
  fixture.receive(packet(C, A), C_LOCAL);
  const paths = Object.fromEntries(Object.entries(shown(fixture)).map(([address, [path]]) => [address, path]));
  assert.deepEqual(paths, {
    [formatIpv6(B)]: "direct",
    [formatIpv6(NATIVE)]: "relay",
    [formatIpv6(C)]: "local",
  });
});
