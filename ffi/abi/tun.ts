/**
 * The TUN driver: linux/if_tun.h and struct ifreq of linux/if.h.
 *
 * An object is a C struct: `size` and the offset of each field, octets, under the C name. A number is a C constant.
 * All are the same on x86-64 and arm64; tests/ffi/layout_test.ts compares every export with the C headers.
 */

/** Size of an interface name with its NUL octet. */
export const IFNAMSIZ = 16;

export const IFF_TUN = 0x0001;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;

/** `_IOW('T', 202, int)`: attaches a descriptor of /dev/net/tun to an interface. */
export const TUNSETIFF = 0x400454ca;

/** `_IOR('T', 210, unsigned int)`: the name and flags of a TUN, as struct ifreq. */
export const TUNGETIFF = 0x800454d2;

/** `_IOW('T', 208, unsigned int)`: which offloads the reader of a TUN takes on itself; the flags are the argument. */
export const TUNSETOFFLOAD = 0x400454d0;

/** `linux/if.h`: request about one interface. */
export const ifreq = { size: 40, ifr_name: 0, ifr_flags: 16 } as const;
