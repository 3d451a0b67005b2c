/** Loads between two hosts: iperf3 streams and floods, and pings. */

import { attempt, until } from "./command.ts";
import type { Host } from "./network.ts";
import { Program } from "./process.ts";

const IPERF_PORT = 5201;

/** Time beyond a load's own that its tool may take, milliseconds. */
const SLACK = 8000;

/** What crossed, as its receiver counted. */
export interface Crossed {
  readonly octets: number;
  readonly seconds: number;
  /** Datagrams; 0 for TCP. */
  readonly datagrams: number;
}

/** An iperf3 server on a host; loads run against it one after another. */
export async function listen(host: Host): Promise<Program> {
  const program = new Program(host.inside(["iperf3", "-s", "-p", String(IPERF_PORT)]));
  const hex = IPERF_PORT.toString(16).toUpperCase().padStart(4, "0");
  const listening = new RegExp(`:${hex} 0+:0000 0A `, "m");
  const up = await until(() => {
    try {
      return listening.test(Deno.readTextFileSync(`/proc/${program.pid}/net/tcp6`));
    } catch {
      return false;
    }
  }, 5000);
  if (up) return program;
  await program.stop();
  throw new Error(`Cannot start iperf3 on "${host.name}": ${program.tail}`);
}

/** Reads a number out of a report by its path, 0 where there is none. */
function numberAt(value: unknown, ...path: string[]): number {
  let here = value;
  for (const key of path) {
    if (typeof here !== "object" || here === null) return 0;
    here = Reflect.get(here, key);
  }
  return typeof here === "number" ? here : 0;
}

async function iperf(from: Host, to: string, seconds: number, args: readonly string[]): Promise<unknown> {
  const argv = ["iperf3", "-6", "-c", to, "-p", String(IPERF_PORT), "-t", String(seconds), "-J", ...args];
  const { code, stdout, stderr } = await attempt(from.inside(argv), { limit: seconds * 1000 + SLACK });
  let report: unknown;
  try {
    report = JSON.parse(stdout);
  } catch {
    report = undefined;
  }
  if (code === 0 && report !== undefined) return report;
  const error = typeof report === "object" && report !== null ? Reflect.get(report, "error") : undefined;
  throw new Error(
    `Cannot load "${to}" from "${from.name}": ${String(error ?? (stderr.trim() || `exit code ${code}`))}`,
  );
}

/**
 * TCP as fast as it goes.
 * @param back the data flows from `to` to the caller
 */
export async function tcp(from: Host, to: string, seconds: number, flows: number, back = false): Promise<Crossed> {
  const report = await iperf(from, to, seconds, ["-P", String(flows), ...(back ? ["-R"] : [])]);
  return {
    octets: numberAt(report, "end", "sum_received", "bytes"),
    seconds: numberAt(report, "end", "sum_received", "seconds"),
    datagrams: 0,
  };
}

/**
 * UDP datagrams.
 * @param length octets of payload each
 * @param perSecond how many; 0: as many as the sender can. iperf3 sends what is due once a millisecond
 */
export async function udp(
  from: Host,
  to: string,
  seconds: number,
  length: number,
  perSecond: number,
): Promise<Crossed> {
  const report = await iperf(from, to, seconds, ["-u", "-l", String(length), "-b", String(perSecond * length * 8)]);
  const sum = numberAt(report, "end", "sum", "packets");
  const received = sum - numberAt(report, "end", "sum", "lost_packets");
  return { octets: received * length, seconds: numberAt(report, "end", "sum", "seconds"), datagrams: received };
}

/** Round-trip times, milliseconds. */
export interface Ping {
  readonly sent: number;
  readonly times: readonly number[];
}

/** Echo requests in a steady beat. @param interval between two, milliseconds */
export async function ping(from: Host, to: string, count: number, interval: number): Promise<Ping> {
  const argv = ["ping", "-6", "-n", "-c", String(count), "-i", String(interval / 1000), "-W", "1", to];
  const { stdout } = await attempt(from.inside(argv), { limit: count * interval + SLACK });
  return { sent: count, times: Array.from(stdout.matchAll(/time=([\d.]+) ms/g), (match) => Number(match[1])) };
}

/** Pings until an answer comes: both ends then know each other. */
export async function reach(from: Host, to: string): Promise<void> {
  const there = await until(
    async () => {
      const { code } = await attempt(from.inside(["ping", "-6", "-n", "-c", "1", "-W", "1", to]));
      return code === 0;
    },
    10_000,
    100,
  );
  if (!there) throw new Error(`Cannot reach "${to}" from "${from.name}"`);
}
