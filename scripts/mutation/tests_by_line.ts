/** Which test files run which lines, and how long each takes: a mutant is tried by those that run its line, the quickest first. */

import { testFiles } from "../test_files.ts";

/** A test file, and the lines of the sources that it runs. */
export interface TestFile {
  readonly path: string;
  /** Time of a run, milliseconds. */
  readonly duration: number;
  /** Lines that it runs, counted from 1, by path of the source below the root. */
  readonly lines: ReadonlyMap<string, ReadonlySet<number>>;
}

/** Lines that were run, by path below `root`, out of a tracefile in LCOV's format. */
export function linesRun(tracefile: string, root: string): Map<string, Set<number>> {
  const files = new Map<string, Set<number>>();
  let lines = new Set<number>();
  for (const row of tracefile.split("\n")) {
    const [key, value = ""] = row.split(/:(.*)/, 2);
    if (key === "SF") {
      lines = new Set();
      if (value.startsWith(root)) files.set(value.slice(root.length), lines);
    } else if (key === "DA") {
      const [line, hits] = value.split(",").map(Number);
      if (hits > 0) lines.add(line);
    }
  }
  return files;
}

/** Runs every test file below `paths` once, by itself, with coverage. @throws when one fails: then no mutant can be judged */
export async function measureTests(root: URL, paths: readonly string[], flags: readonly string[]): Promise<TestFile[]> {
  const measured: TestFile[] = [];
  for (const path of paths.flatMap((below) => testFiles(root, below))) {
    const directory = await Deno.makeTempDir({ prefix: "miredo-mutation-" });
    try {
      const begun = performance.now();
      await deno(root, ["test", ...flags, `--coverage=${directory}/profiles`, path]);
      const duration = performance.now() - begun;
      await deno(root, ["coverage", "--quiet", "--lcov", `--output=${directory}/lines`, `${directory}/profiles`]);
      measured.push({ path, duration, lines: linesRun(await Deno.readTextFile(`${directory}/lines`), root.pathname) });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  }
  return measured.toSorted((a, b) => a.duration - b.duration);
}

async function deno(root: URL, args: readonly string[]): Promise<void> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args: [...args], cwd: root, stdin: "null" })
    .output();
  if (!success) throw new Error(`Cannot run "deno ${args.join(" ")}":\n${new TextDecoder().decode(stdout)}`);
}
