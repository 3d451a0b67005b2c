/** What each key accepts and refuses, with the words people read. */

import assert from "node:assert/strict";
import { parseListenAddress, type Role } from "../../config/mod.ts";
import { problems } from "./helpers.ts";

/** A server's or client's file that lacks nothing. */
const CLIENT = '[client]\nservers = ["teredo.example.net"]\n';

const GLOBAL = "allowed: a global unicast IPv4 address";

/** The first problem with `line` in `[table]`, without its place and key. */
function problemWith(role: Role, table: string, line: string): string | undefined {
  const rest = role === "client" && table !== "client"
    ? CLIENT
    : role === "server" && !line.startsWith("address")
    ? SERVER
    : "";
  const text = table === "server" && rest !== "" ? `${rest}${line}\n` : `${rest}[${table}]\n${line}\n`;
  const [first, ...others] = problems(role, text);
  assert.deepEqual(others, [], "one problem at most");
  return first?.replace(/^FILE:\d+:\d+: /, "");
}

const SERVER = '[server]\naddress = "192.0.2.1"\n';

Deno.test("a server address must be global unicast by the list of RFC 4380", () => {
  const words = (address: string): string | undefined =>
    problemWith("server", "server", `address = "${address}"\nsecondary_address = "none"`);
  for (
    const address of [
      "1.2.3.4",
      "9.255.255.255",
      "126.255.255.255",
      "172.32.0.0",
      "192.88.98.255",
      "192.88.100.0",
      "240.0.0.1",
    ]
  ) {
    assert.equal(words(address), undefined, address);
  }
  const refused: readonly (readonly [string, string])[] = [
    ["0.1.2.3", 'is in "this network" 0.0.0.0/8'],
    ["10.255.255.255", "is a private address (10.0.0.0/8)"],
    ["127.0.0.1", "is a loopback address (127.0.0.0/8)"],
    ["169.254.0.1", "is a link-local address (169.254.0.0/16)"],
    ["172.31.255.255", "is a private address (172.16.0.0/12)"],
    ["192.168.0.1", "is a private address (192.168.0.0/16)"],
    ["192.88.99.1", "is the 6to4 anycast address (192.88.99.0/24)"],
    ["224.0.0.253", "is a multicast address (224.0.0.0/4)"],
    ["255.255.255.255", "is the broadcast address"],
    ["1.2.3", "is not an IPv4 address"],
    ["1.2.3.256", "is not an IPv4 address"],
    ["01.2.3.4", "is not an IPv4 address"],
    ["0x7f.0.0.1", "is not an IPv4 address"],
    ["", "is not an IPv4 address"],
  ];
  for (const [address, problem] of refused) {
    assert.equal(words(address), `server.address: "${address}" ${problem}, ${GLOBAL}`);
  }
});

Deno.test("a client names its servers by host name or global address", () => {
  const words = (server: string): string | undefined =>
    problemWith("client", "client", `servers = [${JSON.stringify(server)}]`);
  for (
    const server of [
      "teredo.example.net",
      "a",
      "203.0.113.1",
      "3com.example",
      "host.example.",
      `${"a".repeat(63)}.example`,
    ]
  ) {
    assert.equal(words(server), undefined, server);
  }
  const refused: readonly (readonly [string, string])[] = [
    ["", "is empty"],
    ["192.168.1.1", "is a private address (192.168.0.0/16)"],
    ["1.2.3", "is not an IPv4 address"],
    ["2001:db8::1", "is an IPv6 address"],
    ["a..b", "is neither a host name nor an IPv4 address"],
    ["-a.example", "is neither a host name nor an IPv4 address"],
    ["host name", "is neither a host name nor an IPv4 address"],
    ["host:3544", "is neither a host name nor an IPv4 address"],
  ];
  for (const [server, problem] of refused) {
    assert.equal(
      words(server),
      `client.servers: "${server}" ${problem}, allowed: a host name or a global unicast IPv4 address`,
    );
  }
  assert.match(words("a.".repeat(127)) ?? "", /is longer than 253 characters/);
});

