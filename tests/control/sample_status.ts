/** A status for tests: a qualified client with one peer and some drops. */

import { healthLine } from "../../lib/control/health.ts";
import type { Status } from "../../lib/control/status.ts";

/** When {@link sampleStatus} was taken, Unix time, milliseconds. */
export const TAKEN_AT = Date.parse("2026-01-02T03:04:17Z");

export const sampleStatus: Status = {
  schema: 1,
  version: "2.0.0",
  role: "client",
  pid: 4711,
  started: "2026-01-02T03:00:00.000Z",
  uptime_seconds: 257,
  state: "qualified",
  since: "2026-01-02T03:04:05.000Z",
  reason: null,
  address: "2001:0:c000:201:1234:62ff:39cc:9bfe",
  server: { address: "192.0.2.1", secondary: "192.0.2.2", round_trip_ms: 24.125, last_heard_seconds: 12 },
  listen: ["0.0.0.0:40211"],
  mapped: "198.51.100.1:40192",
  nat: {
    mapping_varies: "no",
    port_preserved: "no",
    port_numbering: "not checked",
    filtering_open: "not checked",
    hairpin: "not checked",
    refresh_seconds: 30,
  },
  prefix: null,
  interface: { name: "teredo", mtu: 1280 },
  offloads: ["tun-tcp+udp"],
  peers: { count: 1, limit: 1048576 },
  counters: { tun_rx_packets: 3, tun_rx_octets: 1500, udp_rx_datagrams: 5, udp_rx_octets: 2048, rs_sent: 2 },
  drops: { "queue-full": 4, loop: 0 },
  histograms: {
    first_packet_seconds: { buckets: [{ le: 0.1, count: 2 }, { le: 1, count: 3 }], count: 4, sum: 12.5 },
  },
  health: [healthLine("RATE-LIMITED", 'a "b"')],
};
