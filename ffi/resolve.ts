/**
 * Names to IPv4 addresses as this system resolves them, hosts file and nsswitch included: getaddrinfo(3).
 *
 * It may take seconds, so it runs on a thread of its own while the event loop goes on.
 *
 * ```
 *   memory: pointer to the first result (8) │ struct addrinfo, the hints (48) │ the name
 *   result: struct addrinfo ──ai_next──▶ struct addrinfo ──▶ 0,  ai_addr ──▶ struct sockaddr_in
 * ```
 */

import {
  addrinfo,
  AF_INET,
  EAI_ADDRFAMILY,
  EAI_AGAIN,
  EAI_BADFLAGS,
  EAI_FAIL,
  EAI_FAMILY,
  EAI_MEMORY,
  EAI_NODATA,
  EAI_NONAME,
  EAI_OVERFLOW,
  EAI_SERVICE,
  EAI_SOCKTYPE,
  EAI_SYSTEM,
  SOCK_DGRAM,
  sockaddr_in,
} from "./abi/socket.ts";
import { libc } from "./libc.ts";
import { copyFrom, nativeBuffer, pointerTo } from "./memory.ts";
import { cString } from "./text.ts";

const CODES: ReadonlyMap<number, string> = new Map(
  Object.entries({
    EAI_ADDRFAMILY,
    EAI_AGAIN,
    EAI_BADFLAGS,
    EAI_FAIL,
    EAI_FAMILY,
    EAI_MEMORY,
    EAI_NODATA,
    EAI_NONAME,
    EAI_OVERFLOW,
    EAI_SERVICE,
    EAI_SOCKTYPE,
    EAI_SYSTEM,
  }).map(([name, number]) => [number, name]),
);

/** Errors after which the same question may have an answer a while later. */
const TEMPORARY: ReadonlySet<number> = new Set([EAI_AGAIN, EAI_MEMORY, EAI_SYSTEM]);

/** Longest name asked for, octets: twice what DNS allows. */
const LONGEST_NAME = 512;

/** A name that gives no address: `Cannot resolve "teredo.example.net": EAI_NONAME (Name or service not known)`. */
export class ResolutionError extends Error {
  override readonly name = "ResolutionError";
  /** The name asked for. */
  readonly host: string;
  /** The C name of the error, `EAI_NONAME`. */
  readonly code: string;
  /** Whether asking again later may help: no network yet, a name server that does not answer. */
  readonly temporary: boolean;

  /** @param error what getaddrinfo returned */
  constructor(host: string, error: number, text: string) {
    const code = CODES.get(error) ?? `EAI ${error}`;
    super(`Cannot resolve ${JSON.stringify(host)}: ${code} (${text})`);
    this.host = host;
    this.code = code;
    this.temporary = TEMPORARY.has(error);
  }
}

const HINTS_AT = 8;
const NAME_AT = HINTS_AT + addrinfo.size;

/**
 * The IPv4 addresses of a name, or of a dotted quad.
 * @returns host order, in the order the system prefers, each once; at least one
 * @throws ResolutionError
 */
export async function resolveIpv4(name: string): Promise<number[]> {
  if (name === "" || name.length > LONGEST_NAME || name.includes("\0")) {
    throw new ResolutionError(name, EAI_NONAME, "not a host name");
  }
  const octets = cString(name);
  const memory = nativeBuffer(new ArrayBuffer(NAME_AT + octets.length));
  memory.bytes.set(octets, NAME_AT);
  memory.view.setInt32(HINTS_AT + addrinfo.ai_family, AF_INET, true);
  // One socket type, so that an address comes once.
  memory.view.setInt32(HINTS_AT + addrinfo.ai_socktype, SOCK_DGRAM, true);
  const error = await libc().getaddrinfo(memory.pointer(NAME_AT), null, memory.pointer(HINTS_AT), memory.pointer(0));
  if (error !== 0) throw new ResolutionError(name, error, describe(error));
  const first = memory.view.getBigUint64(0, true);
  const addresses = new Set<number>();
  for (let at = first; at !== 0n;) {
    const entry = new DataView(copyFrom(pointerTo(at), addrinfo.size).buffer);
    const target = entry.getBigUint64(addrinfo.ai_addr, true);
    if (entry.getInt32(addrinfo.ai_family, true) === AF_INET && target !== 0n) {
      const address = new DataView(copyFrom(pointerTo(target), sockaddr_in.size).buffer);
      addresses.add(address.getUint32(sockaddr_in.sin_addr));
    }
    at = entry.getBigUint64(addrinfo.ai_next, true);
  }
  libc().freeaddrinfo(pointerTo(first));
  if (addresses.size === 0) throw new ResolutionError(name, EAI_NODATA, "no IPv4 address");
  return [...addresses];
}

function describe(error: number): string {
  const text = libc().gai_strerror(error);
  return new TextDecoder().decode(copyFrom(text, libc().strlen(text)));
}
