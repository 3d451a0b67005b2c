/** The indirect bubble from an address that only the client can compute, and who may answer it. */

import assert from "node:assert/strict";
import { nonceTrailer } from "../../../lib/wire/trailers.ts";
import { A, A_MAPPED, B, B_MAPPED, data } from "./client_fixture.ts";
import type { Fixture } from "./client_fixture.ts";
import { packet } from "../harness.ts";
import { B_ELSEWHERE, begin, behind, indirect, OTHER_MAPPED, sortBubbles } from "./traversal_fixture.ts";

/** Has the client send its second bubble to B. @returns that one's IPv6 source */
function challenge(fixture: Fixture): Uint8Array {
  begin(fixture);
  fixture.pass(2000);
  return sortBubbles(fixture.udp()).indirect[0].bytes.slice(8, 24);
}

/** `address` with its last bit the other way. */
function forged(address: Uint8Array): Uint8Array {
  return address.with(15, address[15] ^ 1);
}

Deno.test("the second indirect bubble of an attempt is from a link-local address of its own, the others from the Teredo address", () => {
  const fixture = behind("plain");
  const sources = [begin(fixture).indirect[0].bytes.slice(8, 24)];
  for (let i = 0; i < 3; i++) {
    fixture.pass(2000);
    sources.push(sortBubbles(fixture.udp()).indirect[0].bytes.slice(8, 24));
  }
  assert.deepEqual(sources.toSpliced(1, 1), [A, A, A]);
  assert.deepEqual([...sources[1].subarray(0, 8)], [0xfe, 0x80, 0, 0, 0, 0, 0, 0]);
});

Deno.test("a bubble to that address makes its sender reached, wherever it comes from; packets then go there", () => {
  const fixture = behind("plain");
  const source = challenge(fixture);
  fixture.receive(packet(B, source), B_ELSEWHERE);
  assert.ok(fixture.udp().some(({ address, port }) => address === B_ELSEWHERE.address && port === B_ELSEWHERE.port));
  fixture.receive(data(B, A), B_ELSEWHERE);
  assert.equal(fixture.ipv6().length, 1);
});

Deno.test("a bubble to another link-local address, or of another peer, or one before any challenge, is dropped", () => {
  const fixture = behind("plain");
  const source = challenge(fixture);
  fixture.drops("not-own-destination", () => fixture.receive(packet(B, forged(source)), B_ELSEWHERE));
  fixture.drops("not-own-destination", () => fixture.receive(packet(forged(B), source), B_ELSEWHERE));
  fixture.drops("not-own-destination", () => fixture.receive(data(B, source), B_ELSEWHERE));
  const other = behind("plain");
  begin(other);
  other.drops("not-own-destination", () => other.receive(packet(B, source), B_ELSEWHERE));
});

Deno.test("an answer that was kept does not move a peer that is reached", () => {
  const fixture = behind("plain");
  const source = challenge(fixture);
  fixture.receive(packet(B, source), B_MAPPED);
  fixture.take();
  fixture.drops("unproven-peer", () => fixture.receive(packet(B, source), B_ELSEWHERE));
});

Deno.test("a peer that has shown a nonce, or whose answer could not get through our NAT, gets no challenge", () => {
  const asked = behind("plain");
  indirect(asked, [nonceTrailer(7)]);
  asked.take();
  assert.deepEqual(challenge(asked), A);
  const symmetric = behind("symmetric");
  assert.notDeepEqual(OTHER_MAPPED, A_MAPPED);
  assert.deepEqual(challenge(symmetric), A);
});
