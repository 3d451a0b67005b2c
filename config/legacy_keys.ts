/**
 * What each directive of the C Miredo, and each option of its command line, is here.
 *
 * ```
 *   directive ─▶ set a key        client.servers = ["teredo.example.net"]
 *             ├▶ nothing to set   what it was is always so here, or has no use any more: said in a note
 *             └▶ wrong            its value is none
 * ```
 */

import { SYSLOG_FACILITIES } from "./facilities.ts";
import { type LegacyLine, parseInteger, shellWords } from "./legacy_text.ts";
import type { Role } from "./schema.ts";

/** What a line comes to. */
export type Meaning =
  | {
    readonly kind: "set";
    /** Dotted. */
    readonly key: string;
    readonly value: string | number | boolean | readonly string[];
    /** What people should know; empty: nothing. */
    readonly note: string;
  }
  /** It is not carried over, for this reason. */
  | { readonly kind: "note"; readonly note: string }
  /** Its value is wrong, or cannot be used here. */
  | { readonly kind: "error"; readonly message: string };

type Translate = (value: string, role: Role) => Meaning;

const set = (key: string, value: Extract<Meaning, { kind: "set" }>["value"], note = ""): Meaning => ({
  kind: "set",
  key,
  value,
  note,
});
const note = (words: string): Meaning => ({ kind: "note", note: words });
const error = (message: string): Meaning => ({ kind: "error", message });

/** The largest number of a directive: 16 bits. */
const INTEGER_MAXIMUM = 65535;

function integer(key: string): Translate {
  return (value) => {
    const number = parseInteger(value);
    if (number === undefined || number > INTEGER_MAXIMUM) {
      return error(`${JSON.stringify(value)} is not a number, allowed: 0 to ${INTEGER_MAXIMUM}, also 0x600 or 010`);
    }
    return set(key, number, String(number) === value ? "" : `${value} is ${number}`);
  };
}

/** IPv4 addresses must be given as such where names were allowed. */
function ipv4(key: string): Translate {
  return (value) => {
    if (/^[\d.]+$/.test(value)) return set(key, value);
    return error(`${JSON.stringify(value)} is a host name, allowed: its IPv4 address (getent ahostsv4 ${value})`);
  };
}

function relayType(value: string): Meaning {
  switch (value.toLowerCase()) {
    case "client":
      return note("the role is client");
    case "autoclient":
      return note("the role is client, which autoclient was another name of");
    case "relay":
    case "cone":
      return set("relay.direct_bubbles", false, `the role is relay; ${value} sends no bubbles straight to clients`);
    case "restricted":
      return set(
        "relay.direct_bubbles",
        true,
        "the role is relay; restricted, deprecated in Miredo, sends bubbles both ways",
      );
    case "disabled":
      return note("Miredo was switched off: do not enable the service");
    default:
      return error(`${JSON.stringify(value)} is no type, allowed: client, autoclient, relay, cone or restricted`);
  }
}

function prefix(value: string, role: Role): Meaning {
  if (role === "client") return note("clients learn the prefix from their server");
  return set("teredo.prefix", value.includes("/") ? value : `${value}/32`);
}

function mtu(value: string, role: Role): Meaning {
  if (role === "client") return note("Miredo used it in relays only; clients learn the MTU from their server");
  return integer(role === "server" ? "server.advertised_mtu" : "interface.mtu")(value, role);
}

function localDiscovery(value: string, role: Role): Meaning {
  if (role !== "client") return note("clients only");
  switch (value.toLowerCase()) {
    case "enabled":
    case "forced":
      return set("client.local_discovery", true, value.toLowerCase() === "forced" ? "forced was enabled" : "");
    case "disabled":
      return set("client.local_discovery", false);
    default:
      return error(`${JSON.stringify(value)} is none of enabled, disabled and forced`);
  }
}

const clientOnly = (translate: Translate): Translate => (value, role) =>
  role === "client" ? translate(value, role) : note("clients only");
const serverOnly = (translate: Translate): Translate => (value, role) =>
  role === "server" ? translate(value, role) : note("servers only");
const notServer = (translate: Translate): Translate => (value, role) =>
  role === "server" ? note("a server has no tunnel, and binds to server.address") : translate(value, role);

