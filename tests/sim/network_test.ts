/** The simulated internet itself: order, faults, NATs in the way, repeatability. */

import assert from "node:assert/strict";
import { VirtualClock } from "./clock.ts";
import type { LinkOptions } from "./link.ts";
import { NAT_KINDS } from "./nat.ts";
import { type Datagram, type Host, Network } from "./network.ts";

const A = 0xcb007101; // 203.0.113.1
const B = 0xcb007102;
const NAT_OUTSIDE = 0xc6336401; // 198.51.100.1
const HOME = { address: 0xc0a80100, prefixLength: 24 }; // 192.168.1.0/24

/** Sends `count` numbered datagrams, one a millisecond, and returns the numbers in the order of their arrival. */
function transmit(link: LinkOptions, count: number, seed = 1): { numbers: number[]; delays: number[] } {
  const network = new Network(seed);
  const from = network.host("a", network.internet, [A], link);
  const to = network.host("b", network.internet, [B]);
  const numbers: number[] = [];
  const delays: number[] = [];
  const target = to.bind(7, ({ payload }) => {
    const number = payload[0] * 256 + payload[1];
    numbers.push(number);
    delays.push(network.now - number);
  });
  const source = from.bind(0, () => {});
  for (let i = 0; i < count; i++) {
    network.clock.schedule(i, () => from.send(source, target, Uint8Array.of(i >> 8, i & 255)));
  }
  network.clock.run(10_000);
  return { numbers, delays };
}

function echo(host: Host, port: number): void {
  const local = host.bind(port, (datagram: Datagram) => host.send(local, datagram.source, datagram.payload));
}

Deno.test("virtual time runs actions in order and jumps over the time between", () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  clock.schedule(5, () => seen.push(`b${clock.now}`));
  clock.schedule(1, () => {
    seen.push(`a${clock.now}`);
    clock.schedule(0, () => seen.push(`now${clock.now}`));
    clock.schedule(5, () => seen.push(`c${clock.now}`));
  });
  clock.schedule(3_600_000, () => seen.push("late"));
  clock.schedule(Infinity, () => seen.push("never"));
  clock.run(10);
  assert.deepEqual(seen, ["a1", "now1", "b5", "c5"]);
  assert.equal(clock.now, 10);
  assert.equal(clock.runUntil(() => seen.includes("late"), 1e9), 3_599_990);
  assert.equal(clock.runUntil(() => seen.includes("never"), 1000), undefined);
});

Deno.test("a perfect line delivers everything in order after its delay", () => {
  const { numbers, delays } = transmit({ delay: 20 }, 500);
  assert.deepEqual(numbers, Array.from({ length: 500 }, (_, i) => i));
  assert.deepEqual(new Set(delays), new Set([20]));
});

Deno.test("jitter varies the delay and keeps the order", () => {
  const { numbers, delays } = transmit({ delay: 20, jitter: 30 }, 500);
  assert.deepEqual(numbers, Array.from({ length: 500 }, (_, i) => i));
  assert.ok(Math.min(...delays) >= 20 && Math.max(...delays) <= 50 && new Set(delays).size > 100);
});

Deno.test("loss, duplication and reordering come in the proportion asked for", () => {
  const lossy = transmit({ loss: 0.2 }, 2000).numbers.length;
  assert.ok(lossy > 1500 && lossy < 1700, `${lossy} of 2000 arrived`);
  const doubled = transmit({ duplication: 0.2 }, 2000).numbers.length;
  assert.ok(doubled > 2300 && doubled < 2500, `${doubled} of 2000 arrived`);
  const { numbers } = transmit({ reordering: 0.2 }, 2000);
  const overtaken = numbers.filter((n, i) => i > 0 && n < numbers[i - 1]).length;
  assert.equal(numbers.length, 2000);
  assert.ok(overtaken > 200, `${overtaken} overtaken`);
});

Deno.test("one seed gives one run", () => {
  const faults = { delay: 5, jitter: 10, loss: 0.1, duplication: 0.1, reordering: 0.1 };
  assert.deepEqual(transmit(faults, 300, 42), transmit(faults, 300, 42));
  assert.notDeepEqual(transmit(faults, 300, 42), transmit(faults, 300, 43));
});

