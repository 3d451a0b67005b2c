/**
 * Makes the packages for Linux out of the executable.
 *
 * ```
 *   executable ─ completion ─▶ ┐
 *   config/*.toml, docs/man ──▶├─▶ miredo_VERSION_ARCH.deb       dpkg-deb
 *   scripts/package/ ─────────▶┘   miredo-VERSION-linux-ARCH.tar.gz   with install.sh
 *                                  SHA256SUMS
 * ```
 *
 * The same input gives the same bytes: files are dated by SOURCE_DATE_EPOCH, or by the commit that is checked out.
 *
 * Usage: `deno task package [--executable FILE] [--arch x86_64|aarch64] [--output DIRECTORY]`
 */

import { parseArgs } from "node:util";
import manifest from "../deno.json" with { type: "json" };
import { type Arch, ARCHS, type Build, hostArch } from "./package/build.ts";
import { makeDeb } from "./package/deb.ts";
import { makeTarball } from "./package/tarball.ts";
import { runProgram } from "./package/program.ts";
import { sha256 } from "./npm_runtime.ts";

const ROOT = new URL("../", import.meta.url).pathname;

interface Options {
  /** Path of an executable; undefined: compile one. */
  readonly executable: string | undefined;
  readonly arch: Arch;
  readonly output: string;
}

/** @throws Error when the arguments make no sense */
function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: { executable: { type: "string" }, arch: { type: "string" }, output: { type: "string" } },
  });
  const arch = ARCHS.find(({ name }) => name === (values.arch ?? hostArch().name));
  if (arch === undefined) {
    throw new Error(`Cannot package for "${values.arch}": it is ${ARCHS.map(({ name }) => name).join(" or ")}`);
  }
  return { executable: values.executable, arch, output: values.output ?? `${ROOT}dist` };
}

/** Seconds since 1970 that all files are dated by. */
async function buildTime(): Promise<number> {
  const given = Deno.env.get("SOURCE_DATE_EPOCH");
  if (given !== undefined && /^[0-9]+$/.test(given)) return Number(given);
  try {
    return Number(await runProgram(["git", "-C", ROOT, "log", "-1", "--format=%ct"]));
  } catch {
    return 1_577_836_800; // no checkout of git: 2020-01-01, which is as good as any other date
  }
}

/** Compiles, unless an executable was given. @returns its path */
async function executable({ executable, arch, output }: Options): Promise<string> {
  if (executable !== undefined) return await Deno.realPath(executable);
  const path = `${output}/miredo`;
  const target = arch === hostArch() ? [] : ["--target", arch.triple];
  const command = [
    Deno.execPath(),
    "run",
    "-A",
    "--no-prompt",
    `${ROOT}scripts/compile.ts`,
    "--output",
    path,
    ...target,
  ];
  console.log((await runProgram(command)).trimEnd());
  return path;
}

async function main(options: Options): Promise<void> {
  await Deno.mkdir(options.output, { recursive: true });
  const output = await Deno.realPath(options.output);
  const build: Build = {
    root: ROOT,
    version: manifest.version,
    arch: options.arch,
    executable: await executable({ ...options, output }),
    time: await buildTime(),
    output,
  };
  const files = [await makeDeb(build), await makeTarball(build)];
  let sums = "";
  for (const file of files) {
    const bytes = await Deno.readFile(`${output}/${file}`);
    sums += `${await sha256(bytes)}  ${file}\n`;
    console.log(`${file.padEnd(40)} ${(bytes.length / 1e6).toFixed(1)} MB`);
  }
  await Deno.writeTextFile(`${output}/SHA256SUMS`, sums);
  console.log(sums.trimEnd());
}

if (import.meta.main) {
  try {
    await main(parseOptions(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
