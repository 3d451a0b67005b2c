/**
 * The configuration: every table and key there is, once.
 *
 * ```
 *            client   relay   server
 *   [client]   x                        who to qualify with
 *   [nat]        x                      which ways through NATs to try
 *   [relay]             x               whom to serve
 *   [server]                     x      what to answer
 *   [teredo]            x        x      the service prefix
 *   [interface]  x      x               the tunnel interface
 *   [bind]       x      x               the UDP socket
 *   [security]   x      x        x
 *   [hooks]      x                        programs run at changes
 *   [limits]     x      x
 *   [log]        x      x        x
 *   [status]     x      x        x      the control socket
 *   [state]      x                        what outlives a restart
 *   [metrics]    x      x        x      counters for Prometheus
 * ```
 *
 * Types, checks, defaults, the sample files and the text of error messages come from here. A key's `Notes` say what it does
 * and, in words, what it may be.
 */

import * as v from "valibot";
import {
  bindAddressProblem,
  listenProblem,
  nativeNodeProblem,
  relayEndpointProblem,
  serverAddressProblem,
  serverNameProblem,
  servicePrefixProblem,
} from "./addresses.ts";
import { SYSLOG_FACILITIES } from "./facilities.ts";
import { bool, choice, integer, lengthProblem, type Notes, text } from "./keys.ts";

/** The smallest MTU of an IPv6 link, octets (RFC 8200 5). */
const MTU_MINIMUM = 1280;
/** The largest IPv6 packet that one UDP datagram over IPv4 carries, octets: 65535 - 20 - 8. */
const MTU_MAXIMUM = 65507;
/** The longest interface name, characters: IFNAMSIZ of Linux with its closing zero taken off. */
const INTERFACE_NAME_MAXIMUM = 15;
/** The longest client identifier, octets: its length field has 8 bits (RFC 4380 5.1.1). */
const IDENTIFIER_MAXIMUM = 255;
/** The longest shared secret, octets. Ours: HMAC hashes longer ones down anyway. */
const SECRET_MAXIMUM = 255;
/** Route tables that the kernel itself uses: default, main, local. */
const KERNEL_TABLES: readonly number[] = [253, 254, 255];

export const ROLES = ["client", "relay", "server"] as const;

/** Which of the three nodes of RFC 4380 this process is. */
export type Role = (typeof ROLES)[number];

export const LOG_LEVELS = ["error", "warning", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ["auto", "text", "journal", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What a client does beside native IPv6. */
export const NATIVE_IPV6 = ["prefer", "standby"] as const;

function interfaceNameProblem(value: string): string | undefined {
  if (value === "") return "is empty";
  if (value.length > INTERFACE_NAME_MAXIMUM) return `has ${value.length} characters`;
  if (value === "." || value === "..") return "is not a name the kernel takes";
  // The kernel refuses "/", ":" and white space; "%" would be read as a pattern to number interfaces by.
  return /^[!-~]+$/.test(value) && !/[/:%]/.test(value) ? undefined : "holds a character that names cannot have";
}

/** Problem with the second address of a server: "auto", "none" or an address. */
function secondaryProblem(value: string): string | undefined {
  return value === "auto" || value === "none" ? undefined : serverAddressProblem(value);
}

/** The longest path of a unix socket, octets (unix(7)) without the closing zero. */
const SOCKET_PATH_MAXIMUM = 107;

function socketProblem(value: string): string | undefined {
  if (value === "") return undefined;
  if (!value.startsWith("/")) return "is not an absolute path";
  if (value.includes("\0")) return "holds a NUL";
  return new TextEncoder().encode(value).length > SOCKET_PATH_MAXIMUM ? "is too long for a socket" : undefined;
}

function logSocketProblem(value: string): string | undefined {
  return value === "" ? "is empty" : socketProblem(value);
}

function facilityProblem(value: string): string | undefined {
  return value === "" || Object.hasOwn(SYSLOG_FACILITIES, value) ? undefined : "is no facility";
}

function groupProblem(value: string): string | undefined {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}\$?$/.test(value) ? undefined : "is not a group name";
}

function userProblem(value: string): string | undefined {
  if (value === "root" || value === "0") return "would keep all privileges";
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}\$?$/.test(value) ? undefined : "is not a user name";
}

