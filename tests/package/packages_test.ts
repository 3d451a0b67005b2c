/** What is in the packages, that the same input makes the same bytes, and that install.sh takes away what it brought. */

import assert from "node:assert/strict";
import { control, debianVersion } from "../../scripts/package/deb.ts";
import { ARCHS, hostArch } from "../../scripts/package/build.ts";
import { runProgram } from "../../scripts/package/program.ts";
import { fakeExecutable, filesBelow, makePackages, packageTest, ROOT, temporaryDirectory } from "./support.ts";

/** What both kinds of package are made and read by. */
const PROGRAMS = ["dpkg-deb", "tar", "gzip", "xz", "md5sum"];

Deno.test("a version before a release is older than the release to dpkg too", () => {
  assert.equal(debianVersion("2.0.0-dev"), "2.0.0~dev-1");
  assert.equal(debianVersion("2.0.0"), "2.0.0-1");
});

Deno.test("the package takes the place of the C Miredo's packages", () => {
  const text = control({ version: "2.0.0", arch: ARCHS[1] }, 1234);
  assert.match(text, /^Package: miredo\nVersion: 2\.0\.0-1\nArchitecture: arm64\n/);
  assert.match(text, /^Conflicts: miredo-server$/m);
  assert.match(text, /^Replaces: miredo-server$/m);
  for (const line of text.split("\n")) assert.ok(line.length <= 80, line);
});

