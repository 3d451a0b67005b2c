/** What the man pages say beyond the command line and the schema: an introduction, files, examples. Tests run the examples. */

/** The program as a whole. */
export const PROGRAM = {
  brief: "IPv6 through NATs: Teredo client, relay and server",
  description: [
    "Teredo (RFC 4380) carries IPv6 in UDP, through NATs, between hosts that have IPv4 only. " +
    "A client asks a server how the world sees it, and makes an IPv6 address of the answer. " +
    "Clients reach each other directly. " +
    "Relays connect them with hosts that have native IPv6.",
    "The first three commands run one of these roles in the foreground, until SIGINT or SIGTERM. " +
    "SIGHUP makes them read their configuration again. " +
    "The others ask, check and explain.",
  ],
  configuration: "Each role reads one file of TOML. " +
    "All tables and keys have defaults, but for the servers of a client and the address of a server. " +
    "Unknown keys and values out of range are refused, all at once, with their places. " +
    "Where no other is named, the files are:",
  precedence: "Values of --set win over the file, other options and arguments over both. " +
    "On SIGHUP the file is read again: a bad one is told and changes nothing.",
} as const;

/** Files and what is in them. */
export const FILES: readonly (readonly [file: string, what: string])[] = [
  ["/etc/miredo/ROLE.toml", "Configuration of a role: client, relay or server."],
  ["/run/miredo/ROLE.sock", "Control socket of a running daemon."],
];

/** A command line and what it does. */
export interface Example {
  readonly what: string;
  readonly line: string;
}

/** By command; `miredo` is the program itself. */
export const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  miredo: [
    { what: "Give this host IPv6", line: "miredo client teredo.example.net" },
    { what: "See whether that can work here, without privileges", line: "miredo netcheck --server teredo.example.net" },
    { what: "Run a server with two addresses", line: "miredo server 192.0.2.1 192.0.2.2" },
  ],
  client: [
    {
      what: "With two servers, the second for when the first is silent",
      line: "miredo client one.example.net two.example.net",
    },
    {
      what: "With a local port of its own, for a router that forwards it",
      line: "miredo client teredo.example.net --set bind.port=3545",
    },
  ],
  relay: [
    { what: "For all hosts whose packets to 2001::/32 come here", line: "miredo relay" },
    { what: "For this host alone", line: "miredo relay --set relay.host_only=true" },
  ],
  server: [
    { what: "With an address and the one after it", line: "miredo server 192.0.2.1" },
    { what: "With one address", line: "miredo server 192.0.2.1 --set server.secondary_address=none" },
  ],
  status: [
    { what: "The running daemon, for people", line: "miredo status" },
    { what: "For programs", line: "miredo status --json" },
  ],
  wait: [{ what: "In a script that needs IPv6", line: "miredo wait --timeout 1m" }],
  netcheck: [
    { what: "With the servers of the client's configuration", line: "miredo netcheck" },
    { what: "With any server, and how long mappings live", line: "miredo netcheck --server 192.0.2.1 --lifetime" },
    { what: "For programs", line: "miredo netcheck --server 192.0.2.1 --json" },
  ],
  mire: [{ what: "On one address of this host", line: "miredo mire --bind 192.0.2.1" }],
  address: [{ what: "What an address says", line: "miredo address 2001:0:cb00:7178:3412:efff:3fff:fdd2" }],
  config: [
    { what: "What is wrong with the files in /etc/miredo", line: "miredo config check" },
    { what: "What a client would use, and where from", line: "miredo config show client" },
    { what: "From the C Miredo", line: "miredo config import /etc/miredo/miredo.conf /etc/default/miredo" },
  ],
  "miredo.toml": [{ what: "A file with every key explained", line: "miredo config example client" }],
};

/** The end of every page. */
export const MISC_SECTIONS: readonly string[] = [
  ".Sh STANDARDS",
  "RFC 4380 (Teredo), RFC 5991 (addresses that cannot be guessed),",
  "RFC 6081 (more kinds of NAT).",
];
