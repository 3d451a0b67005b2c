/**
 * `miredo status --watch`: the status once a second. In a terminal on a screen of its own, which is left as it was; elsewhere a line each time.
 */

import {
  factsText,
  fitted,
  headline,
  healthText,
  type Paint,
  painter,
  peersText,
  type PeerTraffic,
  row,
} from "../control/status_text.ts";
import type { PeerStatus, Status } from "../control/status.ts";
import { grouped, milliseconds, scaled, sparkline } from "../control/words.ts";
import type { ControlClient } from "../host/control/control_client.ts";
import { askStatus } from "./daemons.ts";
import { ExitCode } from "./exit_code.ts";
import { answer, terminalSize } from "./output.ts";

const INTERVAL = 1_000;
/** Rates kept for plots, one an interval. */
const HISTORY = 240;

/** Sequences of xterm and its kin: a screen of its own without cursor, and back. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

const FIRST_ROW_WIDTH = 11;

/** Facts that are shown even in a small terminal, by their labels. */
const BRIEF_FACTS = ["address", "server", "listens", "prefix", "peers"];

/** Rows for peers that are shown even in a small terminal, where they were asked for. */
const LEAST_PEERS = 6;

/** What is plotted: title, unit, and what grows. */
const PLOTS: readonly { readonly title: string; readonly unit: string; readonly count: (status: Status) => number }[] =
  [
    { title: "in", unit: "bit/s", count: ({ counters }) => 8 * (counters.udp_rx_octets ?? 0) },
    { title: "out", unit: "bit/s", count: ({ counters }) => 8 * (counters.udp_tx_octets ?? 0) },
    { title: "in", unit: "packets/s", count: ({ counters }) => counters.udp_rx_datagrams ?? 0 },
    { title: "out", unit: "packets/s", count: ({ counters }) => counters.udp_tx_datagrams ?? 0 },
    { title: "new peers", unit: "/s", count: ({ counters }) => counters.peers_created ?? 0 },
    { title: "dropped", unit: "/s", count: ({ drops }) => sum(drops) },
  ];

function sum(values: Readonly<Record<string, number>>): number {
  return Object.values(values).reduce((total, value) => total + value, 0);
}

/** Rates of one daemon, from statuses as they come. */
class Rates {
  readonly #series: number[][] = PLOTS.map(() => []);
  #last: { readonly status: Status; readonly at: number } | undefined;
  #drops: ReadonlyMap<string, number> = new Map();
  #peers: ReadonlyMap<string, PeerStatus> = new Map();
  #peersBefore: ReadonlyMap<string, PeerStatus> = new Map();
  #seconds = 1;

  add(status: Status, at: number): void {
    const last = this.#last;
    this.#last = { status, at };
    this.#peersBefore = this.#peers;
    this.#peers = new Map((status.peers?.list ?? []).map((peer) => [peer.address, peer]));
    // A restart begins from nothing.
    if (last === undefined || last.status.started !== status.started) return;
    const seconds = this.#seconds = Math.max((at - last.at) / 1000, 0.001);
    PLOTS.forEach(({ count }, i) => {
      this.#series[i].push(Math.max(0, (count(status) - count(last.status)) / seconds));
      if (this.#series[i].length > HISTORY) this.#series[i].shift();
    });
    this.#drops = new Map(
      Object.entries(status.drops).map((
        [reason, count],
      ) => [reason, (count - (last.status.drops[reason] ?? 0)) / seconds]),
    );
  }

  series(plot: number): readonly number[] {
    return this.#series[plot];
  }

  /** The latest rate of a plot. */
  latest(plot: number): number {
    return this.#series[plot].at(-1) ?? 0;
  }

  /** Packets per second from and to a peer; 0 for one that was not there before. */
  peer(peer: PeerStatus): { readonly rx: number; readonly tx: number } {
    const before = this.#peersBefore.get(peer.address) ?? peer;
    // The counts begin anew at 2^32.
    const rate = (now: number, then: number): number => ((now - then) >>> 0) / this.#seconds;
    return { rx: rate(peer.rx_packets, before.rx_packets), tx: rate(peer.tx_packets, before.tx_packets) };
  }

  dropRate(reason: string): number {
    return this.#drops.get(reason) ?? 0;
  }
}

/** Shows until interrupted. @returns the exit code @throws NotRunning when a daemon ends */
export async function watchStatus(clients: readonly ControlClient[], json: boolean, peers: boolean): Promise<number> {
  const rates = clients.map(() => new Rates());
  const live = !json && Deno.stdout.isTerminal();
  const ended = Promise.withResolvers<"ended">();
  const end = (): void => ended.resolve("ended");
  Deno.addSignalListener("SIGINT", end);
  Deno.addSignalListener("SIGTERM", end);
  try {
    if (live) answer(ENTER);
    for (let due = performance.now();;) {
      const statuses: Status[] = [];
      for (const [i, client] of clients.entries()) {
        const status = await askStatus(client, peers);
        rates[i].add(status, performance.now());
        statuses.push(status);
      }
      if (json) { for (const status of statuses) answer(`${JSON.stringify(status)}\n`); }
      else if (live) draw(statuses, rates);
      else statuses.forEach((status, i) => answer(`${plainLine(status, rates[i])}\n`));
      due += INTERVAL;
      if (await Promise.race([pause(due - performance.now()), ended.promise]) === "ended") return ExitCode.ok;
    }
  } finally {
    if (live) answer(LEAVE);
    Deno.removeSignalListener("SIGINT", end);
    Deno.removeSignalListener("SIGTERM", end);
  }
}

