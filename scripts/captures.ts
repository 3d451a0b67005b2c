/**
 * Holds lib/wire against real packets: finds every Teredo datagram of the captures in a folder, takes it apart and writes it again
 * from what was understood. Any octet that differs is a failure.
 *
 * ```
 * deno run --allow-read=DIR scripts/captures.ts DIR
 * ```
 *
 * Classic pcap files (not pcapng) of Ethernet frames. A datagram is Teredo when one of its ends is port 3544, or has been seen talking
 * to port 3544 in the same file (its own ports alone say nothing: two clients meet on any). It may lie in GTP-U. An outer IPv6 header
 * cannot be Teredo; its UDP payload is taken all the same, since a parser sees no more than that.
 */

import { isBubble, writeBubble } from "../lib/wire/bubble.ts";
import { copyBytes, equalBytes, readU16, readU32 } from "../lib/wire/bytes.ts";
import { Datagram, writeAuthentication, writeOrigin } from "../lib/wire/encapsulation.ts";
import { parseEcho, writeEcho } from "../lib/wire/icmpv6.ts";
import { type Endpoint, formatEndpoint } from "../lib/wire/ipv4.ts";
import { IPV6_HEADER_LENGTH, type Ipv6Header, parseIpv6Header, writeIpv6Header } from "../lib/wire/ipv6.ts";
import { formatIpv6 } from "../lib/wire/ipv6_address.ts";
import { parseRouterAdvertisement, writeRouterAdvertisement } from "../lib/wire/router_advertisement.ts";
import { parseRouterSolicitation, writeRouterSolicitation } from "../lib/wire/router_solicitation.ts";
import { TEREDO_PORT } from "../lib/wire/teredo_address.ts";
import { splitTrailers, writeTrailers } from "../lib/wire/trailers.ts";

/** First four octets of a classic pcap file, read as big-endian: microseconds or nanoseconds, in either byte order. */
const PCAP_BIG_ENDIAN: readonly number[] = [0xa1b2c3d4, 0xa1b23c4d];
const PCAP_LITTLE_ENDIAN: readonly number[] = [0xd4c3b2a1, 0x4d3cb2a1];
const LINK_TYPE_ETHERNET = 1;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const PROTOCOL_UDP = 17;
const UDP_HEADER_LENGTH = 8;
/** UDP port of GTP-U, and the message type that carries a packet. */
const GTP_PORT = 2152;
const GTP_PACKET = 255;

/** A UDP datagram of a capture. */
interface Udp {
  /** Number of its frame, from 1. */
  readonly frame: number;
  /** Undefined where the outer header is IPv6. */
  readonly ends: { readonly source: Endpoint; readonly destination: Endpoint } | undefined;
  readonly inGtp: boolean;
  readonly payload: Uint8Array;
}

/** What became of one Teredo datagram. */
interface Row {
  readonly kind: string;
  readonly detail: string;
  /** Written again from its parts; undefined when it could not be parsed. */
  readonly rewritten: Uint8Array | undefined;
}

