/**
 * The functions of the C library that this program calls: data, nothing else. Each has its C prototype above it.
 *
 * Rules behind the types, from measurements: sizes and results are `u32`/`i32`, because `usize`, `isize` and `u64` given a number
 * leave V8's fast call path (about 100 ns more); a `pointer` made beforehand is the cheapest argument, a `buffer` costs about 8 ns
 * more. Results of 64 bits that fit 31 (octets read, written) are declared `i32`. Functions with variable arguments take those they
 * are called with: on Linux, x86-64 and arm64 pass them like named ones.
 */

/** Every symbol under the name it has here; `name` where the C library calls it otherwise. */
export const symbols = {
  // int *__errno_location(void);  a place of the calling thread
  __errno_location: { parameters: [], result: "pointer" },

  // void *memmove(void *dest, const void *src, size_t n);  with n = 0 it turns buffers, addresses and pointers into one another
  addressOf: { name: "memmove", parameters: ["buffer", "buffer", "u32"], result: "u64" },
  pointerAt: { name: "memmove", parameters: ["u64", "buffer", "u32"], result: "pointer" },
  copyOut: { name: "memmove", parameters: ["buffer", "pointer", "u32"], result: "pointer" },
  copy: { name: "memmove", parameters: ["pointer", "pointer", "u32"], result: "void" },
  // size_t strlen(const char *s);
  strlen: { parameters: ["pointer"], result: "u32" },

  // int open(const char *pathname, int flags, ...);
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // ssize_t read(int fd, void *buf, size_t count);
  read: { parameters: ["i32", "pointer", "u32"], result: "i32" },
  readBuffer: { name: "read", parameters: ["i32", "buffer", "u32"], result: "i32" },
  // ssize_t write(int fd, const void *buf, size_t count);
  write: { parameters: ["i32", "pointer", "u32"], result: "i32" },
  writeBuffer: { name: "write", parameters: ["i32", "buffer", "u32"], result: "i32" },
  // ssize_t writev(int fd, const struct iovec *iov, int iovcnt);
  writev: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // ssize_t readv(int fd, const struct iovec *iov, int iovcnt);
  readv: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // int ioctl(int fd, unsigned long request, ...);
  ioctl: { parameters: ["i32", "u32", "buffer"], result: "i32" },
  ioctlNumber: { name: "ioctl", parameters: ["i32", "u32", "u32"], result: "i32" },
  // int eventfd(unsigned int initval, int flags);
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // int clock_gettime(clockid_t clockid, struct timespec *tp);
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  // int mkdir(const char *pathname, mode_t mode);
  mkdir: { parameters: ["buffer", "u32"], result: "i32" },
  openMode: { name: "open", parameters: ["buffer", "i32", "u32"], result: "i32" },
  // int rename(const char *oldpath, const char *newpath);
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  // int fsync(int fd);
  fsync: { parameters: ["i32"], result: "i32" },
  // int unlink(const char *pathname);
  unlink: { parameters: ["buffer"], result: "i32" },
  // int chmod(const char *pathname, mode_t mode);
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
  // int lchown(const char *pathname, uid_t owner, gid_t group);
  lchown: { parameters: ["buffer", "u32", "u32"], result: "i32" },
  // mode_t umask(mode_t mask);  of the process
  umask: { parameters: ["u32"], result: "u32" },
  // DIR *opendir(const char *name);
  opendir: { parameters: ["buffer"], result: "pointer" },
  // struct dirent *readdir(DIR *dirp);
  readdir: { parameters: ["pointer"], result: "pointer" },
  // int closedir(DIR *dirp);
  closedir: { parameters: ["pointer"], result: "i32" },

  // int ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *tmo_p, const sigset_t *sigmask);
  ppoll: { parameters: ["pointer", "u32", "pointer", "pointer"], result: "i32" },
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout);  on a thread of its own, so that the event loop goes on
  pollAside: { name: "poll", parameters: ["pointer", "u32", "i32"], result: "i32", nonblocking: true },

  // int socket(int domain, int type, int protocol);
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int listen(int sockfd, int backlog);
  listen: { parameters: ["i32", "i32"], result: "i32" },
  // int accept4(int sockfd, struct sockaddr *addr, socklen_t *addrlen, int flags);
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int setsockopt(int sockfd, int level, int optname, const void *optval, socklen_t optlen);
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // int getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen);
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  // ssize_t sendto(int sockfd, const void *buf, size_t len, int flags, const struct sockaddr *dest_addr, socklen_t addrlen);
  sendto: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "u32"], result: "i32" },
  // ssize_t recvfrom(int sockfd, void *buf, size_t len, int flags, struct sockaddr *src_addr, socklen_t *addrlen);
  recvfrom: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "buffer"], result: "i32" },
  // ssize_t sendmsg(int sockfd, const struct msghdr *msg, int flags);
  sendmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // ssize_t recvmsg(int sockfd, struct msghdr *msg, int flags);
  recvmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // int sendmmsg(int sockfd, struct mmsghdr *msgvec, unsigned int vlen, int flags);
  sendmmsg: { parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
  // int recvmmsg(int sockfd, struct mmsghdr *msgvec, unsigned int vlen, int flags, struct timespec *timeout);
  recvmmsg: { parameters: ["i32", "pointer", "u32", "i32", "pointer"], result: "i32" },

  // int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res);
  getaddrinfo: { parameters: ["pointer", "pointer", "pointer", "pointer"], result: "i32", nonblocking: true },
  // void freeaddrinfo(struct addrinfo *res);
  freeaddrinfo: { parameters: ["pointer"], result: "void" },
  // const char *gai_strerror(int errcode);
  gai_strerror: { parameters: ["i32"], result: "pointer" },

  // int getpwnam_r(const char *name, struct passwd *pwd, char *buf, size_t buflen, struct passwd **result);
  getpwnam_r: { parameters: ["buffer", "buffer", "buffer", "u32", "buffer"], result: "i32" },
  // int getgrnam_r(const char *name, struct group *grp, char *buf, size_t buflen, struct group **result);
  getgrnam_r: { parameters: ["buffer", "buffer", "buffer", "u32", "buffer"], result: "i32" },

  // int setgroups(size_t size, const gid_t *list);  all threads
  setgroups: { parameters: ["u32", "buffer"], result: "i32" },
  // int setresgid(gid_t rgid, gid_t egid, gid_t sgid);  all threads
  setresgid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  // int setresuid(uid_t ruid, uid_t euid, uid_t suid);  all threads
  setresuid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  // int prctl(int option, ...);  the calling thread
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  // int capset(cap_user_header_t hdrp, const cap_user_data_t datap);  the calling thread
  capset: { parameters: ["buffer", "buffer"], result: "i32" },

  // long syscall(long number, ...);  for what the C library has no function for
  syscall: { parameters: ["u32", "u64", "u64", "pointer"], result: "i32" },
  // int chroot(const char *path);
  chroot: { parameters: ["buffer"], result: "i32" },
  // int chdir(const char *path);
  chdir: { parameters: ["buffer"], result: "i32" },
  // int execve(const char *pathname, char *const argv[], char *const envp[]);  to see it fail
  execve: { parameters: ["buffer", "pointer", "pointer"], result: "i32" },
  // int fcntl(int fd, int cmd, ...);
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int pipe2(int pipefd[2], int flags);
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  // int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *file_actions,
  //                 const posix_spawnattr_t *attrp, char *const argv[], char *const envp[]);
  posix_spawn: { parameters: ["buffer", "buffer", "buffer", "pointer", "pointer", "pointer"], result: "i32" },
  // int posix_spawn_file_actions_init(posix_spawn_file_actions_t *file_actions);
  posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
  // int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *file_actions, int fildes, int newfildes);
  posix_spawn_file_actions_adddup2: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  // int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *file_actions);
  posix_spawn_file_actions_destroy: { parameters: ["buffer"], result: "i32" },
  // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
  mmap: { parameters: ["u64", "u32", "i32", "i32", "i32", "u64"], result: "u64" },
  // int mprotect(void *addr, size_t len, int prot);
  mprotect: { parameters: ["pointer", "u32", "i32"], result: "i32" },
  // int madvise(void *addr, size_t length, int advice);
  madvise: { parameters: ["pointer", "u32", "i32"], result: "i32" },
  // int munmap(void *addr, size_t length);
  munmap: { parameters: ["pointer", "u32"], result: "i32" },
  // int sigaction(int signum, const struct sigaction *act, struct sigaction *oldact);
  sigaction: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int tgkill(pid_t tgid, pid_t tid, int sig);
  tgkill: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // pid_t getpid(void);
  getpid: { parameters: [], result: "i32" },
  // pid_t gettid(void);
  gettid: { parameters: [], result: "i32" },
  // int openat(int dirfd, const char *pathname, int flags, ...);
  openat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  // DIR *fdopendir(int fd);
  fdopendir: { parameters: ["i32"], result: "pointer" },

  // int unshare(int flags);  the calling thread
  unshare: { parameters: ["i32"], result: "i32" },
  // int setns(int fd, int nstype);  the calling thread
  setns: { parameters: ["i32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;
