/** Everything that is measured, in the order of the report, with what ours is to reach. */

import type { Measure } from "./results.ts";

/** Parts of the benchmark that can be run by themselves, and what each is about. */
export const GROUPS = {
  tcp: "TCP from client to client through two NATs",
  relay: "TCP between a client and an IPv6 host, through the relay",
  unsegmented: "the same with tx-udp-segmentation off on every link",
  udp: "UDP floods and paced UDP from client to client",
  ping: "echo requests every 2 ms from client to client",
  mixed: "one end ours, the other Debian's",
  idle: "memory and wake-ups of programs with nothing to do",
  start: "from the start of a client to its address",
  server: "router solicitations answered",
  table: "the table of peers by itself",
  peers: "a relay with many peers",
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
      title: `${title}, processor, both ends`,
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
  { name: "idle.client.resident", title: "idle client, memory", unit: "MiB", better: "less", goal: { figure: 64 } },
  { name: "idle.relay.resident", title: "idle relay, memory", unit: "MiB", better: "less", goal: { figure: 64 } },
  { name: "idle.server.resident", title: "idle server, memory", unit: "MiB", better: "less", goal: { figure: 64 } },
  { name: "idle.client.wakeups", title: "idle client, wake-ups", unit: "/s", better: "less" },
  { name: "idle.relay.wakeups", title: "idle relay, wake-ups", unit: "/s", better: "less" },
  { name: "idle.server.wakeups", title: "idle server, wake-ups", unit: "/s", better: "less" },
  { name: "start", title: "start of a client to its address", unit: "ms", better: "less", goal: { times: 2 } },
];
