/** `ping` of the control socket: echo requests through the machine, with all that can be seen of their way. */

import { RequestError } from "../../control/protocol.ts";
import { formatEndpoint } from "../../wire/ipv4.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import { equalIpv6, formatIpv6, inPrefix, isMulticast, parseIpv6, parseIpv6Prefix } from "../../wire/ipv6_address.ts";
import type { Outcome } from "./control_session.ts";
import type { DataIsolate } from "../threads/data_isolate.ts";
import type { Monitor } from "./monitor.ts";
import type { ProbeStep } from "../data/prober.ts";

/** Most pings at a time: each is looked for in every packet. */
const MAX_PROBES = 8;

const DEFAULTS = { count: 4, interval_ms: 1_000, timeout_ms: 10_000 } as const;
const LIMITS = { count: [1, 10_000], interval_ms: [10, 60_000], timeout_ms: [10, 60_000] } as const;

/** Pings a peer. @throws RequestError */
export async function* ping(monitor: Monitor, params: Readonly<Record<string, unknown>>): AsyncGenerator<Outcome> {
  const peer = typeof params.address === "string" ? parseIpv6(params.address) : undefined;
  if (peer === undefined) throw new RequestError("bad-params", "Cannot ping: address is no IPv6 address");
  const count = number(params, "count");
  const interval = number(params, "interval_ms");
  const timeout = number(params, "timeout_ms");
  const from = sourceFor(monitor, peer);
  const { data, source } = from;
  const id = freeId(data);
  yield { item: { step: "start", from: formatIpv6(source), to: formatIpv6(peer) } };
  const times: number[] = [];
  let last: Readonly<Record<string, unknown>> = {};
  for (let sequence = 1; sequence <= count; sequence++) {
    const begun = performance.now();
    for await (const step of probe(data, { id, sequence, source, peer }, timeout)) {
      const { kind, elapsed, ...rest } = step;
      if (step.kind === "reply") times.push(step.roundTrip);
      if (step.kind === "open" || step.kind === "sent") last = { path: step.path, endpoint: formatEndpoint(step.to) };
      yield { item: { step: kind, sequence, elapsed_ms: rounded(elapsed), ...told(rest) } };
    }
    if (times.length < sequence && sequence === count) break;
    const pause = interval - (performance.now() - begun);
    if (sequence < count && pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
  }
  yield {
    result: {
      sent: count,
      received: times.length,
      ...last,
      ...(times.length === 0 ? {} : {
        min_ms: rounded(Math.min(...times)),
        average_ms: rounded(times.reduce((sum, time) => sum + time, 0) / times.length),
        max_ms: rounded(Math.max(...times)),
      }),
    },
  };
}

/** @throws RequestError when the running role cannot ping that address */
function sourceFor(monitor: Monitor, peer: Ipv6): { readonly data: DataIsolate; readonly source: Ipv6 } {
  const from = monitor.pingSource();
  const words = `Cannot ping ${formatIpv6(peer)}`;
  if (typeof from === "string") throw new RequestError("not-possible", `${words}: ${from}`);
  const prefix = parseIpv6Prefix(from.prefix);
  if (isMulticast(peer, 0)) throw new RequestError("not-possible", `${words}: it is a multicast address`);
  if (equalIpv6(peer, from.source)) throw new RequestError("not-possible", `${words}: it is this daemon's own address`);
  if (prefix !== undefined && !inPrefix(peer, 0, prefix)) {
    throw new RequestError("not-possible", `${words}: a relay reaches ${from.prefix} only`);
  }
  return from;
}

function freeId(data: DataIsolate): number {
  const taken = data.probes;
  if (taken.size >= MAX_PROBES) {
    throw new RequestError("not-possible", `Cannot ping: ${MAX_PROBES} pings are under way already`);
  }
  for (;;) {
    const id = 1 + crypto.getRandomValues(new Uint16Array(1))[0] % 0xffff;
    if (!taken.has(id)) return id;
  }
}

/** The steps of one echo request, until its answer, an end without one, or the time-out. */
async function* probe(
  data: DataIsolate,
  request: { readonly id: number; readonly sequence: number; readonly source: Ipv6; readonly peer: Ipv6 },
  timeout: number,
): AsyncGenerator<ProbeStep | { readonly kind: "timeout"; readonly elapsed: number }> {
  const steps: ProbeStep[] = [];
  let wake = Promise.withResolvers<void>();
  let over = false;
  data.probe(request, (step) => {
    steps.push(step);
    wake.resolve();
  });
  const timer = setTimeout(() => {
    over = true;
    wake.resolve();
  }, timeout);
  try {
    for (;;) {
      for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
        yield step;
        if (step.kind === "reply" || step.kind === "unreachable" || step.kind === "error") return;
        if (step.kind === "dropped") return;
      }
      if (over) {
        yield { kind: "timeout", elapsed: timeout };
        return;
      }
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  } finally {
    clearTimeout(timer);
    data.endProbe(request.id);
  }
}

/** A step as JSON tells it. */
function told(step: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { to, roundTrip, hopLimit, ...rest } = step;
  return {
    ...rest,
    ...(isEndpoint(to) ? { endpoint: formatEndpoint(to) } : {}),
    ...(typeof roundTrip === "number" ? { round_trip_ms: rounded(roundTrip) } : {}),
    ...(typeof hopLimit === "number" ? { hop_limit: hopLimit } : {}),
  };
}

function isEndpoint(value: unknown): value is { readonly address: number; readonly port: number } {
  return typeof value === "object" && value !== null && "address" in value && "port" in value;
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

function number(params: Readonly<Record<string, unknown>>, name: keyof typeof DEFAULTS): number {
  const value = params[name] ?? DEFAULTS[name];
  const [least, most] = LIMITS[name];
  if (typeof value !== "number" || !Number.isFinite(value) || value < least || value > most) {
    throw new RequestError("bad-params", `Cannot ping: ${name} is to be a number from ${least} to ${most}`);
  }
  return value;
}
