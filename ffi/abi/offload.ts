/**
 * Offloads: linux/udp.h (UDP GSO and GRO), linux/virtio_net.h (header before each packet of a TUN), linux/if_tun.h (TUN_F_*).
 *
 * An object is a C struct: `size` and the offset of each field, octets, under the C name. A number is a C constant.
 * All are the same on x86-64 and arm64; tests/ffi/layout_test.ts compares every export with the C headers.
 */

/** `setsockopt` level IPPROTO_UDP and control message type: octets of each datagram (u16) that a message is cut into. */
export const UDP_SEGMENT = 103;

/** `setsockopt` level IPPROTO_UDP and control message type: octets of each datagram (int) that were joined to a message. */
export const UDP_GRO = 104;

/** TUNSETOFFLOAD: the reader of the TUN completes checksums. */
export const TUN_F_CSUM = 0x01;
/** The reader cuts TCP over IPv4, TCP over IPv6, TCP with CWR. */
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
export const TUN_F_TSO_ECN = 0x08;
/** The reader cuts UDP; both or none (Linux 6.2). */
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

/** `linux/virtio_net.h`; numbers in the machine's byte order. */
export const virtio_net_hdr = {
  size: 10,
  flags: 0,
  gso_type: 1,
  hdr_len: 2,
  gso_size: 4,
  csum_start: 6,
  csum_offset: 8,
} as const;

/** The checksum field holds the pseudo-header's sum only; the rest is to be added. */
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;

export const VIRTIO_NET_HDR_GSO_NONE = 0;
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
/** UDP datagrams of one size (Linux 6.2). */
export const VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
/** Added to the type: the TCP packet has CWR set. */
export const VIRTIO_NET_HDR_GSO_ECN = 0x80;
