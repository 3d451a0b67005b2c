/**
 * Sockets, IPv4 and IPv6: socket(7), ip(7), ipv6(7), udp(7), raw(7), and the answer of getaddrinfo(3).
 *
 * An object is a C struct: `size` and the offset of each field, octets, under the C name. A number is a C constant.
 * All are the same on x86-64 and arm64; tests/ffi/layout_test.ts compares every export with the C headers.
 */

export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_RCVTIMEO = 20;
export const SO_BINDTODEVICE = 25;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;

export const IPPROTO_IP = 0;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_RAW = 255;

export const IP_TOS = 1;
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IP_PMTUDISC_DONT = 0;
export const IP_MULTICAST_IF = 32;
export const IP_MULTICAST_TTL = 33;
export const IP_MULTICAST_LOOP = 34;
export const IP_ADD_MEMBERSHIP = 35;
export const IP_MULTICAST_ALL = 49;

export const ICMP6_FILTER = 1;

export const MSG_NOSIGNAL = 0x4000;
export const MSG_TRUNC = 0x20;

export const EAI_BADFLAGS = -1;
export const EAI_NONAME = -2;
export const EAI_AGAIN = -3;
export const EAI_FAIL = -4;
export const EAI_NODATA = -5;
export const EAI_FAMILY = -6;
export const EAI_SOCKTYPE = -7;
export const EAI_SERVICE = -8;
export const EAI_ADDRFAMILY = -9;
export const EAI_MEMORY = -10;
export const EAI_SYSTEM = -11;
export const EAI_OVERFLOW = -12;

/** `netinet/in.h`: port and address are in network byte order. */
export const sockaddr_in = { size: 16, sin_family: 0, sin_port: 2, sin_addr: 4 } as const;

/** `netinet/in.h`. */
export const sockaddr_in6 = {
  size: 28,
  sin6_family: 0,
  sin6_port: 2,
  sin6_flowinfo: 4,
  sin6_addr: 8,
  sin6_scope_id: 24,
} as const;

/** `sys/un.h`: the path ends with a NUL octet. */
export const sockaddr_un = { size: 110, sun_family: 0, sun_path: 2 } as const;

/** `bits/types/struct_iovec.h`: an address and a length of 64 bits each. */
export const iovec = { size: 16, iov_base: 0, iov_len: 8 } as const;

/** `bits/socket.h`: name, vector of pieces, control messages; lengths of pieces and control are 64 bits wide. */
export const msghdr = {
  size: 56,
  msg_name: 0,
  msg_namelen: 8,
  msg_iov: 16,
  msg_iovlen: 24,
  msg_control: 32,
  msg_controllen: 40,
  msg_flags: 48,
} as const;

/** `bits/socket.h`: one message of recvmmsg(2) and sendmmsg(2). */
export const mmsghdr = { size: 64, msg_hdr: 0, msg_len: 56 } as const;

/** `bits/socket.h`: header of a control message; its data follow at {@link cmsghdr.size}, padded to 8 octets. */
export const cmsghdr = { size: 16, cmsg_len: 0, cmsg_level: 8, cmsg_type: 12 } as const;

/** `bits/in.h`: local address to send from (`spec_dst`), destination of a received datagram (`addr`). */
export const in_pktinfo = { size: 12, ipi_ifindex: 0, ipi_spec_dst: 4, ipi_addr: 8 } as const;

/** `bits/in.h`: a multicast group and the interface it is joined on. */
export const ip_mreqn = { size: 12, imr_multiaddr: 0, imr_address: 4, imr_ifindex: 8 } as const;

/** `netinet/icmp6.h`: 256 bits, one a type; a bit that is set keeps that type out. */
export const icmp6_filter = { size: 32, icmp6_filt: 0 } as const;

/** `bits/types/struct_timeval.h`. */
export const timeval = { size: 16, tv_sec: 0, tv_usec: 8 } as const;

/** `netdb.h`: one address of a name, and the pointer to the next. */
export const addrinfo = {
  size: 48,
  ai_flags: 0,
  ai_family: 4,
  ai_socktype: 8,
  ai_protocol: 12,
  ai_addrlen: 16,
  ai_addr: 24,
  ai_canonname: 32,
  ai_next: 40,
} as const;
