/**
 * The three ways to have a port mapped. The gateway is asked by all of them side by side, and one of them makes the mapping: two would hold
 * the same port twice, and the end of one would end the other.
 *
 * ```
 *   PCP: map                     ─▶ granted ────────────────────────────▶ lease
 *   NAT-PMP: external address?   ─▶ answered ─ (PCP did not) ─▶ map ────▶ lease
 *   SSDP search, description     ─▶ found ─ (neither did) ─▶ AddPortMapping ▶ lease
 * ```
 */

import { close } from "../../../ffi/io.ts";
import { nativeBuffer } from "../../../ffi/memory.ts";
import { waitReadable } from "../../../ffi/poll.ts";
import { CONTROL_LENGTH, DatagramSocketIo, multicastOptions, openUdp } from "../../../ffi/udp.ts";
import { type Endpoint, formatEndpoint, type Ipv4 } from "../../wire/ipv4.ts";
import { ask } from "./gateway.ts";
import { type HttpAnswer, requestHttp } from "./http.ts";
import { boundedLifetime, type Gateway, type Lease, LIFETIME } from "./lease.ts";
import { NAT_PMP_ADDRESS_REQUEST, parseNatPmpAddress, parseNatPmpMapping, writeNatPmpMapping } from "./nat_pmp.ts";
import { NONCE_LENGTH, parsePcpAnswer, PCP_PORT, type PcpRequest, writePcpRequest } from "./pcp.ts";
import {
  actionText,
  CONFLICT_IN_MAPPING,
  type GatewayUrl,
  isOwnMapping,
  type MappingService,
  mappingValues,
  ONLY_PERMANENT_LEASES,
  parseDescription,
  parseExternalAddress,
  parseSearchAnswer,
  parseUpnpError,
  removalValues,
  SEARCH_TARGETS,
  searchText,
  SSDP_GROUP,
  SSDP_PORT,
} from "./upnp.ts";

/** Within how many seconds devices answer a search, and how often it is sent. */
const SEARCH_WAIT = 1, SEARCHES = 2;
/** Hops of a search (UPnP Device Architecture 1.1, 1.3.2). */
const SEARCH_TTL = 2;
/** Longest answer to a search, octets. */
const MOST_SEARCH_OCTETS = 2048;
/** External ports tried where another host has the one wanted. */
const PORT_TRIES = 3;
/** First port that is no well-known one. */
const FIRST_PORT = 1024;

/** A way to have a port mapped. @returns a lease, or undefined: not by this way */
type Method = (gateway: Gateway, port: number) => Promise<Lease | undefined>;

/** Which ways are tried. */
export interface Methods {
  readonly pcp: boolean;
  readonly natPmp: boolean;
  readonly upnp: boolean;
}

/** Has UDP port `port` of this host mapped, to the same external port where that is free. @returns undefined: no way */
export async function mapPort(gateway: Gateway, port: number, methods: Methods): Promise<Lease | undefined> {
  const nothing = Promise.resolve(undefined);
  const pcp = methods.pcp ? mapByPcp(gateway, port) : nothing;
  const address = methods.natPmp ? ask(gateway, PCP_PORT, NAT_PMP_ADDRESS_REQUEST, parseNatPmpAddress) : nothing;
  const services = methods.upnp ? findServices(gateway) : Promise.resolve([]);
  const lease = await pcp;
  if (lease !== undefined) return lease;
  const external = await address;
  const byNatPmp = external === undefined || external === 0 ? undefined : await mapByNatPmp(gateway, port, external);
  return byNatPmp ?? await mapByUpnp(gateway, port, await services);
}

const mapByPcp: Method = (gateway, port) => {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_LENGTH));
  return leaseByPcp(gateway, {
    client: gateway.local,
    nonce,
    internalPort: port,
    external: { address: 0, port },
    lifetime: LIFETIME,
  });
};

async function leaseByPcp(gateway: Gateway, request: PcpRequest): Promise<Lease | undefined> {
  const answer = await ask(gateway, PCP_PORT, writePcpRequest(request), (bytes) => parsePcpAnswer(bytes, request));
  if (answer === undefined || !answer.granted || answer.lifetime === 0) return undefined;
  const { external } = answer;
  return {
    protocol: "pcp",
    external,
    lifetime: boundedLifetime(answer.lifetime),
    renew: () => leaseByPcp(gateway, { ...request, external }),
    release: async () => {
      const end = { ...request, external: { address: 0, port: 0 }, lifetime: 0 };
      await ask(gateway, PCP_PORT, writePcpRequest(end), (bytes) => parsePcpAnswer(bytes, end), [100, 200]);
    },
  };
}

async function mapByNatPmp(gateway: Gateway, port: number, address: Ipv4, wanted = port): Promise<Lease | undefined> {
  const question = writeNatPmpMapping(port, wanted, LIFETIME);
  const answer = await ask(gateway, PCP_PORT, question, (bytes) => parseNatPmpMapping(bytes, port));
  if (answer === undefined || !answer.granted || answer.lifetime === 0 || answer.port === 0) return undefined;
  const renew = async (): Promise<Lease | undefined> => {
    const now = await ask(gateway, PCP_PORT, NAT_PMP_ADDRESS_REQUEST, parseNatPmpAddress);
    return now === undefined || now === 0 ? undefined : await mapByNatPmp(gateway, port, now, answer.port);
  };
  const release = async (): Promise<void> => {
    await ask(gateway, PCP_PORT, writeNatPmpMapping(port, 0, 0), (bytes) => parseNatPmpMapping(bytes, port), [
      100,
      200,
    ]);
  };
  const external = { address, port: answer.port };
  return { protocol: "nat-pmp", external, lifetime: boundedLifetime(answer.lifetime), renew, release };
}

