/**
 * The system log of this host: datagrams to /dev/log, as syslog(3) of the C library writes them (RFC 3164 4.1; RFC 5424 names the numbers).
 *
 * ```
 *   <30>Nov 21 09:30:00 miredo[4711]: Qualified address=2001:0:c000:201:...
 *    └ 8 * facility + severity
 * ```
 *
 * The newer form of RFC 5424 is for the way between hosts: busybox and the journal do not read it here.
 *
 * The socket is connected at the start, before a chroot. A program of the log that was started again has another socket: it is looked for
 * by its path at the next message, as the service user, and inside the chroot if there is one.
 */

import { SYSLOG_FACILITIES } from "../../../config/mod.ts";
import { ECONNREFUSED, ECONNRESET, ENOTCONN } from "../../../ffi/abi/errno.ts";
import { UnixDatagram } from "../../../ffi/unix_datagram.ts";
import type { LoggingOptions, SystemLog } from "../../control/logging.ts";

/** What every program of the log takes whole, octets (RFC 5424 6.1: SHOULD); longer messages are cut. */
const MAX_MESSAGE = 2048;

/** The program of the log is not there any more, or another one is. */
const GONE: readonly number[] = [-ECONNREFUSED, -ECONNRESET, -ENOTCONN];

const TAG = "miredo";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

const encoder = new TextEncoder();

/** Where messages go, and under which facility. */
type Destination = Pick<LoggingOptions, "syslog_facility" | "syslog_socket">;

/** A connection to the system log. */
export class Syslog implements SystemLog {
  #destination: Destination = { syslog_facility: "daemon", syslog_socket: "/dev/log" };
  #socket: UnixDatagram | undefined;

  configure(destination: Destination): string | undefined {
    if (destination.syslog_socket !== this.#destination.syslog_socket) this.#close();
    this.#destination = destination;
    if (destination.syslog_facility === "") {
      this.#close();
      return undefined;
    }
    return this.#connect();
  }

  write(severity: number, text: string): boolean {
    const facility = SYSLOG_FACILITIES[this.#destination.syslog_facility] ?? SYSLOG_FACILITIES.daemon;
    const message = formatSyslog(8 * facility + severity, text, new Date(), Deno.pid);
    if (this.#socket === undefined) this.#connect();
    const result = this.#socket?.send(message);
    if (result === undefined || !GONE.includes(result)) return result === 0;
    this.#close();
    this.#connect();
    return this.#socket?.send(message) === 0;
  }

  /** @returns why that cannot be, or undefined */
  #connect(): string | undefined {
    try {
      this.#socket ??= new UnixDatagram(this.#destination.syslog_socket, "the system log");
      return undefined;
    } catch (cause) {
      return cause instanceof Error ? cause.message : String(cause);
    }
  }

  #close(): void {
    this.#socket?.[Symbol.dispose]();
    this.#socket = undefined;
  }
}

/**
 * One message as a program of the log reads it, cut to what it takes.
 * @param priority 8 * facility + severity
 * @param time told in the time zone of this process
 */
export function formatSyslog(priority: number, text: string, time: Date, pid: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
  const day = String(time.getDate()).padStart(2, " ");
  return cut(`<${priority}>${MONTHS[time.getMonth()]} ${day} ${clock} ${TAG}[${pid}]: ${text}`);
}

/** The first {@link MAX_MESSAGE} octets, without a broken character at the end. */
function cut(message: string): string {
  const room = new Uint8Array(MAX_MESSAGE);
  return message.slice(0, encoder.encodeInto(message, room).read);
}
