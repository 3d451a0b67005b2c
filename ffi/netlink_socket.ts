/**
 * A netlink socket: a request and its answer, or the datagrams of multicast groups (netlink(7)).
 *
 * ```
 *   request, NLM_F_ACK   ──▶   error 0 (done) or -errno
 *   request, NLM_F_DUMP  ──▶   message, message ... NLMSG_DONE
 * ```
 */

import { EAGAIN, EINTR, EMSGSIZE, ETIMEDOUT } from "./abi/errno.ts";
import {
  AF_NETLINK,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  nlmsgerr,
  nlmsghdr,
  sockaddr_nl,
} from "./abi/netlink.ts";
import { MSG_TRUNC, SO_RCVTIMEO, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, SOL_SOCKET, timeval } from "./abi/socket.ts";
import { check, errno, type Hints, SystemError } from "./errno.ts";
import { close } from "./io.ts";
import { libc } from "./libc.ts";
import { type NetlinkMessage, type NetlinkRequest, splitMessages } from "./netlink_message.ts";
import { setOption } from "./socket.ts";

/** The kernel fills datagrams of at most 32 KiB when it dumps. */
const RECEIVE_LENGTH = 65536;

/** The kernel answers within the send call; this bound only keeps a broken one from hanging the program. Seconds. */
const ANSWER_TIMEOUT = 5;

/** A dump during which something changed is asked for again, at most this often. */
const DUMP_ATTEMPTS = 5;

/** A socket of the NETLINK_ROUTE family. */
export class NetlinkSocket {
  /** The descriptor, for poll. */
  readonly fd: number;
  readonly #buffer = new Uint8Array(new ArrayBuffer(RECEIVE_LENGTH));
  readonly #name = new Uint8Array(new ArrayBuffer(sockaddr_nl.size));
  readonly #nameView = new DataView(this.#name.buffer);
  readonly #nameLength = new Uint32Array(new ArrayBuffer(4));
  #sequence = 0;

  /**
   * @param groups `RTMGRP_*` to listen to
   * @param nonblocking whether {@link receive} returns at once
   * @throws SystemError
   */
  constructor(groups: number, nonblocking: boolean) {
    const type = SOCK_RAW | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
    this.fd = check(libc().socket(AF_NETLINK, type, NETLINK_ROUTE), "socket", "open a netlink socket");
    try {
      this.#nameView.setUint16(sockaddr_nl.nl_family, AF_NETLINK, true);
      this.#nameView.setUint32(sockaddr_nl.nl_groups, groups, true);
      check(libc().bind(this.fd, this.#name, this.#name.length), "bind", "bind a netlink socket");
      const limit = new Uint8Array(new ArrayBuffer(timeval.size));
      new DataView(limit.buffer).setUint32(timeval.tv_sec, ANSWER_TIMEOUT, true);
      setOption(this.fd, SOL_SOCKET, SO_RCVTIMEO, limit);
    } catch (error) {
      close(this.fd);
      throw error;
    }
  }

  close(): void {
    close(this.fd);
  }

  /** One datagram from the kernel as messages (valid until the next call), or a negative errno. */
  receive(): readonly NetlinkMessage[] | number {
    for (;;) {
      this.#nameLength[0] = sockaddr_nl.size;
      const length = libc().recvfrom(
        this.fd,
        this.#buffer,
        this.#buffer.length,
        MSG_TRUNC,
        this.#name,
        this.#nameLength,
      );
      if (length < 0) return -errno();
      // Only port 0 is the kernel.
      if (this.#nameView.getUint32(sockaddr_nl.nl_pid, true) !== 0) continue;
      if (length > this.#buffer.length) return -EMSGSIZE;
      return splitMessages(this.#buffer.subarray(0, length));
    }
  }

  /**
   * Asks for a change, or for one message.
   * @param action what is done, and to what, for the error
   * @returns the messages before the acknowledgement, copied
   * @throws SystemError
   */
  request(request: NetlinkRequest, action: string, hints?: Hints): readonly NetlinkMessage[] {
    const result = this.#exchange(request, NLM_F_REQUEST | NLM_F_ACK, action);
    if (typeof result === "number") throw new SystemError("netlink", action, -result, hints);
    return result.messages;
  }

  /**
   * Asks for one thing that may not be there.
   * @param absent the errors that mean it is not there
   */
  find(request: NetlinkRequest, absent: readonly number[], action: string): NetlinkMessage | undefined {
    const result = this.#exchange(request, NLM_F_REQUEST | NLM_F_ACK, action);
    if (typeof result !== "number") return result.messages[0];
    if (absent.includes(-result)) return undefined;
    throw new SystemError("netlink", action, -result);
  }

  /**
   * Asks for all of a kind.
   * @returns the messages, copied, of one consistent state
   * @throws SystemError
   */
  dump(request: NetlinkRequest, action: string): readonly NetlinkMessage[] {
    for (let attempt = 1;; attempt++) {
      const result = this.#exchange(request, NLM_F_REQUEST | NLM_F_DUMP, action);
      if (typeof result === "number") throw new SystemError("netlink", action, -result);
      if (!result.interrupted || attempt === DUMP_ATTEMPTS) return result.messages;
    }
  }

  #exchange(
    request: NetlinkRequest,
    flags: number,
    action: string,
  ): { readonly messages: readonly NetlinkMessage[]; readonly interrupted: boolean } | number {
    const sequence = this.#sequence = (this.#sequence + 1) >>> 0;
    const bytes = request.finish(sequence, flags);
    check(libc().sendto(this.fd, bytes, bytes.length, 0, null, 0), "sendto", action);
    const messages: NetlinkMessage[] = [];
    let interrupted = false;
    for (;;) {
      const received = this.receive();
      if (typeof received === "number") {
        if (received === -EINTR) continue;
        return received === -EAGAIN ? -ETIMEDOUT : received;
      }
      for (const message of received) {
        // An answer to an earlier request that was given up.
        if (message.sequence !== sequence) continue;
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (message.type === NLMSG_ERROR) {
          const error = message.header32(nlmsgerr.error);
          return error < 0 ? error : { messages, interrupted };
        }
        if (message.type === NLMSG_DONE) {
          const error = message.bytes.length >= nlmsghdr.size + 4 ? message.header32(0) : 0;
          return error < 0 ? error : { messages, interrupted };
        }
        messages.push(message.copy());
      }
    }
  }
}
