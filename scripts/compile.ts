/**
 * Makes `dist/miredo`, one executable with everything inside.
 *
 * ```
 *   main.ts ────────────────────────────▶ deno bundle ─▶ main.js ─────────────┐
 *   lib/host/threads/data_worker.ts ────▶ deno bundle ─▶ data_worker.js ──────▶ deno compile ─▶ dist/miredo
 *   lib/host/threads/interface_worker.ts ▶ deno bundle ─▶ interface_worker.js ─┤
 *                                                           runtime (denort) ──┘
 * ```
 *
 * The runtime comes from Deno's release host, for the Deno that runs this script. Where that host is out of reach, an older Deno and its
 * runtime come from the npm registry (scripts/npm_runtime.ts).
 *
 * Usage: `deno task compile [--output FILE] [--target TRIPLE] [--runtime release|npm]`
 */

import { parseArgs } from "node:util";
import { LIBC_PATHS } from "../ffi/libc.ts";
import { NPM_DENO_VERSION, npmRuntime, sha256 } from "./npm_runtime.ts";

/**
 * What the executable may do, baked in. Of libraries, it may open libc wherever a distribution has it. Everything
 * that touches the network goes through libc. A configuration file may lie anywhere, so reading has no bounds. Of the environment, only what
 * a service manager says in it.
 */
export const PERMISSIONS: readonly string[] = [
  "--no-prompt",
  `--allow-ffi=${LIBC_PATHS.join(",")}`,
  "--allow-read",
  "--allow-sys=uid",
  "--allow-env=NOTIFY_SOCKET,WATCHDOG_USEC,WATCHDOG_PID,JOURNAL_STREAM",
];

const MAIN = "main.ts";
/** Entries of threads, without `.ts`: each is a bundle of its own, beside the main one. */
export const WORKERS = ["data_worker", "interface_worker"] as const;
const WORKER_DIRECTORY = "lib/host/threads";

/** When the bundles were written, as the executable tells it: always the same, so that the same sources make the same bytes. */
const FILE_TIME = new Date("2000-01-01T00:00:00Z");

/** How long the release host may take to answer at all, milliseconds. */
const PROBE_TIMEOUT = 5_000;

/** How long a compilation may take, download of the runtime included, milliseconds. */
const COMPILE_TIMEOUT = 600_000;

/**
 * Points the main bundle at a worker's bundle, which lies in the same directory.
 * @throws {Error} when the bundle does not refer to the worker exactly once
 */
export function pointAtWorker(code: string, worker: (typeof WORKERS)[number]): string {
  const source = `./${worker}.ts`;
  const reference = new RegExp(
    `new URL\\(\\s*(["'\`])${source.replaceAll(".", "\\.")}\\1\\s*,\\s*import\\.meta\\.url\\s*\\)`,
    "g",
  );
  const found = [...code.matchAll(reference)].length;
  const mentioned = code.split(source).length - 1;
  if (found !== 1 || mentioned !== 1) {
    throw new Error(`Cannot point the bundle at the worker: "${source}" stands in it ${mentioned} times, not once`);
  }
  return code.replace(source, `./${worker}.js`);
}

/** `bytes` octets as people read them. */
function size(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The line of a program's output that says what went wrong. */
function reason(output: string): string {
  // deno-lint-ignore no-control-regex
  const plain = output.replace(/\u001b\[[0-9;]*m/g, "");
  const lines = plain.split("\n").filter((line) => line.trim() !== "");
  return (lines.find((line) => line.startsWith("error")) ?? lines.at(0) ?? "no reason given").replace(/^error: /, "");
}

/** Bundles one entry of the repository into `target`. */
async function bundle(root: string, entry: string, target: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--minify",
      "--keep-names",
      "--frozen",
      "--platform",
      "deno",
      "--output",
      target,
      entry,
    ],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (!success) throw new Error(`Cannot bundle "${entry}": ${reason(new TextDecoder().decode(stderr))}`);
}

/** Arguments of `deno compile`, to be run in the directory of the bundles. */
function compileArguments(output: string, target: string | undefined): string[] {
  // No code cache: the runtime would keep it under a guessable name in /tmp, which a daemon started by root must not trust.
  const args = ["compile", "--quiet", "--no-config", "--no-lock", "--no-npm", "--no-check", "--no-code-cache"];
  if (target !== undefined) args.push("--target", target);
  return [
    ...args,
    ...PERMISSIONS,
    ...WORKERS.flatMap((worker) => ["--include", `${worker}.js`]),
    "--output",
    output,
    "main.js",
  ];
}

/**
 * For `deno compile`. Whether the executable has the telemetry of the runtime is settled there for good: its last words, to a collector that
 * it may not speak to, would hold up the end of a confined daemon.
 */
const ENVIRONMENT = { NO_COLOR: "1", OTEL_DENO: "false" };

/** Whether anything answers at the origin of `url`. */
async function answers(url: string): Promise<boolean> {
  const signal = AbortSignal.timeout(PROBE_TIMEOUT);
  return await fetch(new URL("/", url), { method: "HEAD", signal }).then(() => true, () => false);
}

/**
 * Compiles with the running Deno. It downloads its runtime itself, and says so; then its host is tried from here as well, so that a host out
 * of reach is known in seconds.
 * @returns what went wrong, or `undefined`
 */
async function compileWithRelease(directory: string, args: readonly string[]): Promise<string | undefined> {
  const stop = AbortSignal.timeout(COMPILE_TIMEOUT);
  const child = new Deno.Command(Deno.execPath(), {
    args: args.filter((arg) => arg !== "--quiet"),
    cwd: directory,
    env: ENVIRONMENT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: stop,
  }).spawn();
  let said = "";
  let unreachable: string | undefined;
  let probed = false;
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    said += text;
    const url = /Download (https?:\S+)/.exec(said)?.[1];
    if (url === undefined || probed) continue;
    probed = true;
    answers(url).then((reached) => {
      if (reached) return;
      unreachable = `no answer from ${new URL(url).host}`;
      child.kill("SIGKILL");
    }).catch(() => {/* it has ended by itself */});
  }
  const { success } = await child.status;
  if (success) return undefined;
  return unreachable ?? (stop.aborted ? `no result in ${COMPILE_TIMEOUT / 1000} s` : reason(said));
}

