/**
 * The advertisement of a Teredo server, written once: its answers differ in their destination only, and so by as much in their checksum
 * (RFC 1624).
 *
 * ```
 *   template   IPv6 header, destination :: | type ... checksum c ... options
 *   answer     the same, destination d                checksum ~(~c + the sum of d)
 * ```
 */

import { readU16, writeU16 } from "./bytes.ts";
import type { Ipv4 } from "./ipv4.ts";
import { DESTINATION_AT, type Ipv6, IPV6_HEADER_LENGTH } from "./ipv6.ts";
import { UNSPECIFIED } from "./ipv6_address.ts";
import { teredoAdvertisement, writeRouterAdvertisement } from "./router_advertisement.ts";

/** Room for the longest one, octets. */
const ROOM = 256;
const CHECKSUM_AT = IPV6_HEADER_LENGTH + 2;
const ADDRESS_LENGTH = 16;

export class AdvertisementTemplate {
  readonly #packet: Uint8Array;

  /** Parameters as of {@link teredoAdvertisement}. */
  constructor(source: Ipv6, prefix: number, server: Ipv4, mtu: number | undefined) {
    const bytes = new Uint8Array(ROOM);
    const advertisement = teredoAdvertisement(source, UNSPECIFIED, prefix, server, mtu);
    this.#packet = bytes.slice(0, writeRouterAdvertisement(advertisement, bytes, 0));
  }

  /** Writes the advertisement for the address at `bytes[destinationAt]`, not within the result. @returns its octets */
  write(bytes: Uint8Array, destinationAt: number, at: number): number {
    const packet = this.#packet, { length } = packet;
    bytes.set(packet, at);
    let sum = readU16(packet, CHECKSUM_AT) ^ 0xffff;
    for (let i = 0; i < ADDRESS_LENGTH; i += 2) {
      const word = readU16(bytes, destinationAt + i);
      writeU16(word, bytes, at + DESTINATION_AT + i);
      sum += word;
    }
    sum = (sum & 0xffff) + (sum >>> 16);
    sum = (sum & 0xffff) + (sum >>> 16);
    writeU16(sum ^ 0xffff, bytes, at + CHECKSUM_AT);
    return length;
  }
}
