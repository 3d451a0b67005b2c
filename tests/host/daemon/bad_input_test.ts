/**
 * What a role says when it cannot start: on standard error one line for each problem and nothing else, on standard output nothing, an exit
 * code that tells whose fault it is (1 the host's, 2 the command line's, 78 the configuration's), and no trace on the host.
 */

import assert from "node:assert/strict";
import { close } from "../../../ffi/io.ts";
import { openTun } from "../../../ffi/tun.ts";
import { openUdp } from "../../../ffi/udp.ts";
import { writeU32 } from "../../../lib/wire/bytes.ts";
import { parseIpv4 } from "../../../lib/wire/ipv4.ts";
import { Lab, type LabHost } from "../../lab/lab.ts";
import { miredoCommand } from "../../lab/programs.ts";
import {
  Directory,
  inMountNamespace,
  NOBODY,
  readableByAll,
  rootTest,
  SERVER,
  SERVER_SECONDARY,
  traces,
} from "./support.ts";

const AS_NOBODY = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--"];

/** How many daemons are tried at once. */
const PARALLEL = 4;

/** Descriptors that stand in the way while a case runs. */
type Obstacle = (host: LabHost) => number;

interface Case {
  readonly name: string;
  /** `DIR` stands for a directory of {@link FILES}. */
  readonly args: readonly string[];
  readonly code: 1 | 2 | 78;
  /** All lines of standard error, with `DIR`. */
  readonly says: readonly string[];
  /** What is different about the host. */
  readonly host?: (host: LabHost) => void;
  readonly obstacle?: Obstacle;
  /** Runs the command in a mount namespace after this shell command. */
  readonly mounts?: string;
  readonly asNobody?: boolean;
}

const CLIENT_FILE = `[client]\nservers = ["${SERVER}"]\n`;

/** Configuration files by name. */
const FILES: Readonly<Record<string, string | Uint8Array>> = {
  "good.toml": CLIENT_FILE,
  "secret.toml": CLIENT_FILE,
  "binary.toml": Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 0x02, 0x01, 0xff, 0xfe, 0x00, 0x0a),
  "empty.toml": "",
  "large.toml": `${CLIENT_FILE}${"# nothing\n".repeat(1_048_576)}`,
  "duplicate.toml": `${CLIENT_FILE}secondary = "none"\nsecondary = "auto"\n`,
  "types.toml": `[client]\nservers = "${SERVER}"\nrefresh_interval = "often"\n[bind]\nport = true\n`,
  "unknown.toml": `${CLIENT_FILE}refresh_intervall = 20\n[interfaces]\nname = "x"\n`,
  "syntax.toml": `[client\nservers = ["${SERVER}"]\n`,
};

const hold: (address: string, port: number) => Obstacle = (address, port) => (host) =>
  host.inside(() => openUdp({ address: parseIpv4(address) ?? 0, port }));

const disableIpv6 = (host: LabHost): void => {
  for (const which of ["all", "default"]) host.sysctl(`net/ipv6/conf/${which}/disable_ipv6`, 1);
};

const NO_TUN = 'miredo: Cannot open "/dev/net/tun": ENOENT ' +
  "(load the tun module, or pass --device /dev/net/tun to the container)";
const TAKEN = "EEXIST (an interface of that name exists: end the miredo that holds it, or set interface.name)";
const NAME_ALLOWED = 'allowed: 1 to 15 printable characters without "/", ":", "%" or white space';
const DISABLED = 'miredo: Cannot use IPv6 on interface "teredo": it is disabled ' +
  "(sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0)";

