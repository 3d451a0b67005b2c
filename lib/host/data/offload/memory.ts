/** The packet arena as offloads see it, and the places in TCP and UDP headers that they work with. */

import type { ArenaSum } from "../checksum.ts";

/** One piece of memory; `view` covers the same octets as `bytes`. */
export interface OffloadMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly sum: ArenaSum;
}

/** Offsets in a TCP header (RFC 9293 3.1), octets. */
export const Tcp = { sequence: 4, acknowledgment: 8, dataOffset: 12, flags: 13, checksum: 16, urgent: 18 } as const;
export const TCP_HEADER_LENGTH = 20;

/** Flags of the octet at {@link Tcp.flags} (RFC 9293 3.1, RFC 3168 6.1). */
export const TcpFlag = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
} as const;

/** Offsets in a UDP header (RFC 768), octets. */
export const Udp = { length: 4, checksum: 6 } as const;
export const UDP_HEADER_LENGTH = 8;

/** The sum folded to 16 bits with end-around carry; `sum` below 2^31. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}