Deno.test("the service prefix is a /32 outside multicast", () => {
  const words = (prefix: string): string | undefined => problemWith("relay", "teredo", `prefix = "${prefix}"`);
  for (
    const prefix of [
      "2001::/32",
      "2001:0::/32",
      "2001:db8::/32",
      "fd00:1::/32",
      "2001:0:0:0:0:0:0:0/32",
      "3ffe:831f::/32",
    ]
  ) {
    assert.equal(words(prefix), undefined, prefix);
  }
  const refused: readonly (readonly [string, string])[] = [
    ["ff02::/32", "is in the multicast range ff00::/8"],
    ["2001::/48", "is not a /32"],
    ["2001::/032", "is not a /32"],
    ["2001::", "has no prefix length"],
    ["2001:0:1::/32", "has bits set after its 32nd"],
    ["::/32", "is the unspecified prefix"],
    ["::1.2.3.4/32", "is not an IPv6 prefix"],
    ["2001::/32/32", "is not an IPv6 prefix"],
    ["10.0.0.0/32", "is not an IPv6 prefix"],
    ["teredo", "is not an IPv6 prefix"],
  ];
  for (const [prefix, problem] of refused) {
    assert.equal(
      words(prefix),
      `teredo.prefix: "${prefix}" ${problem}, allowed: an IPv6 /32 that is not multicast, such as "2001::/32"`,
    );
  }
});

Deno.test("a socket binds to any address or a unicast one", () => {
  const words = (address: string): string | undefined => problemWith("relay", "bind", `address = "${address}"`);
  for (const address of ["0.0.0.0", "10.0.0.1", "127.0.0.1", "192.0.2.1"]) {
    assert.equal(words(address), undefined, address);
  }
  const allowed = "allowed: an IPv4 address that is not multicast";
  assert.equal(words("224.0.0.1"), `bind.address: "224.0.0.1" is a multicast address (224.0.0.0/4), ${allowed}`);
  assert.equal(words("255.255.255.255"), `bind.address: "255.255.255.255" is the broadcast address, ${allowed}`);
  assert.equal(words("::"), `bind.address: "::" is not an IPv4 address, ${allowed}`);
  assert.equal(words("localhost"), `bind.address: "localhost" is not an IPv4 address, ${allowed}`);
});

Deno.test("numbers have bounds, and both bounds are inside", () => {
  const bounds: readonly (readonly [Role, string, string, number, number])[] = [
    ["client", "interface", "mtu", 1280, 65507],
    ["relay", "bind", "port", 0, 65535],
    ["client", "client", "refresh_interval", 5, 3600],
    ["relay", "interface", "metric", 1, 4294967295],
    ["relay", "limits", "max_peers", 1, 16777216],
    ["relay", "limits", "max_pending_peers", 1, 1048576],
    ["relay", "limits", "icmpv6_errors_per_second", 0, 100000],
    ["client", "limits", "connectivity_tests_per_second", 1, 100000],
    ["server", "server", "advertised_mtu", 1280, 65507],
    ["server", "server", "max_icmpv6_payload", 8, 1232],
    ["server", "server", "rate_per_source", 0, 1000000],
    ["server", "server", "rate_total", 0, 10000000],
  ];
  for (const [role, table, key, least, most] of bounds) {
    const prefix = table === "client" ? 'servers = ["a.example"]\n' : "";
    const words = (value: number): string | undefined => problemWith(role, table, `${prefix}${key} = ${value}`);
    assert.equal(words(least), undefined);
    assert.equal(words(most), undefined);
    assert.match(
      words(least - 1) ?? "",
      new RegExp(`^${table}\\.${key}: ${least - 1} is too small, allowed: ${least} to ${most}`),
    );
    assert.match(
      words(most + 1) ?? "",
      new RegExp(`^${table}\\.${key}: ${most + 1} is too large, allowed: ${least} to ${most}`),
    );
  }
});

Deno.test("a number beyond 2^53 is out of range, not rounded", () => {
  assert.equal(
    problemWith("relay", "bind", "port = 99999999999999999999"),
    "bind.port: 99999999999999999999 is out of range, allowed: 0 to 65535",
  );
});

Deno.test("route tables of the kernel are not offered", () => {
  assert.equal(
    problemWith("client", "interface", "policy_table = 254"),
    "interface.policy_table: 254 is a table of the kernel's own, allowed: 0 to 4294967295 except 253 to 255",
  );
  assert.equal(problemWith("client", "interface", "policy_table = 252"), undefined);
});

Deno.test("an interface name has 1 to 15 characters that the kernel takes", () => {
  const allowed = 'allowed: 1 to 15 printable characters without "/", ":", "%" or white space';
  const words = (name: string): string | undefined =>
    problemWith("relay", "interface", `name = ${JSON.stringify(name)}`);
  for (const name of ["t", "teredo", "abcdefghijklmno", "a.b-c_d"]) assert.equal(words(name), undefined, name);
  const refused: readonly (readonly [string, string])[] = [
    ["", "is empty"],
    ["abcdefghijklmnop", "has 16 characters"],
    ["a/b", "holds a character that names cannot have"],
    ["a b", "holds a character that names cannot have"],
    ["a\tb", "holds a character that names cannot have"],
    ["tun%d", "holds a character that names cannot have"],
    ["a:1", "holds a character that names cannot have"],
    ["é", "holds a character that names cannot have"],
    ["..", "is not a name the kernel takes"],
  ];
  for (const [name, problem] of refused) {
    assert.equal(words(name), `interface.name: ${JSON.stringify(name)} ${problem}, ${allowed}`);
  }
});

