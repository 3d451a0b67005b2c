/**
 * `miredo address ADDRESS`: what a Teredo address says (RFC 4380 4, RFC 5991 3.1), or why an address is none or of no use.
 *
 * ```
 *   | prefix 32 | server IPv4 32 | C z Random1(4) U G Random2(8) | ~port 16 | ~IPv4 32 |
 * ```
 */

import { object } from "@optique/core/constructs";
import { type Message, message, value } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument, command, constant, option } from "@optique/core/primitives";
import type { ValueParser } from "@optique/core/valueparser";
import { readU16, readU32 } from "../wire/bytes.ts";
import { formatIpv4, type Ipv4, isGlobalUnicast } from "../wire/ipv4.ts";
import type { Ipv6 } from "../wire/ipv6.ts";
import { formatIpv6, isLinkLocal, isLoopback, isMulticast, isUnspecified, parseIpv6 } from "../wire/ipv6_address.ts";
import { FLAG_CONE, linkLocalFor, parseTeredoAddress, type TeredoAddress } from "../wire/teredo_address.ts";
import { ExitCode } from "./exit_code.ts";
import { answer } from "./output.ts";

/** The prefix of Teredo before RFC 4380, as a number of 32 bits. */
const OLD_PREFIX = 0x3ffe831f;

/** Width of the labels of the answer, characters. */
const LABEL_WIDTH = 16;

/** An argument that must be an IPv6 address. */
export function ipv6Argument(): ValueParser<"sync", Ipv6> {
  return {
    mode: "sync",
    metavar: "ADDRESS",
    placeholder: new Uint8Array(16),
    parse(input) {
      const address = parseIpv6(input);
      return address === undefined ? { success: false, error: notIpv6(input) } : { success: true, value: address };
    },
    format: formatIpv6,
  };
}

function notIpv6(input: string): Message {
  return message`${value(input)} is not an IPv6 address, allowed: one without zone and prefix length`;
}

export const addressCommand = command(
  "address",
  object({
    command: constant("address"),
    address: argument(ipv6Argument(), {
      description: message`An IPv6 address.`,
      errors: { endOfInput: message`An address is missing, allowed: miredo address ADDRESS` },
    }),
    json: optional(option("--json", { description: message`Answer as JSON, with "schema": 1.` })),
  }),
  {
    brief: message`Explain a Teredo address.`,
    description:
      message`Tells the server, flags and mapped endpoint in a Teredo address, and whether it can be used. Exits with 1 when it cannot.`,
  },
);

/** The fields of the 16 flag bits, most significant first. */
interface Flags {
  readonly value: number;
  /** Bit 15: a legacy client that believes to be behind a cone NAT. */
  readonly cone: boolean;
  /** Bit 14, reserved, zero. */
  readonly reserved: number;
  /** Bits 13 to 10, random. */
  readonly random1: number;
  /** Bit 9, the U bit of EUI-64, zero. */
  readonly universal: number;
  /** Bit 8, the G bit of EUI-64, zero. */
  readonly group: number;
  /** Bits 7 to 0, random. */
  readonly random2: number;
}

function flagFields(flags: number): Flags {
  return {
    value: flags,
    cone: (flags & FLAG_CONE) !== 0,
    reserved: (flags >>> 14) & 1,
    random1: (flags >>> 10) & 0xf,
    universal: (flags >>> 9) & 1,
    group: (flags >>> 8) & 1,
    random2: flags & 0xff,
  };
}

/** @returns the exit code: 0 for a Teredo address that can be used */
export function runAddress(args: { readonly address: Ipv6; readonly json: boolean | undefined }): number {
  const { address } = args;
  const teredo = parseTeredoAddress(address);
  const problems = teredo === undefined ? [foreignWords(address)] : unusableWords(teredo);
  answer(args.json === true ? jsonAnswer(address, teredo, problems) : textAnswer(address, teredo, problems));
  return problems.length === 0 ? ExitCode.ok : ExitCode.failure;
}

