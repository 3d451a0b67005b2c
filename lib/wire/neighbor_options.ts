/**
 * Options of Neighbor Discovery messages (RFC 4861 4.6): type, length in units of 8 octets, body.
 *
 * ```
 * +--------+--------+-----------------------------+
 * |  Type  | Length | body, 8 * Length - 2 octets |
 * +--------+--------+-----------------------------+
 * ```
 */

/** Source Link-Layer Address (RFC 4861 4.6.1). */
export const OPTION_SOURCE_LINK_LAYER = 1;
/** Prefix Information (RFC 4861 4.6.2). */
export const OPTION_PREFIX_INFORMATION = 3;
/** MTU (RFC 4861 4.6.4). */
export const OPTION_MTU = 5;

/** One option as it stands in the message. */
export interface NeighborOption {
  readonly type: number;
  /** What follows type and length: 6, 14, ... 2038 octets. */
  readonly body: Uint8Array;
}

/** Reads the options that fill `length` octets; undefined when one has length 0 or does not fit (RFC 4861 6.1). */
export function parseNeighborOptions(
  bytes: Uint8Array,
  at: number,
  length: number,
): readonly NeighborOption[] | undefined {
  const end = at + length;
  const options: NeighborOption[] = [];
  while (at < end) {
    if (end - at < 8 || bytes[at + 1] === 0) return undefined;
    const next = at + 8 * bytes[at + 1];
    if (next > end) return undefined;
    options.push({ type: bytes[at], body: bytes.slice(at + 2, next) });
    at = next;
  }
  return options;
}

/**
 * Writes options in the given order.
 * @returns octets written
 * @throws {RangeError} a body that does not fill units of 8 octets
 */
export function writeNeighborOptions(options: readonly NeighborOption[], bytes: Uint8Array, at: number): number {
  let next = at;
  for (const { type, body } of options) {
    const units = (body.length + 2) / 8;
    if (!Number.isInteger(units) || units < 1 || units > 255) {
      throw new RangeError(`Cannot write option ${type}: body of ${body.length} octets is not 8n - 2`);
    }
    bytes[next] = type;
    bytes[next + 1] = units;
    bytes.set(body, next + 2);
    next += 8 * units;
  }
  return next - at;
}
