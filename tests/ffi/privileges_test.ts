/** Privileges are given up in a child process: it runs with the path-scoped FFI permission of the daemon, and a Worker. */

import assert from "node:assert/strict";
import { CAP_NET_ADMIN } from "../../ffi/abi/process.ts";
import { dropPrivileges, type PrivilegeDrop, threadPrivileges } from "../../ffi/privileges.ts";
import { notRoot } from "./support.ts";

const NOBODY = 65534;
const OTHER_GROUP = 12345;

interface Report {
  readonly drop: string;
  readonly threads: readonly {
    readonly uids: readonly number[];
    readonly gids: readonly number[];
    readonly groups: readonly number[];
    readonly effective: number;
    readonly permitted: number;
    readonly inheritable: number;
    readonly ambient: number;
  }[];
  readonly becomeRoot: number;
  readonly tun: string;
  readonly raw: string;
}

function runChild(drop: PrivilegeDrop): Report {
  const { code, stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--allow-ffi=/lib,/lib64,/usr/lib", "--allow-read"],
      new URL("./privileges_child.ts", import.meta.url).pathname,
      JSON.stringify(drop),
    ],
    stdout: "piped",
    stderr: "piped",
  }).outputSync();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const report: Report = JSON.parse(new TextDecoder().decode(stdout));
  return report;
}

Deno.test({
  name: "every thread becomes the user, without groups and capabilities, and there is no way back",
  ignore: notRoot,
  fn: () => {
    const report = runChild({ uid: NOBODY, gid: OTHER_GROUP, keep: [] });
    assert.equal(report.drop, "done");
    assert.ok(report.threads.length > 2, "several threads");
    for (const { uids, gids, groups, effective, permitted, inheritable, ambient } of report.threads) {
      assert.deepEqual(uids, [NOBODY, NOBODY, NOBODY, NOBODY]);
      assert.deepEqual(gids, [OTHER_GROUP, OTHER_GROUP, OTHER_GROUP, OTHER_GROUP]);
      assert.deepEqual(groups, []);
      assert.deepEqual([effective, permitted, inheritable, ambient], [0, 0, 0, 0]);
    }
    assert.equal(report.becomeRoot, -1);
    assert.match(report.tun, /EPERM \(needs CAP_NET_ADMIN: run as root\)|EACCES/);
    assert.equal(report.raw, "Cannot open a raw IPv6 socket: EPERM (needs CAP_NET_RAW: run as root)");
  },
});

Deno.test({
  name: "what is kept is kept by the calling thread alone",
  ignore: notRoot,
  fn: () => {
    const report = runChild({ uid: NOBODY, gid: NOBODY, keep: ["NET_ADMIN"] });
    assert.equal(report.drop, "done");
    const mask = 1 << CAP_NET_ADMIN;
    const sets = report.threads.map(({ effective, permitted }) => [effective, permitted]);
    assert.deepEqual(sets.filter(([effective]) => effective !== 0), [[mask, mask]]);
    assert.ok(sets.filter(([, permitted]) => permitted === 0).length === sets.length - 1);
    assert.ok(report.threads.every(({ uids }) => uids.every((uid) => uid === NOBODY)));
    assert.equal(report.becomeRoot, -1);
    assert.equal(report.raw, "Cannot open a raw IPv6 socket: EPERM (needs CAP_NET_RAW: run as root)");
  },
});

Deno.test({
  name: "an ordinary user cannot change user and is told what is needed",
  ignore: !notRoot,
  fn: () => {
    assert.throws(() => dropPrivileges({ uid: NOBODY, gid: NOBODY, keep: [] }), {
      message: "Cannot give up the supplementary groups: EPERM (needs CAP_SETUID and CAP_SETGID: start as root)",
    });
  },
});

Deno.test("the privileges of every thread of this process can be read", () => {
  const threads = threadPrivileges();
  assert.ok(threads.some(({ tid }) => tid === Deno.pid));
  assert.ok(threads.every(({ uids }) => uids.length === 4 && uids[0] === Deno.uid()));
});