/** The frames of a capture file. */
function readPcap(path: string): readonly Uint8Array[] {
  const file = Deno.readFileSync(path);
  const magic = file.length < 24 ? 0 : readU32(file, 0);
  const littleEndian = PCAP_LITTLE_ENDIAN.includes(magic);
  if (!littleEndian && !PCAP_BIG_ENDIAN.includes(magic)) {
    throw new Error(`Cannot read "${path}": not a classic pcap file`);
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const linkType = view.getUint32(20, littleEndian);
  if (linkType !== LINK_TYPE_ETHERNET) throw new Error(`Cannot read "${path}": link type ${linkType} is not Ethernet`);
  const frames: Uint8Array[] = [];
  let at = 24;
  while (file.length - at >= 16) {
    const captured = view.getUint32(at + 8, littleEndian);
    if (captured > file.length - at - 16) {
      throw new Error(`Cannot read "${path}": frame ${frames.length + 1} is cut off`);
    }
    frames.push(file.subarray(at + 16, at + 16 + captured));
    at += 16 + captured;
  }
  return frames;
}

/** The UDP datagram in a frame, if there is one: in IPv4, in GTP-U in IPv4, or in IPv6. */
function udpOf(bytes: Uint8Array, frame: number): Udp | undefined {
  if (bytes.length < 14) return undefined;
  const packet = bytes.subarray(14);
  switch (readU16(bytes, 12)) {
    case ETHERTYPE_IPV4:
      return udpInIpv4(packet, frame, false);
    case ETHERTYPE_IPV6: {
      const header = parseIpv6Header(packet, 0, packet.length);
      if (header === undefined || header.nextHeader !== PROTOCOL_UDP) return undefined;
      const payload = udpPayload(packet.subarray(IPV6_HEADER_LENGTH));
      return payload && { frame, ends: undefined, inGtp: false, payload };
    }
    default:
      return undefined;
  }
}

function udpPayload(segment: Uint8Array): Uint8Array | undefined {
  if (segment.length < UDP_HEADER_LENGTH) return undefined;
  const length = readU16(segment, 4);
  return length < UDP_HEADER_LENGTH || length > segment.length
    ? undefined
    : segment.subarray(UDP_HEADER_LENGTH, length);
}

function udpInIpv4(packet: Uint8Array, frame: number, inGtp: boolean): Udp | undefined {
  if (packet.length < 20 || packet[0] >>> 4 !== 4 || packet[9] !== PROTOCOL_UDP) return undefined;
  const fragment = (readU16(packet, 6) & 0x3fff) !== 0;
  const segment = packet.subarray(4 * (packet[0] & 0xf), readU16(packet, 2));
  const payload = udpPayload(segment);
  if (fragment || payload === undefined) return undefined;
  const source = { address: readU32(packet, 12), port: readU16(segment, 0) };
  const destination = { address: readU32(packet, 16), port: readU16(segment, 2) };
  if (!inGtp && destination.port === GTP_PORT) {
    const inner = gtpPayload(payload);
    return inner && udpInIpv4(inner, frame, true);
  }
  return { frame, ends: { source, destination }, inGtp, payload };
}

/** The packet in a GTP-U message (3GPP TS 29.281 5): 8 octets, 4 more when any of E, S, PN is set, then extension headers. */
function gtpPayload(message: Uint8Array): Uint8Array | undefined {
  if (message.length < 8 || message[0] >>> 5 !== 1 || message[1] !== GTP_PACKET) return undefined;
  if ((message[0] & 0x07) === 0) return message.subarray(8);
  let at = 12;
  while (message[at - 1] !== 0) {
    if (at >= message.length || message[at] === 0) return undefined;
    at += 4 * message[at];
    if (at > message.length) return undefined;
  }
  return message.subarray(at);
}

/** Of all datagrams of a file, those that are Teredo by their ends. */
function selectTeredo(datagrams: readonly Udp[]): readonly Udp[] {
  const known = new Set<string>();
  const isServer = (end: Endpoint): boolean => end.port === TEREDO_PORT;
  for (const { ends } of datagrams) {
    if (ends === undefined) continue;
    if (isServer(ends.source)) known.add(formatEndpoint(ends.destination));
    if (isServer(ends.destination)) known.add(formatEndpoint(ends.source));
  }
  const isTeredo = (end: Endpoint): boolean => isServer(end) || known.has(formatEndpoint(end));
  return datagrams.filter(({ ends }) => ends === undefined || isTeredo(ends.source) || isTeredo(ends.destination));
}

/** Writes the IPv6 packet of a datagram again. @returns its kind, and the octets written */
function rewriteIpv6(
  header: Ipv6Header,
  from: Uint8Array,
  at: number,
  length: number,
  to: Uint8Array,
  toAt: number,
): readonly [string, number] {
  if (isBubble(from, at)) {
    return ["bubble", writeBubble(header.source, header.destination, header.hopLimit, to, toAt)];
  }
  const solicitation = parseRouterSolicitation(from, at, length);
  if (solicitation !== undefined) {
    return ["router solicitation", writeRouterSolicitation(solicitation.source, to, toAt, solicitation.options)];
  }
  const advertisement = parseRouterAdvertisement(from, at, length);
  if (advertisement !== undefined) {
    return ["router advertisement", writeRouterAdvertisement(advertisement, to, toAt)];
  }
  const echo = parseEcho(from, at, length);
  if (echo !== undefined) return [echo.reply ? "echo reply" : "echo request", writeEcho(echo, to, toAt)];
  writeIpv6Header(header, to, toAt);
  copyBytes(from, at + IPV6_HEADER_LENGTH, to, toAt + IPV6_HEADER_LENGTH, header.payloadLength);
  return [`next header ${header.nextHeader}`, IPV6_HEADER_LENGTH + header.payloadLength];
}

/** Takes a UDP payload apart and writes it again. */
function rewrite(payload: Uint8Array): Row {
  const datagram = new Datagram();
  if (!datagram.decode(payload, 0, payload.length)) return { kind: "malformed", detail: "", rewritten: undefined };
  const out = new Uint8Array(payload.length + 2048).fill(0xa5);
  const notes: string[] = [];
  let at = 0;
  if (datagram.authentication !== undefined) {
    notes.push("auth");
    at += writeAuthentication(datagram.authentication, out, at);
  }
  if (datagram.origin) {
    const origin = { address: datagram.originAddress, port: datagram.originPort };
    notes.push(`origin ${formatEndpoint(origin)}`);
    at += writeOrigin(origin, out, at);
  }
  const header = parseIpv6Header(payload, datagram.ipv6At, datagram.ipv6Length);
  if (header === undefined) return { kind: "malformed", detail: "", rewritten: undefined };
  notes.push(`${formatIpv6(header.source)} > ${formatIpv6(header.destination)}`);
  const [kind, written] = rewriteIpv6(header, payload, datagram.ipv6At, datagram.ipv6Length, out, at);
  at += written;
  const { trailers, remainder } = splitTrailers(payload, datagram.trailersAt, datagram.trailersLength);
  if (trailers.length > 0) notes.push(`trailers ${trailers.map(({ type }) => type).join(" ")}`);
  if (remainder.length > 0) notes.push(`${remainder.length} octets are no trailer`);
  at += writeTrailers(trailers, out, at);
  copyBytes(remainder, 0, out, at, remainder.length);
  return { kind, detail: notes.join(", "), rewritten: out.subarray(0, at + remainder.length) };
}

/** The word on one datagram: "same", or where it differs. */
function compare(payload: Uint8Array, rewritten: Uint8Array | undefined): string {
  if (rewritten === undefined) return "UNREAD";
  if (rewritten.length === payload.length && equalBytes(rewritten, 0, payload, 0, payload.length)) return "same";
  const at = payload.findIndex((octet, i) => rewritten[i] !== octet);
  return `DIFFERS at octet ${at < 0 ? payload.length : at}`;
}

/** Prints the table of one file. @returns how many datagrams were checked, and how many came out wrong */
function checkFile(path: string): { readonly checked: number; readonly wrong: number } {
  const frames = readPcap(path);
  const datagrams = frames.flatMap((bytes, i) => udpOf(bytes, i + 1) ?? []);
  const teredo = selectTeredo(datagrams);
  console.log(`${path}: ${frames.length} frames, ${teredo.length} datagrams to check`);
  let wrong = 0;
  for (const { frame, inGtp, ends, payload } of teredo) {
    const { kind, detail, rewritten } = rewrite(payload);
    const verdict = compare(payload, rewritten);
    if (verdict !== "same") wrong++;
    const outer = ends === undefined
      ? "(outer header is IPv6)"
      : `${formatEndpoint(ends.source)} > ${formatEndpoint(ends.destination)}${inGtp ? " (in GTP-U)" : ""}`;
    console.log(
      [
        String(frame).padStart(5),
        verdict.padEnd(8),
        String(payload.length).padStart(5),
        kind.padEnd(20),
        outer.padEnd(46),
        detail,
      ].join("  ").trimEnd(),
    );
  }
  return { checked: teredo.length, wrong };
}

function main(args: readonly string[]): number {
  if (args.length !== 1) {
    console.error("Usage: deno run --allow-read=DIR scripts/captures.ts DIR");
    return 2;
  }
  const [folder] = args;
  let checked = 0;
  let wrong = 0;
  try {
    const names = [...Deno.readDirSync(folder)].filter(({ name }) => /\.p?cap$/.test(name)).map(({ name }) => name);
    for (const name of names.sort()) {
      const result = checkFile(`${folder}/${name}`);
      checked += result.checked;
      wrong += result.wrong;
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
  console.log(`${checked} datagrams parsed and written again: ${checked - wrong} byte for byte, ${wrong} not`);
  return checked > 0 && wrong === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(main(Deno.args));
