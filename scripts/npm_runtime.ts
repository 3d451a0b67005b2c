/**
 * A Deno and its `denort` (the runtime that `deno compile` puts a program on) out of npm packages, for machines that reach an npm registry
 * but not Deno's release host.
 *
 * `@deno/linux-x64-glibc` is Deno's own package. No package carries denort as such, but `vlr` of `@vltpkg/cli-linux-x64` is a program made by
 * `deno compile`: an unmodified denort with a script behind it.
 *
 * ```
 *   vlr    ┌─────────────┬───────────────────────────┬─────────────────┬──────────┐
 *          │ ELF header  │ segments and sections     │ section headers │ script   │
 *          └─────────────┴───────────────────────────┴─────────────────┴──────────┘
 *          │◀─────────────── denort ─────────────────────────────────▶│
 *                                                    ▲ e_shoff         ▲ e_shoff + e_shnum * e_shentsize
 * ```
 *
 * Both files are pinned by their SHA-256 and kept in the user's cache directory. The packages are fetched by Deno's npm client.
 */

/** The version both files have. The two must match, the format of compiled programs differs between versions. */
export const NPM_DENO_VERSION = "2.4.2";

/** A file out of an npm package. */
interface NpmFile {
  /** npm package and exact version. */
  readonly package: string;
  readonly version: string;
  /** Name of the file in the package. */
  readonly file: string;
  /** Whether only the ELF part of it is wanted, without what is appended. */
  readonly cut: boolean;
  /** Hexadecimal, of the file as it is used. */
  readonly sha256: string;
  /** Name in the cache directory. */
  readonly name: string;
}

const DENO: NpmFile = {
  package: "@deno/linux-x64-glibc",
  version: NPM_DENO_VERSION,
  file: "deno",
  cut: false,
  sha256: "1d6580e813252f6b27a41d97d2e3725a408baa2e765a86e45f65b228d3e93ad6",
  name: `deno-${NPM_DENO_VERSION}`,
};

const DENORT: NpmFile = {
  package: "@vltpkg/cli-linux-x64",
  version: "0.0.0-18",
  file: "vlr",
  cut: true,
  sha256: "2705685d7478610b98dcd43acecd457a19810146323041c8af8a88f7dd0b5e82",
  name: `denort-${NPM_DENO_VERSION}`,
};

/** What a denort without a program says when it is run. */
const NO_PROGRAM = "Could not find standalone binary section";

/** Offsets into the header of a 64-bit ELF file (elf.h, Elf64_Ehdr). */
const ELF = {
  magic: 0x7f454c46,
  class: 4,
  class64: 2,
  data: 5,
  littleEndian: 1,
  shoff: 40,
  shentsize: 58,
  shnum: 60,
  length: 64,
} as const;

/**
 * The length of a 64-bit little-endian ELF file whose section headers stand at its end, octets, whatever is appended to it.
 * @throws {RangeError} when `bytes` is not such a file or is cut short
 */
export function elfLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < ELF.length || view.getUint32(0) !== ELF.magic) throw new RangeError("Cannot find an ELF header");
  if (bytes[ELF.class] !== ELF.class64 || bytes[ELF.data] !== ELF.littleEndian) {
    throw new RangeError("Cannot read the ELF header: it is not 64-bit little-endian");
  }
  const end = Number(view.getBigUint64(ELF.shoff, true)) +
    view.getUint16(ELF.shentsize, true) * view.getUint16(ELF.shnum, true);
  if (end < ELF.length || end > bytes.length) {
    throw new RangeError(`Cannot cut the ELF file: its section headers end at ${end} of ${bytes.length} octets`);
  }
  return end;
}

/** SHA-256 in hexadecimal. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Runs Deno's npm client into a cache of its own and returns the wanted file of the package. */
async function download(wanted: NpmFile, directory: string): Promise<Uint8Array<ArrayBuffer>> {
  const specifier = `npm:${wanted.package}@${wanted.version}`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", "--no-config", "--no-lock", specifier],
    env: { DENO_DIR: directory, NO_COLOR: "1" },
    cwd: directory,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    const reason = new TextDecoder().decode(stderr).split("\n").find((line) => line.startsWith("error")) ??
      "no reason given";
    throw new Error(`Cannot fetch "${specifier}" from the npm registry: ${reason.replace(/^error: /, "")}`);
  }
  for await (const registry of Deno.readDir(`${directory}/npm`)) {
    const path = `${directory}/npm/${registry.name}/${wanted.package}/${wanted.version}/${wanted.file}`;
    try {
      return await Deno.readFile(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new Error(`Cannot find "${wanted.file}" in "${specifier}"`);
}

/** The file in the cache directory, fetched first where it is not there. */
async function provide(wanted: NpmFile, cache: string): Promise<string> {
  const path = `${cache}/${wanted.name}`;
  const cached = await Deno.readFile(path).catch(() => undefined);
  if (cached !== undefined && await sha256(cached) === wanted.sha256) return path;
  const directory = await Deno.makeTempDir({ dir: cache, prefix: "fetch-" });
  try {
    const file = await download(wanted, directory);
    const bytes = wanted.cut ? file.slice(0, elfLength(file)) : file;
    const found = await sha256(bytes);
    if (found !== wanted.sha256) {
      throw new Error(
        `Cannot use "${wanted.file}" of "${wanted.package}": its SHA-256 is ${found}, not ${wanted.sha256}`,
      );
    }
    await Deno.writeFile(`${directory}/ready`, bytes, { mode: 0o755 });
    await Deno.rename(`${directory}/ready`, path);
    return path;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** A Deno that can compile, and the runtime for what it compiles. */
export interface NpmRuntime {
  /** Path of the `deno` program. */
  readonly deno: string;
  /** Path of the `denort` program. */
  readonly denort: string;
}

/**
 * Gets both programs, from the cache directory or the npm registry.
 * @throws {Error} on another machine than Linux on x86-64, when the registry is out of reach, or when a file is not the pinned one
 */
export async function npmRuntime(cache: string): Promise<NpmRuntime> {
  const { os, arch } = Deno.build;
  if (os !== "linux" || arch !== "x86_64") {
    throw new Error(`Cannot take the runtime for ${os} on ${arch} from npm: there is one for linux on x86_64 only`);
  }
  await Deno.mkdir(cache, { recursive: true });
  const deno = await provide(DENO, cache);
  const denort = await provide(DENORT, cache);
  const { stdout, stderr } = await new Deno.Command(denort, { clearEnv: true, stdin: "null" }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (!said.includes(NO_PROGRAM)) {
    throw new Error(`Cannot use "${denort}": it is no bare runtime, it said "${said.trim()}"`);
  }
  return { deno, denort };
}
