/**
 * Slow and plain: TCP and UDP packets over IPv6 as values, cutting and joining by the book. What lib/host/offload does with offsets and
 * partial sums has to agree with this.
 */

import { addToSum, foldSum, pseudoHeaderSum } from "../../../lib/wire/checksum.ts";
import { readU16, readU32, writeU16, writeU32 } from "../../../lib/wire/bytes.ts";

export const TCP = 6;
export const UDP = 17;
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const ECE = 0x40;
export const CWR = 0x80;

/** One packet. */
export interface Packet {
  readonly protocol: typeof TCP | typeof UDP;
  /** Last octets of the addresses, and the ports: which flow. */
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly hopLimit: number;
  /** A destination options header of 8 octets before the transport header. */
  readonly extension: boolean;
  /** TCP. */
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  /** 32-bit words of TCP options, 0 to 10. */
  readonly options: readonly number[];
  readonly payload: Uint8Array;
  /** What is wrong with its checksum, 0 = nothing. */
  readonly error: number;
}

function transportAt(packet: Packet): number {
  return packet.extension ? 48 : 40;
}

/** Octets of all headers. */
export function headerLength(packet: Packet): number {
  return transportAt(packet) + (packet.protocol === TCP ? 20 + 4 * packet.options.length : 8);
}

/** The octets of a packet. @param partial leave the folded sum of the pseudo-header in the checksum field */
export function write(packet: Packet, partial = false): Uint8Array {
  const transport = transportAt(packet), header = headerLength(packet);
  const bytes = new Uint8Array(header + packet.payload.length);
  writeU32(((0x60 << 24) | (packet.trafficClass << 20) | packet.flowLabel) >>> 0, bytes, 0);
  writeU16(bytes.length - 40, bytes, 4);
  bytes[6] = packet.extension ? 60 : packet.protocol;
  bytes[7] = packet.hopLimit;
  bytes.set([0x20, 0x01, 0x0d, 0xb8], 8);
  bytes[23] = packet.source;
  bytes.set([0x20, 0x01, 0x0d, 0xb8], 24);
  bytes[39] = packet.destination;
  if (packet.extension) bytes.set([packet.protocol, 0, 1, 4, 0, 0, 0, 0], 40);
  writeU16(packet.sourcePort, bytes, transport);
  writeU16(packet.destinationPort, bytes, transport + 2);
  let checksumAt: number;
  if (packet.protocol === TCP) {
    writeU32(packet.sequence, bytes, transport + 4);
    writeU32(packet.acknowledgment, bytes, transport + 8);
    bytes[transport + 12] = (5 + packet.options.length) << 4;
    bytes[transport + 13] = packet.flags;
    writeU16(packet.window, bytes, transport + 14);
    packet.options.forEach((word, i) => writeU32(word, bytes, transport + 20 + 4 * i));
    checksumAt = transport + 16;
  } else {
    writeU16(bytes.length - transport, bytes, transport + 4);
    checksumAt = transport + 6;
  }
  bytes.set(packet.payload, header);
  const upper = bytes.length - transport;
  const pseudo = pseudoHeaderSum(bytes, 0, upper, packet.protocol);
  if (partial) writeU16(foldSum(pseudo), bytes, checksumAt);
  else {
    const sum = 0xffff - foldSum(addToSum(pseudo, bytes, transport, upper));
    writeU16((sum === 0 && packet.protocol === UDP ? 0xffff : sum) ^ packet.error, bytes, checksumAt);
  }
  return bytes;
}

/** The packets that a super-packet stands for, as values. */
export function cut(packet: Packet, segmentLength: number): Packet[] {
  const result: Packet[] = [];
  for (let from = 0; from < packet.payload.length; from += segmentLength) {
    const first = from === 0, last = from + segmentLength >= packet.payload.length;
    result.push({
      ...packet,
      sequence: (packet.sequence + from) >>> 0,
      flags: packet.flags & ~(first ? 0 : CWR) & ~(last ? 0 : FIN | PSH),
      payload: packet.payload.slice(from, from + segmentLength),
    });
  }
  return result;
}

/** Reads a packet that {@link write} wrote; its checksum is not looked at. */
export function read(bytes: Uint8Array): Packet {
  const word = readU32(bytes, 0);
  const extension = bytes[6] === 60;
  const protocol = bytes[extension ? 40 : 6] === TCP ? TCP : UDP;
  const transport = extension ? 48 : 40;
  const tcp = protocol === TCP;
  const words = tcp ? (bytes[transport + 12] >>> 4) - 5 : 0;
  return {
    protocol,
    source: bytes[23],
    destination: bytes[39],
    sourcePort: readU16(bytes, transport),
    destinationPort: readU16(bytes, transport + 2),
    trafficClass: (word >>> 20) & 0xff,
    flowLabel: word & 0xfffff,
    hopLimit: bytes[7],
    extension,
    sequence: tcp ? readU32(bytes, transport + 4) : 0,
    acknowledgment: tcp ? readU32(bytes, transport + 8) : 0,
    flags: tcp ? bytes[transport + 13] : 0,
    window: tcp ? readU16(bytes, transport + 14) : 0,
    options: Array.from({ length: words }, (_, i) => readU32(bytes, transport + 20 + 4 * i)),
    payload: bytes.slice(transport + (tcp ? 20 + 4 * words : 8)),
    error: 0,
  };
}

/** Names the flow. */
export function flowOf(packet: Packet): string {
  const { protocol, source, destination, sourcePort, destinationPort } = packet;
  return [protocol, source, destination, sourcePort, destinationPort].join();
}

/** All that has to be the same in the packets of one run. */
function likeness(packet: Packet): string {
  const { trafficClass, flowLabel, hopLimit, acknowledgment, window, options } = packet;
  return [trafficClass, flowLabel, hopLimit, acknowledgment, window, packet.flags & ~(FIN | PSH), options].join();
}

function canJoin(packet: Packet): boolean {
  if (packet.extension || packet.error !== 0 || packet.payload.length === 0) return false;
  return packet.protocol === UDP || (packet.flags & (ACK | SYN | RST | URG | CWR)) === ACK;
}

/** The runs that a list of packets gives, in the order in which they end within each flow. @param most packets of a run at most */
export function join(packets: readonly Packet[], most: number): Packet[][] {
  const runs: Packet[][] = [];
  const open = new Map<string, Packet[]>();
  const end = (flow: string): void => {
    const run = open.get(flow);
    if (run !== undefined) runs.push(run);
    open.delete(flow);
  };
  for (const packet of packets) {
    const flow = flowOf(packet);
    if (packet.extension) [...open.keys()].forEach(end);
    if (!canJoin(packet)) {
      end(flow);
      runs.push([packet]);
      continue;
    }
    const run = open.get(flow), first = run?.[0];
    const octets = (run ?? []).reduce((sum, { payload }) => sum + payload.length, 0);
    const joins = run !== undefined && first !== undefined && likeness(packet) === likeness(first) &&
      packet.payload.length <= first.payload.length &&
      headerLength(packet) - 40 + octets + packet.payload.length <= 65_535 &&
      (packet.protocol === UDP || packet.sequence === (first.sequence + octets) >>> 0);
    if (!joins) end(flow);
    const grown = joins ? [...run, packet] : [packet];
    open.set(flow, grown);
    const short = packet.payload.length < grown[0].payload.length;
    const ending = packet.protocol === TCP && (packet.flags & (FIN | PSH)) !== 0;
    if (short || ending || grown.length === most) end(flow);
  }
  [...open.keys()].forEach(end);
  return runs;
}
