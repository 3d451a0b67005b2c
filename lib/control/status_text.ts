/**
 * The status as people read it. First what a worried user asks first: state, what is wrong, address, server, NAT; numbers come last.
 *
 * ```
 *   miredo client: qualified for 4 min 12 s
 *
 *   address    2001:0:c000:201:2ce5:...
 *   server     192.0.2.1, answers in 24.1 ms, heard 12 s ago
 *   ...
 * ```
 */

import type { HealthLine } from "./health.ts";
import type { Finding, NatStatus, PeerStatus, Status } from "./status.ts";
import { STATUS_SCHEMA } from "./status.ts";
import { duration, folded, grouped, milliseconds, scaled, shownLength } from "./words.ts";

/** Paints text, or does not. */
export type Paint = (text: string, colour: "good" | "bad" | "warn" | "dim" | "bold") => string;

/** SGR parameters (ECMA-48 8.3.117). */
const SGR = { good: "32", bad: "31", warn: "33", dim: "2", bold: "1" } as const;

/** @param colours false: plain text */
export function painter(colours: boolean): Paint {
  return (text, colour) => (colours ? `\x1b[${SGR[colour]}m${text}\x1b[0m` : text);
}

/** Width of labels, characters. */
const LABEL_WIDTH = 10;

/** Lines as a terminal of that many columns takes them; `Infinity` for a pipe. */
export function fitted(lines: readonly string[], columns: number): string[] {
  return lines.flatMap((line) => folded(line, columns, LABEL_WIDTH + 1));
}

/** Counters shown as traffic, not in the list. */
const TRAFFIC = /^(?:tun|udp)_[rt]x_/;

/** Whether a value that came over the socket is a status that this program understands. */
export function isStatus(value: unknown): value is Status {
  return typeof value === "object" && value !== null && "schema" in value && value.schema === STATUS_SCHEMA &&
    "health" in value && Array.isArray(value.health) && "counters" in value && "drops" in value;
}

