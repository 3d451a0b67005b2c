/** Filters of system calls, run by an interpreter of the few instructions they use, for both kinds of machine. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { SYSCALLS } from "../../ffi/abi/syscalls.ts";
import { type Action, compileFilter, type Machine, type Rule } from "../../ffi/seccomp.ts";
import { REFUSED, systemCallRules } from "../../lib/host/confinement/system_calls.ts";

const MACHINES: readonly Machine[] = ["x86_64", "aarch64"];
/** linux/audit.h */
const ARCH: Readonly<Record<Machine, number>> = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };
/** The 32-bit machine that the same kernel runs programs of. */
const OTHER_ARCH: Readonly<Record<Machine, number>> = { x86_64: 0x40000003, aarch64: 0x40000028 };
const PROCESS = 4711;

/** What a program of classic BPF says of a call: SECCOMP_RET_*. */
function run(program: Uint8Array<ArrayBuffer>, arch: number, number: number, args: readonly number[]): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setInt32(0, number, true);
  data.setUint32(4, arch, true);
  args.forEach((value, i) => data.setBigUint64(16 + 8 * i, BigInt(value), true));
  const code = new DataView(program.buffer);
  let accumulator = 0;
  for (let at = 0;;) {
    const k = code.getUint32(8 * at + 4, true);
    const kind = code.getUint16(8 * at, true);
    const [jt, jf] = [code.getUint8(8 * at + 2), code.getUint8(8 * at + 3)];
    at++;
    switch (kind) {
      case 0x20: // ld [k]
        accumulator = data.getUint32(k, true);
        break;
      case 0x54: // and #k
        accumulator = (accumulator & k) >>> 0;
        break;
      case 0x15: // jeq #k, jt, jf
        at += accumulator === k ? jt : jf;
        break;
      case 0x06: // ret #k
        return k;
      default:
        throw new Error(`Cannot run instruction ${kind.toString(16)}`);
    }
  }
}

const ALLOWED = 0x7fff0000;
const KILLED = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const PRETENDED = 0x00050000;

/** Asks the filter of a role on one machine. */
function asker(role: "client" | "relay" | "server", machine: Machine): (call: string, ...args: number[]) => number {
  const program = compileFilter(systemCallRules(role, PROCESS), REFUSED, machine);
  const numbers: ReadonlyMap<string, readonly number[]> = new Map(Object.entries(SYSCALLS));
  return (call, ...args) => run(program, ARCH[machine], numbers.get(call)?.[machine === "x86_64" ? 0 : 1] ?? -1, args);
}

const AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17;
const STREAM = 1, DGRAM = 2, RAW = 3, NONBLOCK_CLOEXEC = 0o2004000;

