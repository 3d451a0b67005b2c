/** What the tests of lib/wire share: hex in, buffers that show unwritten octets, and buffers that refuse to be read past their end. */

import assert from "node:assert/strict";
import { parseIpv4 } from "../../lib/wire/ipv4.ts";
import { parseIpv6 } from "../../lib/wire/ipv6_address.ts";

/** The octets of a hex dump. White space means nothing. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/\s/g, "");
  assert.match(digits, /^([0-9a-f]{2})*$/, "hex dump");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Several runs of octets as one. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** The IPv4 address of a text that must be one. */
export function ipv4(text: string): number {
  return parseIpv4(text) ?? assert.fail(`"${text}" is no IPv4 address`);
}

/** The IPv6 address of a text that must be one. */
export function ipv6(text: string): Uint8Array {
  return parseIpv6(text) ?? assert.fail(`"${text}" is no IPv6 address`);
}

/** Octets kept free before and after what a writer writes. */
const MARGIN = 24;
const CAPACITY = 70_000;

/**
 * Runs a writer twice, over buffers filled with 0xa5 and 0x5a, and returns what it wrote. An octet that it left alone, or wrote
 * outside of what it says it wrote, makes the test fail.
 */
export function written(write: (bytes: Uint8Array, at: number) => number): Uint8Array {
  const [first, second] = [0xa5, 0x5a].map((fill) => {
    const bytes = new Uint8Array(CAPACITY).fill(fill);
    const length = write(bytes, MARGIN);
    const outside = join(bytes.subarray(0, MARGIN), bytes.subarray(MARGIN + length, 2 * MARGIN + length));
    assert.ok(outside.every((octet) => octet === fill), "written outside of the octets counted");
    return bytes.slice(MARGIN, MARGIN + length);
  });
  assert.deepEqual(first, second, "octets left unwritten");
  return first;
}

/** A view of `bytes` that counts reads, and throws at any that is not inside [at, at + length). */
export interface Guard {
  readonly bytes: Uint8Array;
  /** Octets read one by one so far. */
  reads: number;
}

/** Guards `length` octets at `at`. */
export function guard(octets: Uint8Array, at: number = 0, length: number = octets.length): Guard {
  const inside = (from: number, to: number): void => {
    if (from < at || to > at + length || to < from) {
      throw new RangeError(`Read of [${from}, ${to}) outside [${at}, ${at + length})`);
    }
  };
  const bytes = new Proxy(octets, {
    get(target, key): unknown {
      if (typeof key === "string" && /^-?\d+$/.test(key)) {
        inside(Number(key), Number(key) + 1);
        guarded.reads++;
        return target[Number(key)];
      }
      if (key === "length") return target.length;
      const copy = (from: number, to: number): Uint8Array => {
        inside(from, to);
        return target.slice(from, to);
      };
      if (key === "slice" || key === "subarray") return copy;
      throw new TypeError(`Use of "${String(key)}" is not guarded`);
    },
  });
  const guarded: Guard = { bytes, reads: 0 };
  return guarded;
}
