/**
 * Which system calls a running role may make. Everything else is refused with EPERM; what no honest program of this kind ever tries ends
 * the process.
 *
 * The lists come from `strace -f -c` of idle and busy daemons of every role, on both runtimes, and from what the C library, V8 and tokio
 * call on other paths. One filter holds for every thread: the kernel cannot tell a thread of V8 from one of ours.
 *
 * What a call may be about is looked at where that can be seen in numbers: the kind of a socket, the flags of a new thread, the request
 * of an ioctl. Paths are pointers, which a filter cannot follow: for those there is the service user.
 */

import { ENOSYS, EPERM } from "../../../ffi/abi/errno.ts";
import { TUNGETIFF, TUNSETOFFLOAD } from "../../../ffi/abi/tun.ts";
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  CLONE_THREAD,
  PR_GET_NAME,
  PR_SET_NAME,
  PR_SET_VMA,
  SIGUSR1,
} from "../../../ffi/abi/process.ts";
import { AF_NETLINK, NETLINK_ROUTE } from "../../../ffi/abi/netlink.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
} from "../../../ffi/abi/socket.ts";
import type { Syscall } from "../../../ffi/abi/syscalls.ts";
import type { Action, Condition, Rule } from "../../../ffi/seccomp.ts";
import type { Role } from "../../../config/mod.ts";

/** What becomes of a call without a rule. */
export const REFUSED: Action = { errno: EPERM };

/** For packets, waiting and locks: asked first. */
const PACKETS: readonly Syscall[] = [
  ...["read", "write", "readv", "writev", "recvmmsg", "sendmmsg", "recvmsg", "sendmsg", "ppoll", "futex"] as const,
  ...["epoll_wait", "epoll_pwait", "clock_gettime", "recvfrom", "sendto", "poll"] as const,
];

