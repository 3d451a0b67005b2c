/**
 * A port that the NAT was asked to forward to us, by UPnP or otherwise (RFC 6081 5.3): what it changes in where packets go.
 *
 * ```
 *   mapping asked for ─┬─ is the one in our address (one NAT) ─▶ peers reach us there, whatever their NAT. Behind a symmetric NAT our
 *                      │                                       own packets may leave from elsewhere: "Symmetric Peer" for the others
 *                      └─ is another (two NATs in a row) ─────▶ an alternate address for peers behind the same outer NAT
 * ```
 *
 * The asking itself is the host's business; only its outcome comes here.
 */

import type { Endpoint } from "../../wire/ipv4.ts";
import type { Identity } from "../client/identity.ts";
import type { Traversal } from "./traversal.ts";

/** The port mapping of this client, if any. */
export class PortMapping {
  readonly #identity: Identity;
  #endpoint: Endpoint | undefined;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /** External endpoint of the mapping; undefined: there is none. */
  get endpoint(): Endpoint | undefined {
    return this.#endpoint;
  }

  set endpoint(endpoint: Endpoint | undefined) {
    this.#endpoint = endpoint;
  }

  /** The mapping is the one in our Teredo address: exactly one NAT (RFC 6081 5.3.3 zeroes the UPnP mapping then). */
  get single(): boolean {
    const endpoint = this.#endpoint;
    return endpoint !== undefined && this.#identity.isOwnMapping(endpoint.address, endpoint.port);
  }

  /** The mapping where it is not the one in our address: an alternate address (RFC 6081 5.6.3). */
  get alternate(): Endpoint | undefined {
    return this.single ? undefined : this.#endpoint;
  }

  /** Symmetric NAT, UPnP-enabled, one NAT: what a symmetric peer gets goes to the mapping in its address (RFC 6081 5.3.4.2). */
  get answersEmbedded(): boolean {
    return this.#identity.symmetric && this.single;
  }

  /** Whether packets for this peer go to the mapping in its address, although they come from another (RFC 6081 5.3.4.3). */
  steers(traversal: Traversal): boolean {
    return traversal.symmetricPeer && !traversal.viaRelay && this.answersEmbedded;
  }
}
