/**
 * TUN interfaces: IPv6 packets as octets of a descriptor (Linux Documentation/networking/tuntap.rst).
 *
 * The interface lives as long as its descriptor: it is gone at any end of the process.
 */

import { EINVAL } from "./abi/errno.ts";
import { O_NONBLOCK, O_RDWR } from "./abi/file.ts";
import { IFF_NO_PI, IFF_TUN, IFF_VNET_HDR, IFNAMSIZ, ifreq, TUNGETIFF, TUNSETIFF, TUNSETOFFLOAD } from "./abi/tun.ts";
import { check, type Hints, SystemError } from "./errno.ts";
import { close, openFile } from "./io.ts";
import { libc } from "./libc.ts";
import { cString, readCString } from "./text.ts";

const DEVICE = "/dev/net/tun";

const OPEN_HINTS: Hints = {
  ENOENT: "load the tun module, or pass --device /dev/net/tun to the container",
  ENODEV: "load the tun module: modprobe tun",
  ENXIO: "load the tun module: modprobe tun",
  EACCES: "needs to read and write it: run as root",
  EPERM: "the container forbids the device: pass --device /dev/net/tun",
};

const CREATE_HINTS: Hints = {
  EPERM: "needs CAP_NET_ADMIN: run as root",
  EACCES: "needs CAP_NET_ADMIN: run as root",
  EBUSY: "another process holds it",
  EEXIST: "an interface of that name exists",
  EINVAL: "an interface of that name exists and is no TUN, or the name is not valid",
};

/** An open TUN interface. */
export interface Tun {
  /** Nonblocking, close-on-exec; closing it removes the interface. One read or write is one packet. */
  readonly fd: number;
  /** The name the kernel gave, the one asked for unless that was a pattern such as `tun%d`. */
  readonly name: string;
}

/**
 * Creates a TUN interface in the current network namespace, down and without addresses.
 * @param name 1 to 15 octets
 * @param options vnetHeader: every packet has a struct virtio_net_hdr of 10 octets before it, for offloads
 * @throws SystemError
 */
export function openTun(name: string, options: { readonly vnetHeader?: boolean } = {}): Tun {
  const action = `create interface ${JSON.stringify(name)}`;
  const octets = new TextEncoder().encode(name);
  if (octets.length === 0 || octets.length >= IFNAMSIZ || /[\s/:\0]/.test(name) || name === "." || name === "..") {
    throw new SystemError("ioctl", action, EINVAL, { EINVAL: 'a name has 1 to 15 octets, no space, no "/", no ":"' });
  }
  const fd = openFile(DEVICE, O_RDWR | O_NONBLOCK, OPEN_HINTS);
  const request = new Uint8Array(new ArrayBuffer(ifreq.size));
  request.set(cString(name), ifreq.ifr_name);
  const flags = IFF_TUN | IFF_NO_PI | (options.vnetHeader === true ? IFF_VNET_HDR : 0);
  new DataView(request.buffer).setUint16(ifreq.ifr_flags, flags, true);
  try {
    check(libc().ioctl(fd, TUNSETIFF, request), "ioctl", action, CREATE_HINTS);
  } catch (error) {
    close(fd);
    throw error;
  }
  return { fd, name: readCString(request.subarray(0, IFNAMSIZ), ifreq.ifr_name) };
}

/** Whether every packet of this TUN has a struct virtio_net_hdr before it. */
export function hasVnetHeader(fd: number): boolean {
  const request = new Uint8Array(new ArrayBuffer(ifreq.size));
  if (libc().ioctl(fd, TUNGETIFF, request) < 0) return false;
  return (new DataView(request.buffer).getUint16(ifreq.ifr_flags, true) & IFF_VNET_HDR) !== 0;
}

/**
 * Says what the reader of a TUN with virtio header takes on itself: packets then arrive without checksum, or as super-packets to be cut.
 * @param flags TUN_F_* of abi/offload.ts
 * @returns whether the kernel knows all of them
 */
export function setTunOffload(fd: number, flags: number): boolean {
  return libc().ioctlNumber(fd, TUNSETOFFLOAD, flags) === 0;
}
