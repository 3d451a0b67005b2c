/** What a package is made from, and for which machine. */

/** One kind of machine under its three names. */
export interface Arch {
  /** As `uname -m` says it. */
  readonly name: "x86_64" | "aarch64";
  /** As Debian says it. */
  readonly debian: "amd64" | "arm64";
  /** As `deno compile --target` wants it. */
  readonly triple: string;
}

export const ARCHS = [
  { name: "x86_64", debian: "amd64", triple: "x86_64-unknown-linux-gnu" },
  { name: "aarch64", debian: "arm64", triple: "aarch64-unknown-linux-gnu" },
] as const satisfies readonly Arch[];

/** The kind of this machine. */
export function hostArch(): Arch {
  return Deno.build.arch === "aarch64" ? ARCHS[1] : ARCHS[0];
}

/** What a package is made from. */
export interface Build {
  /** Path of the repository, with a slash at its end. */
  readonly root: string;
  /** As in deno.json: `2.0.0`, `2.0.0-dev`. */
  readonly version: string;
  readonly arch: Arch;
  /** Path of the executable. */
  readonly executable: string;
  /** When all files were changed last, seconds since 1970. */
  readonly time: number;
  /** Path of the directory the packages are written to. */
  readonly output: string;
}