/** Why an address is not a Teredo address. */
function foreignWords(address: Ipv6): string {
  const prefix = readU32(address, 0);
  if (prefix === OLD_PREFIX) return "its prefix 3ffe:831f::/32 was Teredo's before RFC 4380 and is no longer";
  if (isUnspecified(address, 0)) return "it is the unspecified address";
  if (isLoopback(address, 0)) return "it is the loopback address";
  if (isMulticast(address, 0)) return "it is a multicast address (ff00::/8)";
  if (isLinkLocal(address, 0)) return "it is a link-local address (fe80::/10)";
  if (readU16(address, 0) === 0x2002) {
    return `it is a 6to4 address (2002::/16), of IPv4 address ${formatIpv4(readU32(address, 2))}`;
  }
  const first = new Uint8Array(16);
  first.set(address.subarray(0, 4));
  return `its first 32 bits are ${formatIpv6(first)}/32, those of Teredo are 2001::/32`;
}

/** Why nothing may be sent to a Teredo address (RFC 4380 5.2.4); empty when it may. */
function unusableWords(teredo: TeredoAddress): string[] {
  const words: string[] = [];
  const global = (what: string, address: Ipv4): void => {
    if (!isGlobalUnicast(address)) words.push(`its ${what} ${formatIpv4(address)} is not a global unicast address`);
  };
  global("server", teredo.server);
  global("mapped address", teredo.mapped.address);
  if (teredo.mapped.port === 0) words.push("its mapped port is 0");
  return words;
}

function textAnswer(address: Ipv6, teredo: TeredoAddress | undefined, problems: readonly string[]): string {
  const line = (label: string, text: string): string => `${`${label}:`.padEnd(LABEL_WIDTH)} ${text}\n`;
  if (teredo === undefined) {
    return line("address", formatIpv6(address)) + line("teredo", `no: ${problems.join("; ")}`);
  }
  const flags = flagFields(teredo.flags);
  const binary = (bits: number, width: number): string => bits.toString(2).padStart(width, "0");
  const zero = (bit: number, name: string): string => (bit === 0 ? "0" : `1 (not of any RFC: ${name} must be 0)`);
  return [
    line("address", formatIpv6(address)),
    line("teredo", "yes"),
    line("prefix", "2001::/32"),
    line("server", formatIpv4(teredo.server)),
    line("flags", `0x${flags.value.toString(16).padStart(4, "0")}`),
    line("  cone", flags.cone ? "1 (a client of before RFC 5991, behind a cone NAT)" : "0"),
    line("  reserved", zero(flags.reserved, "it")),
    line("  random 1", binary(flags.random1, 4)),
    line("  universal", zero(flags.universal, "it")),
    line("  group", zero(flags.group, "it")),
    line("  random 2", binary(flags.random2, 8)),
    line("mapped address", formatIpv4(teredo.mapped.address)),
    line("mapped port", String(teredo.mapped.port)),
    line("link-local", formatIpv6(linkLocalFor(teredo.mapped, teredo.flags))),
    line("usable", problems.length === 0 ? "yes" : `no: ${problems.join("; ")}`),
  ].join("");
}

function jsonAnswer(address: Ipv6, teredo: TeredoAddress | undefined, problems: readonly string[]): string {
  const fields = teredo === undefined ? {} : {
    prefix: "2001::/32",
    server: formatIpv4(teredo.server),
    flags: flagFields(teredo.flags),
    mapped: { address: formatIpv4(teredo.mapped.address), port: teredo.mapped.port },
    link_local: formatIpv6(linkLocalFor(teredo.mapped, teredo.flags)),
  };
  const usable = problems.length === 0;
  const all = { schema: 1, address: formatIpv6(address), teredo: teredo !== undefined, usable, problems, ...fields };
  return `${JSON.stringify(all, undefined, 2)}\n`;
}
