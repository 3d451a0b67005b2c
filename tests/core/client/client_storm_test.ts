/** A client that knows all ways, in a storm of bubbles, answers and packets from everywhere: what must hold whatever comes. */

import assert from "node:assert/strict";
import { MOST_RANDOM_PORTS } from "../../../lib/core/traversal/random_ports.ts";
import { formTeredoAddress } from "../../../lib/wire/teredo_address.ts";
import {
  alternateAddressTrailer,
  discoveryTrailer,
  nonceTrailer,
  randomPortTrailer,
  type Trailer,
} from "../../../lib/wire/trailers.ts";
import { A, data, type Fixture, FROM_PRIMARY, PRIMARY, RELAY, withOrigin } from "./client_fixture.ts";
import { ip4, SeededRandom } from "../harness.ts";
import { ALL, behind, bubble, type Nat } from "./traversal_fixture.ts";

const ROUNDS = 4000;
/** Datagrams that one datagram may cause at once: direct bubbles to five endpoints, one from a random port, an Echo Test or a bubble. */
const MOST_PER_DATAGRAM = 10;

/** Sockets that are open, kept by what the client puts out; sending from a closed one fails the test. */
class Sockets {
  readonly open = new Set<number>([0]);

  /** Takes the outputs. @returns datagrams among them */
  follow(fixture: Fixture): number {
    let sent = 0;
    for (const output of fixture.take()) {
      switch (output.kind) {
        case "open":
          assert.ok(!this.open.has(output.socket));
          this.open.add(output.socket);
          break;
        case "close":
          assert.ok(this.open.delete(output.socket), "closed once");
          break;
        case "udp":
          sent++;
          assert.ok(this.open.has(output.socket), `sends from socket ${output.socket}, which is closed`);
          assert.ok(output.port > 0 && output.address >>> 24 !== 127 && output.address >>> 28 !== 14, "a sane target");
          break;
        case "ipv6":
        case "event":
          break;
      }
    }
    assert.ok(this.open.size <= 1 + MOST_RANDOM_PORTS);
    return sent;
  }
}

for (const nat of ["plain", "symmetric", "preserving"] satisfies Nat[]) {
  Deno.test(`behind a NAT "${nat}" no storm makes a client throw, leak sockets, or send much more than it gets`, () => {
    const random = new SeededRandom(nat.length);
    const pick = (below: number) => random.u32() % below;
    const fixture = behind(nat, { ...ALL, relayPaths: true, relay: RELAY }, { maxPeers: 128, maxPending: 32 });
    const sockets = new Sockets();
    const peers = Array.from({ length: 200 }, (_, i) => {
      const mapped = { address: ip4("203.0.113.0") + 1 + (i % 50), port: 2000 + i };
      return {
        mapped,
        address: formTeredoAddress({ server: i % 3 === 0 ? PRIMARY : ip4("198.51.100.9"), flags: i, mapped }),
      };
    });
    let received = 0, sent = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const { mapped, address } = peers[pick(peers.length)];
      const trailers: Trailer[] = [
        nonceTrailer(pick(3) === 0 ? 0 : random.u32()),
        randomPortTrailer(random.u32() & 0xffff),
        alternateAddressTrailer([{ address: random.u32(), port: random.u32() & 0xffff }]),
        discoveryTrailer(pick(2) === 0 ? "solicitation" : "advertisement"),
      ].filter(() => pick(2) === 0);
      const socket = pick(4) === 0 ? [...sockets.open][pick(sockets.open.size)] : 0;
      const elsewhere = { address: mapped.address, port: 1 + pick(65_535) };
      const before = sent;
      switch (pick(6)) {
        case 0:
          fixture.receive(withOrigin(mapped, bubble(trailers, address)), FROM_PRIMARY);
          break;
        case 1:
          fixture.receive(bubble(trailers, address), mapped, { socket });
          break;
        case 2:
          fixture.receive(bubble(trailers, address), elsewhere, { socket });
          break;
        case 3:
          fixture.receive(data(address, A), pick(2) === 0 ? RELAY : mapped, { socket });
          break;
        case 4:
          fixture.send(data(A, address));
          break;
        case 5:
          fixture.pass(pick(5000));
          break;
      }
      received++;
      sent += sockets.follow(fixture);
      if (round > 0 && fixture.status() !== "qualified") break;
      assert.ok(sent - before <= MOST_PER_DATAGRAM * 200, "no avalanche");
    }
    assert.ok(received > ROUNDS / 2);
    fixture.client.stop(fixture.now);
    sockets.follow(fixture);
    assert.deepEqual([...sockets.open], [0], "every random port is closed at the end");
  });
}

Deno.test("one bubble causes a bounded number of datagrams, whatever it names", () => {
  for (const nat of ["plain", "symmetric", "preserving"] satisfies Nat[]) {
    const fixture = behind(nat, { ...ALL, relayPaths: true });
    const alternates = [1, 2].map((i) => ({ address: ip4("203.0.113.200") + i, port: 4000 }));
    const trailers = [
      nonceTrailer(1),
      alternateAddressTrailer([alternates[0], alternates[1]]),
      randomPortTrailer(1201),
    ];
    fixture.receive(withOrigin({ address: ip4("192.0.2.10"), port: 8192 }, bubble(trailers)), FROM_PRIMARY);
    assert.ok(fixture.udp().length <= MOST_PER_DATAGRAM);
  }
});