/** Memory, threads, time and signals of this process itself. */
const RUNTIME: readonly Syscall[] = [
  ...["mmap", "munmap", "mprotect", "mremap", "madvise", "brk", "mincore"] as const,
  ...["pkey_alloc", "pkey_mprotect", "pkey_free"] as const,
  ...["exit", "exit_group", "set_robust_list", "set_tid_address", "rseq", "membarrier", "arch_prctl"] as const,
  ...["sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "getcpu"] as const,
  ...["clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time"] as const,
  ...["timerfd_create", "timerfd_settime", "timerfd_gettime"] as const,
  ...["rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigsuspend", "sigaltstack", "restart_syscall"] as const,
  ...["epoll_create1", "epoll_ctl", "eventfd2", "pipe2", "getrandom", "uname", "sysinfo"] as const,
  ...["gettid", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid"] as const,
  ...["getgroups", "getrlimit", "prlimit64", "getrusage", "times"] as const,
  // A thread may give up what it has; with no_new_privs and an empty permitted set there is nothing to gain.
  ...["capget", "capset"] as const,
];

/** Files the service user may use: names, time zones, the configuration, a client's state; the control socket is removed at the end. */
const FILES: readonly Syscall[] = [
  ...["open", "openat", "close", "lseek", "pread64", "pwrite64", "dup", "dup2", "dup3", "fcntl", "flock"] as const,
  ...["fstat", "stat", "lstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat"] as const,
  ...["faccessat2", "readlink", "readlinkat", "getcwd", "getdents64", "fadvise64"] as const,
  ...["ftruncate", "fsync", "fdatasync", "unlink", "unlinkat", "rename", "renameat", "renameat2"] as const,
];

/** Sockets there are, and new ones of the kinds below. Not listen(2): whoever may ask this daemon was listened for at the start. */
const SOCKETS: readonly Syscall[] = [
  ...["bind", "connect", "accept", "accept4", "getsockname", "getpeername", "getsockopt", "setsockopt"] as const,
  "shutdown",
];

/** What only an intruder tries: other processes, the kernel, mounts, namespaces, keys, the machine. */
const FATAL: readonly Syscall[] = [
  ...["ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"] as const,
  ...["mount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount", "move_mount", "open_tree"] as const,
  ...["mount_setattr", "open_by_handle_at", "unshare", "setns"] as const,
  ...["init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf"] as const,
  ...["perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key"] as const,
  ...["io_uring_setup", "io_uring_enter", "io_uring_register", "reboot", "swapon", "swapoff", "acct"] as const,
  ...["settimeofday", "clock_settime", "sethostname", "setdomainname", "iopl", "ioperm", "personality"] as const,
];

const NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
  CLONE_NEWNET;

/** Every signal but the one at which the runtime opens a debugger. */
const OTHER_SIGNALS = Array.from({ length: 64 }, (_, i) => i + 1).filter((signal) => signal !== SIGUSR1);

/** socket(2): its kind without SOCK_NONBLOCK and SOCK_CLOEXEC. */
const KIND_MASK = 0xf;

/** Requests of ioctl(2) by their numbers; those without a name here: TCGETS, FIONREAD, FIONBIO, FIOCLEX (asm-generic/ioctls.h). */
const REQUESTS = [0x5401, 0x541b, 0x5421, 0x5451, TUNGETIFF, TUNSETOFFLOAD];

const socketOf = (families: readonly number[], kind: number, protocols: readonly number[]): readonly Condition[] => [
  { argument: 0, oneOf: families },
  { argument: 1, mask: KIND_MASK, oneOf: [kind] },
  { argument: 2, oneOf: protocols },
];

/** Sockets of every role: questions to the kernel about routes and addresses, answers to programs of this host. */
const LOCAL_SOCKETS = [
  socketOf([AF_NETLINK], SOCK_RAW, [NETLINK_ROUTE]),
  socketOf([AF_NETLINK], SOCK_DGRAM, [NETLINK_ROUTE]),
  [{ argument: 0, oneOf: [AF_UNIX] }],
];

/** Sockets by role. Only a client resolves names, so only it may need TCP (long answers) and IPv6 (name servers). */
const SOCKETS_OF: Readonly<Record<Role, readonly (readonly Condition[])[]>> = {
  client: [
    ...LOCAL_SOCKETS,
    socketOf([AF_INET, AF_INET6], SOCK_DGRAM, [0, IPPROTO_UDP]),
    socketOf([AF_INET, AF_INET6], SOCK_STREAM, [0, IPPROTO_TCP]),
  ],
  relay: [...LOCAL_SOCKETS, socketOf([AF_INET], SOCK_DGRAM, [0, IPPROTO_UDP])],
  server: LOCAL_SOCKETS,
};

/**
 * The rules of a role.
 * @param process its number: it may signal itself alone
 */
export function systemCallRules(role: Role, process: number): readonly Rule[] {
  const allow = (call: Syscall): Rule => ({ call, action: "allow" });
  const only = (call: Syscall, allowWhen: readonly (readonly Condition[])[], action: Action = REFUSED): Rule => ({
    call,
    action,
    allowWhen,
  });
  return [
    ...[...PACKETS, ...RUNTIME, ...FILES, ...SOCKETS].map(allow),
    only("socket", SOCKETS_OF[role]),
    only("socketpair", [[{ argument: 0, oneOf: [AF_UNIX] }]]),
    // Threads, not processes, and no namespaces.
    only("clone", [[
      { argument: 0, mask: CLONE_THREAD, oneOf: [CLONE_THREAD] },
      { argument: 0, mask: NAMESPACES, oneOf: [0] },
    ]]),
    // Its flags are behind a pointer; the C library goes on with clone.
    only("clone3", [], { errno: ENOSYS }),
    only("prctl", [[{ argument: 0, oneOf: [PR_SET_NAME, PR_GET_NAME, PR_SET_VMA] }]]),
    only("ioctl", [[{ argument: 1, oneOf: REQUESTS }]]),
    only("tgkill", [[{ argument: 0, oneOf: [process] }]]),
    // SIGUSR1 stays ignored: the runtime would open a debugger at it. It is told that it has its way.
    only("rt_sigaction", [[{ argument: 0, oneOf: OTHER_SIGNALS }]], { errno: 0 }),
    ...FATAL.map((call): Rule => ({ call, action: "kill" })),
  ];
}
