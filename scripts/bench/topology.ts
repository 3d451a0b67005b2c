/**
 * The internet that the tunnels cross: two clients behind port-restricted NATs, a server, a relay and an IPv6 host.
 *
 * ```
 *   a 10.0.1.1 ── nat1 198.51.100.1 ──┐                  ┌── server 192.0.2.1, .2  2001:db8:1::1
 *                                     ├── internet ──────┤
 *   b 10.0.2.1 ── nat2 198.51.100.65 ─┘                  └── relay 203.0.113.1  2001:db8:2::1 ── host 2001:db8:3::1
 * ```
 *
 * Port-restricted (RFC 4380 5): the port stays for all destinations, and what nobody asked for is dropped in the NAT's own input, before
 * the kernel remembers it and so gives the port to somebody else.
 */

import { type Host, Network } from "./network.ts";

/** Of the server. */
export const SERVER = "192.0.2.1";
export const SERVER2 = "192.0.2.2";
/** Addresses of the middle, from which a server can be asked without a NAT between. */
export const SOURCES = ["192.0.2.254", "203.0.113.254", "198.51.100.62", "198.51.100.126"] as const;
/** Of the IPv6 host behind the relay. */
export const NATIVE = "2001:db8:3::1";
/** Outer addresses of the two NATs. */
const OUTER = ["198.51.100.1", "198.51.100.65"] as const;
/** IANA's port of VXLAN, opened in the NATs. */
const VXLAN_PORT = 4789;
/** Addresses of the two ends of the VXLAN. */
export const VXLAN = ["2001:db8:4::1", "2001:db8:4::2"] as const;
/** So that both tunnels cut their streams into packets of one size. */
const TUNNEL_MTU = 1280;

/** The hosts of {@link internet}. */
export interface Internet {
  readonly network: Network;
  /** The internet itself. */
  readonly middle: Host;
  readonly a: Host;
  readonly b: Host;
  readonly server: Host;
  readonly relay: Host;
  /** The IPv6 host. */
  readonly native: Host;
}

function natRules(inner: string): string {
  return `
    table ip nat {
      chain out { type nat hook postrouting priority srcnat; oifname "out" masquerade; }
      chain in { type nat hook prerouting priority dstnat; iifname "out" udp dport ${VXLAN_PORT} dnat to ${inner}; }
    }
    table ip filter {
      chain input { type filter hook input priority filter; iifname "out" meta l4proto udp drop; }
    }`;
}

/** Builds one, with a name. When that fails halfway, what stands is removed. */
export async function internet(name: string): Promise<Internet> {
  const network = new Network(name);
  try {
    return await build(network);
  } catch (error) {
    await network.remove();
    throw error;
  }
}

async function build(network: Network): Promise<Internet> {
  const middle = await network.host("internet");
  const server = await network.host("server");
  const relay = await network.host("relay");
  const native = await network.host("native");
  for (const host of [middle, relay]) {
    await host.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
  }

  await network.link(
    { host: middle, device: "server", addresses: ["192.0.2.254/24", "2001:db8:1::254/64"] },
    { host: server, device: "eth0", addresses: [`${SERVER}/24`, `${SERVER2}/24`, "2001:db8:1::1/64"] },
  );
  await server.ip("route add default via 192.0.2.254", "route add default via 2001:db8:1::254");
  await network.link(
    { host: middle, device: "relay", addresses: ["203.0.113.254/24", "2001:db8:2::254/64"] },
    { host: relay, device: "eth0", addresses: ["203.0.113.1/24", "2001:db8:2::1/64"] },
  );
  await relay.ip("route add default via 203.0.113.254", "route add default via 2001:db8:2::254");
  await network.link(
    { host: relay, device: "eth1", addresses: ["2001:db8:3::254/64"] },
    { host: native, device: "eth0", addresses: [`${NATIVE}/64`] },
  );
  await native.ip("route add default via 2001:db8:3::254");
  await middle.ip("route add 2001:db8:3::/64 via 2001:db8:2::1", "route add 2001::/32 via 2001:db8:2::1");

  const clients: Host[] = [];
  for (const [i, outer] of OUTER.entries()) {
    const inside = `10.0.${i + 1}`;
    const nat = await network.host(`nat${i + 1}`);
    const client = await network.host(i === 0 ? "a" : "b");
    clients.push(client);
    await nat.sysctl("net.ipv4.ip_forward=1");
    await network.link(
      { host: middle, device: `nat${i + 1}`, addresses: [`198.51.100.${i * 64 + 62}/26`] },
      { host: nat, device: "out", addresses: [`${outer}/26`] },
    );
    await nat.ip(`route add default via 198.51.100.${i * 64 + 62}`);
    await network.link(
      { host: nat, device: "in", addresses: [`${inside}.254/24`] },
      { host: client, device: "eth0", addresses: [`${inside}.1/24`] },
    );
    await client.ip(`route add default via ${inside}.254`);
    await nat.nft(natRules(`${inside}.1`));
  }
  return { network, middle, a: clients[0], b: clients[1], server, relay, native };
}

/**
 * Joins the two clients by the kernel's own tunnel, over the same links.
 * @returns whether this kernel has it
 */
export async function addVxlan({ a, b }: Internet): Promise<boolean> {
  try {
    for (const [i, host] of [a, b].entries()) {
      await host.ip(
        `link add vxlan0 type vxlan id 1 remote ${OUTER[1 - i]} dstport ${VXLAN_PORT} dev eth0`,
        `link set vxlan0 mtu ${TUNNEL_MTU} up`,
        `addr add ${VXLAN[i]}/64 dev vxlan0 nodad`,
      );
    }
    return true;
  } catch {
    return false;
  }
}

/** Undoes {@link addVxlan}. */
export async function removeVxlan({ a, b }: Internet): Promise<void> {
  for (const host of [a, b]) await host.ip("link del vxlan0");
}
