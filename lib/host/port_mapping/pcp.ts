/**
 * Port Control Protocol, version 2 (RFC 6887): the request that maps a UDP port, and its answer.
 *
 * ```
 *   request    0: version 2 │ opcode 1 (MAP) │ reserved (2) │ 4: lifetime, seconds │ 8: client address (16)
 *             24: nonce (12) │ 36: protocol 17 │ reserved (3) │ 40: internal port │ external port │ 44: external address (16)
 *   answer     0: version 2 │ 0x81 │ reserved │ result code │ 4: lifetime │ 8: epoch │ reserved (12) │ 24: as in the request
 * ```
 *
 * Multi-octet fields in network byte order; IPv4 addresses as ::ffff:a.b.c.d. Lifetime 0 removes the mapping. The nonce belongs to the
 * mapping: who knows it may renew and remove it.
 */

import { readU16, readU32, writeU16, writeU32 } from "../../wire/bytes.ts";
import { type Endpoint, type Ipv4, isUnicast } from "../../wire/ipv4.ts";

/** UDP port of a PCP server, and of NAT-PMP. */
export const PCP_PORT = 5351;

/** Octets of a mapping nonce. */
export const NONCE_LENGTH = 12;

const VERSION = 2;
const MAP = 1;
const ANSWER = 0x80;
const SUCCESS = 0;
const UDP = 17;
const LENGTH = 60;
const NONCE_AT = 24;

/** What a MAP request asks. */
export interface PcpRequest {
  /** This host's address, as the gateway sees it. */
  readonly client: Ipv4;
  readonly nonce: Uint8Array;
  readonly internalPort: number;
  /** Endpoint wished for; address 0 and port 0: any. */
  readonly external: Endpoint;
  /** Seconds; 0 removes. */
  readonly lifetime: number;
}

/** What the gateway said. */
export type PcpAnswer =
  | { readonly granted: true; readonly external: Endpoint; readonly lifetime: number }
  /** It does not speak PCP, or does not want to. */
  | { readonly granted: false; readonly code: number };

function writeMapped(address: Ipv4, bytes: Uint8Array, at: number): void {
  bytes[at + 10] = 0xff;
  bytes[at + 11] = 0xff;
  writeU32(address, bytes, at + 12);
}

function readMapped(bytes: Uint8Array, at: number): Ipv4 | undefined {
  const isMapped = readU32(bytes, at) === 0 && readU32(bytes, at + 4) === 0 && readU32(bytes, at + 8) === 0xffff;
  return isMapped ? readU32(bytes, at + 12) : undefined;
}

/** The octets of a request. */
export function writePcpRequest(request: PcpRequest): Uint8Array {
  const bytes = new Uint8Array(LENGTH);
  bytes[0] = VERSION;
  bytes[1] = MAP;
  writeU32(request.lifetime, bytes, 4);
  writeMapped(request.client, bytes, 8);
  bytes.set(request.nonce.subarray(0, NONCE_LENGTH), NONCE_AT);
  bytes[36] = UDP;
  writeU16(request.internalPort, bytes, 40);
  writeU16(request.external.port, bytes, 42);
  writeMapped(request.external.address, bytes, 44);
  return bytes;
}

/** Reads an answer to `request`; undefined when it is none. */
export function parsePcpAnswer(bytes: Uint8Array, request: PcpRequest): PcpAnswer | undefined {
  if (bytes.length < 4 || (bytes[1] & ANSWER) === 0) return undefined;
  // A NAT-PMP gateway answers in its own version: 0, any opcode, result in octets 2 and 3.
  if (bytes[0] !== VERSION) return { granted: false, code: bytes[3] };
  if (bytes[1] !== (ANSWER | MAP)) return undefined;
  if (bytes[3] !== SUCCESS) return { granted: false, code: bytes[3] };
  if (bytes.length < LENGTH || bytes[36] !== UDP) return undefined;
  if (readU16(bytes, 40) !== request.internalPort) return undefined;
  if (!request.nonce.every((octet, i) => bytes[NONCE_AT + i] === octet)) return undefined;
  const address = readMapped(bytes, 44), port = readU16(bytes, 42);
  if (address === undefined || !isUnicast(address) || port === 0) return undefined;
  return { granted: true, external: { address, port }, lifetime: readU32(bytes, 4) };
}
