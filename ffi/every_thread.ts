/**
 * System calls made by every thread of this process, one after another in each.
 *
 * The kernel keeps capabilities, securebits and bounding sets by thread, and the C library changes only user and group numbers in all
 * threads at once. The threads of a JavaScript runtime run none of our code; but each of them runs a signal handler. So there is one, a few
 * instructions of machine code, and every thread gets the signal:
 *
 * ```
 *   page 0, executable   the handler: for each call below, load number and arguments, call, count what failed
 *   page 1, data         done (4) │ failed (4) │ { number, argument 0 ... 4 } × n (8 each) │ -1 (8) │ memory that arguments point to
 * ```
 *
 * The handler, of which {@link CODE} is the assembled form (GNU as; tests/ffi/every_thread_test.ts assembles it again):
 */

import { ESRCH } from "./abi/errno.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  SA_ONSTACK,
  SA_RESTART,
  sigaction,
} from "./abi/process.ts";
import { check, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { copyFrom, nativeBuffer, pointerTo } from "./memory.ts";
import type { ThreadDirectory } from "./threads.ts";

/** Distance of the data from the code, octets: the largest page there is on arm64. */
const DATA = 0x10000;

/** What the handler is, by machine, in the language of GNU as. `start` is the first octet of the code. */
export const SOURCE = {
  x86_64: `
.equ DATA, ${DATA}
start: lea  start+DATA+8(%rip), %r9
next:  mov  (%r9), %rax
       test %rax, %rax
       js   end
       mov  8(%r9), %rdi
       mov  16(%r9), %rsi
       mov  24(%r9), %rdx
       mov  32(%r9), %r10
       mov  40(%r9), %r8
       syscall
       test %rax, %rax
       jns  ok
       lock incl start+DATA+4(%rip)
ok:    add  $48, %r9
       jmp  next
end:   lock incl start+DATA(%rip)
       ret
`,
  aarch64: `
.equ DATA, ${DATA}
start: adr  x9, start+DATA
       add  x10, x9, #8
next:  ldr  x8, [x10]
       tbnz x8, #63, end
       ldp  x0, x1, [x10, #8]
       ldp  x2, x3, [x10, #24]
       ldr  x4, [x10, #40]
       svc  #0
       tbz  x0, #63, ok
       add  x11, x9, #4
fail:  ldxr w12, [x11]
       add  w12, w12, #1
       stlxr w13, w12, [x11]
       cbnz w13, fail
ok:    add  x10, x10, #48
       b    next
end:   ldxr w12, [x9]
       add  w12, w12, #1
       stlxr w13, w12, [x9]
       cbnz w13, end
       ret
`,
} as const;

/** {@link SOURCE}, assembled, as hexadecimal digits. */
export const CODE = {
  x86_64: "4c8d0d01000100498b014885c07828498b7908498b7110498b51184d8b51204d8b41280f054885c07907f0ff05d3ff0000" +
    "4983c130ebd0f0ff05c2ff0000c3",
  aarch64: "090008102a210091480140f9a801f8b7408540a9428d41a9441540f9010000d4c000f8b62b1100916c7d5f888c050011" +
    "6cfd0d88adffff354ac10091f3ffff172c7d5f888c0500112cfd0d88adffff35c0035fd6",
} as const;

const DONE_AT = 0;
const FAILED_AT = 4;
const CALLS_AT = 8;
const CALL_LENGTH = 48;
const ARGUMENTS = 5;

/** The last real-time signal: neither the C library nor the runtime has a use for it. */
const SIGNAL = 64;

/** How long a thread may take to answer, milliseconds: only one that the kernel stopped takes that long. */
const PATIENCE = 5_000;

/** One system call: its number, and up to five arguments. A buffer is given as its address, of a copy. */
export interface Call {
  readonly number: number;
  readonly arguments: readonly (number | Uint8Array)[];
}

/** What came of it. */
export interface Outcome {
  /** Threads that made the calls. */
  readonly threads: number;
  /** Calls that failed, of all threads together. */
  readonly failed: number;
}

/**
 * Lets every thread make these calls, the calling one included.
 * @param directory tells which threads there are
 * @param except threads that do not
 * @throws SystemError, or Error when a thread does not answer
 */
export function inEveryThread(
  calls: readonly Call[],
  directory: ThreadDirectory,
  except: ReadonlySet<number> = new Set(),
): Outcome {
  const code = octetsOf(CODE[Deno.build.arch]);
  const data = layOut(calls);
  const length = DATA + data.length;
  const address = libc().mmap(0n, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n);
  if (address === 0xffffffff_ffffffffn) throw new SystemError("mmap", "make room for a signal handler", errno());
  const start = pointerTo(address);
  const dataStart = pointerTo(address + BigInt(DATA));
  try {
    relocate(data, calls, address + BigInt(DATA));
    libc().copy(start, nativeBuffer(code.buffer).pointer(0), code.length);
    libc().copy(dataStart, nativeBuffer(data.buffer).pointer(0), data.length);
    check(libc().mprotect(start, DATA, PROT_READ | PROT_EXEC), "mprotect", "make a signal handler executable");
    const threads = withHandler(address, () => signalAll(dataStart, directory, except));
    return { threads, failed: new DataView(copyFrom(dataStart, CALLS_AT).buffer).getUint32(FAILED_AT, true) };
  } finally {
    libc().munmap(start, length);
  }
}

function octetsOf(digits: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** The data page, with buffers behind the calls. */
function layOut(calls: readonly Call[]): Uint8Array<ArrayBuffer> {
  const buffers = calls.flatMap((call) => call.arguments).filter((argument) => typeof argument !== "number");
  const end = CALLS_AT + calls.length * CALL_LENGTH + 8;
  const data = new Uint8Array(new ArrayBuffer(end + buffers.reduce((sum, { length }) => sum + padded(length), 0)));
  const view = new DataView(data.buffer);
  view.setBigInt64(end - 8, -1n, true);
  let at = end;
  for (const buffer of buffers) {
    data.set(buffer, at);
    at += padded(buffer.length);
  }
  return data;
}

const padded = (length: number): number => (length + 7) & ~7;

/** Fills in numbers and arguments, now that the page has its address. */
function relocate(data: Uint8Array<ArrayBuffer>, calls: readonly Call[], address: bigint): void {
  const view = new DataView(data.buffer);
  let buffer = CALLS_AT + calls.length * CALL_LENGTH + 8;
  for (const [i, call] of calls.entries()) {
    const at = CALLS_AT + i * CALL_LENGTH;
    if (call.arguments.length > ARGUMENTS) throw new RangeError("Cannot make a call with more than five arguments");
    view.setBigUint64(at, BigInt(call.number), true);
    for (const [j, argument] of call.arguments.entries()) {
      view.setBigUint64(
        at + 8 + 8 * j,
        typeof argument === "number" ? BigInt(argument) : address + BigInt(buffer),
        true,
      );
      if (typeof argument !== "number") buffer += padded(argument.length);
    }
  }
}

/** Does `work` while the signal has this handler. */
function withHandler<T>(handler: bigint, work: () => T): T {
  const action = new Uint8Array(new ArrayBuffer(sigaction.size));
  const before = new Uint8Array(new ArrayBuffer(sigaction.size));
  const view = new DataView(action.buffer);
  view.setBigUint64(sigaction.sa_handler, handler, true);
  view.setInt32(sigaction.sa_flags, SA_RESTART | SA_ONSTACK, true);
  check(libc().sigaction(SIGNAL, action, before), "sigaction", `handle signal ${SIGNAL}`);
  try {
    return work();
  } finally {
    check(libc().sigaction(SIGNAL, before, null), "sigaction", `give signal ${SIGNAL} back`);
  }
}

/** Signals one thread after another, those that came up meanwhile too. @returns how many answered */
function signalAll(data: Deno.PointerValue, directory: ThreadDirectory, except: ReadonlySet<number>): number {
  const process = libc().getpid();
  const done = (): number => new DataView(copyFrom(data, CALLS_AT).buffer).getUint32(DONE_AT, true);
  const asked = new Set(except);
  for (;;) {
    const threads = directory.read().map(({ tid }) => tid).filter((thread) => !asked.has(thread));
    if (threads.length === 0) return done();
    for (const thread of threads) {
      asked.add(thread);
      const before = done();
      if (libc().tgkill(process, thread, SIGNAL) < 0) {
        if (errno() === ESRCH) continue; // it has ended
        throw new SystemError("tgkill", `signal thread ${thread}`, errno());
      }
      for (const end = performance.now() + PATIENCE; done() === before;) {
        if (libc().tgkill(process, thread, 0) < 0) break; // it ended before it could answer
        if (performance.now() > end) throw new Error(`Cannot reach thread ${thread}: it does not take signals`);
      }
    }
  }
}
