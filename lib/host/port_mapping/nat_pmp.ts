/**
 * NAT Port Mapping Protocol (RFC 6886), UDP port 5351 of the gateway.
 *
 * ```
 *   external address   0 │ 0                                          ─▶  0 │ 128 │ result (2) │ epoch (4) │ IPv4 address (4)
 *   map UDP            0 │ 1 │ 0 (2) │ internal port │ external port   ─▶  0 │ 129 │ result (2) │ epoch (4) │ internal port │
 *                      │ lifetime (4)                                      external port │ lifetime (4)
 * ```
 *
 * Network byte order; lifetime in seconds, 0 (with external port 0) removes the mapping.
 */

import { readU16, readU32, writeU16, writeU32 } from "../../wire/bytes.ts";
import { type Ipv4, isUnicast } from "../../wire/ipv4.ts";

const VERSION = 0;
const EXTERNAL_ADDRESS = 0;
const MAP_UDP = 1;
const ANSWER = 128;
const SUCCESS = 0;
const ADDRESS_LENGTH = 12;
const MAPPING_LENGTH = 16;

/** Asks for the external address. */
export const NAT_PMP_ADDRESS_REQUEST: Uint8Array = Uint8Array.of(VERSION, EXTERNAL_ADDRESS);

/** The external address in an answer; undefined when it is none; 0 when the gateway refuses or has no address. */
export function parseNatPmpAddress(bytes: Uint8Array): Ipv4 | undefined {
  if (bytes.length < 4 || bytes[0] !== VERSION || bytes[1] !== (ANSWER | EXTERNAL_ADDRESS)) return undefined;
  if (readU16(bytes, 2) !== SUCCESS) return 0;
  if (bytes.length < ADDRESS_LENGTH) return undefined;
  const address = readU32(bytes, 8);
  return isUnicast(address) ? address : 0;
}

/** Asks for a mapping of a UDP port. @param lifetime seconds */
export function writeNatPmpMapping(internalPort: number, externalPort: number, lifetime: number): Uint8Array {
  const bytes = new Uint8Array(12);
  bytes[0] = VERSION;
  bytes[1] = MAP_UDP;
  writeU16(internalPort, bytes, 4);
  writeU16(externalPort, bytes, 6);
  writeU32(lifetime, bytes, 8);
  return bytes;
}

/** What the gateway said of a mapping. */
export type NatPmpAnswer =
  | { readonly granted: true; readonly port: number; readonly lifetime: number }
  | { readonly granted: false; readonly code: number };

/** Reads an answer about `internalPort`; undefined when it is none. */
export function parseNatPmpMapping(bytes: Uint8Array, internalPort: number): NatPmpAnswer | undefined {
  if (bytes.length < 4 || bytes[0] !== VERSION || bytes[1] !== (ANSWER | MAP_UDP)) return undefined;
  const code = readU16(bytes, 2);
  if (code !== SUCCESS) return { granted: false, code };
  if (bytes.length < MAPPING_LENGTH || readU16(bytes, 8) !== internalPort) return undefined;
  const port = readU16(bytes, 10);
  return { granted: true, port, lifetime: readU32(bytes, 12) };
}
