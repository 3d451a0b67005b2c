/**
 * Raw IPv6 sockets: whole packets out to the IPv6 Internet, and ICMPv6 messages in (raw(7), RFC 3542).
 *
 * A socket of protocol IPPROTO_RAW takes the packet with its IPv6 header as it is; the kernel only routes it. It receives nothing.
 */

import {
  AF_INET6,
  ICMP6_FILTER,
  icmp6_filter,
  iovec,
  IPPROTO_ICMPV6,
  IPPROTO_RAW,
  msghdr,
  SOCK_RAW,
  sockaddr_in6,
} from "./abi/socket.ts";
import { errno, type Hints, SystemError } from "./errno.ts";
import { close } from "./io.ts";
import { libc } from "./libc.ts";
import type { NativeBuffer } from "./memory.ts";
import { openSocket, setOption } from "./socket.ts";

const HINTS: Hints = {
  EPERM: "needs CAP_NET_RAW: run as root",
  EACCES: "needs CAP_NET_RAW: run as root",
  EAFNOSUPPORT: "IPv6 is disabled on this host",
};

/** Offset of the destination in an IPv6 header, octets (RFC 8200 3). */
const DESTINATION_AT = 24;
const ADDRESS_LENGTH = 16;

/** Opens a socket for {@link RawIpv6Sender}: nonblocking, close-on-exec. @throws SystemError */
export function openRawIpv6(): number {
  return openSocket(AF_INET6, SOCK_RAW, IPPROTO_RAW, "open a raw IPv6 socket", HINTS);
}

/**
 * Opens a socket that receives copies of the ICMPv6 messages this host gets, and sends some: nonblocking, close-on-exec. A read
 * gives one message without its IPv6 header; the kernel has verified the checksum, and fills it in when sending.
 * @param types ICMPv6 types to let through, 0 to 255
 * @throws SystemError
 */
export function openRawIcmpv6(types: readonly number[]): number {
  const fd = openSocket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, "open a raw ICMPv6 socket", HINTS);
  const filter = new Uint32Array(new ArrayBuffer(icmp6_filter.size)).fill(0xffff_ffff);
  for (const type of types) filter[type >>> 5] &= ~(1 << (type & 31));
  const result = setOption(fd, IPPROTO_ICMPV6, ICMP6_FILTER, new Uint8Array(filter.buffer));
  if (result < 0) {
    close(fd);
    throw new SystemError("setsockopt", "set the filter of a raw ICMPv6 socket", -result);
  }
  return fd;
}

/*
 * Control area: 0 msghdr │ 56 iovec │ 72 sockaddr_in6 (28)
 */
const IOVEC_AT = msghdr.size;
const TARGET_AT = IOVEC_AT + iovec.size;

/** Octets of control area a {@link RawIpv6Sender} needs. */
export const RAW_CONTROL_LENGTH: number = TARGET_AT + 32;

/** Sends IPv6 packets of one buffer. No garbage, no exceptions. */
export class RawIpv6Sender {
  readonly #buffer: NativeBuffer;
  readonly #at: number;
  readonly #pointer: Deno.PointerValue;

  /** @param at where its {@link RAW_CONTROL_LENGTH} octets lie in `buffer`, a multiple of 8 */
  constructor(buffer: NativeBuffer, at: number) {
    this.#buffer = buffer;
    this.#at = at;
    this.#pointer = buffer.pointer(at);
    buffer.bytes.fill(0, at, at + RAW_CONTROL_LENGTH);
    buffer.writePointer(at + msghdr.msg_name, at + TARGET_AT);
    buffer.view.setUint32(at + msghdr.msg_namelen, sockaddr_in6.size, true);
    buffer.writePointer(at + msghdr.msg_iov, at + IOVEC_AT);
    buffer.view.setUint32(at + msghdr.msg_iovlen, 1, true);
    buffer.view.setUint16(at + TARGET_AT + sockaddr_in6.sin6_family, AF_INET6, true);
  }

  /**
   * Sends the IPv6 packet of `length` octets (at least 40) at `at`, to the destination its header names.
   * @param scope index of the interface for a link-local or multicast destination, else 0
   * @returns octets sent, or -errno (`-EMSGSIZE`: larger than the MTU, the kernel does not fragment it)
   */
  send(fd: number, at: number, length: number, scope = 0): number {
    const { bytes, u32 } = this.#buffer;
    const target = this.#at + TARGET_AT;
    bytes.copyWithin(target + sockaddr_in6.sin6_addr, at + DESTINATION_AT, at + DESTINATION_AT + ADDRESS_LENGTH);
    u32[(target + sockaddr_in6.sin6_scope_id) >> 2] = scope;
    this.#buffer.writePointer(this.#at + IOVEC_AT + iovec.iov_base, at);
    u32[(this.#at + IOVEC_AT + iovec.iov_len) >> 2] = length;
    const result = libc().sendmsg(fd, this.#pointer, 0);
    return result < 0 ? -errno() : result;
  }
}