const HOST_CASES: readonly Case[] = [
  {
    name: "a client without /dev/net/tun",
    args: ["client", SERVER],
    code: 1,
    says: [NO_TUN],
    mounts: "mount -t tmpfs none /dev/net",
  },
  {
    name: "a relay without /dev/net/tun",
    args: ["relay"],
    code: 1,
    says: [NO_TUN],
    mounts: "mount -t tmpfs none /dev/net",
  },
  {
    name: "another device in place of /dev/net/tun",
    args: ["client", SERVER],
    code: 1,
    says: [
      'miredo: Cannot create interface "teredo": ENOTTY (/dev/net/tun is another device: mknod /dev/net/tun c 10 200)',
    ],
    mounts: "mount --bind /dev/null /dev/net/tun",
  },
  {
    name: "a client that is not root",
    args: ["client", SERVER],
    code: 1,
    says: ['miredo: Cannot create interface "teredo": EPERM (needs CAP_NET_ADMIN: run as root)'],
    asNobody: true,
  },
  {
    name: "a relay that is not root",
    args: ["relay"],
    code: 1,
    says: ['miredo: Cannot create interface "teredo": EPERM (needs CAP_NET_ADMIN: run as root)'],
    asNobody: true,
  },
  {
    name: "a server that is not root",
    args: ["server", SERVER],
    code: 1,
    says: ["miredo: Cannot open a raw IPv6 socket: EPERM (needs CAP_NET_RAW: run as root)"],
    asNobody: true,
  },
  {
    name: "a client whose port is in use",
    args: ["client", SERVER, "--set", "bind.port=4000"],
    code: 1,
    says: [
      "miredo: Cannot bind UDP 0.0.0.0:4000: EADDRINUSE (the port is in use: set bind.port to another, or to 0 for any)",
    ],
    obstacle: hold("0.0.0.0", 4000),
  },
  {
    name: "a relay whose port is in use",
    args: ["relay", "--set", "bind.port=4000"],
    code: 1,
    says: [
      "miredo: Cannot bind UDP 0.0.0.0:4000: EADDRINUSE (the port is in use: set bind.port to another, or to 0 for any)",
    ],
    obstacle: hold("0.0.0.0", 4000),
  },
  {
    name: "a server whose port is in use",
    args: ["server", SERVER],
    code: 1,
    says: [
      `miredo: Cannot bind UDP ${SERVER}:3544: EADDRINUSE (the port is in use: end the Teredo server or client that holds it)`,
    ],
    obstacle: hold(SERVER, 3544),
  },
  {
    name: "a server whose second port is in use",
    args: ["server", SERVER],
    code: 1,
    says: [
      `miredo: Cannot bind UDP ${SERVER_SECONDARY}:3544: EADDRINUSE (the port is in use: end the Teredo server or client that holds it)`,
    ],
    obstacle: hold(SERVER_SECONDARY, 3544),
  },
  {
    name: "a bind address of another host",
    args: ["client", SERVER, "--set", "bind.address=203.0.113.77"],
    code: 1,
    says: [
      "miredo: Cannot bind UDP 203.0.113.77:0: EADDRNOTAVAIL (the address is not one of this host's: " +
      "set bind.address to one, or to 0.0.0.0 for any)",
    ],
  },
  {
    name: "a server address of another host",
    args: ["server", "203.0.113.77"],
    code: 1,
    says: [
      "miredo: Cannot bind UDP 203.0.113.77:3544: EADDRNOTAVAIL (the address is not one of this host's: " +
      "give it to an interface, or serve with one that is)",
    ],
  },
  {
    name: "a second server address that is guessed and of another host",
    args: ["server", SERVER_SECONDARY],
    code: 1,
    says: [
      "miredo: Cannot bind UDP 192.0.2.3:3544: EADDRNOTAVAIL " +
      '(it is not one of this host\'s: server.secondary_address = "none" serves with one address)',
    ],
  },
  {
    name: "a second server address of another host",
    args: ["server", SERVER, "203.0.113.77"],
    code: 1,
    says: [
      "miredo: Cannot bind UDP 203.0.113.77:3544: EADDRNOTAVAIL (the address is not one of this host's: " +
      "give it to an interface, or serve with one that is)",
    ],
  },
  {
    name: "an interface that another program holds",
    args: ["client", SERVER],
    code: 1,
    says: [`miredo: Cannot create interface "teredo": ${TAKEN}`],
    obstacle: (host) => host.inside(() => openTun("teredo").fd),
  },
  {
    name: "the name of an interface that is no TUN",
    args: ["relay", "-i", "lo"],
    code: 1,
    says: [`miredo: Cannot create interface "lo": ${TAKEN}`],
  },
  { name: "a client where IPv6 is disabled", args: ["client", SERVER], code: 1, says: [DISABLED], host: disableIpv6 },
  { name: "a relay where IPv6 is disabled", args: ["relay"], code: 1, says: [DISABLED], host: disableIpv6 },
  {
    name: "a user that does not exist",
    args: ["client", SERVER, "-u", "no-such-user"],
    code: 1,
    says: ['miredo: Cannot become user "no-such-user": no such user (set security.user)'],
  },
];

