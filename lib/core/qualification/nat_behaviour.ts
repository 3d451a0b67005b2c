/**
 * What a client can tell of its NAT by itself, from router advertisements: how it maps, and how it numbers ports.
 *
 * ```
 *   primary says M1, secondary says M2     M1 == M2  mapping does not depend on the destination
 *                                          M1 != M2  it does; M2.port - M1.port is the step of the numbering, if there is one
 *   Echo Test says lower, upper            upper - lower is twice the step: another packet went out between
 * ```
 *
 * "Not checked" where nothing was asked, never a guess: one difference that looks like a step counts only when another agrees.
 */

import type { Endpoint } from "../../wire/ipv4.ts";

/** Largest distance between consecutive external ports that is taken for a step of numbering. */
const LARGEST_STEP = 16;

/** Differences that must agree. */
const AGREEING = 2;

/** How the external port is chosen (RFC 4787 4.2). */
export type PortNumbering =
  | { readonly kind: "not-checked" }
  /** The local port. */
  | { readonly kind: "preserving" }
  /** The last one given plus a step. */
  | { readonly kind: "sequential"; readonly step: number }
  | { readonly kind: "random" };

/** Two ports that a server saw from one socket, one packet to somewhere else between them. */
export interface Measurement {
  readonly lower: number;
  readonly upper: number;
}

/** What is known of the NAT. */
export interface NatReport {
  /** Whether the mapping is the same for every destination (RFC 4787 4.1); undefined: not checked. */
  readonly endpointIndependent: boolean | undefined;
  readonly ports: PortNumbering;
}

/** Collects what the servers saw. */
export class NatBehaviour {
  #endpointIndependent: boolean | undefined;
  #preserving = false;
  #steps: number[] = [];
  #random = false;

  /** A qualification is over. @param second what the secondary address saw, if it was asked */
  observeQualification(local: number, first: Endpoint, second: Endpoint | undefined): void {
    this.#preserving = first.port === local;
    this.#endpointIndependent = second === undefined
      ? undefined
      : first.address === second.address && first.port === second.port;
    this.#steps = [];
    this.#random = false;
    if (second === undefined || this.#endpointIndependent === true || this.#preserving) return;
    this.#observeStep(second.port - first.port);
  }

  /** An Echo Test had both answers. */
  observeEcho({ lower, upper }: Measurement): void {
    const difference = upper - lower;
    if (difference % 2 !== 0) this.#random = true;
    else this.#observeStep(difference / 2);
  }

  /** All that is known now. */
  get report(): NatReport {
    return { endpointIndependent: this.#endpointIndependent, ports: this.#numbering() };
  }

  #numbering(): PortNumbering {
    if (this.#preserving) return { kind: "preserving" };
    if (this.#random) return { kind: "random" };
    if (this.#steps.length < AGREEING) return { kind: "not-checked" };
    const [step] = this.#steps;
    return this.#steps.every((each) => each === step) ? { kind: "sequential", step } : { kind: "random" };
  }

  #observeStep(step: number): void {
    if (step < 1 || step > LARGEST_STEP) this.#random = true;
    else this.#steps = [...this.#steps, step].slice(-AGREEING);
  }
}
