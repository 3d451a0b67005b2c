/** What happens to packets that waited, once their peer is reached (RFC 4380 5.2.3), and what that way is called. */

import { readU16, readU32 } from "../../wire/bytes.ts";
import { type Endpoint, inSubnet, type Ipv4Subnet, isGlobalUnicast } from "../../wire/ipv4.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import { isTeredo, mappedAddressAt, mappedPortAt } from "../../wire/teredo_address.ts";
import { type Conversation, ENDPOINT_LENGTH } from "./conversation.ts";
import type { HolePunching } from "../traversal/hole_punching.ts";
import { type Environment, type Millis, Socket } from "../machine.ts";
import type { PeerTable } from "../peers.ts";

/** What the way to a peer is called. */
export type PeerPath = "direct" | "local" | "relay";

/** Sends what this host had for the peer, and hands it what the peer had sent, both in order. */
export function releaseQueues(
  conversation: Conversation,
  environment: Environment,
  table: PeerTable,
  punching: HolePunching,
  now: Millis,
): void {
  const { memory, sink, counters } = environment;
  const { peer, outbound, inbound } = conversation;
  const address = table.address(peer), port = table.port(peer);
  if (outbound.length > 0) {
    table.setLastTransmission(peer, now);
    counters.observe("first_packet_seconds", now - conversation.since);
  }
  outbound.drain((packet) => {
    memory.bytes.set(packet, memory.scratch);
    counters.count("packets_flushed");
    table.countSent(peer, 1);
    if (table.steered(peer)) punching.send(peer, memory.scratch, packet.length, now);
    else sink.sendUdp(Socket.service, memory.scratch, packet.length, address, port);
  });
  inbound.drain((packet) => {
    if (readU32(packet, 0) !== address || readU16(packet, 4) !== port) return counters.count("unproven-peer");
    memory.bytes.set(packet, memory.scratch);
    counters.count("packets_flushed");
    table.countReceived(peer);
    sink.writeIpv6(memory.scratch + ENDPOINT_LENGTH, packet.length - ENDPOINT_LENGTH);
  });
}

/**
 * What the way to a peer is called when its packets come from `endpoint`.
 * @param subnets IPv4 subnets of this host
 * @param discovered the peer was found on this link
 */
export function pathTo(
  peer: Ipv6,
  endpoint: Endpoint,
  subnets: readonly Ipv4Subnet[],
  discovered: boolean,
): PeerPath {
  const { address, port } = endpoint;
  if (!isTeredo(peer, 0)) return "relay";
  if (mappedAddressAt(peer, 0) === address && mappedPortAt(peer, 0) === port) return "direct";
  const inside = discovered || !isGlobalUnicast(address) || subnets.some((subnet) => inSubnet(address, subnet));
  return inside ? "local" : "direct";
}
