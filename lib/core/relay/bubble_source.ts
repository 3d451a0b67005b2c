/**
 * The IPv6 source of a relay's bubbles: a link-local address that only this relay can compute for a given client. Clients send such bubbles
 * too, to peers that know no nonces.
 *
 * ```
 *   fe80::/64 | SipHash-2-4(128-bit key of this process, client's Teredo address), universal and group bits clear: 62 bits
 * ```
 *
 * A client answers a bubble to the address it came from (RFC 4380 5.2.3). An answer to the right address proves that whoever sends it
 * has received our bubble, whatever IPv4 address and port it comes from: so a client behind a symmetric NAT can be told from a liar.
 */

import { readU32, writeU32 } from "../../wire/bytes.ts";
import type { Ipv6 } from "../../wire/ipv6.ts";
import type { Random } from "../machine.ts";
import { SipHash } from "../sip_hash.ts";

const KEY_LENGTH = 16;
const PREFIX = 0xfe80_0000;

/** Universal/local and group bit of an interface identifier (RFC 4291 2.5.1), in its first word: clear, as the identifier is random. */
const UNIVERSAL_GROUP = 0x0300_0000;

export class BubbleSource {
  readonly #hash: SipHash;
  readonly #address = new Uint8Array(16);

  constructor(random: Random) {
    const key = new Uint8Array(KEY_LENGTH);
    random.fill(key);
    this.#hash = new SipHash(key);
    writeU32(PREFIX, this.#address, 0);
  }

  /** The source of bubbles to `client`. The array is the same one each time: it is good until the next call. */
  of(client: Ipv6): Ipv6 {
    this.#compute(client, 0);
    return this.#address;
  }

  /** Whether the address at `bytes[at]` is the source of bubbles to `client`. */
  matches(client: Ipv6, bytes: Uint8Array, at: number): boolean {
    this.#compute(client, 0);
    const address = this.#address;
    let difference = 0;
    for (let word = 0; word < 16; word += 4) difference |= readU32(bytes, at + word) ^ readU32(address, word);
    return difference === 0;
  }

  #compute(client: Uint8Array, at: number): void {
    const hash = this.#hash;
    hash.of16(client, at);
    writeU32((hash.first & ~UNIVERSAL_GROUP) >>> 0, this.#address, 8);
    writeU32(hash.second, this.#address, 12);
  }
}
