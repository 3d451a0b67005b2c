/**
 * Who a process is, what it may do and where it lives: prctl(2), capset(2), sigaction(2), setns(2), getpwnam_r(3).
 *
 * An object is a C struct: `size` and the offset of each field, octets, under the C name. A number is a C constant.
 * All are the same on x86-64 and arm64; tests/ffi/layout_test.ts compares every export with the C headers.
 */

export const CLONE_NEWNET = 0x40000000;

/** Namespaces that clone(2) and unshare(2) make, and what a thread of this process has in its flags. */
export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWCGROUP = 0x02000000;
export const CLONE_NEWUTS = 0x04000000;
export const CLONE_NEWIPC = 0x08000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_THREAD = 0x00010000;

export const PR_SET_DUMPABLE = 4;
export const PR_SET_KEEPCAPS = 8;
export const PR_SET_NAME = 15;
export const PR_GET_NAME = 16;
export const PR_CAPBSET_READ = 23;
export const PR_CAPBSET_DROP = 24;
export const PR_SET_SECUREBITS = 28;
export const PR_SET_NO_NEW_PRIVS = 38;
/** Gives a mapping a name; V8 does so. */
export const PR_SET_VMA = 0x53564d41;

/** Rules about root and capabilities, and their locks (capabilities(7)). */
export const SECBIT_NOROOT = 1;
export const SECBIT_NOROOT_LOCKED = 2;
export const SECBIT_NO_SETUID_FIXUP = 4;
export const SECBIT_NO_SETUID_FIXUP_LOCKED = 8;
export const SECBIT_KEEP_CAPS_LOCKED = 32;
export const SECBIT_NO_CAP_AMBIENT_RAISE = 64;
export const SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED = 128;

export const SIGUSR1 = 10;
export const SA_ONSTACK = 0x08000000;
export const SA_RESTART = 0x10000000;

/** `signal.h`: what a signal does. */
export const sigaction = { size: 152, sa_handler: 0, sa_mask: 8, sa_flags: 136, sa_restorer: 144 } as const;

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;
export const MAP_PRIVATE = 2;
export const MAP_ANONYMOUS = 32;

/** capset(2) with two words of 32 capabilities each. */
export const _LINUX_CAPABILITY_VERSION_3 = 0x20080522;

export const CAP_SETGID = 6;
export const CAP_SETUID = 7;
export const CAP_SETPCAP = 8;
export const CAP_NET_BIND_SERVICE = 10;
export const CAP_NET_ADMIN = 12;
export const CAP_NET_RAW = 13;
export const CAP_SYS_CHROOT = 18;

/** `linux/capability.h`; pid 0 is the calling thread. */
export const __user_cap_header_struct = { size: 8, version: 0, pid: 4 } as const;

/** `linux/capability.h`: 32 capabilities; version 3 takes two of these. */
export const __user_cap_data_struct = { size: 12, effective: 0, permitted: 4, inheritable: 8 } as const;

/** `pwd.h`: a line of the user database. */
export const passwd = {
  size: 48,
  pw_name: 0,
  pw_passwd: 8,
  pw_uid: 16,
  pw_gid: 20,
  pw_gecos: 24,
  pw_dir: 32,
  pw_shell: 40,
} as const;

/** `grp.h`: a line of the group database. */
export const group = { size: 32, gr_name: 0, gr_passwd: 8, gr_gid: 16, gr_mem: 24 } as const;
