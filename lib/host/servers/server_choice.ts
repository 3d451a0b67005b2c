/**
 * Which server to be with: the best that answers, another within seconds when it falls silent, and back when a better one is well.
 *
 * ```
 *            asked: the best that answers              silent, or off-line
 *   [names] ──────────────────────────────▶ [settled] ─────────────────────▶ [lost] ─┐ every 3 to 4 s:
 *                                             ▲   │ ▲                          │     │ all others asked
 *     a better one answered twice in a row ───┘   │ └──────────────────────────┘ ◀───┘
 *       (asked every 30 s)  └─────────────────────┘    the best that answered, or the old one again
 * ```
 *
 * The machine asks its own server all the while: nothing happens here when that is the one to come back. With one server there is nothing
 * to choose, but its name may get another address.
 */

import type { Ipv4 } from "../../wire/ipv4.ts";
import type { ResolvedServer, ServerList } from "./server_list.ts";

/** Waits between two rounds, milliseconds: while lost, and while a better server than the present one is hoped for. */
const LOST_WAIT = 4_000;
const BETTER_WAIT = 30_000;
/** The random part of them that may be missing, so that clients do not all ask at once. */
const JITTER = 0.25;
/** Names are looked up again that long after the last time, while it matters, milliseconds. */
const LOOK_AGAIN = 30_000;
/** Answers in a row after which a better server is taken to be well. */
const WELL = 2;

/** What the choice needs from the outside. */
export interface ServerChoicePorts {
  /** Asks servers, the best first. @returns the primary addresses of those that answered, in the same order */
  ask(servers: readonly ResolvedServer[]): Promise<readonly Ipv4[]>;
  /** Resolves after that many milliseconds, or rejects when the daemon ends. */
  wait(milliseconds: number): Promise<void>;
  /** A clock that only goes forward, milliseconds. */
  now(): number;
  /** A number in [0, 1). */
  random(): number;
  /** Called with each server to be with from now on. */
  use(server: ResolvedServer): void;
}

/** The choice among the servers of a list. */
export class ServerChoice {
  readonly #list: ServerList;
  readonly #ports: ServerChoicePorts;
  #current: ResolvedServer | undefined;
  #state: "idle" | "settled" | "lost" = "idle";
  /** Ends the present pause. */
  #disturb: () => void = () => {};
  readonly #well = new Map<Ipv4, number>();
  /** A loss that no round has followed yet. */
  #urgent = false;
  #lookedAt = -Infinity;
  #looking = false;

  constructor(list: ServerList, ports: ServerChoicePorts) {
    this.#list = list;
    this.#ports = ports;
  }

  /** The server chosen last. */
  get current(): ResolvedServer | undefined {
    return this.#current;
  }

  /** The server in use gives service. */
  settled(): void {
    this.#enter("settled");
  }

  /** The server in use is silent: another is looked for at once. */
  lost(): void {
    this.#enter("lost");
  }

  /** No server is wanted, or another one would not help. */
  idle(): void {
    this.#enter("idle");
  }

  /** Chooses for ever. Rejects when a wait does. */
  async run(): Promise<never> {
    const servers = await this.#list.available();
    this.#lookedAt = this.#ports.now();
    const [first] = servers.length > 1 ? await this.#answering(servers) : [];
    this.#use(first ?? servers[0]);
    for (;;) {
      await this.#pause();
      if (this.#state === "lost") await this.#findOther();
      else if (this.#state === "settled") await this.#findBetter();
    }
  }

  #enter(state: "idle" | "settled" | "lost"): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#urgent = state === "lost";
    this.#well.clear();
    this.#disturb();
  }

  /** Waits until it is time for another round. A loss is acted on at once, everything else after its wait. */
  async #pause(): Promise<void> {
    while (!this.#urgent) {
      const before = this.#state;
      const wait = this.#waitIn(before);
      const disturbed = new Promise<void>((resolve) => this.#disturb = resolve);
      const elapsed = wait === Infinity
        ? disturbed
        : Promise.race([disturbed, this.#ports.wait(wait * (1 - JITTER * this.#ports.random()))]);
      await elapsed;
      if (this.#state === before) return;
    }
    this.#urgent = false;
  }

  #waitIn(state: "idle" | "settled" | "lost"): number {
    switch (state) {
      case "idle":
        return Infinity;
      case "lost":
        return this.#list.known.length > 1 || this.#list.changeable ? LOST_WAIT : Infinity;
      case "settled":
        return (this.#current?.rank ?? 0) > 0 ? BETTER_WAIT : Infinity;
    }
  }

  async #findOther(): Promise<void> {
    this.#lookAgain();
    const current = this.#current;
    const { known } = this.#list;
    if (!known.some(({ primary }) => primary === current?.primary)) {
      this.#use(known[0]); // its name leads elsewhere now
      return;
    }
    const [other] = await this.#answering(known.filter(({ primary }) => primary !== current?.primary));
    if (other !== undefined && this.#state === "lost") this.#use(other);
  }

  async #findBetter(): Promise<void> {
    this.#lookAgain();
    const rank = this.#current?.rank ?? 0;
    const better = this.#list.known.filter((server) => server.rank < rank);
    const answering = await this.#answering(better);
    for (const { primary } of better) {
      const well = answering.some((server) => server.primary === primary);
      this.#well.set(primary, well ? (this.#well.get(primary) ?? 0) + 1 : 0);
    }
    const found = answering.find(({ primary }) => (this.#well.get(primary) ?? 0) >= WELL);
    if (found !== undefined && this.#state === "settled") this.#use(found);
  }

  async #answering(servers: readonly ResolvedServer[]): Promise<readonly ResolvedServer[]> {
    if (servers.length === 0) return [];
    const answered = await this.#ports.ask(servers);
    return servers.filter(({ primary }) => answered.includes(primary));
  }

  /** Looks names up beside all else: what they lead to counts in the next round, and a slow resolver holds nothing up. */
  #lookAgain(): void {
    const now = this.#ports.now();
    if (this.#looking || !this.#list.changeable || now - this.#lookedAt < LOOK_AGAIN) return;
    this.#looking = true;
    this.#lookedAt = now;
    void this.#list.look().finally(() => this.#looking = false);
  }

  #use(server: ResolvedServer): void {
    this.#current = server;
    this.#state = "idle";
    this.#urgent = false;
    this.#well.clear();
    this.#ports.use(server);
  }
}
