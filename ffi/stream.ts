/**
 * Stream sockets: unix(7) by path, and TCP for listeners on this host. Nonblocking, close-on-exec.
 *
 * The calls that move octets never throw: they return octets (>= 0) or a negative errno, `-EAGAIN` when there is nothing to do.
 */

import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  MSG_NOSIGNAL,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  sockaddr_in,
  sockaddr_in6,
  sockaddr_un,
  SOL_SOCKET,
} from "./abi/socket.ts";
import { EINPROGRESS } from "./abi/errno.ts";
import { check, errno, type Hints } from "./errno.ts";
import { removeFile, withMask } from "./file.ts";
import { close } from "./io.ts";
import { libc } from "./libc.ts";
import { ipv4SocketAddress, openSocket, setIntOption } from "./socket.ts";
import { cString, formatAddress } from "./text.ts";

/** Connections the kernel holds until they are accepted. */
const BACKLOG = 16;

/** Permission bits that nobody has on a socket before {@link listenUnix} gives them. */
const MASK_ALL = 0o777;

/** A struct sockaddr_un. @throws RangeError when the kernel takes no path that long */
function unixSocketAddress(path: string): Uint8Array<ArrayBuffer> {
  const octets = new Uint8Array(new ArrayBuffer(sockaddr_un.size));
  const text = cString(path);
  if (sockaddr_un.sun_path + text.length > sockaddr_un.size) {
    const most = sockaddr_un.size - sockaddr_un.sun_path - 1;
    throw new RangeError(`Cannot use socket path ${JSON.stringify(path)}: it has more than ${most} octets`);
  }
  new DataView(octets.buffer).setUint16(sockaddr_un.sun_family, AF_UNIX, true);
  octets.set(text, sockaddr_un.sun_path);
  return octets;
}

/**
 * Listens on a path that does not exist yet. From the moment it exists, it has no more permissions than `mode`.
 * @param mode permission bits
 * @returns the descriptor
 * @throws SystemError; EADDRINUSE when the path exists
 */
export function listenUnix(path: string, mode: number, hints?: Hints): number {
  const action = `listen on ${JSON.stringify(path)}`;
  const name = unixSocketAddress(path);
  const fd = openSocket(AF_UNIX, SOCK_STREAM, 0, action);
  try {
    withMask(MASK_ALL & ~mode, () => check(libc().bind(fd, name, name.length), "bind", action, hints));
    try {
      check(libc().listen(fd, BACKLOG), "listen", action);
    } catch (error) {
      removeFile(path);
      throw error;
    }
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Connects to a listener on a path, at once or not at all. @returns the descriptor @throws SystemError */
export function connectUnix(path: string, hints?: Hints): number {
  const action = `connect to ${JSON.stringify(path)}`;
  const name = unixSocketAddress(path);
  const fd = openSocket(AF_UNIX, SOCK_STREAM, 0, action);
  try {
    check(libc().connect(fd, name, name.length), "connect", action, hints);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/**
 * Begins to connect to a TCP port: once it can be written to (POLLOUT), the first send tells how that went.
 * @param address IPv4, host order
 * @returns the descriptor, or -errno
 */
export function connectTcp(address: number, port: number): number {
  const fd = libc().socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno();
  const name = ipv4SocketAddress(address, port);
  if (libc().connect(fd, name, name.length) === 0) return fd;
  const error = errno();
  if (error === EINPROGRESS) return fd;
  close(fd);
  return -error;
}

/**
 * Listens on a TCP port of this host.
 * @param address 4 or 16 octets
 * @param port 0 for one of the kernel's choice
 * @returns the descriptor
 * @throws SystemError
 */
export function listenTcp(address: Uint8Array, port: number, hints?: Hints): number {
  const host = address.length === 4 ? formatAddress(address) : `[${formatAddress(address)}]`;
  const action = `listen on TCP ${host}:${port}`;
  const name = tcpSocketAddress(address, port);
  const fd = openSocket(address.length === 4 ? AF_INET : AF_INET6, SOCK_STREAM, 0, action);
  try {
    // The port may be taken again while connections of a predecessor fade away.
    setIntOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    check(libc().bind(fd, name, name.length), "bind", action, hints);
    check(libc().listen(fd, BACKLOG), "listen", action, hints);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function tcpSocketAddress(address: Uint8Array, port: number): Uint8Array<ArrayBuffer> {
  if (address.length === 4) return ipv4SocketAddress(new DataView(Uint8Array.from(address).buffer).getUint32(0), port);
  const octets = new Uint8Array(new ArrayBuffer(sockaddr_in6.size));
  const view = new DataView(octets.buffer);
  view.setUint16(sockaddr_in6.sin6_family, AF_INET6, true);
  view.setUint16(sockaddr_in6.sin6_port, port);
  octets.set(address, sockaddr_in6.sin6_addr);
  return octets;
}

/** The local port of a TCP socket. @throws SystemError */
export function localPort(fd: number): number {
  const name = new Uint8Array(new ArrayBuffer(sockaddr_in6.size));
  const length = new Uint32Array(new ArrayBuffer(4));
  length[0] = name.length;
  check(libc().getsockname(fd, name, length), "getsockname", `find the local port of socket ${fd}`);
  // At the same place in both kinds of address.
  return new DataView(name.buffer).getUint16(sockaddr_in.sin_port);
}

/** Takes one connection. @returns its descriptor, or -errno */
export function acceptStream(fd: number): number {
  const result = libc().accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return result < 0 ? -errno() : result;
}

/** Receives into `bytes`. @returns octets, 0 when the other side has ended, or -errno */
export function receiveStream(fd: number, bytes: Uint8Array<ArrayBuffer>): number {
  const result = libc().recvfrom(fd, bytes, bytes.length, 0, null, null);
  return result < 0 ? -errno() : result;
}

/** Sends from `bytes`, perhaps not all. A reader that is gone is an error, never a signal. @returns octets, or -errno */
export function sendStream(fd: number, bytes: Uint8Array<ArrayBuffer>): number {
  const result = libc().sendto(fd, bytes, bytes.length, MSG_NOSIGNAL, null, 0);
  return result < 0 ? -errno() : result;
}