Deno.test("a datagram crosses nested NATs and its answer comes back", () => {
  const network = new Network(1);
  const carrier = network.zone("carrier", { address: 0x64400000, prefixLength: 10 }); // 100.64.0.0/10
  const home = network.zone("home", HOME);
  network.nat("cgn", carrier, network.internet, { addresses: [NAT_OUTSIDE], ...NAT_KINDS["port-restricted"] }, {
    delay: 5,
  });
  network.nat("box", home, carrier, { addresses: [0x64400001], ...NAT_KINDS["port-restricted"] }, { delay: 1 });
  const laptop = network.host("laptop", home, [HOME.address + 2]);
  const server = network.host("server", network.internet, [A], { delay: 10 });
  echo(server, 7);
  const received: Datagram[] = [];
  const local = laptop.bind(0, (datagram) => received.push(datagram));
  laptop.send(local, { address: A, port: 7 }, Uint8Array.of(1, 2, 3));
  network.clock.run(100);
  assert.deepEqual(received.map(({ source, payload }) => [source, ...payload]), [[{ address: A, port: 7 }, 1, 2, 3]]);
  assert.equal(network.trace.filter(({ to, lost }) => to === "server" && lost === undefined).length, 1);
});

Deno.test("hosts behind one NAT reach each other directly, and outside addresses only where it hairpins", () => {
  for (const hairpin of ["none", "external-source"] as const) {
    const network = new Network(1);
    const home = network.zone("home", HOME);
    const { nat } = network.nat("box", home, network.internet, {
      addresses: [NAT_OUTSIDE],
      hairpin,
      ...NAT_KINDS.cone,
    });
    nat.forward(17, 7777, { address: HOME.address + 3, port: 7 });
    const from = network.host("a", home, [HOME.address + 2]);
    echo(network.host("b", home, [HOME.address + 3]), 7);
    let answers = 0;
    const local = from.bind(0, () => answers++);
    from.send(local, { address: HOME.address + 3, port: 7 }, Uint8Array.of(1));
    network.clock.run(1);
    assert.equal(answers, 1);
    from.send(local, { address: NAT_OUTSIDE, port: 7777 }, Uint8Array.of(2));
    network.clock.run(1);
    assert.equal(answers, hairpin === "none" ? 1 : 2);
  }
});

Deno.test("multicast reaches the members in the zone except the sender, and leaves no zone", () => {
  const network = new Network(1);
  const home = network.zone("home", HOME);
  const group = { address: 0xe00000fd, port: 3544 };
  const seen: string[] = [];
  const hosts = ["a", "b", "c"].map((name, i) => network.host(name, home, [HOME.address + 2 + i]));
  const outside = network.host("d", network.internet, [A]);
  for (const host of [...hosts, outside]) if (host.name !== "c") host.join(group, () => seen.push(host.name));
  hosts[0].send(hosts[0].bind(0, () => {}), group, Uint8Array.of(1));
  network.clock.run(1);
  assert.deepEqual(seen, ["b"]);
});

Deno.test("a host that is unplugged neither sends nor receives", () => {
  const network = new Network(1);
  const from = network.host("a", network.internet, [A]);
  const to = network.host("b", network.internet, [B]);
  echo(to, 7);
  let answers = 0;
  const local = from.bind(0, () => answers++);
  for (const plugged of [true, false, true]) {
    to.plugged = plugged;
    from.send(local, { address: B, port: 7 }, Uint8Array.of(1));
    network.clock.run(1);
  }
  assert.equal(answers, 2);
  assert.equal(network.trace.filter(({ lost }) => lost === "unplugged").length, 1);
});

Deno.test("IPv6 packets follow the longest prefix, lose a hop and stop at hop limit 1", () => {
  const network = new Network(1);
  const seen: string[] = [];
  network.ipv6.attach("relay", ["2001::/32"], (packet) => seen.push(`relay ${packet[7]}`));
  network.ipv6.attach("host", ["2001::1/128"], (packet) => seen.push(`host ${packet[7]}`), { delay: 3 });
  const from = network.ipv6.attach("native", ["2001:db8::1/128"], () => seen.push("native"));
  const packet = (last: number, hopLimit: number) => {
    const bytes = new Uint8Array(40);
    bytes.set([0x60, 0, 0, 0, 0, 0, 59, hopLimit]);
    bytes.set([0x20, 0x01], 24);
    bytes[39] = last;
    return bytes;
  };
  from.send(packet(1, 64));
  from.send(packet(2, 2));
  from.send(packet(2, 1));
  network.clock.run(5);
  assert.deepEqual(seen, ["relay 1", "host 63"]);
});
