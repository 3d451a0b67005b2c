/**
 * What can be wrong with a running daemon: stable codes for programs, words for people, and what to do.
 *
 * ```
 *   error     no service, or none for somebody
 *   warning   service, but less than there could be
 * ```
 *
 * The operator's guide explains each code at greater length. A code is never renamed or given another meaning.
 */

export type Severity = "error" | "warning";

interface Explanation {
  readonly severity: Severity;
  /** What is the matter. */
  readonly text: string;
  /** What to do about it. */
  readonly action: string;
}

/** Every code there is. */
export const HEALTH_CODES = {
  "SERVER-SILENT": {
    severity: "error",
    text: "The Teredo server does not answer",
    action: "Check that the server is up, and that no firewall here or before this network drops UDP to its port 3544",
  },
  "SERVER-SECONDARY-SILENT": {
    severity: "error",
    text: "The Teredo server answers from its first address but not from its second",
    action: 'If it has one address only, set client.secondary = "none"; else check UDP port 3544 of the second',
  },
  "SERVER-UNKNOWN": {
    severity: "error",
    text: "No configured server has a usable address",
    action: "Check the names in client.servers and that name resolution works on this host",
  },
  "NAT-SYMMETRIC": {
    severity: "error",
    text: "The NAT gives every destination another port, which Teredo cannot pass here",
    action:
      "Choose endpoint-independent mapping (often called cone NAT) on the router, or forward a UDP port to this host",
  },
  "NAT-SYMMETRIC-LIMITED": {
    severity: "warning",
    text: "The NAT gives every destination another port: peers behind such a NAT too may stay out of reach",
    action:
      "Choose endpoint-independent mapping (often called cone NAT) on the router, or forward a UDP port to this host",
  },
  "MAPPING-UNSTABLE": {
    severity: "warning",
    text: "The NAT changed its mapping several times in the last ten minutes, and each time the address changed",
    action: "Lower client.refresh_interval, or forward a UDP port to this host",
  },
  "SECRET-EXPIRED": {
    severity: "warning",
    text: "The server asks for a new secret",
    action: "Get a new secret from whoever runs the server and set client.secret",
  },
  "SECRET-REFUSED": {
    severity: "error",
    text: "Answers of the server fail the check of the secret",
    action: "Compare client.identifier and client.secret with the server's [server.secrets]",
  },
  "NO-IPV6-ROUTE": {
    severity: "error",
    text: "This host has no route to the IPv6 Internet",
    action: "Give this host native IPv6: clients reach only each other without it",
  },
  "FORWARDING-OFF": {
    severity: "warning",
    text: "IPv6 forwarding is off: only this host itself reaches clients",
    action: "Run: sysctl -w net.ipv6.conf.all.forwarding=1, or set relay.host_only = true",
  },
  "INTERFACE-DOWN": {
    severity: "error",
    text: "The tunnel interface is not up",
    action: "Run: ip link set dev INTERFACE up, or restart this service",
  },
  "PEER-TABLE-FULL": {
    severity: "warning",
    text: "Packets are dropped because too many peers are known or negotiated with",
    action: "Raise limits.max_peers or limits.max_pending_peers",
  },
  "RATE-LIMITED": {
    severity: "warning",
    text: "Packets are dropped because a rate limit is reached",
    action:
      "If these are no attacks, raise server.rate_per_source, server.rate_total or limits.connectivity_tests_per_second",
  },
  "RELAY-UNREACHABLE": {
    severity: "warning",
    text: "No relay answers for hosts of the IPv6 Internet",
    action: "Check that a relay announces the Teredo prefix where those hosts are, or run one: miredo relay",
  },
  "SEND-FAILED": {
    severity: "warning",
    text: "The kernel refuses to send packets",
    action: "Check routes and firewall of this host: ip route, nft list ruleset",
  },
  "CLOCK": {
    severity: "warning",
    text: "The clock of this host jumped, or the host slept",
    action: "Nothing to do when it was a suspend; else check time synchronisation: timedatectl",
  },
  "DATA-RESTARTED": {
    severity: "warning",
    text: "The part that carries packets failed and was started again",
    action: 'Report it with the log lines around "Data isolate died"',
  },
} as const satisfies Readonly<Record<string, Explanation>>;

export type HealthCode = keyof typeof HEALTH_CODES;

/** One thing that is wrong now. */
export interface HealthLine extends Explanation {
  readonly code: HealthCode;
}

/** The line of a code; `detail` is put behind its text. */
export function healthLine(code: HealthCode, detail?: string): HealthLine {
  const { severity, text, action } = HEALTH_CODES[code];
  return { code, severity, text: detail === undefined ? text : `${text} (${detail})`, action };
}
