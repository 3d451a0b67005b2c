/** A service manager's end of sd_notify(3), for tests: a bound datagram socket. */

import { AF_UNIX, SOCK_DGRAM } from "../../ffi/abi/socket.ts";
import { check, errno } from "../../ffi/errno.ts";
import { close } from "../../ffi/io.ts";
import { libc } from "../../ffi/libc.ts";
import { datagramAddress } from "../../ffi/unix_datagram.ts";
import { openSocket } from "../../ffi/socket.ts";

/** Octets of the longest message there is. */
const LONGEST = 4096;

/** A bound socket; the caller removes its path. */
export class NotifyReceiver implements Disposable {
  readonly name: string;
  readonly #fd: number;

  /** @param name absolute path, or abstract name that starts with "@" */
  constructor(name: string) {
    this.name = name;
    const address = datagramAddress(name);
    this.#fd = openSocket(AF_UNIX, SOCK_DGRAM, 0, "open the manager's socket");
    check(libc().bind(this.#fd, address, address.length), "bind", `bind to ${JSON.stringify(name)}`);
  }

  /** The next message; undefined when there is none yet. */
  next(): string | undefined {
    const octets = new Uint8Array(new ArrayBuffer(LONGEST));
    const result = libc().recvfrom(this.#fd, octets, octets.length, 0, null, null);
    if (result < 0) check(errno() === 11 ? 0 : -1, "recvfrom", "receive a message"); // EAGAIN
    return result < 0 ? undefined : new TextDecoder().decode(octets.subarray(0, result));
  }

  /** All messages that are there. */
  all(): string[] {
    const messages: string[] = [];
    for (let one = this.next(); one !== undefined; one = this.next()) messages.push(one);
    return messages;
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}
