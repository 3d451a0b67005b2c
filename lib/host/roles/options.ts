/** From configuration to machine options: units changed, texts parsed, this host's addresses filled in. */

import type { ClientConfig, RelayConfig, ServerConfig } from "../../../config/mod.ts";
import type { ClientOptions } from "../../core/client/client.ts";
import type { RelayOptions } from "../../core/relay/relay.ts";
import type { ServerOptions } from "../../core/server/server.ts";
import { readU32 } from "../../wire/bytes.ts";
import { type Endpoint, type Ipv4, parseIpv4 } from "../../wire/ipv4.ts";
import { parseIpv6, parseIpv6Prefix } from "../../wire/ipv6_address.ts";
import { type HostAddresses, isLoopback } from "../system/host_addresses.ts";

/** RS time-out and attempts (RFC 4380 5.2.1: T and N), and the waits between series while off-line, milliseconds; ours. */
const SOLICITATION_TIMEOUT = 4_000;
const SOLICITATION_ATTEMPTS = 3;
/** The same time-out of maintenance where another server can take over: three of them pass before one is given up. */
const FAIL_OVER_TIMEOUT = 2_000;
const RETRY_MINIMUM = 2_000;
const RETRY_MAXIMUM = 30_000;

const encoder = new TextEncoder();

/** What a client's options need besides its configuration. */
export interface ClientSurroundings {
  readonly local: Endpoint;
  readonly addresses: HostAddresses;
  readonly remembered: ClientOptions["remembered"];
}

export function clientOptions(config: ClientConfig, surroundings: ClientSurroundings): ClientOptions {
  const { client, limits, nat } = config;
  return {
    refreshInterval: client.refresh_interval * 1000,
    solicitationTimeout: SOLICITATION_TIMEOUT,
    maintenanceTimeout: hasAlternatives(client.servers) ? FAIL_OVER_TIMEOUT : SOLICITATION_TIMEOUT,
    solicitationAttempts: SOLICITATION_ATTEMPTS,
    retryMinimum: RETRY_MINIMUM,
    retryMaximum: RETRY_MAXIMUM,
    conePhase: client.legacy_cone,
    honourCone: client.legacy_cone,
    symmetricNatSupport: nat.symmetric,
    traversal: {
      portPreserving: nat.port_preserving,
      sequential: nat.sequential,
      hairpinning: nat.hairpinning,
      serverLoadReduction: nat.server_load_reduction,
      relayPaths: nat.relay_paths,
      relay: client.relay === undefined ? undefined : endpoint(client.relay),
      relayProbe: client.relay_probe === undefined ? undefined : parseIpv6(client.relay_probe),
      localAddresses: localAddresses(surroundings.addresses),
    },
    localDiscovery: client.local_discovery,
    requireSameMappedAddress: true,
    intervalDetermination: client.interval_determination,
    natTest: nat.test,
    identifier: client.identifier === undefined ? undefined : encoder.encode(client.identifier),
    secret: client.secret === undefined ? undefined : encoder.encode(client.secret),
    remembered: surroundings.remembered,
    localEndpoint: surroundings.local,
    subnets: surroundings.addresses.ipv4,
    mtu: config.interface.mtu,
    maxPeers: limits.max_peers,
    maxPending: limits.max_pending_peers,
    queueOctetsPerPeer: limits.queue_octets_per_peer,
    queueOctetsTotal: limits.queue_octets_total,
    errorsPerSecond: limits.icmpv6_errors_per_second,
    testsPerSecond: limits.connectivity_tests_per_second,
  };
}

export function relayOptions(config: RelayConfig, addresses: HostAddresses): RelayOptions {
  const { relay, limits } = config;
  return {
    prefix: prefixNumber(config.teredo.prefix),
    mtu: config.interface.mtu,
    directBubbles: relay.direct_bubbles,
    honourCone: relay.honour_cone,
    symmetricClients: relay.symmetric_clients,
    served: relay.host_only ? addresses.ipv6.map((address) => ({ address, length: 128 })) : "any",
    ownAddresses: addresses.ipv4.map(({ address }) => address),
    errorSource: addresses.nativeSource,
    subnets: addresses.ipv4,
    maxPeers: limits.max_peers,
    maxPending: limits.max_pending_peers,
    queueOctetsPerPeer: limits.queue_octets_per_peer,
    queueOctetsTotal: limits.queue_octets_total,
    errorsPerSecond: limits.icmpv6_errors_per_second,
    betweenClients: relay.between_clients,
    betweenClientsRate: relay.between_clients_rate,
  };
}

export function serverOptions(config: ServerConfig, addresses: HostAddresses): ServerOptions {
  const { server } = config;
  const primary = requiredAddress(server.address);
  const secondary = server.secondary_address === "auto"
    ? (primary + 1) >>> 0
    : server.secondary_address === "none"
    ? undefined
    : requiredAddress(server.secondary_address);
  return {
    primary,
    secondary,
    prefix: prefixNumber(config.teredo.prefix),
    mtu: server.advertised_mtu,
    maxIcmpv6Payload: server.max_icmpv6_payload,
    nativeForwarding: server.native_forwarding,
    forwardForeign: server.forward_foreign,
    secrets: new Map(Object.entries(server.secrets).map(([id, secret]) => [latin1(id), encoder.encode(secret)])),
    ratePerSource: server.rate_per_source,
    rateTotal: server.rate_total,
    subnets: addresses.ipv4,
  };
}

/** Whether there may be more than one server: a name may have several addresses. */
export function hasAlternatives(servers: readonly string[]): boolean {
  return servers.length > 1 || servers.some((server) => parseIpv4(server) === undefined);
}

/** The first 32 bits of a service prefix, as the wire functions take them. The configuration has checked the text. */
function prefixNumber(text: string): number {
  const prefix = parseIpv6Prefix(text);
  if (prefix === undefined) throw new TypeError(`Cannot read prefix "${text}"`);
  return readU32(prefix.address, 0);
}

function requiredAddress(text: string): Ipv4 {
  const address = parseIpv4(text);
  if (address === undefined) throw new TypeError(`Cannot read address "${text}"`);
  return address;
}

/** Octets of an identifier as a string of the same length, the way the server looks them up. */
function latin1(text: string): string {
  return String.fromCharCode(...encoder.encode(text));
}

/** `ADDRESS:PORT`, as the schema has checked. */
function endpoint(text: string): Endpoint | undefined {
  const [host, port] = text.split(":");
  const address = parseIpv4(host);
  return address === undefined ? undefined : { address, port: Number(port) };
}

/** Addresses that peers behind the same NAT may reach, the one towards the Internet first. */
function localAddresses({ ipv4, ipv4Source }: HostAddresses): Ipv4[] {
  const all = ipv4.map(({ address }) => address).filter((address) => !isLoopback(address));
  return ipv4Source === undefined ? all : [ipv4Source, ...all.filter((address) => address !== ipv4Source)];
}
