/**
 * Runs the rooms of tests one after another and adds up their results.
 *
 * ```
 *   deno task test                          every room
 *   deno task test:lab                      one room
 *   deno task test:unit -- --filter bubble  arguments for deno test
 * ```
 *
 * Each room is a `deno test` of its own with the permissions that room needs. Its output passes through unchanged; the last line of
 * all is `N passed, N failed, N skipped`. The exit code is 1 when anything failed.
 */

import { testFiles } from "./test_files.ts";

/** How one room of tests is run. */
export interface Room {
  readonly name: string;
  /** Directories and files below the root. */
  readonly paths: readonly string[];
  /** Files and directories among them that are run otherwise. */
  readonly except?: readonly string[];
  /** Makes namespaces and interfaces: without root it is run in a user namespace, where the system allows that. */
  readonly kernel?: true;
  /** Flags of `deno test`: the permissions this room needs, and sanitizers. */
  readonly options: readonly string[];
  /** Its tests wait more than they work: it runs beside the other rooms of that kind, its output told when it ends. */
  readonly waits?: true;
  /** A room that takes longer than this hangs, milliseconds. */
  readonly limit: number;
}

/** Results of one run or of several. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * libc is opened below the first three (the permission check does not follow symbolic links, so all are named). The others have no libc:
 * there are tests of what is said then.
 */
const FFI = "--allow-ffi=/lib,/lib64,/usr/lib,/nonexistent,tests/ffi";

const MINUTE = 60_000;

/** Since Deno 2.8 these are off unless asked for. */
const SANITIZE_OPS = "--sanitize-ops";
const SANITIZERS = [SANITIZE_OPS, "--sanitize-resources"];

/** Unit tests that look into /proc, which Deno guards so well that nothing less than all permissions opens it. */
const PROC_TESTS = ["tests/ffi/namespaces_test.ts"];

/** Tests of the host that need whole daemons on hosts of the lab. */
const DAEMON_TESTS = ["tests/host/daemon"];

/** Rooms of one name run in a row, each with its own permissions. */
export const ROOMS: readonly Room[] = [
  { name: "unit", paths: ["tests/wire", "tests/core", "tests/fuzz"], options: SANITIZERS, limit: 3 * MINUTE },
  {
    name: "unit",
    paths: ["tests/config", "tests/ffi", "tests/host", "tests/control", "tests/cli", "tests/scripts"],
    // The C library is opened at the first use and stays open, which a sanitizer of resources takes for a leak.
    options: [
      SANITIZE_OPS,
      FFI,
      "--allow-read",
      "--allow-write",
      "--allow-env=MIREDO,NOTIFY_SOCKET,WATCHDOG_USEC,WATCHDOG_PID",
      "--allow-run",
      "--allow-sys=uid",
      // Gateways that map ports are servers of the test here.
      "--allow-net=127.0.0.1",
    ],
    except: [...PROC_TESTS, ...DAEMON_TESTS],
    limit: 3 * MINUTE,
  },
  { name: "unit", paths: PROC_TESTS, options: [SANITIZE_OPS, "--allow-all"], limit: 3 * MINUTE },
  { name: "sim", paths: ["tests/sim"], options: SANITIZERS, limit: 3 * MINUTE },
  {
    name: "lab",
    paths: ["tests/lab"],
    options: ["--allow-all"],
    kernel: true,
    waits: true,
    limit: 6 * MINUTE,
  },
  {
    name: "lab",
    paths: DAEMON_TESTS,
    options: ["--allow-all"],
    kernel: true,
    waits: true,
    limit: 6 * MINUTE,
  },
  // Packages are made by programs of the system, and installed in roots of their own.
  { name: "package", paths: ["tests/package"], options: ["--allow-all"], waits: true, limit: 10 * MINUTE },
  // The C Miredo wants to become other users, which a user namespace with one user has not.
  { name: "interop", paths: ["tests/interop"], options: ["--allow-all"], waits: true, limit: 10 * MINUTE },
];

/**
 * `unshare` and its arguments: a user namespace where the caller keeps its user number and has every capability. The network namespace has
 * to be one of its own as well, or a thread that left it could not come back.
 */
const USER_NAMESPACE = ["unshare", "--user", "--map-current-user", "--keep-caps", "--net", "--"];

/** Removes colour and cursor sequences. */
function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/\u001b\[[0-9;]*[A-Za-z]/g, "");
}

/**
 * Reads the results off the last summary line that `deno test` printed.
 * @returns `undefined` when there is none: nothing ran, or it died before the end
 */
