/** Packages made for tests, and roots to install them in. */

import { runProgram } from "../../scripts/package/program.ts";

export const ROOT = new URL("../../", import.meta.url).pathname;

/** Where the units are. */
export const UNITS = `${ROOT}scripts/package/systemd`;

/** Whether the system has a program. */
export function hasProgram(name: string): boolean {
  return ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].some((directory) => {
    try {
      return Deno.statSync(`${directory}/${name}`).isFile;
    } catch {
      return false;
    }
  });
}

/** A test that needs programs of the system, and perhaps root; its name says so where it is skipped. */
export function packageTest(
  name: string,
  needs: { readonly programs: readonly string[]; readonly root?: true },
  fn: (t: Deno.TestContext) => Promise<void>,
): void {
  const missing = [
    ...needs.programs.filter((program) => !hasProgram(program)),
    ...(needs.root === true && Deno.uid() !== 0 ? ["root"] : []),
  ];
  const ignore = missing.length > 0;
  Deno.test({ name: ignore ? `${name} (skipped: needs ${missing.join(", ")})` : name, ignore, fn });
}

/** A directory that every user may enter, gone at the end. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "miredo-package-" });
  await Deno.chmod(path, 0o755);
  return {
    path,
    async [Symbol.asyncDispose](): Promise<void> {
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** Every file, link and directory below `path`, sorted, without those that match `except`. */
export function filesBelow(path: string, except: RegExp = /^$/): string[] {
  const found: string[] = [];
  const look = (below: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(`${path}/${below}`)) {
      const file = below === "" ? name : `${below}/${name}`;
      if (except.test(file)) continue;
      found.push(isDirectory ? `${file}/` : file);
      if (isDirectory) look(file);
    }
  };
  look("");
  return found.toSorted();
}

/** Makes the packages of `executable` in `output`. @param more arguments @returns the names of the files there */
export async function makePackages(
  executable: string,
  output: string,
  env: Readonly<Record<string, string>> = {},
  more: readonly string[] = [],
): Promise<{ readonly deb: string; readonly tarball: string; readonly sums: string }> {
  const script = `${ROOT}scripts/package.ts`;
  const command = [
    Deno.execPath(),
    "run",
    "-A",
    "--no-prompt",
    script,
    "--executable",
    executable,
    "--output",
    output,
    ...more,
  ];
  await runProgram(command, { env });
  const file = (end: string): string => {
    const found = [...Deno.readDirSync(output)].map(({ name }) => name).filter((name) => name.endsWith(end));
    if (found.length !== 1) throw new Error(`Cannot find the package: ${found.length} files end with "${end}"`);
    return `${output}/${found[0]}`;
  };
  return { deb: file(".deb"), tarball: file(".tar.gz"), sums: file("SHA256SUMS") };
}

/** A stand-in for the executable, which is large: it completes as the real one would. */
export async function fakeExecutable(path: string): Promise<string> {
  await Deno.writeTextFile(path, '#!/bin/sh\necho "# $1 for $2"\n');
  await Deno.chmod(path, 0o755);
  return path;
}

/** One section of a unit: values by key, in their order. */
export function unitValues(text: string, key: string): string[] {
  return text.split("\n").filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
}
