/**
 * Which servers there are: the names of the configuration, in order, looked up all at once, with every global address they have.
 *
 * A name that cannot be looked up keeps the addresses it had. While there is none at all the look-ups are repeated, with waits that
 * double with jitter.
 */

import type { Ipv4 } from "../../wire/ipv4.ts";
import { formatIpv4, isGlobalUnicast, parseIpv4 } from "../../wire/ipv4.ts";
import type { ServerAddresses } from "../data/messages.ts";

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
  /** Told of each name that cannot be used, with the reason; again only when that changes. */
  failed(name: string, reason: string): void;
  /** Told how long the list waits before its next round, milliseconds. */
  waiting(milliseconds: number): void;
}

/** A server that can be asked. */
export interface ResolvedServer extends ServerAddresses {
  readonly name: string;
  /** Place of its name in the configuration; servers of one name are as good as each other. */
  readonly rank: number;
}

/** The configured servers. */
export class ServerList {
  readonly #names: readonly string[];
  readonly #secondary: "auto" | "none" | Ipv4;
  readonly #ports: ServerListPorts;
  readonly #known: (readonly ResolvedServer[])[];
  readonly #faults = new Map<string, string>();

  /**
   * @param names host names or IPv4 addresses, at least one
   * @param secondary "auto": the address after the primary (the custom of all servers); "none": the server has one address
   */
  constructor(names: readonly string[], secondary: "auto" | "none" | Ipv4, ports: ServerListPorts) {
    this.#names = names;
    this.#secondary = secondary;
    this.#ports = ports;
    this.#known = names.map(() => []);
  }

  /** The servers known by the look-ups so far, in order. */
  get known(): readonly ResolvedServer[] {
    const seen = new Set<Ipv4>();
    return this.#known.flat().filter(({ primary }) => !seen.has(primary) && seen.add(primary));
  }

  /** Whether looking up again may show anything new. */
  get changeable(): boolean {
    return this.#names.some((name) => parseIpv4(name) === undefined);
  }

  /** Looks all names up, at once. Resolves when all are through. */
  async look(): Promise<void> {
    await Promise.all(this.#names.map(async (name, rank) => {
      const found = await this.#resolve(name, rank);
      if (found.length > 0) this.#known[rank] = found;
    }));
  }

  /** The servers, as soon as there is one; waits and tries again for as long as there is none. */
  async available(): Promise<readonly ResolvedServer[]> {
    for (let delay = RETRY_MINIMUM;; delay = Math.min(2 * delay, RETRY_MAXIMUM)) {
      await this.look();
      const { known } = this;
      if (known.length > 0) return known;
      const jittered = delay * (0.75 + 0.5 * this.#ports.random());
      this.#ports.waiting(jittered);
      await this.#ports.wait(jittered);
    }
  }

  async #resolve(name: string, rank: number): Promise<readonly ResolvedServer[]> {
    const literal = parseIpv4(name);
    let addresses: readonly Ipv4[];
    try {
      addresses = literal === undefined ? await this.#ports.resolve(name) : [literal];
    } catch (cause) {
      this.#tell(name, cause instanceof Error ? cause.message : String(cause));
      return [];
    }
    const usable = addresses.filter(isGlobalUnicast);
    if (usable.length === 0) {
      this.#tell(name, `no global IPv4 address among ${addresses.map(formatIpv4).join(", ") || "none"}`);
      return [];
    }
    this.#faults.delete(name);
    return usable.map((primary) => ({ name, rank, primary, secondary: this.#secondaryOf(primary) }));
  }

  #tell(name: string, reason: string): void {
    if (this.#faults.get(name) === reason) return;
    this.#faults.set(name, reason);
    this.#ports.failed(name, reason);
  }

  #secondaryOf(primary: Ipv4): Ipv4 | undefined {
    if (this.#secondary === "none") return undefined;
    if (this.#secondary !== "auto") return this.#secondary;
    const following = (primary + 1) >>> 0;
    return isGlobalUnicast(following) ? following : undefined;
  }
}