export function parseSummary(output: string): Totals | undefined {
  const lines = plain(output).split("\n").filter((line) => /^(?:ok|FAILED) \| \d+ passed/.test(line));
  const summary = lines.at(-1);
  if (summary === undefined) return undefined;
  const count = (word: string): number => Number(new RegExp(`\\| (\\d+) ${word}`).exec(summary)?.[1] ?? 0);
  return { passed: count("passed"), failed: count("failed"), skipped: count("ignored") };
}

/**
 * The results of a run from what it printed and how it ended. A run that failed without naming a failed test (it did not compile,
 * it was killed, a resource leaked out of the last test) counts as one failure.
 */
export function judge(output: string, success: boolean): Totals {
  const totals = parseSummary(output) ?? { passed: 0, failed: 0, skipped: 0 };
  return success || totals.failed > 0 ? totals : { ...totals, failed: 1 };
}

/** The sum of several results. */
export function add(totals: readonly Totals[]): Totals {
  return totals.reduce(
    (sum, one) => ({
      passed: sum.passed + one.passed,
      failed: sum.failed + one.failed,
      skipped: sum.skipped + one.skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
}

/** The line that ends every run. */
export function summaryLine(totals: Totals): string {
  return `${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`;
}

/** Copies a stream to standard output, unless it is to be `held`, and returns its text. */
async function forward(stream: ReadableStream<Uint8Array>, held: boolean): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    if (!held) Deno.stdout.writeSync(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

/** What to put before a command that makes namespaces: nothing for root, nothing either where it would not help. */
async function privilege(): Promise<readonly string[]> {
  if (Deno.uid() === 0) return [];
  const [program, ...args] = USER_NAMESPACE;
  const probe = new Deno.Command(program, { args: [...args, "true"], stdout: "null", stderr: "null" });
  const allowed = await probe.output().then(({ success }) => success, () => false);
  return allowed ? USER_NAMESPACE : [];
}

/** Runs one room and returns its results. @param held print what it says only when it ends */
async function runRoom(room: Room, extra: readonly string[], root: URL, held: boolean): Promise<Totals> {
  const excepted = (file: string): boolean => room.except?.some((path) => `${file}/`.startsWith(`${path}/`)) ?? false;
  const files = room.paths.flatMap((path) => testFiles(root, path)).filter((file) => !excepted(file));
  // Without a file deno test would run everything there is.
  if (files.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  const title = `\n── ${room.name}: ${room.paths.join(" ")} ──`;
  if (!held) console.log(title);
  const deno = [Deno.execPath(), "test", "--no-prompt", ...room.options, ...extra, ...files];
  const [program, ...args] = room.kernel === true ? [...await privilege(), ...deno] : deno;
  const child = new Deno.Command(program, {
    args,
    cwd: root,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const hang = setTimeout(() => {
    console.log(`Cannot finish the room "${room.name}" within ${room.limit / 1000} s: stopped`);
    child.kill("SIGKILL");
  }, room.limit);
  try {
    const [output, status] = await Promise.all([forward(child.stdout, held), child.status]);
    if (held) console.log(`${title}\n${output}`);
    return judge(output, status.success);
  } finally {
    clearTimeout(hang);
  }
}

/** @returns exit code */
async function main(args: readonly string[]): Promise<number> {
  const dashes = args.indexOf("--");
  const names = dashes === -1 ? args.filter((arg) => !arg.startsWith("-")) : args.slice(0, dashes);
  const extra = dashes === -1 ? args.filter((arg) => arg.startsWith("-")) : args.slice(dashes + 1);
  const unknown = names.find((name) => ROOMS.every((room) => room.name !== name));
  if (unknown !== undefined) {
    const known = [...new Set(ROOMS.map((room) => room.name))].join(", ");
    console.error(`Cannot run the tests of "${unknown}": the rooms are ${known}`);
    return 2;
  }
  const root = new URL("../", import.meta.url);
  const totals: Totals[] = [];
  const chosen = ROOMS.filter((room) => names.length === 0 || names.includes(room.name));
  for (const room of chosen) {
    if (room.waits !== true) totals.push(await runRoom(room, extra, root, false));
  }
  const waiting = chosen.filter((room) => room.waits === true);
  totals.push(...await Promise.all(waiting.map((room) => runRoom(room, extra, root, waiting.length > 1))));
  const sum = add(totals);
  console.log(summaryLine(sum));
  return sum.failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
