import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_TABLE, PEER_LIFETIME, PEER_VALIDITY, PeerTable } from "../../lib/core/peers.ts";
import { KeyedHash } from "../../lib/core/keyed_hash.ts";
import { ip4, ip6, SeededRandom } from "./harness.ts";

const A = ip6("2001:0:cb00:7178:0:efff:3fff:fdfe");
const B = ip6("2001:0:c633:6476:3c5a:dfff:3fff:fdf5");
const C = ip6("2001:db8::1");

function table(maxPeers: number, onRemove?: (peer: number) => void): PeerTable {
  const random = new SeededRandom(7);
  return onRemove === undefined ? new PeerTable({ maxPeers, random }) : new PeerTable({ maxPeers, random, onRemove });
}

/** A key that differs from others in two words. */
function numbered(n: number): Uint8Array {
  const key = ip6("2001:0:cb00:7178::");
  new DataView(key.buffer).setUint32(8, n % 7);
  new DataView(key.buffer).setUint32(12, n);
  return key;
}

Deno.test("a new entry is untrusted, has no mapping and no bubbles, and its times lie 30 s back", () => {
  const peers = table(4);
  const peer = peers.insert(A, 0, 1_000_000);
  assert.equal(peers.find(A, 0), peer);
  assert.equal(peers.trusted(peer), false);
  assert.equal(peers.pinned(peer), false);
  assert.equal(peers.bubbles(peer), 0);
  assert.deepEqual([peers.address(peer), peers.port(peer)], [0, 0]);
  assert.equal(peers.lastReception(peer), 970_000);
  assert.equal(peers.lastTransmission(peer), 970_000);
  assert.equal(peers.valid(peer, 1_000_000), false);
  assert.equal(peers.size, 1);
});

Deno.test("inserting a known key gives its record back unchanged", () => {
  const peers = table(4);
  const peer = peers.insert(A, 0, 0);
  peers.setTrusted(peer, true);
  assert.equal(peers.insert(A, 0, 99), peer);
  assert.equal(peers.trusted(peer), true);
  assert.equal(peers.size, 1);
});

Deno.test("mapping, flags and bubble count of a record do not disturb each other", () => {
  const peers = table(4);
  const peer = peers.insert(B, 0, 0);
  peers.setMapping(peer, ip4("203.0.113.255"), 65535);
  peers.setBubbles(peer, 4);
  peers.setTrusted(peer, true);
  peers.setPinned(peer, true);
  peers.setMapping(peer, ip4("255.255.255.254"), 32769);
  assert.deepEqual([peers.address(peer), peers.port(peer)], [ip4("255.255.255.254"), 32769]);
  assert.deepEqual([peers.trusted(peer), peers.pinned(peer), peers.bubbles(peer)], [true, true, 4]);
  peers.setTrusted(peer, false);
  peers.setBubbles(peer, 0);
  assert.deepEqual([peers.trusted(peer), peers.pinned(peer), peers.bubbles(peer)], [false, true, 0]);
  assert.equal(peers.port(peer), 32769);
  assert.deepEqual(peers.key(peer), B);
});

Deno.test("[XMT-02] an entry is valid until just before 30 s after its last reception", () => {
  const peers = table(1);
  const peer = peers.insert(A, 0, 0);
  peers.setLastReception(peer, 5_000);
  assert.equal(peers.valid(peer, 5_000 + PEER_VALIDITY - 1), true);
  assert.equal(peers.valid(peer, 5_000 + PEER_VALIDITY), false);
});

Deno.test("expiry removes what was idle in both directions for longer than the lifetime, unless pinned", () => {
  const removed: number[] = [];
  const peers = table(8, (peer) => removed.push(peer));
  const [idle, sent, pinned] = [A, B, C].map((key) => peers.insert(key, 0, 0));
  peers.setLastTransmission(sent, 10_000);
  peers.setPinned(pinned, true);
  assert.equal(peers.expire(PEER_LIFETIME - PEER_VALIDITY, 8), 0);
  assert.equal(peers.expire(PEER_LIFETIME, 8), 1);
  assert.deepEqual(removed, [idle]);
  assert.equal(peers.find(A, 0), -1);
  assert.equal(peers.expire(PEER_LIFETIME + 10_001, 8), 1);
  assert.equal(peers.find(C, 0), pinned);
});