for (const machine of MACHINES) {
  Deno.test(`on ${machine} a filter ends programs made for another machine, whatever they call`, () => {
    const program = compileFilter(systemCallRules("client", PROCESS), REFUSED, machine);
    fc.assert(fc.property(fc.nat(600), (number) => run(program, OTHER_ARCH[machine], number, []) === KILLED));
  });

  Deno.test(`on ${machine} a call without a rule is refused, those of the x32 interface included`, () => {
    const program = compileFilter(systemCallRules("client", PROCESS), REFUSED, machine);
    const known = new Set<number>(Object.values(SYSCALLS).map((numbers) => numbers[machine === "x86_64" ? 0 : 1]));
    fc.assert(fc.property(fc.nat(1000), (number) => {
      if (!known.has(number)) assert.equal(run(program, ARCH[machine], number, []), EPERM);
      assert.equal(run(program, ARCH[machine], 0x40000000 + number, []), EPERM);
    }));
  });

  for (const role of ["client", "relay", "server"] as const) {
    Deno.test(`on ${machine} a ${role} may carry packets, and start neither programs nor processes`, () => {
      const ask = asker(role, machine);
      for (const call of ["read", "write", "recvmmsg", "sendmmsg", "ppoll", "futex", "mmap", "openat"]) {
        assert.equal(ask(call), ALLOWED, call);
      }
      for (const call of ["execve", "setresuid"]) assert.equal(ask(call), EPERM, call);
      const fatal = ["ptrace", "mount", "bpf", "unshare", "setns", "init_module", "keyctl", "process_vm_writev"];
      for (const call of fatal) assert.equal(ask(call), KILLED, call);
      const thread = 0x3d0f00, process = 17, user = 0x10000000;
      assert.equal(ask("clone", thread), ALLOWED);
      assert.equal(ask("clone", process), EPERM);
      assert.equal(ask("clone", thread | user), EPERM);
      assert.equal(ask("clone3"), ENOSYS);
    });

    Deno.test(`on ${machine} a ${role} makes no raw sockets and none of other families`, () => {
      const ask = asker(role, machine);
      for (const family of [AF_INET, AF_INET6]) {
        for (const protocol of [0, 1, 17, 41, 58, 255]) assert.equal(ask("socket", family, RAW, protocol), EPERM);
        assert.equal(ask("socket", family, DGRAM, 1), EPERM, "ping sockets");
      }
      assert.equal(ask("socket", AF_PACKET, RAW, 0), EPERM);
      assert.equal(ask("socket", AF_PACKET, DGRAM, 0), EPERM);
      assert.equal(ask("socket", AF_NETLINK, RAW | NONBLOCK_CLOEXEC, 0), ALLOWED);
      assert.equal(ask("socket", AF_NETLINK, RAW, 9), EPERM, "audit");
      assert.equal(ask("socket", AF_UNIX, DGRAM | NONBLOCK_CLOEXEC, 0), ALLOWED);
      assert.equal(ask("socket", AF_INET, DGRAM | NONBLOCK_CLOEXEC, 17), role === "server" ? EPERM : ALLOWED);
      assert.equal(ask("socket", AF_INET, STREAM, 0), role === "client" ? ALLOWED : EPERM);
      assert.equal(ask("listen", 3, 1), EPERM);
    });
  }

  Deno.test(`on ${machine} signals go to this process alone, and SIGUSR1 stays ignored`, () => {
    const ask = asker("relay", machine);
    assert.equal(ask("tgkill", PROCESS, 1, 9), ALLOWED);
    assert.equal(ask("tgkill", PROCESS + 1, 1, 9), EPERM);
    assert.equal(ask("rt_sigaction", 15), ALLOWED);
    assert.equal(ask("rt_sigaction", 64), ALLOWED);
    assert.equal(ask("rt_sigaction", 10), PRETENDED);
  });

  Deno.test(`on ${machine} an ioctl may read a terminal or a TUN, and neither type nor attach`, () => {
    const ask = asker("client", machine);
    assert.equal(ask("ioctl", 2, 0x5401), ALLOWED); // TCGETS
    assert.equal(ask("ioctl", 2, 0x800454d2), ALLOWED); // TUNGETIFF
    assert.equal(ask("ioctl", 2, 0x5412), EPERM); // TIOCSTI
    assert.equal(ask("ioctl", 2, 0x400454ca), EPERM); // TUNSETIFF
  });
}

Deno.test("any rules are obeyed in their order: the first alternative that holds allows, else the rule's action counts", () => {
  const action = fc.constantFrom<Action>("allow", "kill", { errno: 7 });
  const condition = fc.record({
    argument: fc.nat(5),
    mask: fc.constantFrom(0xffffffff, 0xf, 0xff00),
    oneOf: fc.array(fc.nat(15), { minLength: 1, maxLength: 3 }),
  });
  const rules = fc.array(
    fc.record<Rule>({
      call: fc.constantFrom("read", "socket", "clone", "ioctl"),
      action,
      allowWhen: fc.array(fc.array(condition, { maxLength: 3 }), { maxLength: 3 }),
    }),
    { maxLength: 6 },
  );
  const args = fc.array(fc.nat(300), { minLength: 6, maxLength: 6 });
  const result = (action: Action): number =>
    action === "allow" ? ALLOWED : action === "kill" ? KILLED : 0x00050000 + action.errno;
  fc.assert(
    fc.property(rules, args, fc.constantFrom("read", "socket", "clone", "ioctl", "close"), (rules, args, call) => {
      const rule = rules.find((rule) => rule.call === call);
      const holds = rule?.allowWhen?.some((alternative) =>
        alternative.every(({ argument, mask = 0xffffffff, oneOf }) => oneOf.includes((args[argument] & mask) >>> 0))
      );
      const expected = rule === undefined ? { errno: 1 } : holds === true ? "allow" : rule.action;
      const program = compileFilter(rules, { errno: 1 }, "x86_64");
      assert.equal(run(program, ARCH.x86_64, SYSCALLS[call === "close" ? "close" : call][0], args), result(expected));
    }),
  );
});
