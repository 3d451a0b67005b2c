/**
 * Watches the host's network by netlink and says when something settled: interfaces, addresses or routes that came, changed or went.
 *
 * It tells *that* there was a change, not which: whoever is told looks at the present state, so that bursts and overruns do no harm.
 */

import { getLogger } from "@logtape/logtape";
import { close, makeEventFd, signalEventFd } from "../../../ffi/io.ts";
import { NetlinkMonitor } from "../../../ffi/netlink.ts";
import { waitReadable } from "../../../ffi/poll.ts";
import { reasonOf } from "./advice.ts";

const log = getLogger(["miredo", "network"]);

/** Quiet time after the last change of a burst before it is told, and the longest a burst can put that off, milliseconds. */
const SETTLE = 200;
const SETTLE_MAXIMUM = 2_000;

/** A watch that runs until it is disposed of. */
export class NetworkWatch implements Disposable {
  readonly #monitor: NetlinkMonitor;
  readonly #end = makeEventFd();
  readonly #changed: () => void;
  #ended = false;
  #settling: ReturnType<typeof setTimeout> | undefined;
  /** When the first change came that was not told yet. */
  #since: number | undefined;

  /**
   * @param changed called once after each burst of changes; what it throws is logged
   * @param options routes: false to hear of interfaces and addresses only
   */
  constructor(changed: () => void, options: { readonly routes?: boolean } = {}) {
    this.#changed = changed;
    this.#monitor = NetlinkMonitor.open(options);
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (!this.#ended) {
        await waitReadable([this.#monitor.fd, this.#end]);
        if (this.#ended) return;
        if (this.#monitor.read().length === 0) continue;
        clearTimeout(this.#settling);
        this.#since ??= performance.now();
        const left = this.#since + SETTLE_MAXIMUM - performance.now();
        this.#settling = setTimeout(() => this.#tell(), Math.max(0, Math.min(SETTLE, left)));
      }
    } catch (cause) {
      log.error("Changes of the network go unnoticed from now on", { reason: reasonOf(cause) });
    } finally {
      this.#monitor[Symbol.dispose]();
      close(this.#end);
    }
  }

  #tell(): void {
    this.#since = undefined;
    try {
      this.#changed();
    } catch (cause) {
      log.error("Cannot follow a change of the network", { reason: reasonOf(cause) });
    }
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#settling);
    signalEventFd(this.#end);
  }
}