Deno.test("expiry looks at no more records than its budget and comes round to all of them", () => {
  const peers = table(1000);
  for (let i = 0; i < 100; i++) peers.insert(numbered(i), 0, 0);
  assert.ok(peers.occupied > 0 && peers.occupied <= peers.highWater);
  let live = 0;
  for (let peer = peers.skipEmpty(0); peer < peers.highWater; peer = peers.skipEmpty(peer + 1)) {
    if (peers.isLive(peer)) live++;
  }
  assert.equal(live, 100);
  const rounds = Math.ceil(peers.occupied / 10);
  for (let round = 0; round < rounds; round++) assert.ok(peers.expire(1e6, 10) <= 10);
  assert.equal(peers.size, 0);
  assert.equal(peers.occupied, 0, "an empty table has nothing to look at");
  assert.equal(peers.expire(1e6, 10), 0);
});

Deno.test("[XMT-15] a full table gives up an expired entry first, then an untrusted one, never a trusted valid or a pinned one", () => {
  const peers = table(3);
  const [untrusted, expired, good] = [1, 2, 3].map((n) => peers.insert(numbered(n), 0, 0));
  for (const peer of [untrusted, expired, good]) peers.setLastReception(peer, 50_000);
  peers.setTrusted(expired, true);
  peers.setTrusted(good, true);
  peers.setLastReception(expired, 1_000);
  assert.notEqual(peers.insert(A, 0, 50_000), -1);
  assert.equal(peers.find(numbered(2), 0), -1, "the expired one went");
  peers.setPinned(peers.find(A, 0), true);
  assert.notEqual(peers.insert(B, 0, 50_000), -1);
  assert.equal(peers.find(numbered(1), 0), -1, "the untrusted one went");
  peers.setPinned(peers.find(B, 0), true);
  assert.equal(peers.insert(C, 0, 50_000), -1);
  assert.equal(peers.find(numbered(3), 0), good);
  assert.equal(peers.size, 3);
  assert.equal(peers.evicted, 2);
});

Deno.test("the clock of the records survives 50 days, and times before the table was made", () => {
  const peers = table(4);
  const day = 86_400_000;
  const peer = peers.insert(A, 0, 1.5);
  peers.setLastReception(peer, 49 * day);
  const second = peers.insert(B, 0, 60 * day);
  assert.equal(peers.lastReception(second), 60 * day - PEER_VALIDITY);
  assert.equal(peers.valid(peer, 60 * day), false);
  peers.setLastReception(peer, 60 * day + 7);
  assert.equal(peers.lastReception(peer), 60 * day + 7);
  assert.equal(peers.valid(second, 60 * day), false);
  peers.setLastReception(peer, -1e12);
  assert.equal(peers.valid(peer, 60 * day), false);
});

Deno.test("packets from and to a peer are counted apart from every other record, to 2^32, and anew for its next owner", () => {
  const peers = table(10);
  const a = peers.insert(A, 0, 0), b = peers.insert(B, 0, 0);
  peers.countReceived(a);
  peers.countSent(a, 20);
  peers.countSent(a, 2 ** 31);
  peers.countSent(b, 3);
  assert.deepEqual([peers.received(a), peers.sent(a), peers.received(b), peers.sent(b)], [1, 2 ** 31 + 20, 0, 3]);
  peers.countSent(a, 2 ** 31);
  assert.equal(peers.sent(a), 20);
  for (const [peer, key] of [[a, A], [b, B]] as const) assert.deepEqual(peers.key(peer), key);
  peers.remove(a);
  const again = peers.insert(A, 0, 1);
  assert.deepEqual([peers.received(again), peers.sent(again)], [0, 0]);
});

Deno.test("a table of 5 million peers keeps to 50 octets each, and impossible sizes are refused", () => {
  const peers = table(5_000_000);
  assert.equal(peers.capacity, 5_000_000);
  assert.ok(peers.octets <= 50 * 5_000_000, `${peers.octets}`);
  for (const size of [0, -1, 1.5, NaN, MAX_TABLE + 1]) {
    assert.throws(() => table(size), { name: "RangeError" });
  }
});

