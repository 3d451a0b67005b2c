/**
 * Keeps the service port mapped at the default gateway for as long as the daemon runs.
 *
 * ```
 *            gateway, mapping made                half of its life, at most 10 minutes
 *   [none] ────────────────────────▶ [mapped] ──────────────────────────────▶ renewed
 *      ▲ │ no gateway, or no way:        │                                        │ gone, or another
 *      │ └ again in 15 minutes           │ end: removed                           ▼
 *      └──── the network changed ────────┴───────────────────────────────────── [none]
 * ```
 */

import { getLogger } from "@logtape/logtape";
import { type Endpoint, formatEndpoint, formatIpv4 } from "../../wire/ipv4.ts";
import { reasonOf } from "../system/advice.ts";
import { defaultGateway, internalAddress } from "./gateway.ts";
import type { Gateway, Lease } from "./lease.ts";
import { mapPort, type Methods } from "./methods.ts";

const log = getLogger(["miredo", "mapping"]);

/** A router that was restarted has forgotten the mapping: it is asked that often at least, milliseconds. */
const RENEW_AT_MOST = 600_000;
/** Shortest pause between two renewals, whatever the gateway grants, milliseconds. */
const RENEW_AT_LEAST = 30_000;
/** Pause after no way was found, milliseconds. */
const RETRY = 900_000;
/** How long the removal may take at the end, milliseconds. */
const REMOVAL_TIMEOUT = 1_000;

const ALL: Methods = { pcp: true, natPmp: true, upnp: true };

/** What a mapper finds around it. */
export interface MapperSurroundings {
  readonly gateway: () => Gateway | undefined;
  /** Asks a gateway for a mapping of a port of this host. */
  readonly map: (gateway: Gateway, port: number) => Promise<Lease | undefined>;
  /** Longest time between two renewals, milliseconds. */
  readonly renewAtMost: number;
  readonly renewAtLeast: number;
  readonly retry: number;
}

const HOST: MapperSurroundings = {
  gateway: defaultGateway,
  map: (gateway, port) => mapPort(gateway, port, ALL),
  renewAtMost: RENEW_AT_MOST,
  renewAtLeast: RENEW_AT_LEAST,
  retry: RETRY,
};

/** What a mapper is told. */
export interface PortMapperOptions {
  /** What the service socket is bound to; address 0: any. */
  readonly local: Endpoint;
  /** The external endpoint is this from now on; undefined: there is none. */
  readonly changed: (external: Endpoint | undefined) => void;
  /** Others than those of this host, for tests. */
  readonly surroundings?: MapperSurroundings;
}

/** The mapping of one port. Runs from its construction until {@link end}. */
export class PortMapper {
  readonly #options: PortMapperOptions;
  readonly #surroundings: MapperSurroundings;
  readonly #finished: Promise<void>;
  #lease: Lease | undefined;
  #gateway: Gateway | undefined;
  #ended = false;
  /** Ends the present pause. */
  #awake: () => void = () => {};
  /** Something happened that a pause must not outlast. */
  #disturbed = false;

  constructor(options: PortMapperOptions) {
    this.#options = options;
    this.#surroundings = options.surroundings ?? HOST;
    this.#finished = this.#run();
  }

  /** The mapping there is. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  /** The network changed: asks anew where the gateway is another. */
  networkChanged(): void {
    if (!sameGateway(this.#surroundings.gateway(), this.#gateway)) this.#wake();
  }

  /** Removes the mapping; returns in any case within {@link REMOVAL_TIMEOUT} milliseconds. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#wake();
    let timeout: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timeout = setTimeout(resolve, REMOVAL_TIMEOUT));
    await Promise.race([this.#finished, late]);
    clearTimeout(timeout);
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      let pause = this.#surroundings.retry;
      try {
        pause = await this.#turn();
      } catch (cause) {
        log.warn("Cannot map the port", { reason: reasonOf(cause) });
      }
      await this.#sleep(pause);
    }
    const lease = this.#lease;
    this.#lease = undefined;
    await lease?.release();
  }

  /** Maps or renews. @returns milliseconds until the next turn */
  async #turn(): Promise<number> {
    const { map, retry, renewAtMost, renewAtLeast } = this.#surroundings;
    const gateway = this.#surroundings.gateway();
    if (this.#lease !== undefined && !sameGateway(gateway, this.#gateway)) {
      // The old gateway cannot be reached, or is not ours to talk to any more: its mapping ends by itself.
      this.#adopt(undefined);
    }
    this.#gateway = gateway;
    if (gateway === undefined || internalAddress(gateway, this.#options.local.address) === undefined) return retry;
    const renewed = await this.#lease?.renew();
    const lease = renewed ??
      (this.#ended ? undefined : await map(gateway, this.#port));
    if (lease === undefined) log.debug("No port mapping", { gateway: formatIpv4(gateway.address) });
    this.#adopt(lease);
    if (lease === undefined) return retry;
    return Math.max(renewAtLeast, Math.min(renewAtMost, lease.lifetime * 500));
  }

  get #port(): number {
    return this.#options.local.port;
  }

  #adopt(lease: Lease | undefined): void {
    const before = this.#lease;
    this.#lease = lease;
    const external = lease?.external;
    if (this.#ended) return; // what was asked for before the end comes too late
    if (before?.external.address === external?.address && before?.external.port === external?.port) return;
    if (lease !== undefined) {
      log.info("Port mapped", { protocol: lease.protocol, external: formatEndpoint(lease.external), port: this.#port });
    } else if (before !== undefined) {
      log.info("Port mapping is gone", { protocol: before.protocol, external: formatEndpoint(before.external) });
    }
    this.#options.changed(external);
  }

  async #sleep(milliseconds: number): Promise<void> {
    if (!this.#disturbed) {
      await new Promise<void>((resolve) => {
        const timeout = setTimeout(resolve, milliseconds);
        this.#awake = () => {
          clearTimeout(timeout);
          resolve();
        };
      });
    }
    this.#disturbed = false;
  }

  #wake(): void {
    this.#disturbed = true;
    this.#awake();
  }
}

function sameGateway(a: Gateway | undefined, b: Gateway | undefined): boolean {
  return a?.address === b?.address && a?.local === b?.local;
}
