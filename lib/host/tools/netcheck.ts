/** A check of the network from this host: names looked up, sockets, the kernel's words about datagrams that do not arrive. */

import { EACCES, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EPERM } from "../../../ffi/abi/errno.ts";
import { errnoName } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/io.ts";
import { nativeBuffer } from "../../../ffi/memory.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { waitReadable } from "../../../ffi/poll.ts";
import { resolveIpv4 } from "../../../ffi/resolve.ts";
import { connectUdp, CONTROL_LENGTH, DatagramSocketIo, openUdp } from "../../../ffi/udp.ts";
import { type CheckedServer, Netcheck, type NetcheckStage } from "../../core/netcheck/netcheck.ts";
import type { NetcheckReport, YesNo } from "../../core/netcheck/netcheck_report.ts";
import type { Credentials } from "../../core/qualification/solicitor.ts";
import { readU32, writeU32 } from "../../wire/bytes.ts";
import { formatIpv4, type Ipv4, isGlobalUnicast, parseIpv4 } from "../../wire/ipv4.ts";
import { isGlobalScope } from "../../wire/ipv6_address.ts";
import { writeRouterSolicitation } from "../../wire/router_solicitation.ts";
import { isTeredo, RS_SOURCE_RESTRICTED, TEREDO_PORT } from "../../wire/teredo_address.ts";
import { type HostAddresses, hostAddresses } from "../system/host_addresses.ts";
import { SocketLoop } from "./socket_loop.ts";

/** How long an ICMP error of the first datagram is waited for, milliseconds. */
const FAULT_WAIT = 4_000;

/** fc00::/7, addresses that lead nowhere outside (RFC 4193). */
const UNIQUE_LOCAL_MASK = 0xfe, UNIQUE_LOCAL = 0xfc;

/** What to check. */
export interface NetcheckRequest {
  /** Host names or IPv4 addresses. */
  readonly servers: readonly string[];
  readonly secondary: "auto" | "none" | Ipv4;
  readonly credentials: Credentials | undefined;
  readonly lifetime: boolean;
}

/** What was found. */
export interface NetcheckResult {
  readonly report: NetcheckReport;
  /** Names that could not be used, and why. */
  readonly unresolved: readonly { readonly name: string; readonly reason: string }[];
  readonly nativeIpv6: YesNo;
}

/** Checks. @param progress called with each new stage */
export async function checkNetwork(
  request: NetcheckRequest,
  progress: (stage: NetcheckStage | "names") => void,
): Promise<NetcheckResult> {
  progress("names");
  const servers: CheckedServer[] = [];
  const unresolved: { name: string; reason: string }[] = [];
  for (const name of request.servers) {
    const found = await resolve(name, request.secondary);
    if (typeof found === "string") unresolved.push({ name, reason: found });
    else servers.push(found);
  }
  const addresses = ownAddresses();
  const faults: [address: Ipv4, errno: number, local: boolean][] = [];
  using loop = new SocketLoop((address, errno) => faults.push([address, errno, true]));
  const check = new Netcheck({
    servers,
    credentials: request.credentials,
    subnets: addresses?.ipv4 ?? [],
    localAddress: servers.length === 0 ? 0 : sourceTowards(servers[0].primary),
    lifetime: request.lifetime,
  }, loop.environment);
  const listening = servers.flatMap(({ primary, secondary }) =>
    secondary === undefined ? [primary] : [primary, secondary]
  )
    .map((address) =>
      listenForFault(address).then((errno) => {
        if (errno !== 0) faults.push([address, errno, false]);
      })
    );
  check.start(performance.now());
  const tell = (): void => {
    for (const [address, errno, local] of faults.splice(0)) check.onFault(address, faultWords(address, errno), local);
  };
  let shown: NetcheckStage | undefined;
  await loop.run(check, () => check.stage === "done", () => {
    tell();
    if (check.stage !== shown) progress(shown = check.stage);
  });
  // Where nobody answers the errors are what there is to tell.
  if (check.report.udp !== "yes") await Promise.all(listening);
  tell();
  return { report: check.report, unresolved, nativeIpv6: nativeIpv6(addresses) };
}

