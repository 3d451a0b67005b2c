/**
 * What a daemon tells the service manager that started it (sd_notify(3)); with none, nothing.
 *
 * ```
 *   set up ──▶ READY=1 ──▶ STATUS=... at each transition          WATCHDOG=1 whenever the data isolate has answered
 *                 ▲  │
 *                 │  └─ SIGHUP ─▶ RELOADING=1, MONOTONIC_USEC=...
 *                 └──── taken over or refused ──┘
 *   SIGINT, SIGTERM ─▶ STOPPING=1
 * ```
 *
 * A manager that cannot be reached is no reason to give no service.
 */

import { getLogger } from "@logtape/logtape";
import { monotonicMicroseconds } from "../../../ffi/clock.ts";
import { UnixDatagram } from "../../../ffi/unix_datagram.ts";
import { reasonOf } from "./advice.ts";

const log = getLogger(["miredo", "service"]);

/** Pauses between looks at the state where no watchdog asks for more, milliseconds: some of it changes without an event. */
const LOOK_INTERVAL = 10_000;

/** Looks within one period of the watchdog: one may be lost to a data isolate that is just being started again. */
const LOOKS_PER_PERIOD = 3;

/** What a service manager leaves in the environment. Removed once read: it is meant for this process alone. */
const VARIABLES = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] as const;

/** Those of {@link VARIABLES} that are there. */
export type ServiceEnvironment = Partial<Readonly<Record<(typeof VARIABLES)[number], string>>>;

/** Takes the variables out of the environment of this process. Without permission to read one there is none. */
export function takeServiceEnvironment(): ServiceEnvironment {
  const found: Partial<Record<(typeof VARIABLES)[number], string>> = {};
  for (const variable of VARIABLES) {
    // Asked first: reading a variable without permission would stop and prompt.
    if (Deno.permissions.querySync({ name: "env", variable }).state !== "granted") continue;
    const value = Deno.env.get(variable);
    if (value === undefined) continue;
    if (value !== "") found[variable] = value;
    Deno.env.delete(variable);
  }
  return found;
}

/** Milliseconds within which the manager wants to hear `WATCHDOG=1` again and again; undefined when it does not, or not from `pid`. */
export function watchdogPeriod(environment: ServiceEnvironment, pid: number): number | undefined {
  const { WATCHDOG_USEC, WATCHDOG_PID } = environment;
  if (WATCHDOG_USEC === undefined || !/^[1-9][0-9]{0,15}$/.test(WATCHDOG_USEC)) return undefined;
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(pid)) return undefined;
  return Number(WATCHDOG_USEC) / 1000;
}

/** What a daemon lets the manager know of it. */
export interface Watched {
  /** The state in words, one line. */
  readonly words: () => string;
  /** Whether the part that carries packets answers. */
  readonly alive: () => Promise<boolean>;
}

/** The manager's ear. Dispose of it to close it. */
export class ServiceManager implements Disposable {
  readonly #socket: UnixDatagram | undefined;
  /** Milliseconds; undefined: no watchdog. */
  readonly #period: number | undefined;
  #watched: Watched | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #ready = false;
  #ending = false;
  #looking = false;
  /** The words told last. */
  #told: string | undefined;

  /** @param environment what the manager left for this process */
  constructor(environment: ServiceEnvironment = takeServiceEnvironment()) {
    const { NOTIFY_SOCKET } = environment;
    if (NOTIFY_SOCKET === undefined) return;
    this.#period = watchdogPeriod(environment, Deno.pid);
    try {
      this.#socket = new UnixDatagram(NOTIFY_SOCKET, "the service manager");
    } catch (cause) {
      log.warn("No word to the service manager", { reason: reasonOf(cause) });
    }
  }

  /** The daemon gives service from now on, so that what waits for it may start; a second time, nothing. */
  ready(watched: Watched): void {
    if (this.#socket === undefined || this.#ready) return;
    this.#ready = true;
    this.#watched = watched;
    this.#send("READY=1", this.#status(true));
    const interval = this.#period === undefined ? LOOK_INTERVAL : this.#period / LOOKS_PER_PERIOD;
    this.#timer = setInterval(() => void this.#look(), interval);
    Deno.unrefTimer(this.#timer);
  }

  /** Tells the state, if it has other words than before. */
  tell(): void {
    if (this.#ready && !this.#ending) this.#send(this.#status(false));
  }

  /** Does `work`, and lets the manager wait for its end. */
  reload(work: () => void): void {
    if (!this.#ready) return work();
    this.#send("RELOADING=1", `MONOTONIC_USEC=${monotonicMicroseconds()}`);
    try {
      work();
    } finally {
      this.#send("READY=1", this.#status(true));
    }
  }

  /** The daemon ends. */
  stopping(): void {
    this.#ending = true;
    clearInterval(this.#timer);
    this.#send("STOPPING=1", "STATUS=Ending");
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#ending = true;
    this.#socket?.[Symbol.dispose]();
  }

  /** Looks whether packets can still be carried: only then does the watchdog hear of it. */
  async #look(): Promise<void> {
    this.tell();
    if (this.#period === undefined || this.#looking) return;
    this.#looking = true;
    try {
      const alive = await this.#watched?.alive();
      if (alive === true && !this.#ending) this.#send("WATCHDOG=1");
    } finally {
      this.#looking = false;
    }
  }

  /** The line that tells the state; empty when that is known, unless `again`. */
  #status(again: boolean): string {
    const words = this.#watched?.words().replaceAll("\n", " ");
    if (words === undefined || (words === this.#told && !again)) return "";
    this.#told = words;
    return `STATUS=${words}`;
  }

  #send(...lines: readonly string[]): void {
    const text = lines.filter((line) => line !== "").join("\n");
    if (text === "") return;
    const result = this.#socket?.send(text) ?? 0;
    if (result < 0) log.debug("The service manager did not take a message", { error: -result });
  }
}