/** A line of status. */
export function row(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)} ${text}`;
}

/** The first line. @param now Unix time, milliseconds */
export function headline(status: Status, paint: Paint, now: number): string {
  const colour = status.health.some(({ severity }) => severity === "error")
    ? "bad"
    : ["qualified", "relaying", "serving"].includes(status.state)
    ? "good"
    : "warn";
  const age = duration((now - Date.parse(status.since)) / 1000);
  const reason = status.reason === null || status.state === "qualified" ? "" : ` (${status.reason})`;
  return `${paint(`miredo ${status.role}`, "bold")}: ${paint(status.state, colour)}${reason} for ${age}`;
}

/** What is wrong, and what to do. */
export function healthText(health: readonly HealthLine[], paint: Paint): string[] {
  return health.flatMap(({ code, severity, text, action }) => [
    `${paint(severity.padEnd(LABEL_WIDTH), severity === "error" ? "bad" : "warn")} ${paint(code, "bold")} ${text}`,
    row("", paint(action, "dim")),
  ]);
}

/** Who and where: everything but counters. */
export function factsText(status: Status): string[] {
  const lines: string[] = [];
  const { server, nat, peers } = status;
  if (status.role === "client") lines.push(row("address", status.address ?? "none"));
  if (server !== null) {
    const second = server.secondary === null ? "" : ` and ${server.secondary}`;
    const answers = server.round_trip_ms === null
      ? "no answer yet"
      : `answers in ${roundTripText(server.round_trip_ms)}`;
    const heard = server.last_heard_seconds === null ? "" : `, heard ${duration(server.last_heard_seconds)} ago`;
    lines.push(row("server", `${server.address}${second}, ${answers}${heard}`));
  }
  if (status.mapped !== null) lines.push(row("mapped", `${status.mapped}, from local ${status.listen.join(" and ")}`));
  else if (status.listen.length > 0) lines.push(row("listens", status.listen.join(" and ")));
  if (nat !== null) lines.push(row("NAT", natText(nat)), row("refresh", `every ${nat.refresh_seconds} s`));
  if (status.prefix !== null) lines.push(row("prefix", status.prefix));
  if (status.interface !== null) lines.push(row("interface", `${status.interface.name}, MTU ${status.interface.mtu}`));
  lines.push(row("offloads", status.offloads.length === 0 ? "none" : status.offloads.join(", ")));
  if (peers !== null) lines.push(row("peers", `${grouped(peers.count)} of at most ${grouped(peers.limit)}`));
  lines.push(row("process", `${status.pid}, miredo ${status.version}, up ${duration(status.uptime_seconds)}`));
  return lines;
}

/** The clock of the machine has whole milliseconds. */
function roundTripText(value: number): string {
  return value < 1 ? "less than 1 ms" : milliseconds(value).replace(/\.\d+ ms$/, " ms");
}

function natText(nat: NatStatus): string {
  const words = (finding: Finding, yes: string, no: string, what: string): string =>
    finding === "not checked" ? `${what} not checked` : finding === "yes" ? yes : no;
  return [
    words(nat.mapping_varies, "mapping varies by destination (symmetric)", "mapping is the same for all", "mapping"),
    words(nat.port_preserved, "keeps the port", "changes the port", "port"),
    ...(nat.port_preserved === "no" && nat.port_numbering !== "not checked" ? [`${nat.port_numbering} ports`] : []),
    words(nat.filtering_open, "lets strangers in", "keeps strangers out", "filtering"),
    words(nat.hairpin, "hairpins", "does not hairpin", "hairpin"),
  ].join(", ");
}

/** Traffic, counters and drops that are not zero. */
export function countersText(status: Status, paint: Paint): string[] {
  const { counters, drops } = status;
  const traffic = (label: string, prefix: string, unit: string): string =>
    row(
      label,
      ["rx", "tx"].map((way) => {
        const packets = counters[`${prefix}_${way}_${unit}`] ?? 0;
        const octets = counters[`${prefix}_${way}_octets`] ?? 0;
        return `${way === "rx" ? "in" : "out"} ${grouped(packets)} (${scaled(octets, "B")})`;
      }).join(", "),
    );
  const lines = [traffic("datagrams", "udp", "datagrams")];
  if (status.role !== "server") lines.unshift(traffic("packets", "tun", "packets"));
  const shown = (title: string, values: Readonly<Record<string, number>>): void => {
    const some = Object.entries(values).filter(([name, value]) => value !== 0 && !TRAFFIC.test(name));
    if (some.length === 0) return;
    lines.push("", paint(title, "bold"));
    const width = Math.max(...some.map(([name]) => name.length));
    for (const [name, value] of some) lines.push(`  ${name.replaceAll("_", " ").padEnd(width)} ${grouped(value)}`);
  };
  shown("counters", counters);
  shown("dropped", drops);
  return lines;
}

/** The two last columns of a list of peers: their titles, and what stands there. */
export interface PeerTraffic {
  readonly titles: readonly [string, string];
  readonly of: (peer: PeerStatus) => readonly [string, string];
}

const PACKETS: PeerTraffic = {
  titles: ["packets in", "out"],
  of: (peer) => [grouped(peer.rx_packets), grouped(peer.tx_packets)],
};

/** The first column that holds numbers. */
const NUMBERS_FROM = 4;

/** Peers as columns, in the order given. Where those are wider than the terminal, what follows the address stands below it. */
export function peersText(
  peers: readonly PeerStatus[],
  paint: Paint,
  columns: number,
  { titles, of }: PeerTraffic = PACKETS,
): string[] {
  if (peers.length === 0) return ["no peers"];
  const head = ["endpoint", "path", "state", "heard", ...titles];
  const rows = peers.map((peer) => [
    peer.endpoint ?? "-",
    peer.path,
    peer.state,
    peer.state === "silent" || peer.state === "negotiating" ? "never" : `${duration(peer.last_heard_seconds)} ago`,
    ...of(peer),
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((cells) => cells[i].length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => i < NUMBERS_FROM ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join("  ");
  const addressWidth = Math.max(...peers.map(({ address }) => address.length));
  if (addressWidth + 2 + shownLength(line(head)) <= columns) {
    return [
      paint(`${"peer".padEnd(addressWidth)}  ${line(head)}`, "bold"),
      ...rows.map((cells, i) => `${peers[i].address.padEnd(addressWidth)}  ${line(cells)}`),
    ];
  }
  return [
    paint("peer", "bold"),
    paint(`  ${line(head)}`, "bold"),
    ...rows.flatMap((cells, i) => [peers[i].address, `  ${line(cells)}`]),
  ];
}

/**
 * The whole status, the peers last heard first.
 * @param now Unix time, milliseconds
 * @param columns width of the terminal; `Infinity` for a pipe
 */
export function statusText(status: Status, paint: Paint, now: number, columns: number): string {
  const list = status.peers?.list?.toSorted((a, b) => a.last_heard_seconds - b.last_heard_seconds);
  const blocks = [
    [headline(status, paint, now)],
    fitted(healthText(status.health, paint), columns),
    fitted(factsText(status), columns),
    countersText(status, paint),
    list === undefined ? [] : peersText(list, paint, columns),
  ];
  return blocks.filter((lines) => lines.length > 0).map((lines) => `${lines.join("\n")}\n`).join("\n");
}