/** Problem with an absolute path; the empty one is for none. */
function pathProblem(value: string): string | undefined {
  if (value === "") return undefined;
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f]/.test(value)) return "holds a control character";
  return value.startsWith("/") ? undefined : "is not absolute";
}

const SECRET_NOTES = `text of 1 to ${SECRET_MAXIMUM} octets`;

const clientTable = v.object({
  servers: v.optional(
    v.pipe(
      v.array(text(serverNameProblem, {
        description: "One Teredo server.",
        allowed: "a host name or a global unicast IPv4 address",
      })),
      v.metadata(
        {
          description:
            "The Teredo servers, tried in order: the next one takes over when one stops answering, and names are looked up again.",
          allowed: "a list of host names and global unicast IPv4 addresses",
          example: ["teredo.example.net"],
          required: true,
        } satisfies Notes,
      ),
    ),
    [],
  ),
  secondary: v.optional(
    text(secondaryProblem, {
      description:
        'The second address of the server, which shows whether the NAT is symmetric. "auto": the first address plus one; ' +
        '"none": the server has only one.',
      allowed: '"auto", "none" or a global unicast IPv4 address',
    }),
    "auto",
  ),
  refresh_interval: v.optional(
    integer(
      5,
      3600,
      "seconds",
      "How often the client talks to its server to keep the NAT's mapping alive. Each pause is drawn from 75 to 100 per cent of it.",
    ),
    30,
  ),
  interval_determination: v.optional(
    bool("Find out how long the NAT keeps a mapping and refresh less often, up to every 120 seconds (RFC 4380 5.2.7)."),
    false,
  ),
  local_discovery: v.optional(
    bool("Find other clients on the same link by multicast to 224.0.0.253 and talk to them directly (RFC 4380 5.2.8)."),
    true,
  ),
  native_ipv6: v.optional(
    choice(
      NATIVE_IPV6,
      'What to do while the host has native IPv6. "prefer": run, with routes that native ones win over; ' +
        '"standby": give no service until it is gone (RFC 4380 5.5).',
    ),
    "prefer",
  ),
  legacy_cone: v.optional(
    bool(
      "Qualify as a cone client first and trust the cone bit of others, as before RFC 5991. Tells everyone that the NAT is open.",
    ),
    false,
  ),
  relay: v.optional(text(relayEndpointProblem, {
    description:
      "The relay at which peers meet this client when no direct way leads to it. Without one, the relay through which an IPv6 host answered last.",
    allowed: "a global unicast IPv4 address and a port",
    example: "192.0.2.9:3545",
  })),
  relay_probe: v.optional(text(nativeNodeProblem, {
    description:
      "An IPv6 host that answers pings: asked when a relay is needed and none is known, to find the nearest.",
    allowed: "a native IPv6 address in 2000::/3",
    example: "2001:db8::1",
  })),
  identifier: v.optional(text(lengthProblem(IDENTIFIER_MAXIMUM), {
    description: "The name this client gives in secure qualification (RFC 4380 5.2.2). Needs a secret.",
    allowed: `text of 1 to ${IDENTIFIER_MAXIMUM} octets`,
    example: "alice",
  })),
  secret: v.optional(text(lengthProblem(SECRET_MAXIMUM), {
    description:
      "The secret shared with the server, which proves the client to the server and the server to the client.",
    allowed: SECRET_NOTES,
    example: "correct horse battery staple",
    hidden: true,
  })),
});

const relayTable = v.object({
  direct_bubbles: v.optional(
    bool(
      "Send a bubble straight to a client besides the one through its server. Needed when the relay itself is behind a NAT.",
    ),
    true,
  ),
  host_only: v.optional(
    bool("Serve the addresses of this host alone and forward for nobody else (a host-specific relay, RFC 4380 5.5)."),
    false,
  ),
  symmetric_clients: v.optional(
    bool(
      "Serve clients behind symmetric NATs too: their answers are recognised by the address the relay's bubble came from.",
    ),
    true,
  ),
  honour_cone: v.optional(
    bool("Send to clients whose address has the cone bit without asking their server first, as before RFC 5991."),
    false,
  ),
  between_clients: v.optional(
    bool("Pass packets between two clients that cannot reach each other directly, once both have answered this relay."),
    true,
  ),
  between_clients_rate: v.optional(
    integer(1, 1_000_000, "packets per second", "How much one client may send to others through this relay."),
    1_000,
  ),
});

