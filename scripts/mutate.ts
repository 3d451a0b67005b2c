/**
 * Puts small faults into lib/wire and lib/core, one at a time, and sees whether a test notices. What no test notices is printed: either
 * a test is missing, or the fault makes no difference.
 *
 * ```
 *   deno task mutate                        every mutant of lib/wire and lib/core: many hours
 *   deno task mutate --sample 500           so many of them, drawn at random
 *   deno task mutate --sample 500 --seed 7  others
 *   deno task mutate lib/wire lib/core/server
 * ```
 *
 * The tests that run the mutant's line are run on a copy of the tree, until one fails: those of single rooms first, then the simulation.
 */

import { parseArgs } from "node:util";
import { applyMutant, type Mutant, mutantsOf } from "./mutation/mutants.ts";
import { measureTests, type TestFile } from "./mutation/tests_by_line.ts";

const SOURCES = ["lib/wire", "lib/core"];
/** Quick ones before thorough ones. */
const TESTS = ["tests/wire", "tests/core", "tests/sim"];
const FLAGS = ["--quiet", "--no-prompt", "--no-check", "--fail-fast", "--allow-read"];

/** A run that takes so many times its usual time, and so many milliseconds more, hangs: the fault was noticed. */
const PATIENCE = 5, GRACE = 10_000;

interface Placed extends Mutant {
  readonly file: string;
}

type Verdict = "killed" | "hung" | "survived";

/** Numbers from 0 below 1 that follow from a seed (Marsaglia's xorshift32). */
function* draws(seed: number): Generator<number, never> {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  for (;;) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield (state >>> 0) / 2 ** 32;
  }
}

/** `count` of them at random, in their order; all when there are no more. */
function sample<T>(all: readonly T[], count: number, seed: number): T[] {
  const random = draws(seed);
  const keyed = all.map((one, index) => ({ one, index, key: random.next().value }));
  return keyed.toSorted((a, b) => a.key - b.key).slice(0, count).toSorted((a, b) => a.index - b.index).map(({ one }) =>
    one
  );
}

function sourceFiles(root: URL, path: string): string[] {
  if (path.endsWith(".ts")) return [path];
  return [...Deno.readDirSync(new URL(path, root))].flatMap((entry) => sourceFilesOf(root, path, entry)).toSorted();
}

function sourceFilesOf(root: URL, path: string, entry: Deno.DirEntry): string[] {
  if (entry.isDirectory) return sourceFiles(root, `${path}/${entry.name}`);
  return entry.name.endsWith(".ts") ? [`${path}/${entry.name}`] : [];
}

/** Whether one test file fails on the tree in `directory`. */
async function notices(directory: string, test: TestFile): Promise<Verdict> {
  const signal = AbortSignal.timeout(test.duration * PATIENCE + GRACE);
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["test", ...FLAGS, test.path],
    cwd: directory,
    stdin: "null",
    stdout: "null",
    stderr: "null",
    signal,
  }).output();
  if (success) return "survived";
  return signal.aborted ? "hung" : "killed";
}

/** Tries one mutant on the tree in `directory`, which is as it was afterwards. */
async function judge(directory: string, mutant: Placed, tests: readonly TestFile[]): Promise<Verdict> {
  const path = `${directory}/${mutant.file}`;
  const source = await Deno.readTextFile(path);
  // A line whose last statement is never reached counts as not run, whatever else stands in it: then every test of the file is asked.
  const loading = tests.filter(({ lines }) => (lines.get(mutant.file)?.size ?? 0) > 0);
  const exact = loading.filter(({ lines }) => lines.get(mutant.file)?.has(mutant.line) === true);
  const running = exact.length > 0 ? exact : loading;
  await Deno.writeTextFile(path, applyMutant(source, mutant));
  try {
    for (const test of running) {
      const verdict = await notices(directory, test);
      if (verdict !== "survived") return verdict;
    }
    return "survived";
  } finally {
    await Deno.writeTextFile(path, source);
  }
}

/** A copy of what the tests need. */
async function copyTree(root: URL, directory: string): Promise<void> {
  const { success } = await new Deno.Command("cp", {
    args: ["-r", "deno.json", "deno.lock", "lib", "ffi", "config", "tests", "scripts", "docs", directory],
    cwd: root,
  }).output();
  if (!success) throw new Error(`Cannot copy the tree to "${directory}"`);
}

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: args.filter((arg) => arg !== "--"),
    options: { sample: { type: "string" }, seed: { type: "string", default: "1" } },
    allowPositionals: true,
  });
  const root = new URL("../", import.meta.url);
  const paths = positionals.length === 0 ? SOURCES : positionals;
  const all = paths.flatMap((path) => sourceFiles(root, path)).flatMap((file): Placed[] =>
    mutantsOf(Deno.readTextFileSync(new URL(file, root))).map((mutant) => ({ ...mutant, file }))
  );
  const chosen = values.sample === undefined ? all : sample(all, Number(values.sample), Number(values.seed));
  console.log(`${chosen.length} of ${all.length} mutants; measuring the tests`);
  const tests: TestFile[] = [];
  for (const path of TESTS) tests.push(...await measureTests(root, [path], FLAGS));

  const directory = await Deno.makeTempDir({ prefix: "miredo-mutants-" });
  const sums: Record<Verdict, number> = { killed: 0, hung: 0, survived: 0 };
  try {
    await copyTree(root, directory);
    for (const mutant of chosen) {
      const verdict = await judge(directory, mutant, tests);
      sums[verdict]++;
      if (verdict === "survived") console.log(`${mutant.file}:${mutant.line}: ${mutant.what}`);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  const noticed = sums.killed + sums.hung;
  const share = (100 * noticed / Math.max(1, chosen.length)).toFixed(1);
  console.log(
    `${noticed} of ${chosen.length} noticed (${share} %): ${sums.killed} by a failure, ${sums.hung} by a hang; ${sums.survived} survived`,
  );
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