/** Resolves after that many milliseconds. */
function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)));
}

function plainLine(status: Status, rates: Rates): string {
  const codes = status.health.map(({ code }) => code).join(",");
  return [
    new Date().toISOString(),
    status.role,
    status.state,
    `in=${scaled(rates.latest(0), "bit/s")}`,
    `out=${scaled(rates.latest(1), "bit/s")}`,
    ...(status.peers === null ? [] : [`peers=${status.peers.count}`]),
    `dropped=${sum(status.drops)}`,
    ...(codes === "" ? [] : [`health=${codes}`]),
  ].join("  ");
}

function draw(statuses: readonly Status[], rates: readonly Rates[]): void {
  const { columns, rows } = terminalSize();
  const room = Math.floor((rows - 1) / statuses.length);
  const lines = statuses.flatMap((status, i) => [...frame(status, rates[i], columns, room - 1), ""]);
  const shown = lines.slice(0, rows - 1);
  shown.push(painter(!Deno.noColor)("Ctrl-C ends", "dim"));
  answer(`${HOME}${shown.map((line) => `${cut(line, columns)}${CLEAR_LINE}`).join("\r\n")}${CLEAR_BELOW}`);
}

/** All lines of one daemon, the facts that never change left out where there is no room for all. */
function frame(status: Status, rates: Rates, columns: number, room: number): string[] {
  const paint = painter(!Deno.noColor);
  const facts = factsText(status);
  const above = [[headline(status, paint, Date.now())], fitted(healthText(status.health, paint), columns)];
  const below = [plotLines(status, rates, columns, paint), dropLines(status, rates, paint), firstLines(status)];
  const least = LEAST_PEERS * Math.min(1, status.peers?.list?.length ?? 0);
  const whole = [...above, fitted(facts, columns), ...below];
  const fits = height(whole) + least <= room;
  const brief = facts.filter((line) => BRIEF_FACTS.some((label) => line.startsWith(label)));
  const blocks = fits ? whole : [...above, fitted(brief, columns), ...below];
  const peers = peerLines(status, rates, columns, paint, room - height(blocks));
  return [...blocks.slice(0, 4), peers, ...blocks.slice(4)].filter((lines) => lines.length > 0)
    .flatMap((lines, i) => i === 0 ? lines : ["", ...lines]);
}

/** Rows that blocks take, one between them. */
function height(blocks: readonly (readonly string[])[]): number {
  return blocks.filter((lines) => lines.length > 0).reduce((rows, lines) => rows + lines.length + 1, 0);
}

function plotLines(status: Status, rates: Rates, columns: number, paint: Paint): string[] {
  const width = Math.max(10, Math.min(60, columns - 2 * FIRST_ROW_WIDTH - 10));
  return PLOTS.flatMap(({ title, unit }, i) => {
    if (status.peers === null && title === "new peers") return [];
    const now = scaled(rates.latest(i), unit).padStart(FIRST_ROW_WIDTH + 5);
    return [
      `${row(title, now)} ${paint(sparkline(rates.series(i), width), title === "dropped" ? "warn" : "good")}`,
    ];
  });
}

/** Those with the most traffic, as many as fit. */
function peerLines(status: Status, rates: Rates, columns: number, paint: Paint, room: number): string[] {
  const list = status.peers?.list;
  if (list === undefined) return [];
  const busiest = list.toSorted((a, b) => {
    const [x, y] = [rates.peer(a), rates.peer(b)];
    return y.rx + y.tx - x.rx - x.tx || a.last_heard_seconds - b.last_heard_seconds;
  });
  const traffic: PeerTraffic = {
    titles: ["packets in/s", "out/s"],
    of: (peer) => {
      const { rx, tx } = rates.peer(peer);
      return [rx.toFixed(0), tx.toFixed(0)];
    },
  };
  const most = Math.max(LEAST_PEERS, room - 1);
  const lines = peersText(busiest.slice(0, most), paint, columns, traffic);
  // Two rows for each peer where one is too narrow: none of them alone.
  return lines.slice(0, lines.length > busiest.length + 1 ? most - most % 2 : most);
}

function dropLines(status: Status, rates: Rates, paint: Paint): string[] {
  const drops = Object.entries(status.drops).filter(([, count]) => count > 0).toSorted(([a, x], [b, y]) =>
    rates.dropRate(b) - rates.dropRate(a) || y - x
  );
  if (drops.length === 0) return [];
  return [
    paint("dropped by reason", "bold"),
    ...drops.map(([reason, count]) =>
      `  ${reason.padEnd(24)} ${grouped(count).padStart(12)} ${scaled(rates.dropRate(reason), "/s").padStart(10)}`
    ),
  ];
}

function firstLines({ histograms: { first_packet_seconds: first } }: Status): string[] {
  if (first === undefined || first.count === 0) return [];
  const words = milliseconds(1000 * first.sum / first.count);
  return [row("first", `a peer's first packet waited ${words} on average (${grouped(first.count)})`)];
}

/** The first `columns` characters as they show; colour sequences take no room. */
function cut(line: string, columns: number): string {
  let shown = 0;
  let text = "";
  // deno-lint-ignore no-control-regex
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (part.startsWith("\x1b")) {
      text += part;
      continue;
    }
    const room = columns - shown;
    const piece = [...part].slice(0, Math.max(0, room));
    shown += piece.length;
    text += piece.join("");
  }
  return text;
}
