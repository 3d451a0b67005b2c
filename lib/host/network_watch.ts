/**
 * Watches the host's network by netlink and says when something settled: addresses or routes that came, changed or went.
 *
 * It tells *that* there was a change, not which: whoever is told looks at the present state, so that bursts and overruns do no harm.
 */

import { close, makeEventFd, signalEventFd } from "../../ffi/io.ts";
import { NetlinkMonitor } from "../../ffi/netlink.ts";
import { waitReadable } from "../../ffi/poll.ts";

/** Quiet time after the last change of a burst before it is told, milliseconds. */
const SETTLE = 200;

/** A watch that runs until it is disposed of. */
export class NetworkWatch implements Disposable {
  readonly #monitor = NetlinkMonitor.open();
  readonly #end = makeEventFd();
  readonly #changed: () => void;
  #ended = false;
  #settling: ReturnType<typeof setTimeout> | undefined;

  /** @param changed called once after each burst of changes */
  constructor(changed: () => void) {
    this.#changed = changed;
    this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (!this.#ended) {
        await waitReadable([this.#monitor.fd, this.#end]);
        if (this.#ended) return;
        if (this.#monitor.read().length === 0) continue;
        clearTimeout(this.#settling);
        this.#settling = setTimeout(this.#changed, SETTLE);
      }
    } finally {
      this.#monitor[Symbol.dispose]();
      close(this.#end);
    }
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    clearTimeout(this.#settling);
    signalEventFd(this.#end);
  }
}
