/** The status as Prometheus text. */

import assert from "node:assert/strict";
import { COUNTER_NAMES, Counters, DROP_REASONS } from "../../lib/core/counters.ts";
import { formatMetrics } from "../../lib/control/metrics.ts";
import { readCounters } from "../../lib/host/control/counter_view.ts";
import { sampleStatus } from "./sample_status.ts";

const SAMPLE = /^miredo_[a-z0-9_]+(?:\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? \S+$/;

Deno.test("every line is a comment or a sample, and every sample stands under the type of its metric", () => {
  let metric = "";
  for (const line of formatMetrics(sampleStatus).trimEnd().split("\n")) {
    const type = /^# TYPE (\S+) (?:counter|gauge|histogram)$/.exec(line);
    if (type !== null) metric = type[1];
    if (line.startsWith("#")) continue;
    assert.match(line, SAMPLE);
    assert.ok(Number.isFinite(Number(line.slice(line.lastIndexOf(" ") + 1))), line);
    const name = /^[a-z0-9_]+/.exec(line)?.[0] ?? "";
    assert.equal(name.replace(/_(?:bucket|sum|count)$/, ""), metric.replace(/_(?:bucket|sum|count)$/, ""), line);
  }
});

Deno.test("counters, states, drops, health and histograms are told as Prometheus wants them", () => {
  const lines = formatMetrics(sampleStatus).split("\n");
  for (
    const line of [
      'miredo_info{role="client",version="2.0.0"} 1',
      'miredo_state{state="qualified"} 1',
      'miredo_state{state="offline"} 0',
      "miredo_peers 1",
      "miredo_server_round_trip_seconds 0.024125",
      'miredo_health{code="RATE-LIMITED",severity="warning"} 1',
      "miredo_rs_sent_total 2",
      'miredo_dropped_total{reason="queue-full"} 4',
      'miredo_dropped_total{reason="loop"} 0',
      'miredo_first_packet_seconds_bucket{le="0.1"} 2',
      'miredo_first_packet_seconds_bucket{le="+Inf"} 4',
      "miredo_first_packet_seconds_sum 12.5",
      "miredo_first_packet_seconds_count 4",
    ]
  ) assert.ok(lines.includes(line), line);
});

Deno.test("every counter and every drop reason of the machines is in the metrics", () => {
  const counters = new Counters();
  counters.observe("first_packet_seconds", 300);
  counters.observe("first_packet_seconds", 60_000);
  const text = formatMetrics({ ...sampleStatus, ...readCounters(counters) });
  for (const name of COUNTER_NAMES) assert.ok(text.includes(`\nmiredo_${name}_total 0\n`), name);
  for (const reason of DROP_REASONS) assert.ok(text.includes(`\nmiredo_dropped_total{reason="${reason}"} 0\n`), reason);
  assert.ok(text.includes('miredo_first_packet_seconds_bucket{le="0.2"} 0\n'));
  assert.ok(text.includes('miredo_first_packet_seconds_bucket{le="0.5"} 1\n'));
  assert.ok(text.includes('miredo_first_packet_seconds_bucket{le="10"} 1\n'));
  assert.ok(text.includes('miredo_first_packet_seconds_bucket{le="+Inf"} 2\n'));
});
