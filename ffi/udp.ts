/**
 * UDP over IPv4 sockets: one datagram a call, with the address it was sent to (ip(7), IP_PKTINFO).
 *
 * The outer header leaves with DF clear (RFC 4380 5.1.2) and with TOS 0, so ECN 00 (RFC 9601 6.1.3).
 */

import {
  AF_INET,
  cmsghdr,
  in_pktinfo,
  iovec,
  IP_ADD_MEMBERSHIP,
  ip_mreqn,
  IP_MTU_DISCOVER,
  IP_MULTICAST_ALL,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IP_PKTINFO,
  IP_PMTUDISC_DONT,
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_UDP,
  MSG_TRUNC,
  msghdr,
  SO_BINDTODEVICE,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_DGRAM,
  sockaddr_in,
  SOL_SOCKET,
} from "./abi/socket.ts";
import { check, errno, type Hints, SystemError } from "./errno.ts";
import { close } from "./io.ts";
import { libc } from "./libc.ts";
import type { NativeBuffer } from "./memory.ts";
import { ipv4SocketAddress, openSocket, setIntOption, setOption } from "./socket.ts";
import { cString, formatIpv4Number } from "./text.ts";

/** Socket buffers asked for in each direction, octets: bursts of a fast sender must not be lost while this thread is away. */
const BUFFER_LENGTH = 4 << 20;

const BIND_HINTS: Hints = {
  EADDRINUSE: "the port is in use",
  EADDRNOTAVAIL: "the address is not one of this host's",
  EACCES: "needs CAP_NET_BIND_SERVICE for a port below 1024: run as root",
};

/** What {@link openUdp} is asked for. */
export interface UdpOptions {
  /** Local IPv4 address, host order; 0 for any. */
  readonly address: number;
  /** Local port, 0 for one of the kernel's choice. */
  readonly port: number;
  /** Share the port with others that set it too (multicast listeners). */
  readonly reuseAddress?: boolean;
  /** Share the port with other sockets of this user, datagrams spread over them. */
  readonly reusePort?: boolean;
  /** Receive and send on this interface only; needs CAP_NET_RAW on kernels before 5.7. */
  readonly interface?: string;
}

/** A local address and port, host order. */
export interface LocalEndpoint {
  readonly address: number;
  readonly port: number;
}

/**
 * Opens and binds a UDP socket: nonblocking, close-on-exec, DF clear, TOS 0, packet info on.
 * @returns the descriptor
 * @throws SystemError
 */
