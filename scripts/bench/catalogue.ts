/** Everything that is measured, in the order of the report, with what ours is to reach. */

import type { Measure } from "./results.ts";

/** How many peers, as the names of measures say it. */
export const SIZES = { "100k": 100_000, "1M": 1_000_000, "5M": 5_000_000 } as const;
export type Size = keyof typeof SIZES;

/** Parts of the benchmark that can be run by themselves, and what each is about. */
export const GROUPS = {
  tcp: "TCP from client to client through two NATs",
  relay: "TCP between a client and an IPv6 host, through the relay",
  unsegmented: "the same with tx-udp-segmentation off on every link",
  udp: "UDP floods and paced UDP from client to client",
  ping: "echo requests every 2 ms from client to client",
  integrity: "four streams compared at both ends by SHA-256",
  mixed: "one end ours, the other Debian's",
  idle: "memory and wake-ups of programs with nothing to do",
  start: "from the start of a client to its address",
  server: "router solicitations answered",
  garbage: "collections of garbage while packets flow",
  table: "the table of peers by itself",
  peers: "a relay with many peers",
  millions: "a relay with five million peers (about 8 minutes; only when named)",
} as const;

export type Group = keyof typeof GROUPS;

/** Whether a word is the name of a group. */
export function isGroup(word: string): word is Group {
  return Object.hasOwn(GROUPS, word);
}

type Goal = Measure["goal"];

/** A stream of packets: how much, and at what cost. */
function stream(name: string, title: string, unit: string, speed?: Goal, cpu?: Goal): Measure[] {
  return [
    { name, title, unit, better: "more", ...(speed && { goal: speed }) },
    {
      name: `${name}.cpu`,
      title: `${title}, CPU`,
      unit: "µs/packet",
      better: "less",
      ...(cpu && { goal: cpu }),
    },
  ];
}

/** The TCP streams of one kind of link. */
function streams(prefix: string, note: string, clients: readonly [number, number], native?: number): Measure[] {
  const [speed, cpu] = clients;
  const goals = [{ times: speed }, { times: cpu }] as const;
  const relay = native === undefined ? undefined : { times: native };
  const measures = (["clients", "native"] as const).flatMap((where) =>
    ([["out", "→"], ["back", "←"]] as const).flatMap(([way, arrow]) =>
      ([1, 4] as const).flatMap((flows) => {
        const ends = where === "clients" ? `client ${arrow} client` : `client ${arrow} IPv6 host`;
        const title = `TCP ${ends}, ${flows} flow${flows === 1 ? "" : "s"}${note}`;
        const name = `${prefix}.${where}.${way}.${flows}`;
        return where === "clients" ? stream(name, title, "Mbit/s", ...goals) : stream(name, title, "Mbit/s", relay);
      })
    )
  );
  return measures;
}

/** Router solicitations answered. */
function answers(name: string, title: string, cpu?: Goal, speed?: Goal): Measure[] {
  return [
    { name, title: `${title}, answers`, unit: "1000/s", better: "more", ...(speed && { goal: speed }) },
    { name: `${name}.cpu`, title: `${title}, CPU`, unit: "µs/answer", better: "less", ...(cpu && { goal: cpu }) },
    { name: `${name}.lost`, title: `${title}, not answered`, unit: "%", better: "less" },
  ];
}

/** The table of peers alone. */
function table(size: Size): Measure[] {
  const part = (name: string, title: string, unit: string, goal?: number): Measure => ({
    name: `table.${size}.${name}`,
    title: `table of ${size} peers, ${title}`,
    unit,
    better: "less",
    ...(goal !== undefined && { goal: { figure: goal } }),
  });
  return [
    part("octets", "memory", "octet/peer", 60),
    part("find", "look-up", "ns", 150),
    part("miss", "look-up of a stranger", "ns"),
    part("fill", "time to fill", "ms"),
    part("insert", "insertion", "ns"),
    part("worstFill", "longest 1000 insertions", "ms"),
    part("expiry", "removal when idle", "ns"),
    part("worstExpiry", "longest step of removal", "ms", 1),
  ];
}

/** A relay and its peers. */
function relay(size: Size, resident?: number): Measure[] {
  const part = (name: string, title: string, unit: string, better: Measure["better"] = "less"): Measure => ({
    name: `peers.${size}.${name}`,
    title: `relay, ${size} peers, ${title}`,
    unit,
    better,
  });
  return [
    part("known", "reached", "%", "more"),
    part("delivered", "first packets delivered", "%", "more"),
    part("fill", "time to fill", "s"),
    part("cpu", "CPU", "µs/peer"),
    { ...part("resident", "memory", "MiB"), ...(resident !== undefined && { goal: { figure: resident } }) },
    part("octets", "memory for peers", "octet/peer"),
    part("fillWorst", "longest way of a probe while it fills", "ms"),
    part("middle", "way of a probe, median", "ms"),
    part("p99", "way of a probe, 99 of 100", "ms"),
    part("worst", "longest way of a probe", "ms"),
    part("lost", "probes lost", "probes"),
  ];
}

export const MEASURES: readonly Measure[] = [
  ...streams("tcp", "", [10, 0.1], 8),
  ...streams("unsegmented", ", unsegmented", [5, 0.25]),
  ...stream("udp.64", "UDP flood, 64 octets, received", "kpacket/s", { times: 2 }, { times: 0.5 }),
  ...stream("udp.1200", "UDP flood, 1200 octets, received", "kpacket/s", { times: 2 }, { times: 0.5 }),
  ...stream("paced", "UDP at 20 kpacket/s, 1200 octets, received", "kpacket/s", undefined, { times: 1.1 }),
  { name: "ping", title: "ping every 2 ms, median", unit: "ms", better: "less", goal: { times: 1.1 } },
  { name: "ping.p99", title: "ping every 2 ms, 99 of 100", unit: "ms", better: "less" },
  { name: "ping.lost", title: "ping every 2 ms, lost", unit: "%", better: "less" },
  {
    name: "damaged",
    title: "TCP checksum errors at the receivers",
    unit: "packets",
    better: "less",
    goal: { figure: 0 },
  },
  {
    name: "integrity",
    title: "streams of 4 that arrive otherwise than sent",
    unit: "streams",
    better: "less",
    goal: { figure: 0 },
  },
  { name: "idle.client.resident", title: "idle client, memory", unit: "MiB", better: "less", goal: { figure: 64 } },
  { name: "idle.relay.resident", title: "idle relay, memory", unit: "MiB", better: "less", goal: { figure: 64 } },
  { name: "idle.server.resident", title: "idle server, memory", unit: "MiB", better: "less", goal: { figure: 64 } },
  { name: "idle.client.wakeups", title: "idle client, wake-ups", unit: "/s", better: "less" },
  { name: "idle.relay.wakeups", title: "idle relay, wake-ups", unit: "/s", better: "less" },
  { name: "idle.server.wakeups", title: "idle server, wake-ups", unit: "/s", better: "less" },
  ...answers("server.one", "server, one worker, one address", { times: 0.8 }),
  ...answers("server.two", "server, two workers, both addresses", undefined, { times: 1 }),
  { name: "start", title: "start of a client to its address", unit: "ms", better: "less", goal: { times: 2 } },
  {
    name: "garbage",
    title: "collections of garbage in both clients under TCP",
    unit: "/10 s",
    better: "less",
    goal: { figure: 0 },
  },
  ...table("100k"),
  ...table("1M"),
  ...table("5M"),
  ...relay("100k"),
  ...relay("1M"),
  ...relay("5M", 300),
];
