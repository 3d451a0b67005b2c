/**
 * System call filters: from rules to a program of the kernel's classic BPF, and onto every thread of this process (seccomp(2)).
 *
 * ```
 *   load arch ─ another machine's ─▶ kill
 *   load nr   ─ rule 1 ─▶ allow │ errno │ kill      a rule with conditions loads arguments and asks alternative after alternative
 *             ─ rule 2 ─▶ ...
 *   otherwise ─▶ errno
 * ```
 *
 * A filter cannot be taken off again, is inherited by what is started, and can only be made stricter.
 */

import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_X86_64,
  BPF_ABS,
  BPF_ALU,
  BPF_AND,
  BPF_JEQ,
  BPF_JMP,
  BPF_K,
  BPF_LD,
  BPF_RET,
  BPF_W,
  seccomp_data,
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_SET_MODE_FILTER,
  sock_filter,
  sock_fprog,
} from "./abi/seccomp.ts";
import { type Syscall, syscallNumber, SYSCALLS } from "./abi/syscalls.ts";
import { check, type Hints } from "./errno.ts";
import { libc } from "./libc.ts";
import { nativeBuffer } from "./memory.ts";

/** What becomes of a call: done, refused with an errno (0: not done, yet success), or the end of the process. */
export type Action = "allow" | "kill" | { readonly errno: number };

/** A condition on the low 32 bits of one argument: masked, it is one of these values. */
export interface Condition {
  /** From 0 to 5. */
  readonly argument: number;
  /** Default: all 32 bits. */
  readonly mask?: number;
  readonly oneOf: readonly number[];
}

/** What becomes of one system call. */
export interface Rule {
  readonly call: Syscall;
  /** When no alternative holds, or there is none. */
  readonly action: Action;
  /** It is allowed when all conditions of one of these alternatives hold. */
  readonly allowWhen?: readonly (readonly Condition[])[];
}

/** A kind of machine; it numbers system calls in its own way. */
export type Machine = "x86_64" | "aarch64";

const ALL_BITS = 0xffffffff;

interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly jt: number;
  readonly jf: number;
}

const load = (at: number): Instruction => ({ code: BPF_LD | BPF_W | BPF_ABS, k: at, jt: 0, jf: 0 });
const and = (mask: number): Instruction => ({ code: BPF_ALU | BPF_AND | BPF_K, k: mask, jt: 0, jf: 0 });
/** Jumps over `jt` instructions where the accumulator is `k`, else over `jf`; each 255 at most. */
const ifEqual = (k: number, jt: number, jf: number): Instruction => ({ code: BPF_JMP | BPF_JEQ | BPF_K, k, jt, jf });

function end(action: Action): Instruction {
  const k = action === "allow"
    ? SECCOMP_RET_ALLOW
    : action === "kill"
    ? SECCOMP_RET_KILL_PROCESS
    : SECCOMP_RET_ERRNO | action.errno;
  return { code: BPF_RET | BPF_K, k, jt: 0, jf: 0 };
}

/** The alternative's instructions; behind them, where a condition fails. */
function alternative(conditions: readonly Condition[]): readonly Instruction[] {
  let body: readonly Instruction[] = [end("allow")];
  for (const { argument, mask = ALL_BITS, oneOf } of conditions.toReversed()) {
    const asked = oneOf.map((value, i) => {
      const rest = oneOf.length - 1 - i;
      return ifEqual(value, rest, rest === 0 ? body.length : 0);
    });
    const masked = mask === ALL_BITS ? [] : [and(mask)];
    body = [load(seccomp_data.args + 8 * argument), ...masked, ...asked, ...body];
  }
  return body;
}

/**
 * The program of these rules, asked in their order: the calls that are made most come first.
 * @param otherwise what becomes of calls without a rule
 * @returns instructions of {@link sock_filter}
 */
export function compileFilter(
  rules: readonly Rule[],
  otherwise: Action,
  machine: Machine = Deno.build.arch,
): Uint8Array<ArrayBuffer> {
  const arch = machine === "x86_64" ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
  const program = [load(seccomp_data.arch), ifEqual(arch, 1, 0), end("kill"), load(seccomp_data.nr)];
  for (const { call, action, allowWhen = [] } of rules) {
    const number = SYSCALLS[call][machine === "x86_64" ? 0 : 1];
    if (number < 0) continue;
    const body = [...allowWhen.flatMap(alternative), end(action)];
    program.push(ifEqual(number, 0, body.length), ...body);
  }
  program.push(end(otherwise));
  return assemble(program);
}

function assemble(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const octets = new Uint8Array(new ArrayBuffer(program.length * sock_filter.size));
  const view = new DataView(octets.buffer);
  for (const [i, { code, k, jt, jf }] of program.entries()) {
    if (jt > 255 || jf > 255) throw new RangeError("Cannot compile a filter: a rule has too many conditions");
    view.setUint16(i * sock_filter.size + sock_filter.code, code, true);
    octets[i * sock_filter.size + sock_filter.jt] = jt;
    octets[i * sock_filter.size + sock_filter.jf] = jf;
    view.setUint32(i * sock_filter.size + sock_filter.k, k, true);
  }
  return octets;
}

const HINTS: Hints = {
  EINVAL: "this kernel has no system call filters: CONFIG_SECCOMP_FILTER",
  EACCES: "no_new_privs has to be set first",
};

/**
 * Puts a program on every thread of this process, for good. The calling thread has no_new_privs, and gives it to the others by this.
 * @throws SystemError
 */
export function installFilter(program: Uint8Array<ArrayBuffer>): void {
  const action = "install a system call filter";
  const memory = nativeBuffer(new ArrayBuffer(sock_fprog.size + program.length));
  memory.bytes.set(program, sock_fprog.size);
  memory.view.setUint16(sock_fprog.len, program.length / sock_filter.size, true);
  memory.writePointer(sock_fprog.filter, sock_fprog.size);
  const result = libc().syscall(
    syscallNumber("seccomp"),
    BigInt(SECCOMP_SET_MODE_FILTER),
    BigInt(SECCOMP_FILTER_FLAG_TSYNC),
    memory.pointer(0),
  );
  check(result, "seccomp", action, HINTS);
  if (result > 0) throw new Error(`Cannot ${action}: thread ${result} has one of its own`);
}
