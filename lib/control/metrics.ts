/**
 * The status as Prometheus text (exposition format 0.0.4). Docs: docs/monitoring.md.
 *
 * Counters end in `_total`, times are seconds, every drop reason is a label of one counter.
 */

import type { HistogramStatus, Status } from "./status.ts";

/** Content type of the text. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** What each metric means; counters not named here explain themselves. */
const HELP: Readonly<Record<string, string>> = {
  info: "Version and role, value always 1",
  start_time_seconds: "Unix time of the start",
  state: "1 for the present state",
  state_since_seconds: "Unix time when the present state began",
  peers: "Peers in the table",
  peers_limit: "Most peers there can be (limits.max_peers)",
  server_round_trip_seconds: "Of the last answer of the Teredo server",
  health: "1 for each health code that is on",
  dropped_total: "Packets dropped, by reason",
  qualification_seconds: "Time from the first solicitation to the address",
  first_packet_seconds: "Time a peer's first packet waited for a path",
};

const STATES: readonly Status["state"][] = [
  "resolving",
  "standby",
  "qualifying",
  "qualified",
  "offline",
  "relaying",
  "serving",
  "restarting",
];

/** All metrics of a daemon. */
export function formatMetrics(status: Status): string {
  const lines: string[] = [];
  const metric = (name: string, type: string, samples: readonly string[]): void => {
    const full = `miredo_${name}`;
    lines.push(
      `# HELP ${full} ${HELP[name] ?? `${name.replace(/_total$/, "").replaceAll("_", " ")}, since the start`}`,
    );
    lines.push(`# TYPE ${full} ${type}`, ...samples.map((sample) => `${full}${sample}`));
  };
  const { role, version } = status;
  metric("info", "gauge", [`${labels({ role, version })} 1`]);
  metric("start_time_seconds", "gauge", [` ${Date.parse(status.started) / 1000}`]);
  metric("state", "gauge", STATES.map((state) => `${labels({ state })} ${state === status.state ? 1 : 0}`));
  metric("state_since_seconds", "gauge", [` ${Date.parse(status.since) / 1000}`]);
  if (status.peers !== null) {
    metric("peers", "gauge", [` ${status.peers.count}`]);
    metric("peers_limit", "gauge", [` ${status.peers.limit}`]);
  }
  const roundTrip = status.server?.round_trip_ms ?? null;
  if (roundTrip !== null) metric("server_round_trip_seconds", "gauge", [` ${roundTrip / 1000}`]);
  metric("health", "gauge", status.health.map(({ code, severity }) => `${labels({ code, severity })} 1`));
  for (const [name, value] of Object.entries(status.counters)) metric(`${name}_total`, "counter", [` ${value}`]);
  metric(
    "dropped_total",
    "counter",
    Object.entries(status.drops).map(([reason, value]) => `${labels({ reason })} ${value}`),
  );
  for (const [name, histogram] of Object.entries(status.histograms)) {
    metric(name, "histogram", histogramSamples(histogram));
  }
  return `${lines.join("\n")}\n`;
}

function histogramSamples({ buckets, count, sum }: HistogramStatus): string[] {
  return [
    ...buckets.map((bucket) => `_bucket${labels({ le: String(bucket.le) })} ${bucket.count}`),
    `_bucket${labels({ le: "+Inf" })} ${count}`,
    `_sum ${sum}`,
    `_count ${count}`,
  ];
}

function labels(values: Readonly<Record<string, string>>): string {
  const escaped = (text: string): string => text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
  return `{${Object.entries(values).map(([name, value]) => `${name}="${escaped(value)}"`).join(",")}}`;
}
