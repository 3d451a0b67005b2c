/**
 * Which server to ask: names from the configuration, in order, resolved anew each time their turn comes.
 *
 * A name that does not resolve is passed over; after a whole round without an address the next round waits, doubling with jitter.
 */

import type { Ipv4 } from "../wire/ipv4.ts";
import { formatIpv4, isGlobalUnicast, parseIpv4 } from "../wire/ipv4.ts";
import type { ServerAddresses } from "./messages.ts";

/** First and longest wait after a round in which no name resolved, milliseconds. */
const RETRY_MINIMUM = 1_000;
const RETRY_MAXIMUM = 60_000;

/** What the list needs from the outside. */
export interface ServerListPorts {
  /** Resolves a name to IPv4 addresses as the system does; rejects with a reason. */
  resolve(name: string): Promise<readonly Ipv4[]>;
  /** Resolves after that many milliseconds, or rejects when the daemon ends. */
  wait(milliseconds: number): Promise<void>;
  /** A number in [0, 1). */
  random(): number;
  /** Told of each name that could not be used, with the reason. */
  failed(name: string, reason: string): void;
  /** Told how long the list waits before its next round, milliseconds. */
  waiting(milliseconds: number): void;
}

/** A server that can be asked. */
export interface ResolvedServer extends ServerAddresses {
  readonly name: string;
}

/** The configured servers, gone through in a circle. */
export class ServerList {
  readonly #names: readonly string[];
  readonly #secondary: "auto" | "none" | Ipv4;
  readonly #ports: ServerListPorts;
  #next = 0;

  /**
   * @param names host names or IPv4 addresses, at least one
   * @param secondary "auto": the address after the primary (the custom of all servers); "none": the server has one address
   */
  constructor(names: readonly string[], secondary: "auto" | "none" | Ipv4, ports: ServerListPorts) {
    this.#names = names;
    this.#secondary = secondary;
    this.#ports = ports;
  }

  /** How many servers there are. */
  get length(): number {
    return this.#names.length;
  }

  /** The next server whose name resolves; waits and tries again for as long as none does. */
  async next(): Promise<ResolvedServer> {
    for (let delay = RETRY_MINIMUM;; delay = Math.min(2 * delay, RETRY_MAXIMUM)) {
      for (let i = 0; i < this.#names.length; i++) {
        const name = this.#names[this.#next];
        this.#next = (this.#next + 1) % this.#names.length;
        const server = await this.#resolve(name);
        if (server !== undefined) return server;
      }
      const jittered = delay * (0.75 + 0.5 * this.#ports.random());
      this.#ports.waiting(jittered);
      await this.#ports.wait(jittered);
    }
  }

  async #resolve(name: string): Promise<ResolvedServer | undefined> {
    const literal = parseIpv4(name);
    let addresses: readonly Ipv4[];
    try {
      addresses = literal === undefined ? await this.#ports.resolve(name) : [literal];
    } catch (cause) {
      this.#ports.failed(name, cause instanceof Error ? cause.message : String(cause));
      return undefined;
    }
    const primary = addresses.find(isGlobalUnicast);
    if (primary === undefined) {
      this.#ports.failed(name, `no global IPv4 address among ${addresses.map(formatIpv4).join(", ") || "none"}`);
      return undefined;
    }
    return { name, primary, secondary: this.#secondaryOf(primary) };
  }

  #secondaryOf(primary: Ipv4): Ipv4 | undefined {
    if (this.#secondary === "none") return undefined;
    if (this.#secondary !== "auto") return this.#secondary;
    const following = (primary + 1) >>> 0;
    return isGlobalUnicast(following) ? following : undefined;
  }
}
