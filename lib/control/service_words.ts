/** The state of a daemon in one line, as a service manager shows it (`STATUS=` of sd_notify(3), `systemctl status`). */

import type { DaemonState } from "./status.ts";

/** What there is to say. */
export interface ServiceState {
  readonly state: DaemonState;
  /** Why a client is off-line, or was before it tried again. */
  readonly reason: string | undefined;
  /** Teredo address of a qualified client. */
  readonly address: string | undefined;
  /** The server that a client asks. */
  readonly server: string | undefined;
  /** Service prefix of a relay. */
  readonly prefix: string | undefined;
  /** What a server listens on. */
  readonly listen: readonly string[];
}

/** Reasons in words; one that is not here speaks for itself. */
const REASONS: Readonly<Record<string, string>> = {
  "no-answer-primary": "the server does not answer",
  "no-answer-secondary": "the second address of the server does not answer",
  "symmetric-nat": "the NAT is symmetric",
  "maintenance-lost": "the server stopped answering",
  "mapping-changed": "the NAT changed the mapping",
};

/** One line, without line feed. */
export function serviceWords({ state, reason, address, server, prefix, listen }: ServiceState): string {
  const because = reason === undefined ? "" : `: ${REASONS[reason] ?? reason}`;
  switch (state) {
    case "resolving":
      return "Looking for a Teredo server";
    case "standby":
      return "Standing by while the host has native IPv6";
    case "qualifying": {
      const again = reason === undefined ? "" : " again";
      return `Qualifying${again}${server === undefined ? "" : ` with ${server}`}${because}`;
    }
    case "qualified":
      return `Qualified${address === undefined ? "" : ` as ${address}`}${server === undefined ? "" : ` by ${server}`}`;
    case "offline":
      return `Off-line${because}`;
    case "relaying":
      return `Relaying${prefix === undefined ? "" : ` ${prefix}`}`;
    case "serving":
      return `Serving${listen.length === 0 ? "" : ` on ${listen.join(" and ")}`}`;
    case "restarting":
      return "Starting the data isolate again";
  }
}