const natTable = v.object({
  symmetric: v.optional(
    bool(
      "Stay in service behind a symmetric NAT and reach such peers, by nonces in bubbles (RFC 6081 5.2). The next two build on it.",
    ),
    true,
  ),
  port_preserving: v.optional(
    bool("Use random ports, for symmetric NATs that keep port numbers and for peers behind them (RFC 6081 5.4)."),
    true,
  ),
  sequential: v.optional(
    bool(
      "Foretell ports, for symmetric NATs that number them in sequence (RFC 6081 5.5). Builds on port_preserving.",
    ),
    true,
  ),
  hairpinning: v.optional(
    bool("Tell peers the addresses of this host inside the NAT, to meet those behind the same one (RFC 6081 5.6)."),
    true,
  ),
  server_load_reduction: v.optional(
    bool("Ask a peer that was idle for 30 seconds itself before its server is troubled (RFC 6081 5.7)."),
    true,
  ),
  relay_paths: v.optional(
    bool("Meet peers at a relay where no direct way leads to them. For peers to find us so, see client.relay."),
    true,
  ),
  test: v.optional(
    bool(
      "Find out once how the NAT filters and whether it hairpins, by a few datagrams to the server and to the own mapping.",
    ),
    true,
  ),
  port_mapping: v.optional(
    bool("Have the NAT forward this client's port, by PCP, NAT-PMP or UPnP, and take that back at the end."),
    true,
  ),
});

const serverTable = v.object({
  address: v.optional(text(serverAddressProblem, {
    description: "The address that clients are told, and that port 3544 is opened on. It must belong to this host.",
    allowed: "a global unicast IPv4 address",
    example: "192.0.2.1",
    required: true,
  })),
  secondary_address: v.optional(
    text(secondaryProblem, {
      description:
        'The second address, from which clients detect symmetric NATs. "auto": the first address plus one; ' +
        '"none": serve with one address.',
      allowed: '"auto", "none" or a global unicast IPv4 address',
    }),
    "auto",
  ),
  advertised_mtu: v.optional(
    integer(MTU_MINIMUM, MTU_MAXIMUM, "octets", "The link MTU that clients are told."),
    MTU_MINIMUM,
  ),
  native_forwarding: v.optional(
    bool(
      "Forward connectivity tests of clients to the IPv6 Internet. Needs native IPv6; without it clients reach each other only.",
    ),
    true,
  ),
  forward_foreign: v.optional(
    bool("Forward bubbles to clients of other servers too. No client needs that: each asks the server of its peer."),
    false,
  ),
  max_icmpv6_payload: v.optional(
    integer(
      8,
      1232,
      "octets",
      "The largest ICMPv6 message that is forwarded, so that the server is no way to carry data.",
    ),
    88,
  ),
  rate_per_source: v.optional(
    integer(
      0,
      1_000_000,
      "datagrams per second",
      "How much one IPv4 address may send, which may be many clients behind one NAT. 0: no limit.",
    ),
    200,
  ),
  rate_total: v.optional(
    integer(0, 10_000_000, "datagrams per second", "How much all sources together may send. 0: no limit."),
    50_000,
  ),
  secrets: v.optional(
    v.pipe(
      v.record(
        text(lengthProblem(IDENTIFIER_MAXIMUM), {
          description: "A client identifier.",
          allowed: `identifiers of 1 to ${IDENTIFIER_MAXIMUM} octets`,
        }),
        text(lengthProblem(SECRET_MAXIMUM), {
          description: "The secret of one client.",
          allowed: SECRET_NOTES,
          example: "correct horse battery staple",
          hidden: true,
        }),
      ),
      v.metadata(
        {
          description:
            "Clients that may qualify, as identifier = secret (RFC 4380 5.2.2). With none, every client may.",
          allowed: 'a table of identifier = "secret"',
          example: "alice",
        } satisfies Notes,
      ),
    ),
    {},
  ),
});

const teredoTable = v.object({
  prefix: v.optional(
    text(servicePrefixProblem, {
      description:
        "The Teredo service prefix. Any other than 2001::/32 makes a network of its own, closed to ordinary clients.",
      allowed: 'an IPv6 /32 that is not multicast, such as "2001::/32"',
    }),
    "2001::/32",
  ),
});

