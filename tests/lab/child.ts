/**
 * Programs inside the lab's network namespaces. They are started by `nsenter`, into a process namespace that ends with the lab:
 *
 * ```
 *   lab ─ pipe ─▶ unshare --pid ─▶ cat        first process of the namespace: when it ends, the kernel kills all others in it
 *    └─▶ nsenter --pid --net ─▶ program       cat ends when the pipe does, that is, at any end of the lab, SIGKILL included
 * ```
 */

import type { Millis } from "../../lib/core/machine.ts";

/** How often a state is looked at while waiting for it, milliseconds. */
export const LOOK_EVERY: Millis = 5;

/** Default patience for a state, milliseconds. Only a failing test waits that long. */
export const PATIENCE: Millis = 15_000;

/** Waits for a state. @throws Error "... within n s" when it does not come */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  limit: Millis = PATIENCE,
): Promise<T> {
  const end = performance.now() + limit;
  for (;;) {
    const state = await look();
    if (state !== undefined) return state;
    if (performance.now() > end) throw new Error(`Cannot see ${what} within ${limit / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
}

/** The process namespace in which all programs of a lab live. */
export class Keeper {
  readonly #process: Deno.ChildProcess;
  /** Path of the namespace. */
  readonly path: string;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.path = `/proc/${process.pid}/ns/pid_for_children`;
  }

  /** Makes the namespace. */
  static async start(): Promise<Keeper> {
    const command = new Deno.Command("unshare", {
      args: ["--pid", "--fork", "--kill-child", "cat"],
      stdin: "piped",
      stdout: "null",
      stderr: "inherit",
    });
    const keeper = new Keeper(command.spawn());
    const own = await Deno.readLink("/proc/self/ns/pid");
    await until("a process namespace (unshare --pid)", async () => {
      const theirs = await Deno.readLink(keeper.path).catch(() => own);
      return theirs === own ? undefined : theirs;
    });
    return keeper;
  }

  /** Ends the namespace, and with it every program in it. */
  async stop(): Promise<void> {
    await this.#process.stdin.close();
    await this.#process.status;
  }
}

/** The only child of process `parent`; undefined when it has none. */
async function childOf(parent: number): Promise<number | undefined> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    // pid (name) state ppid ...; the name may hold spaces and brackets.
    const ppid = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
    if (ppid === String(parent)) return Number(name);
  }
  return undefined;
}

/** The state of a process as the kernel's letter: `R`, `S`, `T` ...; proc(5). */
async function stateOf(pid: number): Promise<string> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[0];
}

/** How a program is started. */
export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Take standard output as octets instead of lines. */
  readonly cwd?: string;
}

/** One line a program printed. */
export interface Line {
  /** Milliseconds of performance.now(). */
  readonly at: Millis;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/** A program in a namespace. */
export class Child {
  readonly name: string;
  readonly startedAt: Millis = performance.now();
  readonly lines: Line[] = [];
  readonly #wrapper: Deno.ChildProcess;
  readonly #drained: Promise<void>;
  #status: Deno.CommandStatus | undefined;
  #pid: number | undefined;

  /**
   * Starts `command` in the network namespace behind descriptor `namespace`.
   * @param name for messages
   */
  constructor(name: string, keeper: Keeper, namespace: number, command: readonly string[], options: ChildOptions = {}) {
    this.name = name;
    this.#wrapper = new Deno.Command("nsenter", {
      args: [`--pid=${keeper.path}`, `--net=/proc/${Deno.pid}/fd/${namespace}`, "--", ...command],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }).spawn();
    const streams = [this.#read("stdout", this.#wrapper.stdout), this.#read("stderr", this.#wrapper.stderr)];
    this.#drained = Promise.all(streams).then(() => {});
    void this.#wrapper.status.then((status) => this.#status = status);
  }

  /** True until it ended. */
  get running(): boolean {
    return this.#status === undefined;
  }

  /** What it printed, for messages. */
  get output(): string {
    return this.lines.map(({ text }) => `${this.name}: ${text}`).join("\n");
  }

  /** Waits for its end. */
  async ended(): Promise<Deno.CommandStatus> {
    const status = await this.#wrapper.status;
    await this.#drained;
    return status;
  }

  /** Waits for its end, and returns what it printed on standard output. @throws Error with its output when it failed */
  async result(): Promise<string> {
    const { code } = await this.ended();
    if (code !== 0) throw new Error(`${this.name} failed with ${code}:\n${this.output}`);
    return this.lines.filter(({ stream }) => stream === "stdout").map(({ text }) => text).join("\n");
  }

  /** Waits for a line that matches, among those printed already too. @throws Error with its output when none comes */
  async line(pattern: RegExp, limit: Millis = PATIENCE): Promise<Line> {
    try {
      return await this.#while(
        `${this.name} print ${pattern}`,
        () => this.lines.find(({ text }) => pattern.test(text)),
        limit,
      );
    } catch (cause) {
      throw new Error(`${cause instanceof Error ? cause.message : cause}:\n${this.output}`, { cause });
    }
  }

  /** Waits for a state as long as the program runs. */
  async whileRunning<T>(what: string, look: () => T | undefined, limit: Millis = PATIENCE): Promise<T> {
    try {
      return await this.#while(what, look, limit);
    } catch (cause) {
      throw new Error(`${cause instanceof Error ? cause.message : cause}:\n${this.output}`, { cause });
    }
  }

  /** Its process number, as the lab sees it. */
  async pid(): Promise<number> {
    return this.#pid ??= await until(`the process of ${this.name}`, () => {
      if (!this.running) throw new Error(`${this.name} ended at once:\n${this.output}`);
      return childOf(this.#wrapper.pid);
    });
  }

  /** Sends it a signal. */
  async signal(signal: Deno.Signal): Promise<void> {
    Deno.kill(await this.pid(), signal);
  }

  /** Stops it, as a suspend would, until {@link resume}. */
  async suspend(): Promise<void> {
    await this.signal("SIGSTOP");
    // The program that put it into its namespaces stops with it.
    await until(`${this.name} stop`, async () => (await stateOf(this.#wrapper.pid)) === "T" ? true : undefined);
  }

  /** Lets it go on. */
  resume(): void {
    Deno.kill(this.#wrapper.pid, "SIGCONT");
  }

  /** Ends it, by force if it does not end by itself in time. Harmless when it has ended. */
  async end(limit: Millis = 3000): Promise<void> {
    if (this.running) await this.signal("SIGTERM").catch(() => {});
    const hard = setTimeout(() => void this.signal("SIGKILL").catch(() => {}), limit);
    await this.ended();
    clearTimeout(hard);
  }

  async #while<T>(what: string, look: () => T | undefined, limit: Millis): Promise<T> {
    return await until(what, () => {
      const state = look();
      if (state === undefined && !this.running) throw new Error(`Cannot see ${what}: ${this.name} ended`);
      return state;
    }, limit);
  }

  async #read(stream: "stdout" | "stderr", from: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of from) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      for (const text of parts) this.lines.push({ at: performance.now(), stream, text });
    }
    if (rest !== "") this.lines.push({ at: performance.now(), stream, text: rest });
  }
}
