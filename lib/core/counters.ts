/**
 * Counters that machines keep, by name. They live in one array of 64-bit floats (exact to 2^53) so that the data isolate can write
 * them in shared memory while the main isolate reads.
 *
 * Every drop has a name here: nothing is thrown away without being counted. Behind the counters lie histograms, as one cell a bucket (the
 * last takes what is above all bounds) and one for the sum of the values.
 */

/** Names of everything that is counted besides drops. Units: packets or messages unless the name says octets. */
export const COUNTER_NAMES = [
  "tun_rx_packets",
  "tun_rx_octets",
  "tun_tx_packets",
  "tun_tx_octets",
  "udp_rx_datagrams",
  "udp_rx_octets",
  "udp_tx_datagrams",
  "udp_tx_octets",
  "rs_sent",
  "rs_received",
  "ra_sent",
  "ra_received",
  "direct_bubbles_sent",
  "indirect_bubbles_sent",
  "bubbles_received",
  "bubbles_forwarded",
  "discovery_bubbles_sent",
  "discovery_bubbles_received",
  "connectivity_tests_sent",
  "connectivity_tests_passed",
  "echo_forwarded",
  "packets_between_clients",
  "icmpv6_errors_sent",
  "packets_queued",
  "packets_flushed",
  "peers_created",
  "peers_trusted",
  "peers_expired",
  "peers_evicted",
  "peers_unreachable",
  "qualifications",
  "mapping_changes",
] as const;

/** Why a packet was dropped. One name, one test in the code. */
export const DROP_REASONS = [
  // encapsulation (protocol 2.1, 3.1)
  "malformed",
  "trailer-discard",
  // addresses
  "not-global-ipv4",
  "bad-ipv6-source",
  "bad-ipv6-destination",
  "own-address",
  "port-zero",
  "routing-header",
  // client
  "not-qualified",
  "not-own-destination",
  "not-own-source",
  "bad-advertisement",
  "bad-nonce",
  "bad-authentication",
  "spoofed-source",
  "unknown-peer",
  "unproven-peer",
  "bad-discovery",
  "discovery-off",
  "link-local-source",
  "neighbor-discovery",
  "peer-unreachable",
  // queues, tables, limits
  "queue-full",
  "peer-table-full",
  "rate-limited",
  "bubble-limit",
  "expired-in-queue",
  "too-big",
  // relay
  "not-teredo-destination",
  "not-served",
  // server
  "not-bubble-nor-icmpv6",
  "unauthenticated",
  "bad-solicitation",
  "no-secondary-address",
  "oversize-icmpv6",
  "icmpv6-type",
  "foreign-client",
  "no-ipv6",
  "hop-limit",
  "loop",
  // host
  "tun-write-failed",
  "udp-send-failed",
  "truncated",
] as const;

/** Histograms and the upper bounds of their buckets, seconds. */
export const HISTOGRAMS = {
  /** From the first solicitation to the address. */
  qualification_seconds: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
  /** From the first packet for a peer without a path until it goes out. */
  first_packet_seconds: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
} as const;

export type HistogramName = keyof typeof HISTOGRAMS;
export type CounterName = (typeof COUNTER_NAMES)[number];
export type DropReason = (typeof DROP_REASONS)[number];

/** Place of each histogram in the array. */
const histogramAt: ReadonlyMap<string, number> = new Map(placeHistograms());

function placeHistograms(): [string, number][] {
  let at = COUNTER_NAMES.length + DROP_REASONS.length;
  return Object.entries(HISTOGRAMS).map(([name, bounds]) => {
    const place = at;
    at += bounds.length + 2;
    return [name, place];
  });
}

/** Length of the counter array, histograms included. */
export const COUNTER_COUNT: number = COUNTER_NAMES.length + DROP_REASONS.length +
  Object.values(HISTOGRAMS).reduce((cells, bounds) => cells + bounds.length + 2, 0);

const index: ReadonlyMap<string, number> = new Map([...COUNTER_NAMES, ...DROP_REASONS].map((name, i) => [name, i]));

/** Position of a counter in the array, for code that counts on the hot path. */
export function counterIndex(name: CounterName | DropReason): number {
  return index.get(name) ?? -1;
}

/** Counters over an array that the caller owns (shared or not). One writer. */
export class Counters {
  readonly values: Float64Array;

  /** @param values {@link COUNTER_COUNT} numbers */
  constructor(values: Float64Array = new Float64Array(COUNTER_COUNT)) {
    if (values.length !== COUNTER_COUNT) {
      throw new RangeError(`Cannot count in ${values.length} cells: need ${COUNTER_COUNT}`);
    }
    this.values = values;
  }

  /** Adds `n` to the counter at position `at` (see {@link counterIndex}). */
  add(at: number, n: number = 1): void {
    this.values[at] += n;
  }

  /** Counts one of `name`. */
  count(name: CounterName | DropReason): void {
    this.values[counterIndex(name)] += 1;
  }

  /** Takes one value into a histogram. @param elapsed milliseconds */
  observe(name: HistogramName, elapsed: number): void {
    const bounds: readonly number[] = HISTOGRAMS[name];
    const at = histogramAt.get(name) ?? 0;
    const seconds = elapsed / 1000;
    const bucket = bounds.findIndex((bound) => seconds <= bound);
    this.values[at + (bucket < 0 ? bounds.length : bucket)] += 1;
    this.values[at + bounds.length + 1] += seconds;
  }

  /** A histogram's present buckets (how many values lie in each, the last above all bounds) and the sum of its values, seconds. */
  histogram(name: HistogramName): { readonly buckets: readonly number[]; readonly sum: number } {
    const at = histogramAt.get(name) ?? 0;
    const { length } = HISTOGRAMS[name];
    return { buckets: [...this.values.subarray(at, at + length + 1)], sum: this.values[at + length + 1] };
  }

  /** The present value of `name`. */
  get(name: CounterName | DropReason): number {
    return this.values[counterIndex(name)];
  }
}
