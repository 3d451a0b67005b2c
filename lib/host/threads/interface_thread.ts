/**
 * A client's tunnel interface, tended by a thread of its own, since a client changes its address while it runs and the kernel wants
 * CAP_NET_ADMIN for that.
 *
 * Not the main thread: whatever thread it starts (for look-ups of names, for a new data isolate) would have the capability from it. The
 * thread here starts none, listens to nobody but the main thread, and says no more than {@link InterfaceCall}.
 */

import type { Ipv6 } from "../../wire/ipv6.ts";
import type { CapabilityHolder } from "../confinement/confinement.ts";
import { type InterfaceAnswer, type InterfaceCall, InterfaceMailbox } from "./interface_calls.ts";
import { takeThread } from "./role_threads.ts";
import type { InterfaceOptions, InterfaceState, Tunnel } from "../interface/tunnel_interface.ts";

/** An interface open in another thread. Every method returns when the kernel has done it. */
export class InterfaceThread implements Tunnel, CapabilityHolder {
  readonly fd: number;
  readonly name: string;
  readonly index: number;
  readonly adopted: boolean;
  readonly thread: number;
  readonly #mailbox = new InterfaceMailbox();
  readonly #worker: Worker;
  readonly #died = Promise.withResolvers<never>();

  /** Starts the thread, which creates the interface. @throws Error with the words of what went wrong there */
  constructor(options: InterfaceOptions) {
    this.#died.promise.catch(() => {});
    const { worker, failed } = takeThread("interface");
    this.#worker = worker;
    this.#worker.onerror = (error): void => {
      error.preventDefault();
      this.#died.reject(new Error(`Cannot go on: the thread that tends the interface died (${error.message})`));
    };
    for (const { message } of failed) throw new Error(`Cannot start the thread that tends the interface: ${message}`);
    this.#worker.postMessage(this.#mailbox.buffer);
    try {
      const { opened } = this.#call({ type: "open", options });
      if (opened === undefined) throw new TypeError("Cannot use the interface: no descriptor came back");
      const { fd, name, index, adopted, thread } = opened;
      this.fd = fd;
      this.name = name;
      this.index = index;
      this.adopted = adopted;
      this.thread = thread;
    } catch (cause) {
      this.#worker.terminate();
      throw cause;
    }
  }

  /** Rejects when the thread dies: nothing can be done about the address from then on. */
  get died(): Promise<never> {
    return this.#died.promise;
  }

  limit(): void {
    this.#call({ type: "limit" });
  }

  change(): InterfaceState | undefined {
    return this.#call({ type: "change" }).state;
  }

  setAddress(address: Ipv6, prefixLength: number, mtu: number): void {
    this.#call({ type: "set-address", address: [...address], prefixLength, mtu });
  }

  clearAddress(): void {
    this.#call({ type: "clear-address" });
  }

  restore(): void {
    this.#call({ type: "restore" });
  }

  [Symbol.dispose](): void {
    try {
      this.#call({ type: "close" });
    } finally {
      this.#worker.terminate();
    }
  }

  #call(call: InterfaceCall): InterfaceAnswer {
    const answer = this.#mailbox.call(call);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}