/** Every directive by its name in lower case. */
export const DIRECTIVES: ReadonlyMap<string, Translate> = new Map<string, Translate>([
  ["relaytype", (value, role) => role === "server" ? note("the role is server") : relayType(value)],
  ["serveraddress", clientOnly((value) => set("client.servers", [value]))],
  [
    "serveraddress2",
    clientOnly((value) => {
      const meaning = ipv4("client.secondary")(value, "client");
      return meaning.kind === "set"
        ? { ...meaning, note: "Miredo never used it, here it shows symmetric NATs" }
        : meaning;
    }),
  ],
  ["prefix", prefix],
  ["interfacemtu", mtu],
  ["interfacename", notServer((value) => set("interface.name", value))],
  ["bindaddress", notServer(ipv4("bind.address"))],
  ["bindport", notServer(integer("bind.port"))],
  [
    "syslogfacility",
    (value) =>
      Object.hasOwn(SYSLOG_FACILITIES, value.toLowerCase())
        ? set("log.syslog_facility", value.toLowerCase())
        : error(`${JSON.stringify(value)} is no facility, allowed: ${Object.keys(SYSLOG_FACILITIES).join(", ")}`),
  ],
  ["serverbindaddress", serverOnly(ipv4("server.address"))],
  ["serverbindaddress2", serverOnly(ipv4("server.secondary_address"))],
  ["localdiscovery", localDiscovery],
  ["discoveryinterfaces", clientOnly(() => note("discovery is on all interfaces that have an IPv4 address"))],
  ["discoverynetmask", clientOnly(() => note("discovery answers clients behind the same mapped address"))],
  [
    "ignoreconebit",
    (value, role) =>
      role === "relay" || role === "client" ? note("the cone bit is ignored unless asked for (RFC 5991)") : note(value),
  ],
  [
    "defaultroute",
    notServer(() => note("a client makes a default route that native ones win over (interface.metric)")),
  ],
]);

/** What people changed in /etc/miredo/client-hook. */
export const HOOK_SETTINGS: ReadonlyMap<string, Translate> = new Map<string, Translate>([
  ["METRIC", notServer(integer("interface.metric"))],
  [
    "TABLE",
    notServer((value, role) => {
      const meaning = integer("interface.policy_table")(value, role);
      return meaning.kind === "set" ? meaning : note(`interface.policy_table takes the number of table ${value}`);
    }),
  ],
  ["PRIO", notServer(() => note("rules of interface.policy_table have a priority of their own"))],
]);

/** One thing that a command line says. */
export interface OptionMeaning {
  /** As it is written: `-u miredo`. */
  readonly text: string;
  readonly meaning: Meaning;
}

/** The old options by their names: which ones take a value, and what they are. */
const OPTIONS: readonly {
  readonly names: readonly string[];
  readonly takesValue: boolean;
  readonly meaning: (value: string) => Meaning;
}[] = [
  {
    names: ["-c", "--conf", "--config"],
    takesValue: true,
    meaning: (value) => note(`import that file too: miredo config import ${value}`),
  },
  { names: ["-f", "--foreground"], takesValue: false, meaning: () => note("roles always run in the foreground") },
  {
    names: ["-p", "--pidfile"],
    takesValue: true,
    meaning: () => note("there is no pid file: systemd knows the process, miredo status finds it"),
  },
  {
    names: ["-t", "--chroot", "--chrootdir"],
    takesValue: true,
    meaning: (value) => set("security.chroot", value, "the sandbox of the systemd unit does without"),
  },
  {
    names: ["-u", "--user", "--username"],
    takesValue: true,
    meaning: (value) => set("security.user", value, "a user of that name must exist"),
  },
  { names: ["-h", "--help", "-V", "--version"], takesValue: false, meaning: () => note("says something and ends") },
];

/** What the arguments of a daemon say, in order. */
export function argumentMeanings(line: LegacyLine, role: Role): OptionMeaning[] {
  const words = shellWords(line.value);
  const meanings: OptionMeaning[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [name, attached] = splitOption(word);
    const option = OPTIONS.find(({ names }) => names.includes(name));
    if (!word.startsWith("-")) {
      const server = role === "server"
        ? ipv4("server.address")(word, role)
        : role === "client"
        ? set("client.servers", [word], "SERVER_NAME wins over ServerAddress")
        : note("relays have no server");
      meanings.push({ text: word, meaning: server });
      if (role === "server") {
        meanings.push({
          text: word,
          meaning: set("server.secondary_address", "auto", "ServerBindAddress2 goes with it"),
        });
      }
    } else if (option === undefined) {
      meanings.push({ text: word, meaning: error(`${JSON.stringify(word)} is no option of Miredo`) });
    } else {
      const value = option.takesValue ? attached ?? words.shift() : undefined;
      const text = value === undefined || attached !== undefined ? word : `${word} ${value}`;
      const missing = option.takesValue && value === undefined;
      meanings.push({ text, meaning: missing ? error(`${word} lacks its value`) : option.meaning(value ?? "") });
    }
  }
  return meanings;
}

/** `-umiredo` and `--user=miredo` as name and value. */
function splitOption(word: string): readonly [name: string, attached: string | undefined] {
  if (word.startsWith("--")) {
    const at = word.indexOf("=");
    return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
  }
  return word.length > 2 ? [word.slice(0, 2), word.slice(2)] : [word, undefined];
}