export function openUdp(options: UdpOptions): number {
  const where = `${formatIpv4Number(options.address)}:${options.port}`;
  const fd = openSocket(AF_INET, SOCK_DGRAM, IPPROTO_UDP, `open a UDP socket for ${where}`);
  try {
    const must = (level: number, option: number, value: number, name: string): void => {
      checkOption(setIntOption(fd, level, option, value), `set ${name} on UDP ${where}`);
    };
    must(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, "IP_MTU_DISCOVER");
    must(IPPROTO_IP, IP_TOS, 0, "IP_TOS");
    must(IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
    // A group joined by another program must not bring its datagrams here.
    must(IPPROTO_IP, IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL");
    if (options.reuseAddress === true) must(SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    if (options.reusePort === true) must(SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
    if (options.interface !== undefined) {
      const action = `bind UDP ${where} to interface ${JSON.stringify(options.interface)}`;
      checkOption(setOption(fd, SOL_SOCKET, SO_BINDTODEVICE, cString(options.interface)), action, {
        ENODEV: "no such interface",
        EPERM: "needs CAP_NET_RAW: run as root",
      });
    }
    enlarge(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    enlarge(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    const name = ipv4SocketAddress(options.address, options.port);
    check(libc().bind(fd, name, name.length), "bind", `bind UDP ${where}`, BIND_HINTS);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** The first option passes net.core.rmem_max but needs CAP_NET_ADMIN; the second is cut to it. Either failing is no harm. */
function enlarge(fd: number, force: number, polite: number): void {
  if (setIntOption(fd, SOL_SOCKET, force, BUFFER_LENGTH) < 0) setIntOption(fd, SOL_SOCKET, polite, BUFFER_LENGTH);
}

function checkOption(result: number, action: string, hints?: Hints): void {
  if (result < 0) throw new SystemError("setsockopt", action, -result, hints);
}

/**
 * The address and port a socket is bound to.
 * @throws SystemError
 */
export function localEndpoint(fd: number): LocalEndpoint {
  const name = ipv4SocketAddress(0, 0);
  const length = new Uint32Array(new ArrayBuffer(4));
  length[0] = name.length;
  check(libc().getsockname(fd, name, length), "getsockname", `find the local port of socket ${fd}`);
  const view = new DataView(name.buffer);
  return { address: view.getUint32(sockaddr_in.sin_addr), port: view.getUint16(sockaddr_in.sin_port) };
}

/**
 * Fixes whom a socket talks to: it hears nobody else, and calls tell of ICMP errors from there (`ECONNREFUSED`: nobody listens).
 * @param address host order
 * @returns 0, or -errno
 */
export function connectUdp(fd: number, address: number, port: number): number {
  const name = ipv4SocketAddress(address, port);
  return libc().connect(fd, name, name.length) < 0 ? -errno() : 0;
}

function membership(group: number, interfaceAddress: number): Uint8Array<ArrayBuffer> {
  const octets = new Uint8Array(new ArrayBuffer(ip_mreqn.size));
  const view = new DataView(octets.buffer);
  view.setUint32(ip_mreqn.imr_multiaddr, group);
  view.setUint32(ip_mreqn.imr_address, interfaceAddress);
  return octets;
}

/**
 * Receives datagrams to an IPv4 multicast group too.
 * @param group host order
 * @param interfaceAddress the address of the interface to join on, host order; 0 lets the kernel choose
 * @throws SystemError
 */
export function joinGroup(fd: number, group: number, interfaceAddress: number): void {
  const value = membership(group, interfaceAddress);
  checkOption(setOption(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, value), `join group ${formatIpv4Number(group)}`, {
    ENODEV: "no interface for it",
    EADDRINUSE: "joined already",
    ENOBUFS: "too many groups: net.ipv4.igmp_max_memberships",
  });
}

/**
 * Sets how multicast datagrams leave.
 * @param options ttl: hops, 1 stays on the link; loop: this host hears them too; interfaceAddress: where they leave, host order
 * @throws SystemError
 */
export function multicastOptions(
  fd: number,
  options: { readonly ttl?: number; readonly loop?: boolean; readonly interfaceAddress?: number },
): void {
  const { ttl, loop, interfaceAddress } = options;
  if (ttl !== undefined) {
    checkOption(setIntOption(fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl), `set the multicast TTL to ${ttl}`);
  }
  if (loop !== undefined) {
    checkOption(setIntOption(fd, IPPROTO_IP, IP_MULTICAST_LOOP, loop ? 1 : 0), "set the multicast loop");
  }
  if (interfaceAddress !== undefined) {
    const value = membership(0, interfaceAddress);
    const action = `send multicast from ${formatIpv4Number(interfaceAddress)}`;
    checkOption(setOption(fd, IPPROTO_IP, IP_MULTICAST_IF, value), action, {
      EADDRNOTAVAIL: "the address is not one of this host's",
    });
  }
}

/*
 * Control area of a DatagramSocketIo, offsets from its start. The kernel reads and writes all of it.
 *
 *   0 receive msghdr │ 56 send msghdr │ 112 receive iovec │ 128 send iovec │ 144 source │ 160 destination │
 * 176 control received (64) │ 240 control to send (32) │ 272 zero (8)
 */
const RECEIVE_AT = 0;
const SEND_AT = RECEIVE_AT + msghdr.size;
const RECEIVE_IOVEC_AT = SEND_AT + msghdr.size;
const SEND_IOVEC_AT = RECEIVE_IOVEC_AT + iovec.size;
const SOURCE_AT = SEND_IOVEC_AT + iovec.size;
const TARGET_AT = SOURCE_AT + sockaddr_in.size;
const RECEIVED_CONTROL_AT = TARGET_AT + sockaddr_in.size;
/** Room for a packet info (32 octets with padding) and one more message of that size. */
const RECEIVED_CONTROL_LENGTH = 64;
const SENT_CONTROL_AT = RECEIVED_CONTROL_AT + RECEIVED_CONTROL_LENGTH;
/** CMSG_LEN and CMSG_SPACE of a packet info. */
const PKTINFO_LENGTH = cmsghdr.size + in_pktinfo.size;
const PKTINFO_SPACE = (PKTINFO_LENGTH + 7) & ~7;
const ZERO_AT = SENT_CONTROL_AT + PKTINFO_SPACE;

/** Octets of control area a {@link DatagramSocketIo} needs. */
export const CONTROL_LENGTH: number = ZERO_AT + 8;

/** Receives and sends datagrams to and from one buffer, for any number of sockets. No garbage, no exceptions. */
export class DatagramSocketIo {
  readonly #buffer: NativeBuffer;
  readonly #at: number;
  readonly #view: DataView;
  readonly #u32: Uint32Array;
  readonly #receivePointer: Deno.PointerValue;
  readonly #sendPointer: Deno.PointerValue;
  #destinationAt: number;

  /** @param at where its {@link CONTROL_LENGTH} octets lie in `buffer`, a multiple of 8 */
  constructor(buffer: NativeBuffer, at: number) {
    this.#buffer = buffer;
    this.#at = at;
    this.#view = buffer.view;
    this.#u32 = buffer.u32;
    this.#receivePointer = buffer.pointer(at + RECEIVE_AT);
    this.#sendPointer = buffer.pointer(at + SEND_AT);
    this.#destinationAt = at + ZERO_AT;
    buffer.bytes.fill(0, at, at + CONTROL_LENGTH);
    for (
      const [header, name, vector, control] of [
        [RECEIVE_AT, SOURCE_AT, RECEIVE_IOVEC_AT, RECEIVED_CONTROL_AT],
        [SEND_AT, TARGET_AT, SEND_IOVEC_AT, SENT_CONTROL_AT],
      ] as const
    ) {
      buffer.writePointer(at + header + msghdr.msg_name, at + name);
      this.#set(header + msghdr.msg_namelen, sockaddr_in.size);
      buffer.writePointer(at + header + msghdr.msg_iov, at + vector);
      this.#set(header + msghdr.msg_iovlen, 1);
      buffer.writePointer(at + header + msghdr.msg_control, at + control);
    }
    this.#view.setUint16(at + TARGET_AT + sockaddr_in.sin_family, AF_INET, true);
    this.#set(SENT_CONTROL_AT + cmsghdr.cmsg_len, PKTINFO_LENGTH);
    this.#set(SENT_CONTROL_AT + cmsghdr.cmsg_level, IPPROTO_IP);
    this.#set(SENT_CONTROL_AT + cmsghdr.cmsg_type, IP_PKTINFO);
  }

  #set(offset: number, value: number): void {
    this.#u32[(this.#at + offset) >> 2] = value;
  }

  #get(offset: number): number {
    return this.#u32[(this.#at + offset) >> 2];
  }

  /**
   * Receives one datagram to the `length` octets at `at` of the buffer; the properties below then tell about it.
   * @returns octets stored, or -errno (`-EAGAIN` when there is none)
   */
  receive(fd: number, at: number, length: number): number {
    this.#buffer.writePointer(this.#at + RECEIVE_IOVEC_AT + iovec.iov_base, at);
    this.#set(RECEIVE_IOVEC_AT + iovec.iov_len, length);
    this.#set(RECEIVE_AT + msghdr.msg_namelen, sockaddr_in.size);
    this.#set(RECEIVE_AT + msghdr.msg_controllen, RECEIVED_CONTROL_LENGTH);
    const result = libc().recvmsg(fd, this.#receivePointer, 0);
    if (result < 0) return -errno();
    this.#destinationAt = this.#at + this.#findDestination(this.#get(RECEIVE_AT + msghdr.msg_controllen));
    return result;
  }

  /** Offset of the destination address within the control area: in the packet info, or of four zero octets. */
  #findDestination(controlLength: number): number {
    let offset = 0;
    while (offset + PKTINFO_LENGTH <= controlLength) {
      const at = RECEIVED_CONTROL_AT + offset;
      const length = this.#get(at + cmsghdr.cmsg_len);
      const packetInfo = this.#get(at + cmsghdr.cmsg_level) === IPPROTO_IP &&
        this.#get(at + cmsghdr.cmsg_type) === IP_PKTINFO;
      if (packetInfo) return at + cmsghdr.size + in_pktinfo.ipi_addr;
      if (length < cmsghdr.size) break;
      offset += (length + 7) & ~7;
    }
    return ZERO_AT;
  }

  /** IPv4 source of the last datagram, host order. */
  get sourceAddress(): number {
    return this.#view.getUint32(this.#at + SOURCE_AT + sockaddr_in.sin_addr);
  }

  /** UDP source port of the last datagram. */
  get sourcePort(): number {
    return this.#view.getUint16(this.#at + SOURCE_AT + sockaddr_in.sin_port);
  }

  /** IPv4 address the last datagram was sent to (a group for multicast), host order; 0 when the socket has no packet info. */
  get destination(): number {
    return this.#view.getUint32(this.#destinationAt);
  }

  /** Whether the last datagram was longer than the place for it. */
  get truncated(): boolean {
    return (this.#get(RECEIVE_AT + msghdr.msg_flags) & MSG_TRUNC) !== 0;
  }

  /**
   * Sends the `length` octets at `at` as one datagram.
   * @param address destination, host order
   * @param port destination port, 1 to 65535
   * @param fromAddress local address to send from, host order; 0 leaves it to the kernel
   * @returns octets sent, or -errno
   */
  send(fd: number, at: number, length: number, address: number, port: number, fromAddress = 0): number {
    this.#view.setUint16(this.#at + TARGET_AT + sockaddr_in.sin_port, port);
    this.#view.setUint32(this.#at + TARGET_AT + sockaddr_in.sin_addr, address);
    this.#buffer.writePointer(this.#at + SEND_IOVEC_AT + iovec.iov_base, at);
    this.#set(SEND_IOVEC_AT + iovec.iov_len, length);
    if (fromAddress === 0) {
      this.#set(SEND_AT + msghdr.msg_controllen, 0);
    } else {
      this.#view.setUint32(this.#at + SENT_CONTROL_AT + cmsghdr.size + in_pktinfo.ipi_spec_dst, fromAddress);
      this.#set(SEND_AT + msghdr.msg_controllen, PKTINFO_SPACE);
    }
    const result = libc().sendmsg(fd, this.#sendPointer, 0);
    return result < 0 ? -errno() : result;
  }
}
