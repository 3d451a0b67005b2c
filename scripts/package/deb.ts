/**
 * The package for Debian and kin. It takes the place of the C Miredo's two packages: of `miredo` as its next version, and of
 * `miredo-server` by a conflict.
 */

import type { Build } from "./build.ts";
import { completion, manualPages, part, ROLES, SHELLS, Tree } from "./contents.ts";
import { runProgram } from "./program.ts";

/** Who vouches for the package, where DEBFULLNAME and DEBEMAIL do not say who (devscripts' convention). */
const MAINTAINER = { name: "The miredo developers", email: "miredo@example.net" } as const;

/** Where the program lies in this package. */
const PREFIX = "usr";

/** The version as Debian orders it: `2.0.0~dev` is before `2.0.0`. The package itself is in its first revision. */
export function debianVersion(version: string): string {
  return `${version.replace("-", "~")}-1`;
}

function maintainer(): string {
  return `${Deno.env.get("DEBFULLNAME") ?? MAINTAINER.name} <${Deno.env.get("DEBEMAIL") ?? MAINTAINER.email}>`;
}

/** What dpkg knows of the package. @param kibibytes of all files */
export function control(build: Pick<Build, "version" | "arch">, kibibytes: number): string {
  return `Package: miredo
Version: ${debianVersion(build.version)}
Architecture: ${build.arch.debian}
Maintainer: ${maintainer()}
Installed-Size: ${kibibytes}
Depends: libc6 (>= 2.27), libgcc-s1, passwd | systemd
Conflicts: miredo-server
Replaces: miredo-server
Section: net
Priority: optional
Homepage: https://www.rfc-editor.org/rfc/rfc4380
Description: Teredo client, relay and server: IPv6 through NATs
 Teredo (RFC 4380, RFC 5991, RFC 6081) gives hosts behind IPv4 NATs an IPv6
 address, by carrying IPv6 in UDP straight from NAT to NAT.
 .
 This program is all of it: the client on a host behind a NAT, the server that
 tells it how it looks from outside, and the relay to the IPv6 Internet. It
 speaks the protocol of the C Miredo and of Windows, and takes the place of the
 former.
`;
}

/** The license as Debian wants it said. */
function copyright(license: string): string {
  const text = license.trim().split("\n").map((line) => (line.trim() === "" ? " ." : ` ${line.trimEnd()}`)).join("\n");
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: miredo

Files: *
Copyright: The miredo developers
License: Expat
${text}
Comment:
 The executable holds the Deno runtime (https://deno.com), which is under the
 Expat license too, and the npm packages that deno.lock names.
`;
}

/** Debian's changelog of one entry; what changed is in CHANGELOG.md. */
function debianChangelog({ version, time }: Build): string {
  const date = new Date(time * 1000).toUTCString().replace("GMT", "+0000");
  return `miredo (${debianVersion(version)}) unstable; urgency=medium

  * Version ${version}; see changelog.gz for what changed.

 -- ${maintainer()}  ${date}
`;
}

/** Makes the package. @returns the name of its file */
export async function makeDeb(build: Build): Promise<string> {
  const name = `miredo_${debianVersion(build.version)}_${build.arch.debian}.deb`;
  const directory = await Deno.makeTempDir({ prefix: "miredo-deb-" });
  try {
    const tree = new Tree(`${directory}/root`);
    await addFiles(tree, build);
    const kibibytes = Math.ceil(await tree.seal(build.time) / 1024);
    await addControl(tree, build, kibibytes);
    await tree.seal(build.time);
    const made = `${directory}/${name}`;
    // One thread and a fast level: more threads would cut the stream elsewhere, so that its bytes depended on the machine.
    const how = ["--root-owner-group", "-Zxz", "-z1", "--threads-max=1"];
    await runProgram(["dpkg-deb", ...how, "--build", tree.path, made], {
      env: { SOURCE_DATE_EPOCH: String(build.time) },
    });
    await Deno.copyFile(made, `${build.output}/${name}`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  return name;
}

async function addFiles(tree: Tree, build: Build): Promise<void> {
  await tree.copy(build.executable, `${PREFIX}/bin/miredo`, 0o755);
  for (const role of ROLES) {
    await tree.copy(`${build.root}config/${role}.toml`, `etc/miredo/${role}.toml`);
    const unit = `systemd/miredo-${role}.service`;
    await tree.write(`${PREFIX}/lib/systemd/system/miredo-${role}.service`, await part(build, unit));
  }
  await tree.write(`${PREFIX}/lib/sysusers.d/miredo.conf`, await part(build, "sysusers.d/miredo.conf"));
  await tree.write(`${PREFIX}/lib/tmpfiles.d/miredo.conf`, await part(build, "tmpfiles.d/miredo.conf"));
  for (const { shell, vendor } of SHELLS) await tree.write(`${PREFIX}/${vendor}`, await completion(build, shell));
  for (const page of await manualPages(build)) {
    await tree.gzip(`${PREFIX}/share/man/man${page.section}/${page.name}`, page.text);
  }
  const doc = `${PREFIX}/share/doc/miredo`;
  await tree.write(`${doc}/copyright`, copyright(await Deno.readTextFile(`${build.root}LICENSE`)));
  await tree.gzip(`${doc}/changelog`, await Deno.readTextFile(`${build.root}CHANGELOG.md`));
  await tree.gzip(`${doc}/changelog.Debian`, debianChangelog(build));
  await tree.write(`${doc}/examples/openrc/miredo`, await part(build, "openrc/miredo"));
  await tree.write(`${PREFIX}/share/lintian/overrides/miredo`, await part(build, "debian/lintian-overrides"));
}

async function addControl(tree: Tree, build: Build, kibibytes: number): Promise<void> {
  const sums = await runProgram(["sh", "-c", "find etc usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum"], {
    cwd: tree.path,
  });
  await tree.write("DEBIAN/md5sums", sums);
  await tree.write("DEBIAN/control", control(build, kibibytes));
  await tree.write("DEBIAN/conffiles", ROLES.map((role) => `/etc/miredo/${role}.toml\n`).join(""));
  for (const script of ["postinst", "prerm", "postrm"]) {
    await tree.write(`DEBIAN/${script}`, await part(build, `debian/${script}`), 0o755);
  }
}
