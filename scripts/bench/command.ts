/** Runs the tools of the system that a measurement needs: ip, nft, ethtool, iperf3, ping. */

/** How a finished command ended. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface RunOptions {
  /** Given to its standard input. */
  readonly input?: string;
  /** It cleans up, and so runs even after {@link haltCommands}. */
  readonly cleansUp?: boolean;
  /** Killed after this long, milliseconds. */
  readonly limit?: number;
}

/** Longest any command without a limit of its own may take, milliseconds. */
const DEFAULT_LIMIT = 20_000;

/** Commands that have not ended. */
const running = new Set<Deno.ChildProcess>();
let halted = false;

/** Ends all commands that run, at once; whoever asks for another waits for ever, unless it cleans up. */
export function haltCommands(): void {
  halted = true;
  for (const child of running) {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has just ended.
    }
  }
}

/** Runs a command to its end. A command that does not exist ends with code 127. */
export async function attempt(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  if (halted && options.cleansUp !== true) return await new Promise<never>(() => {});
  const [program, ...args] = argv;
  let child: Deno.ChildProcess;
  try {
    const stdin = options.input === undefined ? "null" : "piped";
    child = new Deno.Command(program, { args, stdin, stdout: "piped", stderr: "piped" }).spawn();
  } catch (error) {
    return { code: 127, stdout: "", stderr: error instanceof Error ? error.message : String(error) };
  }
  running.add(child);
  const killer = setTimeout(() => child.kill("SIGKILL"), options.limit ?? DEFAULT_LIMIT);
  try {
    if (options.input !== undefined) {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(options.input));
      await writer.close();
    }
    const { code, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } finally {
    clearTimeout(killer);
    running.delete(child);
  }
}

/**
 * Runs a command that must succeed.
 * @returns its standard output
 * @throws Error with what it wrote to standard error
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await attempt(argv, options);
  if (code !== 0) {
    throw new Error(`Cannot run "${argv.join(" ")}": ${(stderr || stdout).trim() || `exit code ${code}`}`);
  }
  return stdout;
}

/** Where the shell would look, and where Debian keeps what only root runs. */
const DIRECTORIES = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** The path of an installed program, or `undefined`. */
export function which(program: string): string | undefined {
  const path = (Deno.env.get("PATH") ?? "").split(":").filter((directory) => directory !== "");
  for (const directory of [...path, ...DIRECTORIES]) {
    try {
      if (Deno.statSync(`${directory}/${program}`).isFile) return `${directory}/${program}`;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** Waits. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/**
 * Looks again and again until `condition` holds.
 * @param limit how long to go on, milliseconds
 * @param interval between two looks, milliseconds
 * @returns whether it came to hold
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  limit: number,
  interval = 20,
): Promise<boolean> {
  const end = performance.now() + limit;
  while (!await condition()) {
    if (performance.now() > end) return false;
    await pause(interval);
  }
  return true;
}