async function mapByUpnp(
  gateway: Gateway,
  port: number,
  services: readonly MappingService[],
): Promise<Lease | undefined> {
  for (const service of services) {
    const lease = await leaseByUpnp(gateway, service, { address: gateway.local, port }, port, PORT_TRIES);
    if (lease !== undefined) return lease;
  }
  return undefined;
}

/**
 * Has a port mapped by one service, in the order of RFC 6081 5.3.3: what an earlier run left goes, the mapping is made, the external address
 * is asked for; a mapping without one is taken back.
 * @param wanted external port
 * @param tries how often another port, or another lifetime, is tried
 */
export async function leaseByUpnp(
  gateway: Gateway,
  service: MappingService,
  internal: Endpoint,
  wanted: number,
  tries: number,
): Promise<Lease | undefined> {
  const act = (action: string, values: Readonly<Record<string, string | number>>): Promise<HttpAnswer | undefined> => {
    const { port, target } = service.control;
    return requestHttp({
      method: "POST",
      address: gateway.address,
      port,
      target,
      ...actionText(service.type, action, values),
    });
  };
  const remove = async (port: number): Promise<void> => void await act("DeletePortMapping", removalValues(port));
  const make = async (first: number, left: number): Promise<Lease | undefined> => {
    let port = first, lifetime = LIFETIME;
    for (let i = 0; i < left; i++) {
      const answer = await act("AddPortMapping", mappingValues(internal, port, lifetime));
      if (answer?.status === 200) {
        // A line that is down has no address: nothing to map to.
        const address = parseExternalAddress((await act("GetExternalIPAddress", {}))?.body ?? "");
        if (address === undefined) return void await remove(port);
        return {
          protocol: "upnp",
          external: { address, port },
          lifetime: lifetime === 0 ? Infinity : lifetime,
          renew: () => make(port, 1 + Number(lifetime === 0)),
          release: () => remove(port),
        };
      }
      const error = parseUpnpError(answer?.body ?? "");
      if (error === ONLY_PERMANENT_LEASES && lifetime !== 0) lifetime = 0;
      else if (error === CONFLICT_IN_MAPPING) port = randomPort();
      else return undefined;
    }
    return undefined;
  };
  // Another host's mapping of that port is none of ours to remove.
  const before = await act("GetSpecificPortMappingEntry", removalValues(wanted));
  if (before?.status === 200 && isOwnMapping(before.body, internal)) await remove(wanted);
  return await make(wanted, tries);
}

function randomPort(): number {
  return FIRST_PORT + crypto.getRandomValues(new Uint16Array(1))[0] % (65536 - FIRST_PORT);
}

/** The services of the gateway that map ports. */
async function findServices(gateway: Gateway): Promise<readonly MappingService[]> {
  const location = await findDescription(gateway);
  if (location === undefined) return [];
  const answer = await requestHttp({ method: "GET", address: gateway.address, ...location });
  return answer?.status === 200 ? parseDescription(answer.body, gateway.address, location) : [];
}

/** Searches the link. Answers of others than the gateway do not count: a host of the LAN could pretend to be one. */
async function findDescription(gateway: Gateway): Promise<GatewayUrl | undefined> {
  let fd: number;
  try {
    fd = openUdp({ address: gateway.local, port: 0 });
  } catch {
    return undefined; // the address is gone: the network is changing
  }
  try {
    multicastOptions(fd, { ttl: SEARCH_TTL, loop: false, interfaceAddress: gateway.local });
    const at = CONTROL_LENGTH + 8;
    const native = nativeBuffer(new ArrayBuffer(at + MOST_SEARCH_OCTETS));
    const io = new DatagramSocketIo(native, 0);
    for (let search = 0; search < SEARCHES; search++) {
      for (const to of [SSDP_GROUP, gateway.address]) {
        for (const target of SEARCH_TARGETS) {
          const text = searchText(target, formatEndpoint({ address: to, port: SSDP_PORT }), SEARCH_WAIT);
          const { written } = new TextEncoder().encodeInto(text, native.bytes.subarray(at));
          io.send(fd, at, written, to, SSDP_PORT);
        }
      }
      const end = performance.now() + SEARCH_WAIT * 1000 + 500;
      for (let left = end - performance.now(); left > 0; left = end - performance.now()) {
        await waitReadable([fd], Math.ceil(left));
        const length = io.receive(fd, at, MOST_SEARCH_OCTETS);
        if (length < 0 || io.sourceAddress !== gateway.address || io.truncated) continue;
        const text = new TextDecoder().decode(native.bytes.slice(at, at + length));
        const location = parseSearchAnswer(text, gateway.address);
        if (location !== undefined) return location;
      }
    }
    return undefined;
  } catch {
    return undefined; // no multicast here
  } finally {
    close(fd);
  }
}
