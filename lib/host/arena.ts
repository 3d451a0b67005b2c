/**
 * The packet arena: one fixed WebAssembly memory that the kernel reads and writes directly. It never grows, so nothing in it ever moves.
 *
 * ```
 *  0x00000  control   structures shared with the kernel: pollfd, msghdr, iovec, sockaddr, cmsg
 *  0x01000  scratch   control packets that the machine builds
 *  ...      tun       headroom, then one IPv6 packet read from the TUN
 *  ...      udp       headroom, then one datagram read from a UDP socket
 * ```
 */

import { type NativeBuffer, nativeBuffer } from "../../ffi/memory.ts";
import { HEADROOM, type Memory, SCRATCH_LENGTH } from "../core/machine.ts";

/** Octets of a WebAssembly page. */
const PAGE = 65536;

/** Largest datagram or packet read at once, octets: the UDP maximum, rounded up. */
export const SLOT_LENGTH = 65536;

const CONTROL_AREA = 0x1000;
const SCRATCH_AT = CONTROL_AREA;
const TUN_AT = SCRATCH_AT + SCRATCH_LENGTH + HEADROOM;
const UDP_AT = TUN_AT + SLOT_LENGTH + HEADROOM;
const TOTAL = UDP_AT + SLOT_LENGTH;

/** Offsets of the control area, octets. Each structure's room is checked by the class that uses it. */
export const Control = { datagram: 0x000, gather: 0x400, raw: 0x480, poll: 0x800 } as const;

/** The arena of one data isolate. */
export class Arena {
  readonly native: NativeBuffer;
  readonly memory: Memory;
  /** Where a packet from the TUN is read to; {@link HEADROOM} octets before it are free. */
  readonly tunAt: number = TUN_AT;
  /** Where a datagram is read to; {@link HEADROOM} octets before it are free. */
  readonly udpAt: number = UDP_AT;

  constructor() {
    const pages = Math.ceil(TOTAL / PAGE);
    this.native = nativeBuffer(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
    this.memory = { bytes: this.native.bytes, view: this.native.view, scratch: SCRATCH_AT };
  }
}
