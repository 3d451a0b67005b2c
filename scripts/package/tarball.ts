/** The archive for every other distribution with GNU libc: the same files, and a script that puts them in their places. */

import type { Build } from "./build.ts";
import { completion, manualPages, part, ROLES, SHELLS, Tree } from "./contents.ts";
import { runProgram } from "./program.ts";

/** Makes the archive. @returns the name of its file */
export async function makeTarball(build: Build): Promise<string> {
  const base = `miredo-${build.version}-linux-${build.arch.name}`;
  const directory = await Deno.makeTempDir({ prefix: "miredo-tar-" });
  try {
    const tree = new Tree(`${directory}/${base}`);
    await addFiles(tree, build);
    await tree.seal(build.time);
    const tar = `${directory}/${base}.tar`;
    const how = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu", `--mtime=@${build.time}`];
    await runProgram(["tar", "--create", "--file", tar, ...how, base], { cwd: directory });
    await runProgram(["gzip", "-6n", tar]);
    await Deno.copyFile(`${tar}.gz`, `${build.output}/${base}.tar.gz`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  return `${base}.tar.gz`;
}

async function addFiles(tree: Tree, build: Build): Promise<void> {
  await tree.write("install.sh", await part(build, "install.sh"), 0o755);
  await tree.copy(build.executable, "bin/miredo", 0o755);
  for (const role of ROLES) {
    await tree.copy(`${build.root}config/${role}.toml`, `config/${role}.toml`);
    const unit = `systemd/miredo-${role}.service`;
    await tree.write(`lib/systemd/system/miredo-${role}.service`, await part(build, unit));
  }
  for (const name of ["sysusers.d/miredo.conf", "tmpfiles.d/miredo.conf"]) {
    await tree.write(`lib/${name}`, await part(build, name));
  }
  await tree.write("openrc/miredo", await part(build, "openrc/miredo"), 0o755);
  for (const { shell, local } of SHELLS) await tree.write(local, await completion(build, shell));
  for (const page of await manualPages(build)) {
    await tree.write(`share/man/man${page.section}/${page.name}`, page.text);
  }
  for (const name of ["LICENSE", "CHANGELOG.md"]) await tree.copy(`${build.root}${name}`, name);
}