Deno.test("filling and emptying a table again and again leaves it as good as new", () => {
  const peers = table(1000);
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 1000; i++) assert.notEqual(peers.insert(numbered(i + 313 * round), 0, 0), -1);
    for (let i = 0; i < 1000; i++) {
      assert.deepEqual(peers.key(peers.find(numbered(i + 313 * round), 0)), numbered(i + 313 * round));
    }
    peers.clear();
    assert.equal(peers.size, 0);
    assert.equal(peers.find(numbered(313 * round), 0), -1);
  }
  assert.ok(peers.highWater < 1300, "records are used again");
  assert.equal(peers.occupied, 0);
});

Deno.test("removals in any order lose no other key of a table as full as it gets", () => {
  const peers = table(12_288);
  const random = new SeededRandom(5);
  const present = new Set<number>();
  for (let i = 0; i < 12_288; i++) {
    peers.insert(numbered(i), 0, 0);
    present.add(i);
  }
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 2000; i++) {
      const n = random.u32() % 12_288;
      if (present.delete(n)) peers.remove(peers.find(numbered(n), 0));
    }
    for (let i = 0; i < 12_288; i++) assert.equal(peers.find(numbered(i), 0) >= 0, present.has(i));
  }
});

Deno.test("mapping, bubbles and flags of records do not disturb how a crowded table finds its neighbours", () => {
  const peers = table(2000);
  for (let i = 0; i < 2000; i++) {
    const peer = peers.insert(numbered(i), 0, 0);
    peers.setMapping(peer, ip4("203.0.113.255"), 65535);
    peers.setBubbles(peer, 255);
    for (const set of ["setTrusted", "setPinned", "setSteered"] as const) peers[set](peer, true);
    peers.setMapping(peer, ip4("192.0.2.1"), i);
    peers.setBubbles(peer, 0);
    for (const set of ["setTrusted", "setPinned", "setSteered"] as const) peers[set](peer, false);
  }
  for (let i = 0; i < 2000; i++) assert.equal(peers.port(peers.find(numbered(i), 0)), i);
  for (let i = 0; i < 2000; i += 2) peers.remove(peers.find(numbered(i), 0));
  for (let i = 0; i < 2000; i++) assert.equal(peers.find(numbered(i), 0) >= 0, i % 2 === 1);
});

Deno.test("[BUB-02] in a full table an entry that remembers its bubbles outlives one that has nothing to tell", () => {
  const peers = table(2);
  const [spent, plain] = [A, B].map((key) => peers.insert(key, 0, 0));
  peers.setBubbles(spent, 4);
  peers.setTrusted(plain, true);
  assert.notEqual(peers.insert(C, 0, 100_000), -1);
  assert.equal(peers.find(A, 0), spent);
  assert.equal(peers.find(B, 0), -1);
});

Deno.test("the hash depends on the process, and keys chosen for one table do not collide in another", () => {
  const one = new KeyedHash(new SeededRandom(1)), two = new KeyedHash(new SeededRandom(2));
  const chosen: number[] = [];
  for (let i = 0; chosen.length < 64; i++) if ((one.of4(0x20010000, 1, i, 2) & 0xff) === 0) chosen.push(i);
  const buckets = new Set(chosen.map((i) => two.of4(0x20010000, 1, i, 2) & 0xff));
  assert.ok(buckets.size > 40, `${buckets.size} buckets of 256 for 64 keys`);
});

Deno.test("the hash spreads keys that differ in one word only", () => {
  const hash = new KeyedHash(new SeededRandom(3));
  for (const position of [0, 1, 2, 3]) {
    const counts = new Uint32Array(1024);
    for (let i = 0; i < 16_384; i++) {
      const words = [5, 6, 7, 8];
      words[position] = i << 7;
      counts[hash.of4(words[0], words[1], words[2], words[3]) & 1023]++;
    }
    // 16 expected in each; a sound hash stays within 16 +- 8 standard deviations of 4.
    assert.ok(Math.max(...counts) < 48 && counts.filter((n) => n === 0).length < 8);
  }
});

type Command =
  | { readonly do: "insert" | "remove" | "touch" | "trust" | "pin" | "unpin" | "find"; readonly key: number }
  | { readonly do: "expire"; readonly key: number };