function interfaceTable(metric: number) {
  return v.object({
    name: v.optional(
      text(interfaceNameProblem, {
        description: "The name of the tunnel interface that is made.",
        allowed: `1 to ${INTERFACE_NAME_MAXIMUM} printable characters without "/", ":", "%" or white space`,
      }),
      "teredo",
    ),
    mtu: v.optional(
      integer(MTU_MINIMUM, MTU_MAXIMUM, "octets", "The largest IPv6 packet on the interface. Every path carries 1280."),
      MTU_MINIMUM,
    ),
    metric: v.optional(
      integer(
        1,
        0xffffffff,
        "",
        "The metric of the route into the tunnel. The kernel's own default is 1024; a lower metric wins.",
      ),
      metric,
    ),
    policy_table: v.optional(
      integer(
        0,
        0xffffffff,
        "except 253 to 255",
        "A route table for packets from the Teredo address only, so that other addresses never use the tunnel. 0: none.",
        (value) => KERNEL_TABLES.includes(value) ? "is a table of the kernel's own" : undefined,
      ),
      0,
    ),
  });
}

const bindTable = v.object({
  address: v.optional(
    text(bindAddressProblem, {
      description: "The local IPv4 address to send from and receive on. 0.0.0.0: any.",
      allowed: "an IPv4 address that is not multicast",
    }),
    "0.0.0.0",
  ),
  port: v.optional(
    integer(0, 65535, "", "The local UDP port. 0: one of the system's choice; a client's last one if it is free."),
    0,
  ),
});

const securityTable = v.object({
  user: v.optional(
    text(userProblem, {
      description: "The user to become once everything is set up.",
      allowed: "the name of a user other than root",
    }),
    "nobody",
  ),
  chroot: v.optional(
    text(pathProblem, {
      description:
        "A directory to be shut up in once everything is open. Names are resolved, and this file is read again, by what is in it: " +
        'copies of /etc/resolv.conf, /etc/hosts and the C library\'s name service modules. "": none.',
      allowed: 'an absolute path or ""',
    }),
    "",
  ),
});

const hooksTable = v.object({
  up: v.optional(
    text(pathProblem, {
      description:
        "A program that is run when the client has a new address or MTU, as security.user, with STATE, IFACE, IFINDEX, ADDRESS, LLADDRESS " +
        'and MTU in its environment, and OLD_ before each of them for what was before. "": none.',
      allowed: 'an absolute path or ""',
    }),
    "",
  ),
  down: v.optional(
    text(pathProblem, {
      description:
        'A program that is run when the client has lost its address, and at the end, in the same way. "": none.',
      allowed: 'an absolute path or ""',
    }),
    "",
  ),
  timeout: v.optional(integer(1, 3600, "seconds", "How long such a program may take before it is ended."), 30),
});

const logTable = v.object({
  level: v.optional(choice(LOG_LEVELS, "The least urgent message that is logged."), "info"),
  format: v.optional(
    choice(
      LOG_FORMATS,
      'How messages look on standard error. "auto": for the journal where systemd reads it, else as text.',
    ),
    "auto",
  ),
  syslog_facility: v.optional(
    text(facilityProblem, {
      description:
        'The facility of the system log that messages go to instead of standard error: "daemon" is the usual one. "": standard error.',
      allowed: `${Object.keys(SYSLOG_FACILITIES).join(", ")} or ""`,
    }),
    "",
  ),
  syslog_socket: v.optional(
    text(logSocketProblem, {
      description:
        "Where the system log listens. It is connected to before security.chroot, and looked for again, inside it then, when it went away.",
      allowed: `an absolute path of at most ${SOCKET_PATH_MAXIMUM} octets`,
    }),
    "/dev/log",
  ),
});

function statusTable(role: Role) {
  return v.object({
    socket: v.optional(
      text(socketProblem, {
        description:
          "The unix socket that miredo status, ping, wait and metrics talk to. A directory of that name is made if there is none. Empty: none.",
        allowed: `an absolute path of at most ${SOCKET_PATH_MAXIMUM} octets, or ""`,
      }),
      `/run/miredo/${role}.sock`,
    ),
    group: v.optional(text(groupProblem, {
      description: "A group whose members may use the socket besides root and the service user.",
      allowed: "the name of a group",
      example: "adm",
    })),
  });
}