/** Where this user's programs keep what they can fetch again (XDG Base Directory). */
function cacheDirectory(): string {
  const cache = Deno.env.get("XDG_CACHE_HOME");
  if (cache !== undefined && cache.startsWith("/")) return `${cache}/miredo`;
  const home = Deno.env.get("HOME");
  if (home === undefined) throw new Error("Cannot find a cache directory: neither XDG_CACHE_HOME nor HOME is set");
  return `${home}/.cache/miredo`;
}

/** Compiles with the Deno and the runtime that come from npm. */
async function compileWithNpm(directory: string, args: readonly string[]): Promise<void> {
  const { deno, denort } = await npmRuntime(cacheDirectory());
  const { success, stderr } = await new Deno.Command(deno, {
    args: [...args],
    cwd: directory,
    env: { ...ENVIRONMENT, DENORT_BIN: denort },
    stdin: "null",
  }).output();
  if (!success) {
    throw new Error(`Cannot compile with Deno ${NPM_DENO_VERSION}: ${reason(new TextDecoder().decode(stderr))}`);
  }
}

interface Options {
  readonly output: string;
  readonly target: string | undefined;
  /** Where the runtime comes from; `undefined`: the release host, else npm. */
  readonly runtime: "release" | "npm" | undefined;
}

function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: { output: { type: "string" }, target: { type: "string" }, runtime: { type: "string" } },
  });
  const { runtime } = values;
  if (runtime !== undefined && runtime !== "release" && runtime !== "npm") {
    throw new Error(`Cannot take the runtime from "${runtime}": it is "release" or "npm"`);
  }
  return { output: values.output ?? "dist/miredo", target: values.target, runtime };
}

/** Puts the bundles on a runtime and returns in words which one. */
async function compile(directory: string, { target, runtime }: Options): Promise<string> {
  const args = compileArguments("miredo", target);
  if (runtime !== "npm") {
    const fault = await compileWithRelease(directory, args);
    if (fault === undefined) return `Deno ${Deno.version.deno}`;
    if (runtime === "release" || target !== undefined) {
      throw new Error(`Cannot compile with Deno ${Deno.version.deno}: ${fault}`);
    }
    console.log(`Release host   out of reach (${fault}), falling back to npm`);
  }
  await compileWithNpm(directory, args);
  return `Deno ${NPM_DENO_VERSION} from npm`;
}

/** What the executable says of itself: the proof that it runs. */
async function version(executable: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(executable, { args: ["--version"], stdin: "null" })
    .output();
  if (!success) throw new Error(`Cannot run the executable: ${reason(new TextDecoder().decode(stderr))}`);
  return new TextDecoder().decode(stdout).trim();
}

async function main(options: Options): Promise<void> {
  const root = new URL("../", import.meta.url).pathname;
  const output = options.output.startsWith("/") ? options.output : `${root}${options.output}`;
  const parent = output.slice(0, output.lastIndexOf("/"));
  await Deno.mkdir(parent, { recursive: true });
  // Beside the result, so that it can be moved there in one step.
  const directory = await Deno.makeTempDir({ dir: parent, prefix: ".compile-" });
  try {
    await bundle(root, MAIN, `${directory}/main.js`);
    let code = await Deno.readTextFile(`${directory}/main.js`);
    const sizes: string[] = [];
    for (const worker of WORKERS) {
      await bundle(root, `${WORKER_DIRECTORY}/${worker}.ts`, `${directory}/${worker}.js`);
      code = pointAtWorker(code, worker);
      sizes.push(`${worker}.js ${size((await Deno.stat(`${directory}/${worker}.js`)).size)}`);
    }
    await Deno.writeTextFile(`${directory}/main.js`, code);
    for (const { name } of Deno.readDirSync(directory)) await Deno.utime(`${directory}/${name}`, FILE_TIME, FILE_TIME);
    console.log(`Bundles        main.js ${size(code.length)}, ${sizes.join(", ")}`);
    console.log(`Runtime        ${await compile(directory, options)}`);
    if (options.target === undefined) console.log(`Version        ${await version(`${directory}/miredo`)}`);
    await Deno.rename(`${directory}/miredo`, output);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  const bytes = await Deno.readFile(output);
  console.log(`Executable     ${options.output}, ${size(bytes.length)}`);
  console.log(`SHA-256        ${await sha256(bytes)}`);
}

if (import.meta.main) {
  try {
    await main(parseOptions(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
