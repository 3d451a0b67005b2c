/**
 * The command line as its users meet it: what is typed, what is answered on standard output, what is said on standard error, and the
 * exit code. Each line runs the program in a process of its own, with no more permission than it needs.
 */

import assert from "node:assert/strict";
import { sampleConfig } from "../../config/mod.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function miredo(args: readonly string[], directory: string): Promise<Outcome> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", `--allow-read=/etc/miredo,${directory}`, MAIN, ...args],
    cwd: directory,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
}

/** One command line and what must come of it. */
interface Spec extends Partial<Outcome> {
  readonly args: readonly string[];
}

/** A test that runs command lines in a fresh directory with some files in it. */
function spec(name: string, files: Readonly<Record<string, string>>, specs: readonly Spec[]): void {
  Deno.test(name, async () => {
    const directory = await Deno.makeTempDir();
    try {
      for (const [file, text] of Object.entries(files)) await Deno.writeTextFile(`${directory}/${file}`, text);
      for (const { args, code = 0, stdout = "", stderr = "" } of specs) {
        assert.deepEqual(await miredo(args, directory), { code, stdout, stderr }, `miredo ${args.join(" ")}`);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

const HELP = `IPv6 through NATs: Teredo client, relay and server.
Usage: miredo COMMAND [ARGUMENT...]

  client         Give this host IPv6 from behind NATs.
  relay          Connect IPv6 hosts with Teredo clients.
  server         Let Teredo clients qualify and reach each other.
  status         Show what the running daemon does.
  ping           Find out step by step whether a peer can be reached.
  wait           Wait until the daemon gives service.
  metrics        Print the counters of the running daemon for Prometheus.
  netcheck       Tell what NAT there is and whether Teredo can work.
  mire           Answer test packets: bubbles and echo requests.
  address        Explain a Teredo address.
  config         Check, show, explain and import configurations.
  completion     Generate shell completion script or provide completions.
  -h, --help     Show help information.
  -V, --version  Show version information.
`;

spec("help is an answer when asked for, and words when nothing is", {}, [
  { args: ["--help"], stdout: HELP },
  { args: ["-h"], stdout: HELP },
  { args: [], stderr: HELP, code: 2 },
]);

spec("a command explains itself", {}, [
  {
    args: ["client", "--help"],
    stdout: `Give this host IPv6 from behind NATs.
Usage: miredo client [OPTION...] [SERVER...]

Qualifies with a Teredo server and gives this host an IPv6 address on a tunnel interface. Runs in
the foreground.

  SERVER                 Teredo servers, host names or IPv4 addresses, tried in order
                         (client.servers).

Options:
  -i, --interface NAME   Name of the tunnel interface (interface.name).
  -u, --user USER        User to become once everything is set up (security.user).
  --log-level LEVEL      Least urgent message to log: error, warning, info or debug (log.level).
  --log-format FORMAT    How messages look: auto, text, journal or json (log.format).

Configuration:
  -c, --config FILE      Configuration file. Without it /etc/miredo/ROLE.toml is read, if there is
                         one.
  --set TABLE.KEY=VALUE  Set any key of the configuration, over the file. May be repeated.
`,
  },
]);

spec("the version is that of the package", {}, [{ args: ["--version"], stdout: `miredo ${await packageVersion()}\n` }]);

async function packageVersion(): Promise<string> {
  const { version }: { readonly version: string } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  );
  return version;
}

const usage = (args: readonly string[], words: string): Spec => ({ args, code: 2, stderr: `miredo: ${words}\n` });

spec("a command line that is not understood gets one line and exit code 2", {}, [
  usage(["clent"], 'Cannot understand "clent", did you mean "client"?'),
  usage(["bogus"], 'Cannot understand "bogus" (miredo --help)'),
  usage(["client", "--confg", "x"], 'Cannot understand "--confg", did you mean "--config"?'),
  usage(["client", "--lg-level=info"], 'Cannot understand "--lg-level", did you mean "--log-level"?'),
  usage(["client", "a.example", "-x"], 'Cannot understand "-x" (miredo --help)'),
  usage(["-c", "x", "client"], 'Cannot use "-c" here (miredo COMMAND --help)'),
  usage(["relay", "a.example"], 'Cannot understand "a.example" (miredo --help)'),
  usage(["server", "192.0.2.1", "192.0.2.2", "192.0.2.3"], 'Cannot understand "192.0.2.3" (miredo --help)'),
  usage(["server", "-i", "teredo"], 'Cannot use "-i" here (miredo COMMAND --help)'),
  usage(["client", "-c", "a", "-c", "b"], "`-c` cannot be used multiple times"),
  usage(["client", "--set"], "`--set` requires `TABLE.KEY=VALUE`"),
  usage(
    ["client", "--log-level", "loud"],
    '`--log-level`: Expected one of "error", "warning", "info", and "debug", but got "loud"',
  ),
  usage(["config"], 'Cannot run "config" alone: say check, show, example or import'),
  usage(["config", "chek"], 'Cannot understand "chek", did you mean "check"?'),
  usage(["config", "show"], "A role is missing, allowed: client, relay or server"),
  usage(["address"], "An address is missing, allowed: miredo address ADDRESS"),
  usage(
    ["address", "192.0.2.1"],
    '`ADDRESS`: "192.0.2.1" is not an IPv6 address, allowed: one without zone and prefix length',
  ),
]);

// The flags of RFC 5991 3.1 with Random1 = 1101 and Random2 = 00010010; port 4096 and 192.0.2.45 inverted (RFC 4380 4).
const TEREDO = "2001:0:cb00:7178:3412:efff:3fff:fdd2";

spec("a Teredo address is taken apart", {}, [
  {
    args: ["address", TEREDO],
    stdout: `address:         2001:0:cb00:7178:3412:efff:3fff:fdd2
teredo:          yes
prefix:          2001::/32
server:          203.0.113.120
flags:           0x3412
  cone:          0
  reserved:      0
  random 1:      1101
  universal:     0
  group:         0
  random 2:      00010010
mapped address:  192.0.2.45
mapped port:     4096
link-local:      fe80::3412:efff:3fff:fdd2
usable:          yes
`,
  },
  {
    args: ["address", "--json", TEREDO],
    stdout: `{
  "schema": 1,
  "address": "2001:0:cb00:7178:3412:efff:3fff:fdd2",
  "teredo": true,
  "usable": true,
  "problems": [],
  "prefix": "2001::/32",
  "server": "203.0.113.120",
  "flags": {
    "value": 13330,
    "cone": false,
    "reserved": 0,
    "random1": 13,
    "universal": 0,
    "group": 0,
    "random2": 18
  },
  "mapped": {
    "address": "192.0.2.45",
    "port": 4096
  },
  "link_local": "fe80::3412:efff:3fff:fdd2"
}
`,
  },
]);

spec("a Teredo address that nothing may be sent to says why, and the exit code is 1", {}, [
  {
    args: ["address", "2001:0:a00:1:c300:ffff:3f57:feff"],
    code: 1,
    stdout: `address:         2001:0:a00:1:c300:ffff:3f57:feff
teredo:          yes
prefix:          2001::/32
server:          10.0.0.1
flags:           0xc300
  cone:          1 (a client of before RFC 5991, behind a cone NAT)
  reserved:      1 (not of any RFC: it must be 0)
  random 1:      0000
  universal:     1 (not of any RFC: it must be 0)
  group:         1 (not of any RFC: it must be 0)
  random 2:      00000000
mapped address:  192.168.1.0
mapped port:     0
link-local:      fe80::c300:ffff:3f57:feff
usable:          no: its server 10.0.0.1 is not a global unicast address; its mapped address 192.168.1.0 is not a global unicast address; its mapped port is 0
`,
  },
]);

const foreign = (address: string, words: string): Spec => ({
  args: ["address", address],
  code: 1,
  stdout: `address:         ${address}\nteredo:          no: ${words}\n`,
});

spec("an address that is none of Teredo's says what it is", {}, [
  foreign("2001:db8::1", "its first 32 bits are 2001:db8::/32, those of Teredo are 2001::/32"),
  foreign("3ffe:831f::1", "its prefix 3ffe:831f::/32 was Teredo's before RFC 4380 and is no longer"),
  foreign("2002:c000:201::1", "it is a 6to4 address (2002::/16), of IPv4 address 192.0.2.1"),
  foreign("fe80::ffff:ffff:fffe", "it is a link-local address (fe80::/10)"),
  foreign("ff02::2", "it is a multicast address (ff00::/8)"),
  foreign("::1", "it is the loopback address"),
  foreign("::", "it is the unspecified address"),
  {
    args: ["address", "2001:db8::1", "--json"],
    code: 1,
    stdout: `{
  "schema": 1,
  "address": "2001:db8::1",
  "teredo": false,
  "usable": false,
  "problems": [
    "its first 32 bits are 2001:db8::/32, those of Teredo are 2001::/32"
  ]
}
`,
  },
]);

const FILES = {
  "client.toml": sampleConfig("client"),
  "mine.toml": "[relay]\n",
  "bad-relay.toml": "[interface]\nmtu = 1000\nnaem = 'x'\n",
  "relay.toml": "[interface]\nmtu = 1400\n",
  "empty.toml": "",
};

const BAD_RELAY = `bad-relay.toml:2:7: interface.mtu: 1000 is too small, allowed: 1280 to 65507 octets
bad-relay.toml:3:1: interface.naem: unknown key, did you mean "name"?
`;

spec("config check goes through all files and ends with 78 when one is bad", FILES, [
  {
    args: ["config", "check", "client.toml", "mine.toml"],
    stdout: "client.toml: ok (client)\nmine.toml: ok (relay)\n",
  },
  {
    args: ["config", "check", "client.toml", "bad-relay.toml", "absent.toml", "mine.toml"],
    code: 78,
    stdout: "client.toml: ok (client)\nmine.toml: ok (relay)\n",
    stderr: `${BAD_RELAY}absent.toml: cannot be read: ENOENT (no such file)\n`,
  },
  {
    args: ["config", "check", "empty.toml"],
    code: 78,
    stderr:
      "empty.toml: the role cannot be told from its name nor its tables (--role client, relay or server says it)\n",
  },
  { args: ["config", "check", "--role", "relay", "empty.toml"], stdout: "empty.toml: ok (relay)\n" },
]);

spec("config example prints the sample of a role", {}, [
  { args: ["config", "example", "client"], stdout: sampleConfig("client") },
  { args: ["config", "example", "relay"], stdout: sampleConfig("relay") },
  { args: ["config", "example", "server"], stdout: sampleConfig("server") },
]);

spec("config import turns files of the C Miredo into TOML", {
  "miredo.conf": "ServerAddress teredo.example.net\nSyslogFacility daemon\n",
  "miredo-server.conf": "ServerBindAddress 10.0.0.1\n",
}, [
  {
    args: ["config", "import", "miredo.conf"],
    stdout: `# miredo client: imported from miredo.conf
# Its place is /etc/miredo/client.toml. "miredo config example client" shows all keys.

[client]
# miredo.conf:1: ServerAddress teredo.example.net
servers = ["teredo.example.net"]

[log]
# miredo.conf:2: SyslogFacility daemon
syslog_facility = "daemon"
`,
  },
  {
    args: ["config", "import", "miredo.conf", "miredo-server.conf"],
    code: 2,
    stderr: "miredo: Cannot import several roles at once: the files are for client and server (--role says which)\n",
  },
  {
    args: ["config", "import", "absent.conf"],
    code: 78,
    stderr: "absent.conf: cannot be read: ENOENT (no such file)\n",
  },
]);

spec("old spellings of options are understood where they still mean something", FILES, [
  {
    args: ["relay", "-f", "-p", "/run/miredo.pid", "--conf", "bad-relay.toml"],
    code: 78,
    stderr: `warning: --pidfile is ignored: there is none, miredo status finds the daemon\n${BAD_RELAY}`,
  },
  {
    args: ["server", "-f", "-t", "here", "--username", "root", "-c", "empty.toml", "192.0.2.1"],
    code: 78,
    stderr:
      '--username: security.user: "root" would keep all privileges, allowed: the name of a user other than root\n' +
      '--chroot: security.chroot: "here" is not absolute, allowed: an absolute path or ""\n',
  },
]);

spec("netcheck and mire say what is wrong with their arguments", {}, [
  usage(
    ["netcheck"],
    "Cannot tell whom to ask: no server is named (--server SERVER, or client.servers in /etc/miredo/client.toml)",
  ),
  usage(
    ["netcheck", "-s", "192.0.2.1", "--secondary", "next"],
    'Cannot use --secondary "next", allowed: auto, none or an IPv4 address',
  ),
  usage(["mire", "--bind", "localhost"], 'Cannot use --bind "localhost", allowed: an IPv4 address of this host'),
]);

spec("config show prints what is in effect, or all problems", FILES, [
  {
    args: ["config", "show", "relay", "-c", "relay.toml", "--set", "bind.port=3545"],
    stdout: `# miredo relay: what is in effect, and where it comes from

[relay]
direct_bubbles = true        # default
host_only = false            # default
symmetric_clients = true     # default
honour_cone = false          # default
between_clients = true       # default
between_clients_rate = 1000  # default

[teredo]
prefix = "2001::/32"  # default

[interface]
name = "teredo"   # default
mtu = 1400        # relay.toml:2:7
metric = 1024     # default
policy_table = 0  # default

[bind]
address = "0.0.0.0"  # default
port = 3545          # --set:1:11

[security]
user = "nobody"  # default
chroot = ""      # default

[limits]
max_peers = 1048576            # default
max_pending_peers = 16384      # default
queue_octets_per_peer = 16384  # default
queue_octets_total = 16777216  # default
icmpv6_errors_per_second = 10  # default

[log]
level = "info"              # default
format = "auto"             # default
syslog_facility = ""        # default
syslog_socket = "/dev/log"  # default

[status]
socket = "/run/miredo/relay.sock"  # default

[metrics]
listen = ""  # default
`,
  },
  { args: ["config", "show", "relay", "-c", "bad-relay.toml"], code: 78, stderr: BAD_RELAY },
]);

spec("a role with a bad configuration does not start and ends with 78", FILES, [
  { args: ["relay", "-c", "bad-relay.toml"], code: 78, stderr: BAD_RELAY },
  {
    args: ["relay", "--config", "absent.toml"],
    code: 78,
    stderr: "absent.toml: cannot be read: ENOENT (no such file)\n",
  },
  {
    args: ["client", "-c", "empty.toml"],
    code: 78,
    stderr: 'empty.toml:1:1: client.servers: no server is given, allowed: servers = ["teredo.example.net"], ' +
      "or as an argument: miredo client SERVER\n",
  },
  {
    args: ["client", "-c", "empty.toml", "10.0.0.1", "-u", "root", "--interface", "much-too-long-name"],
    code: 78,
    stderr: 'SERVER: client.servers: "10.0.0.1" is a private address (10.0.0.0/8), ' +
      "allowed: a host name or a global unicast IPv4 address\n" +
      '--user: security.user: "root" would keep all privileges, allowed: the name of a user other than root\n' +
      '--interface: interface.name: "much-too-long-name" has 18 characters, ' +
      'allowed: 1 to 15 printable characters without "/", ":", "%" or white space\n',
  },
  {
    args: ["server", "-c", "empty.toml", "192.0.2.1", "192.168.0.1"],
    code: 78,
    stderr: 'ADDRESS2: server.secondary_address: "192.168.0.1" is a private address (192.168.0.0/16), ' +
      'allowed: "auto", "none" or a global unicast IPv4 address\n',
  },
]);

Deno.test("a role that cannot be set up ends with 1 and one line of words, and a stack only for debugging", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/relay.toml`, "");
    // The process has no permission to reach the kernel: as good as a kernel that refuses.
    const { code, stdout, stderr } = await miredo(["relay", "-c", "relay.toml"], directory);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(
      stderr,
      /^\S+Z info {4}Starting version=\S+ role=relay config=relay\.toml\nmiredo: [^\n]+\n$/,
    );
    const json = await miredo(["relay", "-c", "relay.toml", "--log-format", "json"], directory);
    const last = JSON.parse(json.stderr.trimEnd().split("\n").at(-1) ?? "");
    assert.equal(last.level, "error");
    const debug = await miredo(["relay", "-c", "relay.toml", "--log-level", "debug"], directory);
    assert.match(debug.stderr, /\n {4}at /);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("completion scripts are made for the usual shells", async () => {
  const directory = await Deno.makeTempDir();
  try {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { code, stdout, stderr } = await miredo(["completion", shell], directory);
      assert.equal(code, 0);
      assert.equal(stderr, "");
      assert.match(stdout, /miredo/);
    }
    const { stdout } = await miredo(["completion", "bash", "config", ""], directory);
    assert.deepEqual(stdout.split("\n").map((line) => line.split("\t")[0]).filter((word) => /^[a-z]+$/.test(word)), [
      "check",
      "show",
      "example",
      "import",
    ]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