const stateTable = v.object({
  file: v.optional(
    text(pathProblem, {
      description:
        "Where the client keeps its UDP port and the random bits of its address, so that both outlive a restart if the NAT lets them. " +
        'The service user has to be able to write to its directory. "": nowhere.',
      allowed: 'an absolute path or ""',
    }),
    "/var/lib/miredo/client.json",
  ),
});

const metricsTable = v.object({
  listen: v.optional(
    text(listenProblem, {
      description:
        "Where counters are served as Prometheus text over HTTP, to whoever can connect: 127.0.0.1:9464 is for this host alone. Empty: nowhere.",
      allowed: '"IPV4:PORT", "[IPV6]:PORT" or ""',
    }),
    "",
  ),
});

/** What both roles with peers limit. */
const PEER_LIMITS = {
  max_peers: v.optional(
    integer(1, 16_777_216, "peers", "How many peers are remembered at once. Memory is used only as they come."),
    1_048_576,
  ),
  max_pending_peers: v.optional(
    integer(1, 1_048_576, "peers", "How many peers may be in the middle of hole punching at once."),
    16_384,
  ),
  queue_octets_per_peer: v.optional(
    integer(MTU_MINIMUM, 1_048_576, "octets", "How much waits for one peer whose hole is not open yet."),
    16_384,
  ),
  queue_octets_total: v.optional(
    integer(MTU_MINIMUM, 1_073_741_824, "octets", "How much waits for all peers together."),
    16_777_216,
  ),
  icmpv6_errors_per_second: v.optional(
    integer(0, 100_000, "messages per second", "How many ICMPv6 errors are sent to local applications. 0: none."),
    10,
  ),
} as const;

const clientLimits = v.object({
  ...PEER_LIMITS,
  connectivity_tests_per_second: v.optional(
    integer(
      1,
      100_000,
      "tests per second",
      "How many IPv6 hosts may be asked whether they are who they say (RFC 4380 5.2.9).",
    ),
    100,
  ),
});
const relayLimits = v.object(PEER_LIMITS);

/** The configuration of each role: tables of keys, all with a default or optional. */
export const SCHEMAS = {
  client: v.object({
    client: v.optional(clientTable, {}),
    nat: v.optional(natTable, {}),
    interface: v.optional(interfaceTable(1029), {}),
    bind: v.optional(bindTable, {}),
    security: v.optional(securityTable, {}),
    hooks: v.optional(hooksTable, {}),
    limits: v.optional(clientLimits, {}),
    log: v.optional(logTable, {}),
    status: v.optional(statusTable("client"), {}),
    state: v.optional(stateTable, {}),
    metrics: v.optional(metricsTable, {}),
  }),
  relay: v.object({
    relay: v.optional(relayTable, {}),
    teredo: v.optional(teredoTable, {}),
    interface: v.optional(interfaceTable(1024), {}),
    bind: v.optional(bindTable, {}),
    security: v.optional(securityTable, {}),
    limits: v.optional(relayLimits, {}),
    log: v.optional(logTable, {}),
    status: v.optional(statusTable("relay"), {}),
    metrics: v.optional(metricsTable, {}),
  }),
  server: v.object({
    server: v.optional(serverTable, {}),
    teredo: v.optional(teredoTable, {}),
    security: v.optional(securityTable, {}),
    log: v.optional(logTable, {}),
    status: v.optional(statusTable("server"), {}),
    metrics: v.optional(metricsTable, {}),
  }),
} as const;

/** `T` with everything in it read-only. */
export type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** The values of one role's keys, checked, defaults filled in. */
export type Values<R extends Role> = DeepReadonly<v.InferOutput<(typeof SCHEMAS)[R]>>;

interface Loaded<R extends Role> {
  readonly role: R;
  /** The file that was read; `undefined` when there was none. */
  readonly file: string | undefined;
}

export type ClientConfig = Loaded<"client"> & Values<"client">;
export type RelayConfig = Loaded<"relay"> & Values<"relay">;
/** A server's configuration; loading refuses one without an address. */
export type ServerConfig = Loaded<"server"> & Values<"server"> & { readonly server: { readonly address: string } };
/** A checked configuration, told apart by `role`. */
export type Config = ClientConfig | RelayConfig | ServerConfig;