/** A server's addresses, or why there are none. */
async function resolve(name: string, secondary: NetcheckRequest["secondary"]): Promise<CheckedServer | string> {
  const literal = parseIpv4(name);
  let addresses: readonly Ipv4[];
  try {
    addresses = literal === undefined ? await resolveIpv4(name) : [literal];
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
  const primary = addresses.find(isGlobalUnicast);
  if (primary === undefined) return `Cannot use ${JSON.stringify(name)}: it has no global IPv4 address`;
  const following = (primary + 1) >>> 0;
  const second = secondary === "auto" ? following : secondary === "none" ? undefined : secondary;
  return { name, primary, secondary: second !== undefined && isGlobalUnicast(second) ? second : undefined };
}

/** Undefined where the kernel does not tell (some sandboxes have no netlink). */
function ownAddresses(): HostAddresses | undefined {
  try {
    return hostAddresses();
  } catch {
    return undefined;
  }
}

/** The address this host sends from towards another; 0 when it cannot be told. */
function sourceTowards(address: Ipv4): Ipv4 {
  const octets = new Uint8Array(4);
  writeU32(address, octets, 0);
  try {
    using netlink = Netlink.open();
    const source = netlink.sourceFor(octets);
    return source === undefined ? 0 : readU32(source, 0);
  } catch {
    return 0;
  }
}

/** Whether the kernel would send to the IPv6 Internet from an address that is neither Teredo's nor local to a site. */
function nativeIpv6(addresses: HostAddresses | undefined): YesNo {
  if (addresses === undefined) return "not-checked";
  const source = addresses.nativeSource;
  if (source === undefined || !isGlobalScope(source, 0) || isTeredo(source, 0)) return "no";
  return (source[0] & UNIQUE_LOCAL_MASK) === UNIQUE_LOCAL ? "no" : "yes";
}

/** Sends one solicitation from a connected socket, which hears of ICMP errors. @returns errno, or 0 when there was none */
async function listenForFault(address: Ipv4): Promise<number> {
  let fd: number;
  try {
    fd = openUdp({ address: 0, port: 0 });
  } catch {
    return 0;
  }
  try {
    const refused = connectUdp(fd, address, TEREDO_PORT);
    if (refused < 0) return -refused;
    const native = nativeBuffer(new ArrayBuffer(4096));
    const packetAt = Math.ceil(CONTROL_LENGTH / 64) * 64;
    const io = new DatagramSocketIo(native, 0);
    const length = writeRouterSolicitation(RS_SOURCE_RESTRICTED, native.bytes, packetAt);
    const sent = io.send(fd, packetAt, length, address, TEREDO_PORT);
    if (sent < 0) return -sent;
    const ready = await waitReadable([fd], FAULT_WAIT);
    if (ready.length === 0) return 0;
    return Math.max(0, -io.receive(fd, packetAt, 2048));
  } finally {
    close(fd);
  }
}

function faultWords(address: Ipv4, errno: number): string {
  const where = formatIpv4(address);
  switch (errno) {
    case ECONNREFUSED:
      return `${where} is up but nobody listens on its UDP port ${TEREDO_PORT}`;
    case EHOSTUNREACH:
      return `a router says that ${where} cannot be reached`;
    case ENETUNREACH:
      return `there is no route to ${where}`;
    case EPERM:
      return `a firewall of this host forbids UDP to ${where} port ${TEREDO_PORT}`;
    case EACCES:
      return `UDP to ${where} port ${TEREDO_PORT} is prohibited`;
    default:
      return `UDP to ${where} port ${TEREDO_PORT} fails with ${errnoName(errno)}`;
  }
}
