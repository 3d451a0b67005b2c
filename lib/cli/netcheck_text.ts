/**
 * What a network check found, as people and programs read it.
 *
 * ```
 *   this host               outside the NAT            server
 *   192.168.1.2:40001 --+-- 198.51.100.1:40001 --+-- 192.0.2.1:3544  21.0 ms
 *                       |                        +-- 192.0.2.2:3544  22.4 ms
 *                       +-- ?                    --X 203.0.113.1:3544  no answer
 * ```
 */

import {
  type AddressReport,
  invalidWords,
  judge,
  type LifetimeFinding,
  type NetcheckReport,
  type PortFinding,
  sameEndpoint,
  type Verdict,
  type YesNo,
} from "../core/netcheck/netcheck_report.ts";
import { folded, milliseconds } from "../control/words.ts";
import type { Paint } from "../control/status_text.ts";
import type { NetcheckResult } from "../host/tools/netcheck.ts";
import { type Endpoint, formatEndpoint, formatIpv4 } from "../wire/ipv4.ts";
import { TEREDO_PORT } from "../wire/teredo_address.ts";

/** Width of the labels, characters. */
const LABEL_WIDTH = 13;

/** What the pieces of the path are called. */
const HOST = "this host";
const NAT = "outside the NAT";
const SERVER = "server";

/** One line of the picture. */
interface PathLine {
  /** Undefined: the server did not answer. */
  readonly mapped: Endpoint | undefined;
  readonly server: string;
  readonly words: string;
}

/** The whole answer. @param columns width of the terminal; `Infinity` for a pipe */
export function netcheckText(result: NetcheckResult, paint: Paint, columns: number): string {
  const { report, unresolved, nativeIpv6 } = result;
  const verdict = verdictOf(result);
  const colour = { yes: "good", limited: "warn", no: "bad" } as const;
  const lines = [...pathLines(report, columns), ...unresolved.map(({ reason }) => reason), ""];
  const row = (label: string, words: string): void =>
    void lines.push(...folded(`${label.padEnd(LABEL_WIDTH)} ${words}`, columns, LABEL_WIDTH + 1));
  row("UDP", report.udp === "not-checked" ? "no answer from any server" : report.udp);
  row("NAT", plain(report.nat));
  row("mapping", MAPPING[report.mapping]);
  row("ports", portWords(report.ports));
  row("filtering", FILTERING[report.filtering]);
  row("hairpinning", hairpinWords(report));
  row("lifetime", lifetimeWords(report.lifetime));
  row("bubbles", BUBBLES[report.bubbles]);
  row("native IPv6", plain(nativeIpv6));
  lines.push("", ...folded(`${verdict.words}.`, columns, 0).map((line) => paint(line, colour[verdict.teredo])));
  return `${lines.join("\n")}\n`;
}

/** The verdict, names that did not resolve among the reasons. */
export function verdictOf({ report, unresolved }: NetcheckResult): Verdict {
  if (report.servers.length > 0 || unresolved.length === 0) return judge(report);
  return { teredo: "no", words: `Teredo cannot work here: no server name leads to an address` };
}

const MAPPING = {
  "endpoint-independent": "the same for every destination (endpoint-independent)",
  "endpoint-dependent": "another for each destination (symmetric NAT)",
  "not-checked": "not checked (needs two server addresses that answer)",
} as const;

const FILTERING = {
  "endpoint-independent": "lets everybody in (endpoint-independent)",
  "address-dependent-or-stricter": "lets in only who was written to (address-dependent or stricter)",
  "not-checked": "not checked",
} as const;

const BUBBLES = {
  yes: "carried by the server",
  no: "not carried by the server",
  "not-checked": "not checked",
} as const;

function plain(finding: YesNo): string {
  return finding === "not-checked" ? "not checked" : finding;
}

function portWords(ports: PortFinding): string {
  switch (ports.kind) {
    case "preserving":
      return "kept where they are free (preserving)";
    case "sequential":
      return `counted in steps of ${ports.step} (sequential)`;
    case "random":
      return "without order (random)";
    case "not-checked":
      return "not checked";
  }
}

function hairpinWords({ hairpin, hairpinSource, nat }: NetcheckReport): string {
  if (hairpin === "yes") return `yes, with the ${hairpinSource} address as source`;
  if (hairpin === "not-checked" && nat === "no") return "not checked (there is no NAT)";
  // A host takes no packet from outside that has its own address as source: that kind cannot be seen.
  if (hairpin === "no") return "no, at least not with the external address as source";
  return plain(hairpin);
}

function lifetimeWords(lifetime: LifetimeFinding | undefined): string {
  if (lifetime === undefined) return "not checked (--lifetime measures it, in up to 5 minutes)";
  const seconds = (value: number): string => `${Math.ceil(value / 1000)} s`;
  if (lifetime.dead === undefined) return `an idle mapping lives ${seconds(lifetime.alive)} at least`;
  if (lifetime.alive === 0) return `an idle mapping dies in less than ${seconds(lifetime.dead)}`;
  return `an idle mapping lives ${seconds(lifetime.alive)} at least, and less than ${seconds(lifetime.dead)}`;
}