interface Expected {
  trusted: boolean;
  pinned: boolean;
  bubbles: number;
  reception: number;
  transmission: number;
}

Deno.test("the table does what a map with the same rules does, over any sequence of operations", () => {
  const command: fc.Arbitrary<{ readonly command: Command; readonly wait: number }> = fc.record({
    command: fc.record({
      do: fc.constantFrom("insert", "insert", "insert", "remove", "touch", "trust", "pin", "unpin", "find", "expire"),
      key: fc.nat(15),
    }),
    wait: fc.constantFrom(0, 0, 1, 500, 29_999, 30_000, 150_000, 300_001),
  });
  const keys = Array.from({ length: 16 }, (_, i) => numbered(i * 3));
  fc.assert(
    fc.property(
      fc.array(command, { maxLength: 120 }),
      fc.nat(),
      fc.integer({ min: 1, max: 9 }),
      (script, seed, size) => {
        const model = new Map<string, Expected>();
        let now = 1000;
        const gone: string[] = [];
        const random = new SeededRandom(seed);
        const peers = new PeerTable({ maxPeers: size, random, onRemove: (peer) => gone.push(peers.key(peer).join()) });
        const idle = (e: Expected) => now - Math.max(e.reception, e.transmission) > PEER_LIFETIME;
        const expired = (e: Expected) => now - e.reception >= PEER_VALIDITY && (e.trusted || e.bubbles === 0);
        for (const { command, wait } of script) {
          now += wait;
          const key = keys[command.key], name = key.join();
          const known = model.get(name);
          const peer = peers.find(key, 0);
          assert.equal(peer >= 0, known !== undefined);
          gone.length = 0;
          switch (command.do) {
            case "insert": {
              const free = [...model.values()].filter((e) => !e.pinned && (!e.trusted || expired(e)));
              const made = peers.insert(key, 0, now);
              if (known !== undefined) {
                assert.equal(made, peer);
                break;
              }
              assert.equal(made >= 0, model.size < size || free.length > 0);
              if (made < 0) break;
              if (model.size === size) {
                assert.equal(gone.length, 1);
                const victim = model.get(gone[0]);
                assert.ok(victim !== undefined && free.includes(victim));
                assert.ok(expired(victim) || !free.some(expired), "expired ones go first");
                model.delete(gone[0]);
              }
              const past = now - PEER_VALIDITY;
              model.set(name, { trusted: false, pinned: false, bubbles: 0, reception: past, transmission: past });
              break;
            }
            case "remove":
              if (known === undefined) break;
              peers.remove(peer);
              assert.deepEqual(gone, [name]);
              model.delete(name);
              break;
            case "touch":
              if (known === undefined) break;
              peers.setLastReception(peer, now);
              peers.setMapping(peer, command.key, command.key);
              known.reception = now;
              break;
            case "trust":
              if (known === undefined) break;
              peers.setTrusted(peer, !known.trusted);
              peers.setBubbles(peer, known.trusted ? 2 : 0);
              peers.setLastTransmission(peer, now);
              known.bubbles = known.trusted ? 2 : 0;
              known.trusted = !known.trusted;
              known.transmission = now;
              break;
            case "pin":
            case "unpin":
              if (known === undefined) break;
              peers.setPinned(peer, known.pinned = command.do === "pin");
              break;
            case "expire": {
              const due = [...model].filter(([, e]) => !e.pinned && idle(e)).map(([n]) => n);
              assert.equal(peers.expire(now, peers.highWater), due.length);
              assert.deepEqual(gone.toSorted(), due.toSorted());
              for (const n of due) model.delete(n);
              break;
            }
            case "find":
              break;
          }
          assert.equal(peers.size, model.size);
          for (const each of keys) {
            const expected = model.get(each.join()), found = peers.find(each, 0);
            assert.equal(found >= 0, expected !== undefined);
            if (expected === undefined) continue;
            assert.deepEqual(peers.key(found), each);
            assert.equal(peers.lastReception(found), expected.reception);
            assert.equal(peers.lastTransmission(found), expected.transmission);
            assert.equal(peers.trusted(found), expected.trusted);
            assert.equal(peers.pinned(found), expected.pinned);
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});
