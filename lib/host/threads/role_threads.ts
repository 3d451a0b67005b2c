/**
 * The threads of a role. A thread takes longer to start than anything else that a role does before it is ready, so the command line starts
 * them first of all, and the program goes on being loaded meanwhile:
 *
 * ```
 *   main   start ─┬─ load the command line, the configuration ─┬─ take ─▶ ...
 *   data          └─ load the machines ── "loaded" ── kept ────┘
 * ```
 */

/** Every thread there is. */
export type RoleThread = "data" | "interface";

/** A thread that runs, and what it has said before anybody listened. */
export interface StartedThread {
  readonly worker: Worker;
  readonly said: readonly MessageEvent[];
  readonly failed: readonly ErrorEvent[];
}

const started: Map<RoleThread, StartedThread> = new Map();

/** Starts a thread that will be needed soon, unless its program may not be read: whoever needs it finds out then. */
export function startThread(name: RoleThread): void {
  if (started.has(name) || Deno.permissions.querySync({ name: "read" }).state !== "granted") return;
  const worker = launch(name), said: MessageEvent[] = [], failed: ErrorEvent[] = [];
  worker.onmessage = (event: MessageEvent): void => void said.push(event);
  worker.onerror = (event): void => {
    event.preventDefault();
    failed.push(event);
  };
  started.set(name, { worker, said, failed });
}

/** The thread that was started for this, else a new one. Whoever takes it listens to it from now on. */
export function takeThread(name: RoleThread): StartedThread {
  const thread = started.get(name) ?? { worker: launch(name), said: [], failed: [] };
  started.delete(name);
  return thread;
}

function launch(name: RoleThread): Worker {
  switch (name) {
    case "data":
      return new Worker(new URL("./data_worker.ts", import.meta.url), { type: "module", name });
    case "interface":
      return new Worker(new URL("./interface_worker.ts", import.meta.url), { type: "module", name });
  }
}
