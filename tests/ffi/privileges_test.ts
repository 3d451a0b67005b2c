/** Privileges are given up in a child process: it runs with the path-scoped FFI permission of the daemon, and a Worker. */

import assert from "node:assert/strict";
import { becomeUser, dropCapabilities, ThreadDirectory, threadPrivileges } from "../../ffi/privileges.ts";
import { parseThreadStatus } from "../../ffi/threads.ts";
import { notRoot } from "./support.ts";

const NOBODY = 65534;
const OTHER_GROUP = 12345;
/** Bit 12, CAP_NET_ADMIN. */
const NET_ADMIN = "1000";

interface Report {
  readonly drop: string;
  readonly threads: readonly {
    readonly uids: readonly number[];
    readonly gids: readonly number[];
    readonly groups: readonly number[];
    readonly effective: string;
    readonly permitted: string;
    readonly inheritable: string;
    readonly bounding: string;
    readonly ambient: string;
    readonly noNewPrivileges: boolean;
  }[];
  readonly becomeRoot: number;
  readonly tun: string;
  readonly raw: string;
}

function runChild(drop: { readonly uid: number; readonly gid: number; readonly keep: boolean }): Report {
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
  name: "every thread becomes the user, without groups and with every capability set empty, and there is no way back",
  ignore: notRoot,
  fn: () => {
    const report = runChild({ uid: NOBODY, gid: OTHER_GROUP, keep: false });
    assert.equal(report.drop, "done");
    assert.ok(report.threads.length > 5, "threads of V8, of tokio and of a Worker");
    for (const thread of report.threads) {
      assert.deepEqual(thread.uids, [NOBODY, NOBODY, NOBODY, NOBODY]);
      assert.deepEqual(thread.gids, [OTHER_GROUP, OTHER_GROUP, OTHER_GROUP, OTHER_GROUP]);
      assert.deepEqual(thread.groups, []);
      const { effective, permitted, inheritable, bounding, ambient } = thread;
      assert.deepEqual([effective, permitted, inheritable, bounding, ambient], ["0", "0", "0", "0", "0"]);
      assert.equal(thread.noNewPrivileges, true);
    }
    assert.equal(report.becomeRoot, -1);
    assert.match(report.tun, /EPERM \(needs CAP_NET_ADMIN: run as root\)|EACCES/);
    assert.equal(report.raw, "Cannot open a raw IPv6 socket: EPERM (needs CAP_NET_RAW: run as root)");
  },
});

Deno.test({
  name: "what is kept is kept by one thread alone",
  ignore: notRoot,
  fn: () => {
    const report = runChild({ uid: NOBODY, gid: NOBODY, keep: true });
    assert.equal(report.drop, "done");
    const sets = report.threads.map(({ effective, permitted }) => [effective, permitted]);
    assert.deepEqual(sets.filter(([effective, permitted]) => effective !== "0" || permitted !== "0"), [
      [NET_ADMIN, NET_ADMIN],
    ]);
    assert.ok(report.threads.every(({ uids }) => uids.every((uid) => uid === NOBODY)));
    assert.ok(report.threads.every(({ bounding }) => bounding === "0"));
    assert.equal(report.becomeRoot, -1);
    assert.equal(report.raw, "Cannot open a raw IPv6 socket: EPERM (needs CAP_NET_RAW: run as root)");
  },
});

Deno.test({
  name: "an ordinary user cannot change user and is told what is needed",
  ignore: !notRoot,
  fn: () => {
    assert.throws(() => becomeUser(NOBODY, NOBODY), {
      message: "Cannot give up the supplementary groups: EPERM (needs CAP_SETUID and CAP_SETGID: start as root)",
    });
    using threads = new ThreadDirectory();
    dropCapabilities(threads); // nothing to give up is no error
  },
});

Deno.test("the privileges of every thread of this process can be read", () => {
  const threads = threadPrivileges();
  assert.ok(threads.some(({ tid }) => tid === Deno.pid));
  assert.ok(threads.every(({ uids }) => uids.length === 4 && uids[0] === Deno.uid()));
});

Deno.test("a thread's status is read as the kernel writes it", () => {
  const status =
    "Name:\ttokio runtime w\nUmask:\t0022\nPid:\t4711\nNSpid:\t4711\t7\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \n" +
    "CapInh:\t0000000000000001\nCapPrm:\t0000000000001000\nCapEff:\t0000000000002000\nCapBnd:\t000001ffffffffff\n" +
    "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";
  assert.deepEqual(parseThreadStatus(status), {
    tid: 7,
    name: "tokio runtime w",
    uids: [1, 2, 3, 4],
    gids: [5, 6, 7, 8],
    groups: [9, 10],
    effective: 0x2000n,
    permitted: 0x1000n,
    inheritable: 1n,
    bounding: 0x1ffffffffffn,
    ambient: 0n,
    noNewPrivileges: true,
    seccomp: 2,
  });
});
