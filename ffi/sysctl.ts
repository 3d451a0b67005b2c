/**
 * IPv6 settings of one interface that netlink cannot change: /proc/sys/net/ipv6/conf (Linux Documentation/networking/ip-sysctl.rst).
 *
 * `accept_ra` = 0 matters for a tunnel: as soon as an interface gets a link-local address, the kernel sends router solicitations to
 * ff02::2 on it, also with IFF_MULTICAST off and without addresses of its own making.
 */

import { O_WRONLY } from "./abi/file.ts";
import { check } from "./errno.ts";
import { close, openFile } from "./io.ts";
import { libc } from "./libc.ts";
import { cString } from "./text.ts";

/**
 * Writes a setting of an interface in the network namespace this thread is in.
 * @param name the interface
 * @param setting the file, such as `accept_ra`
 * @throws SystemError, EROFS or EACCES where a container has /proc/sys read-only, ENOENT without such an interface
 */
export function setIpv6Setting(name: string, setting: string, value: number): void {
  const path = `/proc/sys/net/ipv6/conf/${name}/${setting}`;
  const fd = openFile(path, O_WRONLY, {
    EROFS: "the container has /proc/sys read-only",
    EACCES: "needs CAP_NET_ADMIN: run as root",
    ENOENT: "no such interface or setting, or IPv6 is disabled",
  });
  try {
    const text = cString(String(value));
    check(libc().writeBuffer(fd, text, text.length - 1), "write", `set ${JSON.stringify(path)} to ${value}`);
  } finally {
    close(fd);
  }
}