const CONFIGURATION_CASES: readonly Case[] = [
  {
    name: "an interface name that is too long",
    args: ["client", SERVER, "-i", "a-name-of-16-xxx"],
    code: 78,
    says: [`--interface: interface.name: "a-name-of-16-xxx" has 16 characters, ${NAME_ALLOWED}`],
  },
  {
    name: "an MTU below that of IPv6",
    args: ["client", SERVER, "--set", "interface.mtu=1279"],
    code: 78,
    says: ["--set:1:15: interface.mtu: 1279 is too small, allowed: 1280 to 65507 octets"],
  },
  {
    name: "an MTU that no datagram carries",
    args: ["relay", "--set", "interface.mtu=65508"],
    code: 78,
    says: ["--set:1:15: interface.mtu: 65508 is too large, allowed: 1280 to 65507 octets"],
  },
  {
    name: "a client whose server has a private address",
    args: ["client", "192.168.0.1"],
    code: 78,
    says: [
      'SERVER: client.servers: "192.168.0.1" is a private address (192.168.0.0/16), ' +
      "allowed: a host name or a global unicast IPv4 address",
    ],
  },
  {
    name: "a server with a private address",
    args: ["server", "10.0.0.1"],
    code: 78,
    says: [
      'ADDRESS: server.address: "10.0.0.1" is a private address (10.0.0.0/8), allowed: a global unicast IPv4 address',
    ],
  },
  {
    name: "a client without server",
    args: ["client"],
    code: 78,
    says: [
      "command line: client.servers: no server is given, " +
      'allowed: servers = ["teredo.example.net"], or as an argument: miredo client SERVER',
    ],
  },
  {
    name: "user root",
    args: ["client", SERVER, "-u", "root"],
    code: 78,
    says: ['--user: security.user: "root" would keep all privileges, allowed: the name of a user other than root'],
  },
  {
    name: "a file that is missing",
    args: ["client", "-c", "DIR/missing.toml"],
    code: 78,
    says: ["DIR/missing.toml: cannot be read: ENOENT (no such file)"],
  },
  {
    name: "a file that the user may not read",
    args: ["client", "-c", "DIR/secret.toml"],
    code: 78,
    says: ["DIR/secret.toml: cannot be read: EACCES (permission denied)"],
    asNobody: true,
  },
  {
    name: "a directory in place of a file",
    args: ["client", "-c", "DIR"],
    code: 78,
    says: ["DIR: is a directory, allowed: a TOML file"],
  },
  {
    name: "a binary file",
    args: ["client", "-c", "DIR/binary.toml"],
    code: 78,
    says: ["DIR/binary.toml:1:1: is not UTF-8 text, allowed: a TOML file"],
  },
  {
    name: "an empty file",
    args: ["client", "-c", "DIR/empty.toml"],
    code: 78,
    says: [
      "DIR/empty.toml:1:1: client.servers: no server is given, " +
      'allowed: servers = ["teredo.example.net"], or as an argument: miredo client SERVER',
    ],
  },
  {
    name: "a file of 10 MB",
    args: ["client", "-c", "DIR/large.toml"],
    code: 78,
    says: ["DIR/large.toml: is larger than 1 MiB, allowed: a TOML file of at most 1048576 octets"],
  },
  {
    name: "a key that stands twice",
    args: ["client", "-c", "DIR/duplicate.toml"],
    code: 78,
    says: ["DIR/duplicate.toml:4:1: secondary: is given more than once, allowed: once"],
  },
  {
    name: "values of wrong types, all of them",
    args: ["client", "-c", "DIR/types.toml"],
    code: 78,
    says: [
      `DIR/types.toml:2:11: client.servers: "${SERVER}" is a string, allowed: a list of host names and global unicast IPv4 addresses`,
      'DIR/types.toml:3:20: client.refresh_interval: "often" is a string, allowed: 5 to 3600 seconds',
      "DIR/types.toml:5:8: bind.port: true is a boolean, allowed: 0 to 65535",
    ],
  },
  {
    name: "unknown keys and tables, with what was meant",
    args: ["client", "-c", "DIR/unknown.toml"],
    code: 78,
    says: [
      'DIR/unknown.toml:3:1: client.refresh_intervall: unknown key, did you mean "refresh_interval"?',
      'DIR/unknown.toml:4:2: interfaces: unknown table, did you mean "interface"?',
    ],
  },
  {
    name: "a file that is not TOML",
    args: ["client", "-c", "DIR/syntax.toml"],
    code: 78,
    says: ["DIR/syntax.toml:1:8: the line is not whole, allowed: [table] or key = value"],
  },
];

