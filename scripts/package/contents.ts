/**
 * The files that every package has, whatever they are called in it.
 *
 * ```
 *   executable            completions (asked of the executable)
 *   sample configuration  units, sysusers.d, tmpfiles.d, OpenRC script
 *   manual pages          README, CHANGELOG, LICENSE
 * ```
 */

import { type Build, hostArch } from "./build.ts";
import { runProgram } from "./program.ts";

export const ROLES = ["client", "relay", "server"] as const;

/** Where shells look for completions, below a prefix such as `/usr`. `vendor`: of the distribution; otherwise of the administrator. */
export const SHELLS = [
  {
    shell: "bash",
    vendor: "share/bash-completion/completions/miredo",
    local: "share/bash-completion/completions/miredo",
  },
  { shell: "zsh", vendor: "share/zsh/vendor-completions/_miredo", local: "share/zsh/site-functions/_miredo" },
  {
    shell: "fish",
    vendor: "share/fish/vendor_completions.d/miredo.fish",
    local: "share/fish/vendor_completions.d/miredo.fish",
  },
] as const;

/** A directory that a package is put together in. Every file in it is dated by {@link seal}. */
export class Tree {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Writes a file, with the directories above it. @param mode permission bits */
  async write(name: string, content: string | Uint8Array, mode: number = 0o644): Promise<void> {
    const path = await this.#parent(name);
    await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    await Deno.chmod(path, mode);
  }

  /** Copies a file of the system. */
  async copy(from: string, name: string, mode: number = 0o644): Promise<void> {
    const path = await this.#parent(name);
    await Deno.copyFile(from, path);
    await Deno.chmod(path, mode);
  }

  /** Writes a file as gzip does without name and time. */
  async gzip(name: string, content: string): Promise<void> {
    await this.write(name, content);
    await runProgram(["gzip", "-9n", `${this.path}/${name}`]);
  }

  /** Gives everything the date of the build; nothing may be written afterwards. @returns octets of all files */
  async seal(time: number): Promise<number> {
    return await seal(this.path, time);
  }

  async #parent(name: string): Promise<string> {
    const path = `${this.path}/${name}`;
    const parent = path.slice(0, path.lastIndexOf("/"));
    await Deno.mkdir(parent, { recursive: true, mode: 0o755 });
    return path;
  }
}

async function seal(path: string, time: number): Promise<number> {
  let octets = 0;
  for (const entry of Deno.readDirSync(path)) {
    const below = `${path}/${entry.name}`;
    if (entry.isDirectory) octets += await seal(below, time);
    else {
      octets += (await Deno.stat(below)).size;
      await Deno.utime(below, time, time);
    }
  }
  await Deno.chmod(path, 0o755);
  await Deno.utime(path, time, time);
  return octets;
}

/** A manual page. */
export interface ManualPage {
  /** `miredo.8` */
  readonly name: string;
  readonly section: string;
  readonly text: string;
}

/** The manual pages there are, sorted. */
export async function manualPages({ root }: Build): Promise<ManualPage[]> {
  const directory = `${root}docs/man`;
  const pages: ManualPage[] = [];
  try {
    for (const { name } of Deno.readDirSync(directory)) {
      const section = /\.([1-8])$/.exec(name)?.[1];
      if (section !== undefined) pages.push({ name, section, text: await Deno.readTextFile(`${directory}/${name}`) });
    }
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
  return pages.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Completions for `shell`, by the executable itself, or by its sources where it is for another machine. */
export async function completion({ root, arch, executable }: Build, shell: string): Promise<string> {
  const program = arch.name === hostArch().name
    ? [executable]
    : [Deno.execPath(), "run", "--no-prompt", "--allow-read", `${root}main.ts`];
  return await runProgram([...program, "completion", shell], { cwd: root });
}

/** A file below scripts/package/. */
export async function part({ root }: Build, name: string): Promise<string> {
  return await Deno.readTextFile(`${root}scripts/package/${name}`);
}
