/**
 * Answers those who ask a running daemon: the control socket, and metrics over HTTP.
 *
 * The listeners are opened with the privileges of the start; they begin to answer when the role runs. A control socket that cannot be had
 * is no reason not to give service; a metrics address that was asked for and cannot be had is an error.
 */

import { getLogger } from "@logtape/logtape";
import { type Config, parseListenAddress } from "../../../config/mod.ts";
import { close } from "../../../ffi/io.ts";
import { listenTcp } from "../../../ffi/stream.ts";
import { formatMetrics } from "../../control/metrics.ts";
import { type Request, RequestError } from "../../control/protocol.ts";
import { ping } from "./ping.ts";
import { parseIpv4 } from "../../wire/ipv4.ts";
import { parseIpv6 } from "../../wire/ipv6_address.ts";
import { writeU32 } from "../../wire/bytes.ts";
import { reasonOf } from "../system/advice.ts";
import { openControlPath, removeControlPath } from "./control_path.ts";
import { ControlSession, type Outcome } from "./control_session.ts";
import { HttpSession } from "./http_session.ts";
import type { Monitor } from "./monitor.ts";
import { type StreamListener, StreamServer } from "./stream_server.ts";

const log = getLogger(["miredo", "control"]);

/** The sockets of a daemon for questions. Dispose of it to close and remove them. */
export class ControlPlane implements Disposable {
  readonly #path: string | undefined;
  readonly #control: number;
  readonly #metrics: number;
  #server: StreamServer | undefined;

  /**
   * Opens the listeners.
   * @param user who this process will run as; undefined: as now
   * @throws an error of one line when metrics cannot be served
   */
  constructor(config: Config, user: { readonly uid: number; readonly gid: number } | undefined) {
    const { socket, group } = config.status;
    this.#metrics = openMetrics(config.metrics.listen);
    let control = -1;
    if (socket !== "") {
      try {
        control = openControlPath({ path: socket, user, group });
        this.#path = socket;
      } catch (cause) {
        log.warn("No control socket: miredo status will not find this daemon", { reason: reasonOf(cause) });
      }
    }
    this.#control = control;
  }

  /** Begins to answer. */
  serve(monitor: Monitor): void {
    const answer = (request: Request): AsyncGenerator<Outcome> => answerRequest(monitor, request);
    const metrics = async (): Promise<string> => formatMetrics(await monitor.status());
    const listeners: StreamListener[] = [];
    if (this.#control >= 0) {
      listeners.push({ fd: this.#control, open: (connection) => new ControlSession(connection, answer) });
    }
    if (this.#metrics >= 0) {
      listeners.push({ fd: this.#metrics, open: (connection) => new HttpSession(connection, metrics) });
    }
    if (listeners.length > 0) this.#server = new StreamServer(listeners);
  }

  [Symbol.dispose](): void {
    if (this.#path !== undefined) removeControlPath(this.#path);
    if (this.#server !== undefined) this.#server[Symbol.dispose]();
    else [this.#control, this.#metrics].filter((fd) => fd >= 0).forEach(close);
  }
}

function openMetrics(listen: string): number {
  if (listen === "") return -1;
  const where = parseListenAddress(listen);
  if (where === undefined) throw new TypeError(`Cannot read metrics.listen "${listen}"`);
  const ipv4 = parseIpv4(where.address);
  const octets = ipv4 === undefined ? parseIpv6(where.address) : new Uint8Array(4);
  if (octets === undefined) throw new TypeError(`Cannot read metrics.listen "${listen}"`);
  if (ipv4 !== undefined) writeU32(ipv4, octets, 0);
  return listenTcp(octets, where.port, {
    EADDRINUSE: "another program listens there: set metrics.listen to another port",
    EADDRNOTAVAIL: "the address is not one of this host's: set metrics.listen to one that is",
    EACCES: "set metrics.listen to a port above 1023",
  });
}

/** Answers one request. @throws RequestError */
async function* answerRequest(monitor: Monitor, { method, params }: Request): AsyncGenerator<Outcome> {
  switch (method) {
    case "status": {
      if (params.peers === true) {
        for await (const item of monitor.peers()) yield { item };
      }
      yield { result: await monitor.status() };
      return;
    }
    case "ping":
      yield* ping(monitor, params);
      return;
    case "metrics":
      yield { result: formatMetrics(await monitor.status()) };
      return;
    default:
      throw new RequestError(
        "unknown-method",
        `Cannot do ${JSON.stringify(method)}: status, ping and metrics are known`,
      );
  }
}