Deno.test("identifiers and secrets are bounded in octets, not characters", () => {
  const words = (identifier: string): string | undefined =>
    problemWith("client", "client", `servers = ["a"]\nsecret = "s"\nidentifier = "${identifier}"`);
  assert.equal(words("a".repeat(255)), undefined);
  assert.equal(words(`${"é".repeat(127)}a`), undefined);
  assert.equal(
    words("é".repeat(128)),
    `client.identifier: "${"é".repeat(48)}..." has 256 octets, allowed: text of 1 to 255 octets`,
  );
  assert.equal(words(""), 'client.identifier: "" is empty, allowed: text of 1 to 255 octets');
});

Deno.test("a secret that is refused is not printed", () => {
  const lines = [
    ...problems("client", `${CLIENT}identifier = "a"\nsecret = "${"hunter2".repeat(40)}"\n`),
    ...problems("client", `${CLIENT}identifier = "a"\nsecret = 77777777\n`),
    ...problems("server", `${SERVER}[server.secrets]\nalice = 77777777\nbob = ["hunter2"]\n`),
  ];
  assert.deepEqual(lines, [
    "FILE:4:10: client.secret: the value has 280 octets, allowed: text of 1 to 255 octets",
    "FILE:4:10: client.secret: the value is a number, allowed: text of 1 to 255 octets",
    "FILE:4:9: server.secrets.alice: the value is a number, allowed: text of 1 to 255 octets",
    "FILE:5:7: server.secrets.bob: the value is a list, allowed: text of 1 to 255 octets",
  ]);
});

Deno.test("root is no user to run as", () => {
  assert.equal(
    problemWith("relay", "security", 'user = "root"'),
    'security.user: "root" would keep all privileges, allowed: the name of a user other than root',
  );
  assert.equal(problemWith("relay", "security", 'user = "_miredo"'), undefined);
});

Deno.test("a value of the wrong kind is told with its kind", () => {
  const words = (value: string): string | undefined => problemWith("relay", "interface", `mtu = ${value}`);
  const allowed = "allowed: 1280 to 65507 octets";
  assert.equal(words('"1280"'), `interface.mtu: "1280" is a string, ${allowed}`);
  assert.equal(words("1280.0"), `interface.mtu: 1280.0 is a float, ${allowed}`);
  assert.equal(words("inf"), `interface.mtu: inf is a float, ${allowed}`);
  assert.equal(words("true"), `interface.mtu: true is a boolean, ${allowed}`);
  assert.equal(words("[1280]"), `interface.mtu: [1280] is a list, ${allowed}`);
  assert.equal(words("{ a = 1 }"), `interface.mtu: {...} is a table, ${allowed}`);
  assert.equal(words("2026-11-21"), `interface.mtu: 2026-11-21 is a date or time, ${allowed}`);
  assert.equal(
    problemWith("relay", "log", "level = 3"),
    'log.level: 3 is a number, allowed: "error", "warning", "info", "debug"',
  );
  assert.equal(
    problemWith("relay", "log", 'level = "loud"'),
    'log.level: "loud" is none of the choices, allowed: "error", "warning", "info", "debug"',
  );
  assert.equal(
    problemWith("relay", "relay", 'host_only = "yes"'),
    'relay.host_only: "yes" is a string, allowed: true or false',
  );
  assert.equal(
    problemWith("client", "client", 'servers = "teredo.example.net"'),
    'client.servers: "teredo.example.net" is a string, allowed: a list of host names and global unicast IPv4 addresses',
  );
});

Deno.test("a place to serve metrics is an address and a port, or nothing", () => {
  assert.deepEqual(parseListenAddress("127.0.0.1:9464"), { address: "127.0.0.1", port: 9464 });
  assert.deepEqual(parseListenAddress("[::1]:9464"), { address: "::1", port: 9464 });
  for (
    const text of [
      "",
      "9464",
      ":9464",
      "127.0.0.1",
      "127.0.0.1:0",
      "127.0.0.1:65536",
      "::1:9464",
      "[127.0.0.1]:1",
      "1.2.3:1",
    ]
  ) {
    assert.equal(parseListenAddress(text), undefined, text);
  }
});
