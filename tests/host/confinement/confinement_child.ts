/**
 * Run by confinement_test.ts, as root, because there is no way back: confines itself like a daemon of the role in its first argument, then
 * tries what an intruder would, and prints, as JSON, what came of it. With a second argument, it makes that system call at the end; with a
 * third, it waits to be killed.
 */

import { SYSCALLS } from "../../../ffi/abi/syscalls.ts";
import { CLONE_NEWNET } from "../../../ffi/abi/process.ts";
import { check, errno, errnoName } from "../../../ffi/errno.ts";
import { libc } from "../../../ffi/libc.ts";
import { resolveIpv4 } from "../../../ffi/resolve.ts";
import { lookupUser } from "../../../ffi/users.ts";
import { cString } from "../../../ffi/text.ts";
import { confine } from "../../../lib/host/confinement/confinement.ts";
import { readByLibc, revokePermissions } from "../../../lib/host/confinement/permissions.ts";

/** What `work` throws, by its name, or "done". */
function outcome(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

/** The error code of a call of the C library, or what it gave. */
const code = (result: number): string => result < 0 ? errnoName(errno()) : String(result);

const [role, last, stay] = Deno.args;
if (role !== "client" && role !== "relay" && role !== "server") throw new Error(`Cannot confine a "${role}"`);

await resolveIpv4("localhost");
// What a filter lets through by mistake must not reach this host's network. There is no way back.
check(libc().unshare(CLONE_NEWNET), "unshare", "make a network namespace");
confine({ role, user: lookupUser("nobody"), chroot: "", holder: undefined, startPrograms: () => {} });
revokePermissions(true);
const { open, setresuid, socket, execve, listen, tgkill, prctl, chroot } = libc();
const number = Object.entries(SYSCALLS).find(([name]) => name === last)?.[1][Deno.build.arch === "aarch64" ? 1 : 0];
console.log(JSON.stringify({
  runtime: {
    readShadow: outcome(() => Deno.readTextFileSync("/etc/shadow")),
    readOther: outcome(() => Deno.readTextFileSync("/etc/hostname")),
    write: outcome(() => Deno.writeTextFileSync("/tmp/miredo-confined", "")),
    list: outcome(() => [...Deno.readDirSync("/etc")]),
    connect: await Deno.connect({ hostname: "192.0.2.1", port: 80 }).then(() => "done", (error) => error.name),
    fetch: await fetch("http://192.0.2.1/").then(() => "done", (error) => error.name),
    listen: outcome(() => Deno.listen({ port: 0 })),
    run: outcome(() => new Deno.Command("/bin/true").outputSync()),
    environment: outcome(() => Deno.env.get("PATH")),
    dlopen: outcome(() => Deno.dlopen("/lib/x86_64-linux-gnu/libm.so.6", {})),
    pointer: outcome(() => Deno.UnsafePointer.create(1n)),
  },
  libc: {
    readShadow: code(open(cString("/etc/shadow"), 0)),
    configuration: outcome(() => readByLibc("/etc/passwd", 1 << 20)),
    setuid: code(setresuid(0, 0, 0)),
    rawIpv4: code(socket(2, 3, 1)),
    rawIpv6: code(socket(10, 3, 58)),
    packets: code(socket(17, 3, 0)),
    execve: code(execve(cString("/bin/true"), null, null)),
    listen: code(listen(0, 1)),
    killInit: code(tgkill(1, 1, 0)),
    seeBoundingSet: code(prctl(23, 0n, 0n, 0n, 0n)),
    chroot: code(chroot(cString("/"))),
  },
}));
if (number !== undefined) {
  libc().syscall(number, 0n, 0n, null);
  console.log("still here");
}

if (stay !== undefined) setInterval(() => {}, 1000);
