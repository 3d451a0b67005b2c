/**
 * Measures how much of lib/wire, lib/core and config the tests of single rooms and the simulation run, and fails below the marks.
 *
 * ```
 *   deno task coverage            run the tests and print a line a room
 *   deno task coverage --files    and a line a file, worst first
 * ```
 *
 * A line counts when any test ran it; a branch is each way out of a condition that V8 saw (LCOV's LF, LH, BRF, BRH).
 */

/** What a room must reach, shares of 1. */
export const MARKS: Readonly<Record<string, { readonly lines: number; readonly branches: number }>> = {
  "lib/wire": { lines: 0.95, branches: 0.9 },
  "lib/core": { lines: 0.95, branches: 0.9 },
  "config": { lines: 0.95, branches: 0.9 },
};

/** Tests that need no kernel, and what they are allowed. */
const TESTS = ["tests/wire", "tests/core", "tests/config", "tests/fuzz", "tests/sim"];
const PERMISSIONS = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys=uid"];

/** Lines and branches, found and hit. */
export interface Tally {
  readonly lines: number;
  readonly linesHit: number;
  readonly branches: number;
  readonly branchesHit: number;
}

const NOTHING: Tally = { lines: 0, linesHit: 0, branches: 0, branchesHit: 0 };

/** Tallies by file, paths below `root`, out of a tracefile in LCOV's format. */
export function readTracefile(text: string, root: string): Map<string, Tally> {
  const files = new Map<string, Tally>();
  for (const record of text.split("end_of_record")) {
    const value = (key: string): string | undefined => new RegExp(`^${key}:(.*)$`, "m").exec(record)?.[1];
    const count = (key: string): number => Number(value(key) ?? 0);
    const path = value("SF");
    if (path === undefined || !path.startsWith(root)) continue;
    files.set(path.slice(root.length), {
      lines: count("LF"),
      linesHit: count("LH"),
      branches: count("BRF"),
      branchesHit: count("BRH"),
    });
  }
  return files;
}

/** The sum over the files of a room. */
export function sumOf(files: ReadonlyMap<string, Tally>, room: string): Tally {
  const inside = [...files].filter(([path]) => path.startsWith(`${room}/`)).map(([, tally]) => tally);
  return inside.reduce((sum, one) => ({
    lines: sum.lines + one.lines,
    linesHit: sum.linesHit + one.linesHit,
    branches: sum.branches + one.branches,
    branchesHit: sum.branchesHit + one.branchesHit,
  }), NOTHING);
}

/** Rooms below their marks, in words. */
export function shortfalls(files: ReadonlyMap<string, Tally>): string[] {
  return Object.entries(MARKS).flatMap(([room, mark]) => {
    const tally = sumOf(files, room);
    if (tally.lines === 0) return [`${room}: nothing was measured`];
    const lines = tally.linesHit / tally.lines, branches = share(tally.branchesHit, tally.branches);
    return [
      ...(lines < mark.lines ? [`${room}: ${percent(lines)} of lines, below ${percent(mark.lines)}`] : []),
      ...(branches < mark.branches
        ? [`${room}: ${percent(branches)} of branches, below ${percent(mark.branches)}`]
        : []),
    ];
  });
}

function share(hit: number, found: number): number {
  return found === 0 ? 1 : hit / found;
}

function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}

function lineOf(name: string, { lines, linesHit, branches, branchesHit }: Tally): string {
  const cells = [percent(share(linesHit, lines)), percent(share(branchesHit, branches))].map((cell) =>
    cell.padStart(8)
  );
  return `${name.padEnd(48)} lines ${cells[0]}   branches ${cells[1]}`;
}

/** Runs deno; its output is shown only when it fails. */
async function deno(root: URL, args: readonly string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (success) return;
  for (const bytes of [stdout, stderr]) Deno.stderr.writeSync(bytes);
  throw new Error(`Cannot measure the coverage: "deno ${args[0]}" failed`);
}

async function main(args: readonly string[]): Promise<number> {
  const root = new URL("../", import.meta.url);
  const directory = await Deno.makeTempDir({ prefix: "miredo-coverage-" });
  try {
    const tracefile = `${directory}/tracefile`;
    await deno(root, ["test", "--quiet", "--no-prompt", ...PERMISSIONS, `--coverage=${directory}/profiles`, ...TESTS]);
    await deno(root, ["coverage", "--quiet", "--lcov", `--output=${tracefile}`, `${directory}/profiles`]);
    const files = readTracefile(await Deno.readTextFile(tracefile), root.pathname);
    if (args.includes("--files")) {
      const measured = [...files].filter(([path]) => Object.keys(MARKS).some((room) => path.startsWith(`${room}/`)));
      const worst = measured.toSorted(([, a], [, b]) => share(a.linesHit, a.lines) - share(b.linesHit, b.lines));
      for (const [path, tally] of worst) console.log(lineOf(path, tally));
      console.log();
    }
    for (const room of Object.keys(MARKS)) console.log(lineOf(room, sumOf(files, room)));
    const short = shortfalls(files);
    for (const line of short) console.error(line);
    return short.length === 0 ? 0 : 1;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
