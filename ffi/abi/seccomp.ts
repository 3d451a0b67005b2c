/**
 * System call filters: seccomp(2), the classic BPF they are written in, and struct seccomp_data that they look at.
 *
 * An object is a C struct: `size` and the offset of each field, octets, under the C name. A number is a C constant.
 * All are the same on x86-64 and arm64; tests/ffi/layout_test.ts compares every export with the C headers.
 */

export const SECCOMP_SET_MODE_FILTER = 1;
/** The filter goes to every thread of the process, with no_new_privs. */
export const SECCOMP_FILTER_FLAG_TSYNC = 1;

export const SECCOMP_RET_KILL_PROCESS = 0x80000000;
/** The low 16 bits are the errno. */
export const SECCOMP_RET_ERRNO = 0x00050000;
export const SECCOMP_RET_ALLOW = 0x7fff0000;

export const AUDIT_ARCH_X86_64 = 0xc000003e;
export const AUDIT_ARCH_AARCH64 = 0xc00000b7;

export const BPF_LD = 0x00;
export const BPF_W = 0x00;
export const BPF_ABS = 0x20;
export const BPF_ALU = 0x04;
export const BPF_AND = 0x50;
export const BPF_JMP = 0x05;
export const BPF_JEQ = 0x10;
export const BPF_K = 0x00;
export const BPF_RET = 0x06;

/** One instruction. */
export const sock_filter = { size: 8, code: 0, jt: 2, jf: 3, k: 4 } as const;

/** A program: number of instructions and where they are. */
export const sock_fprog = { size: 16, len: 0, filter: 8 } as const;

/** What a filter sees of a call. */
export const seccomp_data = { size: 64, nr: 0, arch: 4, instruction_pointer: 8, args: 16 } as const;
