/**
 * Many clients asking a server for their address at once: run inside a namespace, it answers with one line of JSON ({@link Answered}).
 *
 * ```
 *   deno run -A solicitor.ts SECONDS SERVER[,SERVER] SOURCE[,SOURCE...]
 *
 *   socket (source address, port) ── up to 16 unanswered ──▶ server
 * ```
 *
 * What is unanswered is bounded, so that the server always has work and nobody's buffers overflow: it answers as fast as it can.
 */

import { nativeBuffer } from "../../ffi/memory.ts";
import { Poller, pollerLength, POLLIN } from "../../ffi/poll.ts";
import { DatagramReceiver, DatagramSender, receiverLength, senderLength } from "../../ffi/udp_batch.ts";
import { openUdp } from "../../ffi/udp.ts";
import { writeAuthentication } from "../../lib/wire/encapsulation.ts";
import { parseIpv4 } from "../../lib/wire/ipv4.ts";
import { writeRouterSolicitation } from "../../lib/wire/router_solicitation.ts";
import { RS_SOURCE_RESTRICTED, TEREDO_PORT } from "../../lib/wire/teredo_address.ts";

/** What the solicitor prints. */
export interface Answered {
  readonly sent: number;
  readonly answered: number;
  /** Answers that came when nothing was asked any more. */
  readonly late: number;
  readonly seconds: number;
}

/** Sockets for each server address, spread over the sources. */
const SOCKETS = 8;
/** Solicitations of one socket that may be unanswered: the socket buffer of a server that asks for no more holds them all. */
const WINDOW = 16;
/** After so long without an answer, what is unanswered counts as lost, milliseconds. */
const LOST_AFTER = 20;
/** Octets kept of an answer. */
const SLOT = 128;

/** The same solicitation that clients send: with an empty authentication (RFC 4380 5.2.1). */
function solicitation(): Uint8Array {
  const bytes = new Uint8Array(128);
  const nothing = new Uint8Array(0);
  const nonce = crypto.getRandomValues(new Uint8Array(8));
  const length = writeAuthentication({ identifier: nothing, value: nothing, nonce, confirmation: 0 }, bytes, 0);
  return bytes.slice(0, length + writeRouterSolicitation(RS_SOURCE_RESTRICTED, bytes, length));
}

function addresses(text: string): number[] {
  return text.split(",").map((word) => parseIpv4(word) ?? NaN);
}

/** Asks `servers` for `seconds`. */
export function solicit(seconds: number, servers: readonly number[], sources: readonly number[]): Answered {
  const packet = solicitation();
  const sockets = servers.flatMap((server) =>
    Array.from({ length: SOCKETS }, (_, i) => ({
      fd: openUdp({ address: sources[i % sources.length], port: 0 }),
      server,
      unanswered: 0,
      heard: 0,
    }))
  );
  const receiverAt = 0, pollerAt = receiverAt + receiverLength(WINDOW);
  const packetAt = pollerAt + pollerLength(sockets.length) + 8 & ~7;
  const slotsAt = packetAt + SLOT, sendersAt = slotsAt + WINDOW * SLOT;
  const buffer = nativeBuffer(new ArrayBuffer(sendersAt + servers.length * senderLength(WINDOW, 1)));
  buffer.bytes.set(packet, packetAt);
  const receiver = new DatagramReceiver(buffer, receiverAt, WINDOW, { at: slotsAt, stride: SLOT, length: SLOT });
  const senders = new Map(servers.map((server, k) => {
    const sender = new DatagramSender(buffer, sendersAt + k * senderLength(WINDOW, 1), WINDOW, 1);
    sender.setPiece(0, packetAt, packet.length);
    for (let i = 0; i < WINDOW; i++) {
      sender.setMessage(i, 0, 1, 0);
      sender.setTarget(i, server, TEREDO_PORT);
    }
    return [server, sender] as const;
  }));
  const poller = new Poller(buffer, pollerAt, sockets.length);
  sockets.forEach(({ fd }, i) => poller.set(i, fd, POLLIN));

  let sent = 0, answered = 0, late = 0;
  const start = performance.now(), end = start + seconds * 1000;
  let now = start;
  for (; now < end; now = performance.now()) {
    let idle = true;
    for (const socket of sockets) {
      const received = receiver.receive(socket.fd);
      if (received > 0) {
        idle = false;
        answered += received;
        socket.unanswered = Math.max(0, socket.unanswered - received);
        socket.heard = now;
      } else if (now - socket.heard > LOST_AFTER) {
        socket.unanswered = 0;
        socket.heard = now;
      }
      const room = WINDOW - socket.unanswered;
      const accepted = room > 0 ? senders.get(socket.server)?.send(socket.fd, 0, room) ?? 0 : 0;
      if (accepted > 0) {
        sent += accepted;
        socket.unanswered += accepted;
      }
    }
    if (idle) poller.wait(1);
  }
  const took = (now - start) / 1000;
  for (const deadline = performance.now() + LOST_AFTER; performance.now() < deadline; poller.wait(1)) {
    for (const { fd } of sockets) late += Math.max(0, receiver.receive(fd));
  }
  return { sent, answered, late, seconds: took };
}

if (import.meta.main) {
  const [seconds, servers, sources] = Deno.args;
  console.log(JSON.stringify(solicit(Number(seconds), addresses(servers), addresses(sources))));
}
