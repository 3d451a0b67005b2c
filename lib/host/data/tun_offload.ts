/**
 * Which offloads a TUN has. Asked step by step: all, without UDP segmentation (before Linux 6.2), checksums only.
 *
 * ```
 *   full ──refused──▶ tcp ──refused──▶ checksum ──refused──▶ none
 * ```
 */

import { TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN, TUN_F_USO4, TUN_F_USO6 } from "../../../ffi/abi/offload.ts";
import { hasVnetHeader, setTunOffload } from "../../../ffi/tun.ts";

/** How far a TUN hands over and takes packets in bulk. */
export type TunOffload = "none" | "checksum" | "tcp" | "tcp+udp";

const TCP = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

const STEPS: readonly (readonly [TunOffload, number])[] = [
  ["tcp+udp", TCP | TUN_F_USO4 | TUN_F_USO6],
  ["tcp", TCP],
  ["checksum", TUN_F_CSUM],
];

/** Turns on as much as the kernel has. @param fd a TUN, or -1 for none */
export function negotiateTunOffload(fd: number): TunOffload {
  if (fd < 0 || !hasVnetHeader(fd)) return "none";
  for (const [step, flags] of STEPS) {
    if (setTunOffload(fd, flags)) return step;
  }
  return "none";
}
