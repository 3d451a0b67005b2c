/**
 * The header before each packet of a TUN with offloads (virtio 1.3, 5.1.6; linux/virtio_net.h). Numbers are little-endian.
 *
 * ```
 *   0       1       2       4             6             8              10
 * +-------+-------+---------+-------------+-------------+--------------+
 * | flags | type  | headers | segment     | checksum    | checksum     |
 * |       |       | length  | length      | from        | field after  |
 * +-------+-------+---------+-------------+-------------+--------------+
 * ```
 *
 * What the kernel writes there is checked before it is believed: a bug must not become a write outside the packet.
 */

import {
  virtio_net_hdr,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
} from "../../../../ffi/abi/offload.ts";
import { IPV6_HEADER_LENGTH, NEXT_HEADER_TCP, NEXT_HEADER_UDP } from "../../../wire/ipv6.ts";
import { fold, type OffloadMemory, Tcp, Udp } from "./memory.ts";

/** Octets of the header. */
export const VIRTIO_HEADER_LENGTH = virtio_net_hdr.size;

/** The fields of one header, read again and again into the same object. */
export class VirtioHeader {
  /** The checksum is to be completed. */
  needsChecksum: boolean = false;
  /** Protocol of the super-packet, 6 or 17; 0 for a packet as it is, -1 for a kind that nobody asked for. */
  protocol: number = 0;
  /** Octets of payload in each packet that a super-packet is cut into. */
  segmentLength: number = 0;
  /** Offset in the packet from which the checksum is taken. */
  checksumFrom: number = 0;
  /** Offset of the checksum field from there. */
  checksumField: number = 0;

  /** Reads the {@link VIRTIO_HEADER_LENGTH} octets at `at`. */
  read(view: DataView, at: number): void {
    this.needsChecksum = (view.getUint8(at + virtio_net_hdr.flags) & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0;
    this.protocol = protocolOf(view.getUint8(at + virtio_net_hdr.gso_type) & ~VIRTIO_NET_HDR_GSO_ECN);
    this.segmentLength = view.getUint16(at + virtio_net_hdr.gso_size, true);
    this.checksumFrom = view.getUint16(at + virtio_net_hdr.csum_start, true);
    this.checksumField = view.getUint16(at + virtio_net_hdr.csum_offset, true);
  }
}

function protocolOf(type: number): number {
  switch (type) {
    case VIRTIO_NET_HDR_GSO_NONE:
      return 0;
    case VIRTIO_NET_HDR_GSO_TCPV6:
      return NEXT_HEADER_TCP;
    case VIRTIO_NET_HDR_GSO_UDP_L4:
      return NEXT_HEADER_UDP;
    default:
      return -1;
  }
}

/** Writes the header of a super-packet without extension headers. @param headerLength IPv6 and transport header, octets */
export function writeSuperHeader(
  view: DataView,
  at: number,
  protocol: number,
  headerLength: number,
  segmentLength: number,
): void {
  const tcp = protocol === NEXT_HEADER_TCP;
  view.setUint8(at + virtio_net_hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
  view.setUint8(at + virtio_net_hdr.gso_type, tcp ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_UDP_L4);
  view.setUint16(at + virtio_net_hdr.hdr_len, headerLength, true);
  view.setUint16(at + virtio_net_hdr.gso_size, segmentLength, true);
  view.setUint16(at + virtio_net_hdr.csum_start, IPV6_HEADER_LENGTH, true);
  view.setUint16(at + virtio_net_hdr.csum_offset, tcp ? Tcp.checksum : Udp.checksum, true);
}

/**
 * Completes the checksum of the packet of `length` octets at `at`, whose field holds the sum of the pseudo-header, as its header asks.
 * @returns false when the header asks for something outside the packet; nothing is written then
 */
export function completeChecksum(memory: OffloadMemory, at: number, length: number, header: VirtioHeader): boolean {
  const { checksumFrom, checksumField } = header;
  if (checksumFrom < IPV6_HEADER_LENGTH || checksumFrom + checksumField + 2 > length) return false;
  const from = at + checksumFrom;
  const sum = 0xffff & ~memory.sum(from, length - checksumFrom);
  // UDP has no checksum 0 (RFC 8200 8.1); its field is the only one at 6.
  memory.view.setUint16(from + checksumField, sum === 0 && checksumField === Udp.checksum ? 0xffff : sum);
  return true;
}

/** The sum of the pseudo-header of the IPv6 packet at `at` (RFC 8200 8.1), folded, as a checksum field that is to be completed holds it. */
export function pseudoSum(memory: OffloadMemory, at: number, protocol: number, length: number): number {
  return fold(memory.sum(at + 8, 32) + protocol + length);
}
