/**
 * A relay alone with a crowd that is everything else: the clients, their server and the IPv6 Internet.
 *
 * ```
 *   relay 203.0.113.1, 2001:db8:3::254 ──── 203.0.113.2, 2001:db8:3::1 crowd 192.0.2.1, 198.18.0.0/15
 * ```
 */

import { parseIpv4 } from "../../lib/wire/ipv4.ts";
import { parseIpv6 } from "../../lib/wire/ipv6_address.ts";
import { type Host, Network } from "./network.ts";

/** The value of a literal that is well-formed. */
function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("Cannot read an address of the crowd");
  return value;
}

/** Where the clients are: the network for benchmarks (RFC 2544, RFC 6815). */
export const CROWD = { address: known(parseIpv4("198.18.0.0")), text: "198.18.0.0/15" };
export const CROWD_SERVER: number = known(parseIpv4("192.0.2.1"));
export const CROWD_V6: Uint8Array = known(parseIpv6("2001:db8:3::1"));
/** The client whose packets are timed. */
export const PROBE = { address: known(parseIpv4("203.0.113.2")), port: 40_000 };

/** UDP length (its header counted) of what the relay delivers to a client: unlike that of a bubble. */
const UDP_LENGTH = 64;

/** The hosts of {@link crowdNetwork}. */
export interface CrowdNetwork {
  readonly network: Network;
  readonly relay: Host;
  readonly crowd: Host;
}

async function build(network: Network): Promise<CrowdNetwork> {
  const relay = await network.host("relay"), crowd = await network.host("crowd");
  await relay.sysctl("net.ipv6.conf.all.forwarding=1");
  await network.link(
    { host: relay, device: "eth0", addresses: ["203.0.113.1/24", "2001:db8:3::254/64"] },
    { host: crowd, device: "eth0", addresses: ["203.0.113.2/24", "2001:db8:3::1/64"] },
  );
  await relay.ip("route add default via 203.0.113.2", "route add default via 2001:db8:3::1");
  await crowd.ip("addr add 192.0.2.1/32 dev lo", "route add default via 2001:db8:3::254");
  await crowd.nft(`
    table ip raw {
      counter delivered { }
      chain arriving {
        type filter hook prerouting priority raw;
        ip daddr ${CROWD.text} udp length ${UDP_LENGTH} counter name delivered
        ip daddr ${CROWD.text} drop
      }
    }`);
  return { network, relay, crowd };
}

/** Builds it. When that fails halfway, what stands is removed. */
export async function crowdNetwork(): Promise<CrowdNetwork> {
  const network = new Network("peers");
  try {
    return await build(network);
  } catch (error) {
    await network.remove();
    throw error;
  }
}

/** Packets that arrived for the clients so far. */
export async function delivered({ crowd }: CrowdNetwork): Promise<number> {
  const text = await crowd.run("nft", "list", "counter", "ip", "raw", "delivered");
  return Number(/packets (\d+)/.exec(text)?.[1] ?? 0);
}
