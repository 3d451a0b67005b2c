/**
 * Datagrams to a program of this host that has a unix(7) socket: the service manager (sd_notify(3)), the system log (syslog(3)).
 *
 * ```
 *   /run/systemd/notify   a path
 *   @/org/example         an abstract name: the kernel wants a NUL in place of "@", and none at its end
 * ```
 *
 * The socket is connected once: it then reaches that program from a chroot too, and by a user who may not look for the path.
 */

import { AF_UNIX, MSG_NOSIGNAL, SOCK_DGRAM, sockaddr_un } from "./abi/socket.ts";
import { check, errno } from "./errno.ts";
import { close } from "./io.ts";
import { libc } from "./libc.ts";
import { openSocket } from "./socket.ts";
import { cString } from "./text.ts";

const encoder = new TextEncoder();

/**
 * The struct sockaddr_un of a socket, as long as it is.
 * @throws RangeError when it is neither an absolute path nor an abstract name, or longer than the kernel takes
 */
export function datagramAddress(name: string): Uint8Array<ArrayBuffer> {
  const abstract = name.startsWith("@");
  if (!abstract && !name.startsWith("/")) {
    throw new RangeError(`Cannot use socket ${JSON.stringify(name)}: it is neither a path nor an abstract name`);
  }
  const text = cString(name);
  // The end of a path is its NUL, the end of an abstract name is the end of the address.
  const length = abstract ? text.length - 1 : text.length;
  if (sockaddr_un.sun_path + length > sockaddr_un.size) {
    const most = sockaddr_un.size - sockaddr_un.sun_path - 1;
    throw new RangeError(`Cannot use socket ${JSON.stringify(name)}: it has more than ${most} octets`);
  }
  const octets = new Uint8Array(new ArrayBuffer(sockaddr_un.sun_path + length));
  new DataView(octets.buffer).setUint16(sockaddr_un.sun_family, AF_UNIX, true);
  octets.set(text.subarray(0, length), sockaddr_un.sun_path);
  if (abstract) octets[sockaddr_un.sun_path] = 0;
  return octets;
}

/** A connected socket. Dispose of it to close it. */
export class UnixDatagram implements Disposable {
  readonly #fd: number;

  /**
   * @param name absolute path, or abstract name that starts with "@"
   * @param whom for the error: "the service manager"
   * @throws SystemError or RangeError
   */
  constructor(name: string, whom: string) {
    const action = `connect to ${whom} at ${JSON.stringify(name)}`;
    const address = datagramAddress(name);
    this.#fd = openSocket(AF_UNIX, SOCK_DGRAM, 0, action);
    try {
      check(libc().connect(this.#fd, address, address.length), "connect", action);
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  /** Sends one datagram, without waiting. @returns 0, or -errno: `-EAGAIN` when the program has too many to read, `-ECONNREFUSED` when it is gone */
  send(text: string): number {
    const octets = encoder.encode(text);
    const result = libc().sendto(this.#fd, octets, octets.length, MSG_NOSIGNAL, null, 0);
    return result < 0 ? -errno() : 0;
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}
