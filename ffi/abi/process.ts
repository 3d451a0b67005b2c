/**
 * Who a process is and where it lives: prctl(2), capset(2), setns(2), getpwnam_r(3).
 *
 * An object is a C struct: `size` and the offset of each field, octets, under the C name. A number is a C constant.
 * All are the same on x86-64 and arm64; tests/ffi/layout_test.ts compares every export with the C headers.
 */

export const CLONE_NEWNET = 0x40000000;

export const PR_SET_KEEPCAPS = 8;

/** capset(2) with two words of 32 capabilities each. */
export const _LINUX_CAPABILITY_VERSION_3 = 0x20080522;

export const CAP_NET_BIND_SERVICE = 10;
export const CAP_NET_ADMIN = 12;
export const CAP_NET_RAW = 13;

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
