/** The default gateway, and one question to it by UDP. */

import { Netlink } from "../../../ffi/netlink.ts";
import { close } from "../../../ffi/io.ts";
import { nativeBuffer } from "../../../ffi/memory.ts";
import { waitReadable } from "../../../ffi/poll.ts";
import { connectUdp, CONTROL_LENGTH, DatagramSocketIo, openUdp } from "../../../ffi/udp.ts";
import { readU32 } from "../../wire/bytes.ts";
import { type Ipv4, isUnicast } from "../../wire/ipv4.ts";
import type { Gateway } from "./lease.ts";

/** The main routing table, and routes that lead somewhere (rtnetlink(7)). */
const MAIN_TABLE = 254, UNICAST = 1;

/** Waits after each sending of a question, milliseconds: doubled each time, as RFC 6886 3.1 begins. */
const WAITS: readonly number[] = [250, 500, 1000, 2000];

/** Longest answer, octets (RFC 6887 7: 1100). */
const MOST_OCTETS = 1100;

/** The gateway of the best default route; undefined where there is none. */
export function defaultGateway(): Gateway | undefined {
  using netlink = Netlink.open();
  const routes = netlink.routes({ family: 4, table: MAIN_TABLE }).filter((route) =>
    route.prefixLength === 0 && route.type === UNICAST && route.gateway?.length === 4
  );
  const best = routes.toSorted((a, b) => a.metric - b.metric).at(0)?.gateway;
  if (best === undefined) return undefined;
  const local = netlink.sourceFor(best);
  const address = readU32(best, 0);
  if (local === undefined || !isUnicast(address)) return undefined;
  return { address, local: readU32(local, 0) };
}

/**
 * Asks the gateway, several times if need be. Only the gateway is heard.
 * @param read takes an answer, or returns undefined to go on waiting
 * @returns undefined when none came
 */
export async function ask<T>(
  gateway: Gateway,
  port: number,
  question: Uint8Array,
  read: (answer: Uint8Array) => T | undefined,
  waits: readonly number[] = WAITS,
): Promise<T | undefined> {
  const fd = openGatewaySocket(gateway, port);
  if (fd === undefined) return undefined;
  const native = nativeBuffer(new ArrayBuffer(CONTROL_LENGTH + 8 + MOST_OCTETS));
  const at = CONTROL_LENGTH + 8;
  const io = new DatagramSocketIo(native, 0);
  try {
    for (const wait of waits) {
      native.bytes.set(question, at);
      // A gateway that refused the last one by ICMP may take this one.
      io.send(fd, at, question.length, gateway.address, port);
      const end = performance.now() + wait;
      for (;;) {
        const left = Math.ceil(end - performance.now());
        if (left <= 0) break;
        await waitReadable([fd], left);
        const length = io.receive(fd, at, MOST_OCTETS);
        if (length < 0) {
          if (performance.now() < end) await new Promise((resolve) => setTimeout(resolve, Math.min(left, wait / 4)));
          continue;
        }
        if (io.sourceAddress !== gateway.address || io.sourcePort !== port || io.truncated) continue;
        const answer = read(native.bytes.slice(at, at + length));
        if (answer !== undefined) return answer;
      }
    }
    return undefined;
  } finally {
    close(fd);
  }
}

/** A socket that hears nobody but the gateway; undefined when this host has no such address any more. */
function openGatewaySocket(gateway: Gateway, port: number): number | undefined {
  let fd: number;
  try {
    fd = openUdp({ address: gateway.local, port: 0 });
  } catch {
    return undefined;
  }
  if (connectUdp(fd, gateway.address, port) === 0) return fd;
  close(fd);
  return undefined;
}

/** Address of this host that a gateway is asked for a mapping to; undefined where the service socket is bound elsewhere. */
export function internalAddress(gateway: Gateway, bound: Ipv4): Ipv4 | undefined {
  return bound === 0 || bound === gateway.local ? gateway.local : undefined;
}