const USAGE_CASES: readonly Case[] = [
  {
    name: "a role that is none",
    args: ["cleint", SERVER],
    code: 2,
    says: ['miredo: Cannot understand "cleint", did you mean "client"?'],
  },
  {
    name: "an option that is none",
    args: ["client", SERVER, "--interfaec", "x"],
    code: 2,
    says: ['miredo: Cannot understand "--interfaec", did you mean "--interface"?'],
  },
  {
    name: "three addresses for a server",
    args: ["server", SERVER, SERVER_SECONDARY, "192.0.2.3"],
    code: 2,
    says: ['miredo: Cannot understand "192.0.2.3" (miredo --help)'],
  },
];

/** What a case came to. */
interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: readonly string[];
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Runs one case on a host of its own. */
async function attempt(lab: Lab, number: number, directory: Directory, one: Case): Promise<Outcome> {
  const host = await lab.host(`case ${number}`, { ipv4: [`100.64.0.${number + 1}/24`] });
  host.netlink((netlink) => {
    for (const address of [SERVER, SERVER_SECONDARY]) {
      const octets = new Uint8Array(4);
      writeU32(parseIpv4(address) ?? 0, octets, 0);
      netlink.addAddress(netlink.linkIndex("lo") ?? 0, octets, 32);
    }
  });
  one.host?.(host);
  const obstacle = one.obstacle?.(host);
  try {
    const before = traces(host);
    const args = one.args.map((word) => word.replace("DIR", directory.path));
    const plain = miredoCommand(...args, ...(one.code === 1 ? ["--log-level", "warning"] : []));
    const command = one.asNobody === true
      ? await readableByAll(directory, plain, AS_NOBODY)
      : one.mounts !== undefined
      ? inMountNamespace(one.mounts, plain)
      : plain;
    const child = host.start(command, { name: one.name });
    const { code } = await child.ended();
    const stream = (name: "stdout" | "stderr"): readonly string[] =>
      child.lines.filter(({ stream }) => stream === name).map(({ text }) => text.replaceAll(directory.path, "DIR"));
    return { code, stdout: stream("stdout").join("\n"), stderr: stream("stderr"), before, after: traces(host) };
  } finally {
    if (obstacle !== undefined) close(obstacle);
  }
}

/** Runs all cases, several at once. */
async function attemptAll(cases: readonly Case[], directory: Directory): Promise<readonly Outcome[]> {
  await using lab = await Lab.open();
  const outcomes: Outcome[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < cases.length; i = next++) outcomes[i] = await attempt(lab, i, directory, cases[i]);
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return outcomes;
}

function badInputTest(name: string, cases: readonly Case[]): void {
  rootTest(name, async (t) => {
    await using directory = await Directory.make();
    for (const [file, content] of Object.entries(FILES)) await directory.write(file, content);
    await Deno.chmod(`${directory.path}/secret.toml`, 0o600);
    const outcomes = await attemptAll(cases, directory);
    for (const [i, { name, code, says }] of cases.entries()) {
      await t.step(name, () => {
        const outcome = outcomes[i];
        assert.deepEqual(outcome.stderr, says);
        assert.equal(outcome.code, code);
        assert.equal(outcome.stdout, "");
        assert.deepEqual(outcome.after, outcome.before);
      });
    }
  });
}

badInputTest("a host that cannot carry a role is refused with one line and exit code 1", HOST_CASES);
badInputTest("a bad configuration is refused with a line for each problem and exit code 78", CONFIGURATION_CASES);
badInputTest("a command line that is not understood is refused with one line and exit code 2", USAGE_CASES);
