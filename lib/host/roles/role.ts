/** What the daemon knows of a role: what it opened, which machine it runs, and what it does when something happens. */

import type { Config } from "../../../config/mod.ts";
import type { MachineEvent } from "../../core/events.ts";
import type { CapabilityHolder } from "../confinement/confinement.ts";
import type { DataIsolate } from "../threads/data_isolate.ts";
import type { Descriptors, MachineSetup } from "../data/messages.ts";

/** One running role. Constructed with privileges: opens descriptors and configures the interface; throws what the kernel refused. */
export interface Role extends Disposable {
  readonly descriptors: Omit<Descriptors, "wake">;
  /** The thread that goes on to need CAP_NET_ADMIN; undefined: none does. */
  readonly holder: CapabilityHolder | undefined;
  /** Starts the programs that run beside this one. Called once, as the service user, while programs can be started. */
  startPrograms?(): void;
  /** The machine to start with. */
  readonly machine: MachineSetup;
  /** Called once the data isolate runs; `fail` ends the daemon with that error. */
  attach(data: DataIsolate, fail: (cause: Error) => void): void;
  /** A transition of the machine. */
  onEvent(event: MachineEvent): void;
  /** The data isolate died: what its machine said until then is void. */
  onDeath(): void;
  /** Takes leave of others before the end, where there is something to say. Bounded in time. */
  end?(): Promise<void>;
  /** Takes over a new configuration, as far as this is possible while running. */
  reconfigure(config: Config): void;
}
