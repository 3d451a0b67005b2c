/**
 * The IPv6 source of a relay's bubbles: a link-local address that only this relay can compute for a given client.
 *
 * ```
 *   fe80::/64 | first 8 octets of HMAC-SHA256(key of this process, client's Teredo address), universal and group bits clear
 * ```
 *
 * A client answers a bubble to the address it came from (RFC 4380 5.2.3). An answer to the right address proves that whoever sends it
 * has received our bubble, whatever IPv4 address and port it comes from: so a client behind a symmetric NAT can be told from a liar.
 */

import { createHmac } from "node:crypto";
import type { Ipv6 } from "../wire/ipv6.ts";
import type { Random } from "./machine.ts";

const KEY_LENGTH = 32;

/** Universal/local and group bit of an interface identifier (RFC 4291 2.5.1): clear, as the identifier is random. */
const UNIVERSAL_GROUP = 0x03;

export class BubbleSource {
  readonly #key = new Uint8Array(KEY_LENGTH);

  constructor(random: Random) {
    random.fill(this.#key);
  }

  /** The source of bubbles to `client`, a new array. */
  of(client: Ipv6): Ipv6 {
    const address = new Uint8Array(16);
    address[0] = 0xfe;
    address[1] = 0x80;
    address.set(createHmac("sha256", this.#key).update(client).digest().subarray(0, 8), 8);
    address[8] &= ~UNIVERSAL_GROUP;
    return address;
  }
}