packageTest("the .deb has everything in its place, owned by root, with the samples as conffiles", {
  programs: PROGRAMS,
}, async () => {
  await using directory = await temporaryDirectory();
  const { deb } = await makePackages(await fakeExecutable(`${directory.path}/miredo`), `${directory.path}/out`);
  const listing = (await runProgram(["dpkg-deb", "--contents", deb])).trimEnd().split("\n");
  const files = new Map(listing.map((line) => {
    const [mode, owner, , , , name] = line.split(/\s+/);
    return [name.slice(1), { mode, owner }];
  }));
  for (const { owner } of files.values()) assert.equal(owner, "root/root");
  assert.equal(files.get("/usr/bin/miredo")?.mode, "-rwxr-xr-x");
  const expected = [
    ...["client", "relay", "server"].flatMap((role) => [
      `/etc/miredo/${role}.toml`,
      `/usr/lib/systemd/system/miredo-${role}.service`,
    ]),
    "/usr/lib/sysusers.d/miredo.conf",
    "/usr/lib/tmpfiles.d/miredo.conf",
    "/usr/share/bash-completion/completions/miredo",
    "/usr/share/zsh/vendor-completions/_miredo",
    "/usr/share/fish/vendor_completions.d/miredo.fish",
    "/usr/share/doc/miredo/copyright",
    "/usr/share/doc/miredo/changelog.gz",
    "/usr/share/doc/miredo/changelog.Debian.gz",
  ];
  for (const name of expected) assert.equal(files.get(name)?.mode, "-rw-r--r--", name);
  // Nothing starts by itself.
  assert.deepEqual([...files.keys()].filter((name) => /\.wants\/|init\.d\//.test(name)), []);
  assert.equal(
    await runProgram(["dpkg-deb", "--info", deb, "conffiles"]),
    "/etc/miredo/client.toml\n/etc/miredo/relay.toml\n/etc/miredo/server.toml\n",
  );
  await runProgram(["dpkg-deb", "--extract", deb, `${directory.path}/root`]);
  const completion = await Deno.readTextFile(`${directory.path}/root/usr/share/bash-completion/completions/miredo`);
  assert.equal(completion, "# completion for bash\n");
  await runProgram(["dpkg-deb", "--control", deb, `${directory.path}/control`]);
  await runProgram(["md5sum", "--check", "--quiet", `${directory.path}/control/md5sums`], {
    cwd: `${directory.path}/root`,
  });
});

packageTest("for another kind of machine, whose executable does not run here, the sources complete", {
  programs: PROGRAMS,
}, async () => {
  await using directory = await temporaryDirectory();
  const other = ARCHS.find((arch) => arch !== hostArch()) ?? ARCHS[0];
  const executable = await fakeExecutable(`${directory.path}/miredo`);
  const { deb, tarball } = await makePackages(executable, `${directory.path}/out`, {}, ["--arch", other.name]);
  assert.ok(deb.endsWith(`_${other.debian}.deb`) && tarball.endsWith(`-linux-${other.name}.tar.gz`));
  await runProgram(["dpkg-deb", "--extract", deb, `${directory.path}/root`]);
  const completion = await Deno.readTextFile(`${directory.path}/root/usr/share/fish/vendor_completions.d/miredo.fish`);
  assert.match(completion, /^complete -c miredo /m);
});

for (const script of ["install.sh", "openrc/miredo", "debian/postinst", "debian/prerm", "debian/postrm"]) {
  Deno.test(`the shell understands ${script}`, async () => {
    await runProgram(["sh", "-n", `${ROOT}scripts/package/${script}`]);
  });
}

packageTest("lintian finds no error in the .deb", { programs: [...PROGRAMS, "lintian"] }, async () => {
  await using directory = await temporaryDirectory();
  const { deb } = await makePackages(await fakeExecutable(`${directory.path}/miredo`), `${directory.path}/out`);
  const user = Deno.uid() === 0 ? ["--allow-root"] : [];
  // A script in the executable's place is no ELF file; what lintian says of the real one is in docs/packaging.md.
  const report = await runProgram(["lintian", ...user, "--fail-on", "error", "--tag-display-limit", "0", deb]);
  assert.doesNotMatch(report, /^E:/m);
});

packageTest("the same input makes the same packages, whenever and wherever", { programs: PROGRAMS }, async () => {
  await using directory = await temporaryDirectory();
  const executable = await fakeExecutable(`${directory.path}/miredo`);
  const first = await makePackages(executable, `${directory.path}/first`);
  await Deno.utime(executable, 1, 1);
  const second = await makePackages(executable, `${directory.path}/second`, {
    TMPDIR: directory.path,
    TZ: "Asia/Tokyo",
  });
  const sums = await Deno.readTextFile(first.sums);
  assert.equal(await Deno.readTextFile(second.sums), sums);
  assert.equal(sums.trimEnd().split("\n").length, 2);
  await runProgram(["sha256sum", "--check", "--quiet", "SHA256SUMS"], { cwd: `${directory.path}/first` });
});

packageTest("install.sh brings the archive's files, keeps a configuration, and takes away what it brought", {
  programs: PROGRAMS,
}, async () => {
  await using directory = await temporaryDirectory();
  const { tarball } = await makePackages(await fakeExecutable(`${directory.path}/miredo`), `${directory.path}/out`);
  const root = `${directory.path}/root`;
  await Deno.mkdir(`${root}/sbin`, { recursive: true });
  await Deno.mkdir(`${root}/etc/miredo`, { recursive: true });
  await Deno.writeTextFile(`${root}/sbin/openrc-run`, "");
  await Deno.writeTextFile(`${root}/etc/miredo/client.toml`, "# mine\n");
  const before = filesBelow(root);
  await runProgram(["tar", "--extract", "--file", tarball, "--directory", directory.path]);
  const name = tarball.slice(tarball.lastIndexOf("/") + 1, -".tar.gz".length);
  const script = `${directory.path}/${name}/install.sh`;

  await runProgram([script, "--prefix", "/opt/miredo", "--destdir", root]);
  assert.equal(await runProgram([`${root}/opt/miredo/bin/miredo`, "a", "b"]), "# a for b\n");
  const unit = await Deno.readTextFile(`${root}/opt/miredo/lib/systemd/system/miredo-client.service`);
  assert.match(unit, /^ExecStart=\/opt\/miredo\/bin\/miredo client /m);
  assert.equal(await Deno.readTextFile(`${root}/etc/miredo/client.toml`), "# mine\n");
  assert.match(await Deno.readTextFile(`${root}/etc/miredo/relay.toml`), /^\[relay\]$/m);
  const openrc = await Deno.readTextFile(`${root}/etc/init.d/miredo-server`);
  assert.match(openrc, /^#!\/sbin\/openrc-run\n[^]*^command="\/opt\/miredo\/bin\/miredo"$/m);

  await runProgram([script, "--uninstall", "--prefix", "/opt/miredo", "--destdir", root]);
  const kept = filesBelow(root, /\/$/).filter((file) => !file.endsWith("/"));
  assert.deepEqual(
    kept,
    ["client", "relay", "server"].map((role) => `etc/miredo/${role}.toml`).concat("sbin/openrc-run"),
  );
  await Deno.writeTextFile(`${root}/etc/miredo/mine.toml`, "");
  await runProgram([script, "--uninstall", "--purge", "--prefix", "/opt/miredo", "--destdir", root]);
  const left = filesBelow(root).filter((file) => !file.endsWith("/"));
  assert.deepEqual(left, ["etc/miredo/mine.toml", "sbin/openrc-run"]);
  assert.ok(before.includes("etc/miredo/client.toml"));
  await assert.rejects(runProgram([script, "--prefix", "opt"]), /Cannot use prefix "opt": it is not an absolute path/);
});
