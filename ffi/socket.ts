/** What every kind of socket here shares: opening, options, addresses. Not for packets: those have classes without garbage. */

import { AF_INET, SOCK_CLOEXEC, SOCK_NONBLOCK, sockaddr_in } from "./abi/socket.ts";
import { check, errno, type Hints } from "./errno.ts";
import { libc } from "./libc.ts";

/**
 * Opens a socket, nonblocking and close-on-exec.
 * @param action what for, for the error: `open a UDP socket`
 * @throws SystemError
 */
export function openSocket(family: number, type: number, protocol: number, action: string, hints?: Hints): number {
  return check(libc().socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), "socket", action, hints);
}

/** Sets an option whose value is octets. @returns 0, or -errno */
export function setOption(fd: number, level: number, option: number, value: Uint8Array<ArrayBuffer>): number {
  return libc().setsockopt(fd, level, option, value, value.length) < 0 ? -errno() : 0;
}

/** Sets an option whose value is an int. @returns 0, or -errno */
export function setIntOption(fd: number, level: number, option: number, value: number): number {
  const octets = new Uint8Array(new ArrayBuffer(4));
  new DataView(octets.buffer).setInt32(0, value, true);
  return setOption(fd, level, option, octets);
}

/**
 * Reads an option whose value is an int.
 * @param name the option's C name, for the error
 * @throws SystemError
 */
export function intOption(fd: number, level: number, option: number, name: string): number {
  const value = new Int32Array(new ArrayBuffer(4));
  const length = new Uint32Array(new ArrayBuffer(4));
  length[0] = 4;
  check(libc().getsockopt(fd, level, option, value, length), "getsockopt", `read socket option ${name}`);
  return value[0];
}

/** A struct sockaddr_in of an address and port in host order. */
export function ipv4SocketAddress(address: number, port: number): Uint8Array<ArrayBuffer> {
  const octets = new Uint8Array(new ArrayBuffer(sockaddr_in.size));
  const view = new DataView(octets.buffer);
  view.setUint16(sockaddr_in.sin_family, AF_INET, true);
  view.setUint16(sockaddr_in.sin_port, port);
  view.setUint32(sockaddr_in.sin_addr, address);
  return octets;
}
