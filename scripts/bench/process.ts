/** What running programs cost: processor time, memory and wake-ups, from /proc. */

/** Octets of a page, and length of a tick of /proc/PID/stat in milliseconds (both fixed on x86-64 and arm64 Linux). */
const PAGE_KIB = 4;
const TICK_MS = 10;

/** What a set of processes has used. */
export interface Usage {
  /** User and system time of all threads, dead ones too, milliseconds; counted in steps of 10. */
  readonly cpu: number;
  /** Resident memory, KiB. */
  readonly resident: number;
  /** Times that a thread went to sleep by itself: each is one wake-up. */
  readonly wakeUps: number;
}

interface Stat {
  readonly parent: number;
  readonly cpu: number;
  readonly resident: number;
}

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

/** proc(5), /proc/PID/stat: the name may hold anything, so fields count from its closing bracket. */
function stat(pid: number): Stat | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    parent: Number(fields[1]),
    cpu: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    resident: Number(fields[21]) * PAGE_KIB,
  };
}

/** A process and all that it started, as far as they still hang together. */
export function family(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of Deno.readDirSync("/proc")) {
    const pid = Number(entry.name);
    if (!Number.isInteger(pid)) continue;
    const parent = stat(pid)?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [root];
  for (let i = 0; i < found.length; i++) found.push(...(children.get(found[i]) ?? []));
  return found;
}

function wakeUps(pid: number): number {
  let sum = 0;
  try {
    for (const task of Deno.readDirSync(`/proc/${pid}/task`)) {
      const status = read(`/proc/${pid}/task/${task.name}/status`) ?? "";
      sum += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1] ?? 0);
    }
  } catch {
    return sum;
  }
  return sum;
}

/** What these processes have used so far, together. Those that are gone count as nothing. */
export function usage(pids: readonly number[]): Usage {
  let cpu = 0, resident = 0, wakes = 0;
  for (const pid of pids) {
    const now = stat(pid);
    cpu += now?.cpu ?? 0;
    resident += now?.resident ?? 0;
    wakes += wakeUps(pid);
  }
  return { cpu, resident, wakeUps: wakes };
}

/** Octets of memory kept: enough for the words that say why a program gave up. */
const TAIL = 4096;

/** A program that runs until it is stopped, with all that it starts. */
export class Program {
  readonly #child: Deno.ChildProcess;
  readonly #readers: Promise<void>[] = [];
  static readonly #running = new Set<Program>();
  #tail = "";
  #ended = false;

  /**
   * @param argv program and arguments
   * @param onText called with all that it writes, to either stream
   */
  constructor(argv: readonly string[], onText?: (text: string) => void, env: Readonly<Record<string, string>> = {}) {
    const [program, ...args] = argv;
    this.#child = new Deno.Command(program, { args, env, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#readers.push(this.#follow(stream, onText));
    Program.#running.add(this);
    this.#child.status.then(() => {
      this.#ended = true;
      Program.#running.delete(this);
    });
  }

  async #follow(stream: ReadableStream<Uint8Array>, onText?: (text: string) => void): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.#tail = (this.#tail + text).slice(-TAIL);
      onText?.(text);
    }
  }

  /** Ends all that still runs, at once. */
  static killAll(): void {
    for (const program of Program.#running) for (const pid of family(program.pid)) kill(pid, "SIGKILL");
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Whether it is gone. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The last of what it wrote. */
  get tail(): string {
    return this.#tail.trim();
  }

  /** What it and its children have used so far. */
  usage(): Usage {
    return usage(family(this.pid));
  }

  /** Asks it to end, and ends it with all its children when it has not within `grace` milliseconds. */
  async stop(grace = 4000): Promise<void> {
    if (!this.#ended) {
      const pids = family(this.pid);
      kill(this.pid, "SIGTERM");
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        for (const pid of pids) kill(pid, "SIGKILL");
      }, grace);
      await this.#child.status;
      clearTimeout(timer);
      if (!late) { for (const pid of pids.slice(1)) if (stat(pid)?.parent === 1) kill(pid, "SIGKILL"); }
    }
    await Promise.all(this.#readers);
  }
}

function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // Gone already.
  }
}