/** The picture, or the same in words where the terminal is too narrow. */
function pathLines(report: NetcheckReport, columns: number): string[] {
  const picture = drawPath(report);
  if (picture.every((line) => line.length <= columns)) return picture;
  return pathsOf(report).flatMap(({ mapped, server, words }) => [
    `${server}  ${words}`,
    ...(mapped === undefined ? [] : [`  sees ${formatEndpoint(mapped)}`]),
  ]);
}

/** The picture: host, NAT, servers. */
export function drawPath(report: NetcheckReport): string[] {
  const paths = pathsOf(report);
  if (paths.length === 0) return [];
  const groups: { mapped: Endpoint | undefined; lines: PathLine[] }[] = [];
  for (const line of paths.toSorted((a, b) => Number(a.mapped === undefined) - Number(b.mapped === undefined))) {
    const group = groups.find(({ mapped }) => mapped === line.mapped || sameMapping(mapped, line.mapped));
    if (group === undefined) groups.push({ mapped: line.mapped, lines: [line] });
    else group.lines.push(line);
  }
  const host = report.local.address === 0 ? `port ${report.local.port}` : formatEndpoint(report.local);
  const outside = groups.map(({ mapped }) => mapped === undefined ? "?" : formatEndpoint(mapped));
  const hostWidth = Math.max(HOST.length, host.length);
  const natWidth = Math.max(NAT.length, ...outside.map((text) => text.length));
  const serverWidth = Math.max(...paths.map(({ server }) => server.length));
  const drawn = [`${HOST.padEnd(hostWidth)}     ${NAT.padEnd(natWidth)}     ${SERVER}`];
  groups.forEach(({ mapped, lines }, g) => {
    lines.forEach(({ server, words }, l) => {
      const left = g === 0 && l === 0 ? host : "";
      const middle = l === 0 ? outside[g] : "";
      const first = connector(groups.length, g, l);
      const second = mapped === undefined ? " --X " : connector(lines.length, l, 0);
      const end = `${server.padEnd(serverWidth)}  ${words}`;
      drawn.push(`${left.padEnd(hostWidth)}${first}${middle.padEnd(natWidth)}${second}${end}`.trimEnd());
    });
  });
  return drawn;
}

function pathsOf(report: NetcheckReport): PathLine[] {
  return report.servers.flatMap(({ primary, secondary }) =>
    [primary, secondary].filter((each) => each !== undefined).map((address) => pathLine(address))
  );
}

/** The line from the left to branch `branch` of `branches`, in the first or a later row of that branch. */
function connector(branches: number, branch: number, row: number): string {
  if (row > 0) return branch < branches - 1 ? "  |  " : "     ";
  if (branches === 1) return " --- ";
  return branch === 0 ? " -+- " : "  +- ";
}

function sameMapping(a: Endpoint | undefined, b: Endpoint | undefined): boolean {
  return a !== undefined && b !== undefined && sameEndpoint(a, b);
}

function pathLine({ address, mapped, roundTrip, invalid, fault }: AddressReport): PathLine {
  const server = formatEndpoint({ address, port: TEREDO_PORT });
  if (mapped !== undefined) return { mapped, server, words: milliseconds(roundTrip ?? 0) };
  return { mapped, server, words: invalid === undefined ? fault ?? "no answer" : invalidWords(invalid) };
}

/** The answer for programs. */
export function netcheckJson(result: NetcheckResult): string {
  const { report, unresolved, nativeIpv6 } = result;
  const endpoint = (value: Endpoint | undefined): { readonly address: string; readonly port: number } | null =>
    value === undefined || value.address === 0 ? null : { address: formatIpv4(value.address), port: value.port };
  const address = (value: AddressReport) => ({
    address: formatIpv4(value.address),
    mapped: endpoint(value.mapped),
    rtt_ms: value.roundTrip ?? null,
    problem: value.mapped !== undefined ? null : value.invalid ?? value.fault ?? "no answer",
  });
  const verdict = verdictOf(result);
  const all = {
    schema: 1,
    teredo: verdict.teredo,
    verdict: verdict.words,
    local: endpoint(report.local),
    servers: report.servers.map(({ name, primary, secondary, mtu }) => ({
      name,
      primary: address(primary),
      secondary: secondary === undefined ? null : address(secondary),
      mtu: mtu ?? null,
    })),
    unresolved,
    udp: report.udp,
    nat: report.nat,
    mapping: report.mapping,
    ports: report.ports,
    filtering: report.filtering,
    hairpin: report.hairpin,
    hairpin_source: report.hairpinSource ?? null,
    bubbles: report.bubbles,
    lifetime_seconds: report.lifetime === undefined ? null : {
      at_least: report.lifetime.alive / 1000,
      less_than: report.lifetime.dead === undefined ? null : Math.ceil(report.lifetime.dead / 1000),
    },
    native_ipv6: nativeIpv6,
  };
  return `${JSON.stringify(all, undefined, 2)}\n`;
}
