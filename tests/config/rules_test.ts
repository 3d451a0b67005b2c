/** Rules that join keys, tables that belong to one role, and misspelt names. */

import assert from "node:assert/strict";
import { loadConfig } from "../../config/mod.ts";
import { linesOf, load, problems } from "./helpers.ts";

/** A directory that holds no configuration. */
const NOWHERE = "/nonexistent";

Deno.test("a client needs a server and is told how to give one", () => {
  const message =
    'client.servers: no server is given, allowed: servers = ["teredo.example.net"], or as an argument: miredo client SERVER';
  assert.deepEqual(problems("client", ""), [`FILE:1:1: ${message}`]);
  assert.deepEqual(problems("client", '# nothing yet\n[client]\nsecondary = "none"\n'), [`FILE:2:2: ${message}`]);
  assert.deepEqual(problems("client", "[client]\nservers = []\n"), [`FILE:2:11: ${message}`]);
  assert.deepEqual(linesOf(() => loadConfig("client", { directory: NOWHERE })), [`command line: ${message}`]);
});

Deno.test("a server needs an address and is told how to give one", () => {
  const message =
    'server.address: no address is given, allowed: address = "192.0.2.1", or as an argument: miredo server ADDRESS';
  assert.deepEqual(problems("server", ""), [`FILE:1:1: ${message}`]);
  assert.deepEqual(linesOf(() => loadConfig("server", { directory: NOWHERE })), [`command line: ${message}`]);
});

Deno.test("a relay needs nothing: an empty file is all defaults", () => {
  const { file: _f, ...fromEmpty } = load("relay", "");
  const { file: _n, ...fromNothing } = loadConfig("relay", { directory: NOWHERE });
  assert.deepEqual(fromEmpty, fromNothing);
});

Deno.test("identifier and secret come together", () => {
  const both = "allowed: identifier and secret together, or none of them";
  const text = '[client]\nservers = ["a.example"]\n';
  assert.deepEqual(problems("client", `${text}identifier = "alice"\n`), [
    `FILE:3:14: client.identifier: a secret is missing, ${both}`,
  ]);
  assert.deepEqual(problems("client", `${text}secret = "s"\n`), [
    `FILE:3:10: client.secret: an identifier is missing, ${both}`,
  ]);
  assert.deepEqual(problems("client", `${text}identifier = "alice"\nsecret = "s"\n`), []);
});

Deno.test("one secondary address cannot belong to several servers", () => {
  const text = '[client]\nservers = ["a.example", "b.example"]\n';
  assert.deepEqual(problems("client", `${text}secondary = "192.0.2.2"\n`), [
    'FILE:3:13: client.secondary: "192.0.2.2" can belong to one server only, allowed with several: "auto" or "none"',
  ]);
  assert.deepEqual(problems("client", `${text}secondary = "none"\n`), []);
});

Deno.test("the second address of a server differs from the first and is global, be it given or the next one", () => {
  const words = (address: string, secondary: string): readonly string[] =>
    problems("server", `[server]\naddress = "${address}"\nsecondary_address = "${secondary}"\n`);
  assert.deepEqual(words("192.0.2.1", "192.0.2.1"), [
    'FILE:3:21: server.secondary_address: "192.0.2.1" is the first address, allowed: another one, "auto" or "none"',
  ]);
  assert.deepEqual(words("223.255.255.255", "auto"), [
    'FILE:3:21: server.secondary_address: "224.0.0.0", the address after the first, is a multicast address (224.0.0.0/4), ' +
    'allowed: an address or "none"',
  ]);
  assert.deepEqual(words("9.255.255.255", "none"), []);
  assert.deepEqual(words("192.0.2.255", "auto"), []);
});

Deno.test("the queue of all peers is no shorter than that of one", () => {
  assert.deepEqual(problems("relay", "[limits]\nqueue_octets_total = 2000\n"), [
    "FILE:2:22: limits.queue_octets_total: 2000 is too small, allowed: at least queue_octets_per_peer (16384)",
  ]);
});

Deno.test("a misspelt key gets the nearest known name", () => {
  const words = (line: string): readonly string[] => problems("relay", line);
  assert.deepEqual(words("[interface]\nmtuu = 1280\n"), ['FILE:2:1: interface.mtuu: unknown key, did you mean "mtu"?']);
  assert.deepEqual(words("[interfaec]\nmtu = 1280\n"), [
    'FILE:1:2: interfaec: unknown table, did you mean "interface"?',
  ]);
  assert.deepEqual(words("[relay]\ndirect-bubbles = true\n"), [
    'FILE:2:1: relay.direct-bubbles: unknown key, did you mean "direct_bubbles"?',
  ]);
  assert.deepEqual(words("[relay]\nhonor_cone = true\n"), [
    'FILE:2:1: relay.honor_cone: unknown key, did you mean "honour_cone"?',
  ]);
});

Deno.test("a key in the wrong table gets the right one, a key like no other gets the list", () => {
  assert.deepEqual(problems("relay", "mtu = 1280\n"), ['FILE:1:1: mtu: unknown key, did you mean "interface.mtu"?']);
  assert.deepEqual(problems("relay", "[relay]\nport = 1\n"), [
    'FILE:2:1: relay.port: unknown key, did you mean "bind.port"?',
  ]);
  assert.deepEqual(problems("relay", "[bind]\ncolour = 1\n"), [
    "FILE:2:1: bind.colour: unknown key, allowed here: address, port",
  ]);
  assert.deepEqual(problems("relay", "[[bind.colour]]\nred = 1\n"), [
    "FILE:1:8: bind.colour: unknown key, allowed here: address, port",
  ]);
  assert.deepEqual(problems("relay", '"a b" = 1\n'), [
    'FILE:1:1: "a b": unknown key, allowed here: relay, teredo, interface, bind, security, limits, log, status, metrics',
  ]);
});

Deno.test("tables of other roles are told as such", () => {
  assert.deepEqual(problems("relay", '[server]\naddress = "192.0.2.1"\n'), [
    "FILE:1:2: server: unknown table: it is for a server, not for a relay",
  ]);
  assert.deepEqual(problems("server", '[server]\naddress = "192.0.2.1"\n[bind]\nport = 1\n'), [
    "FILE:3:2: bind: unknown table: it is for a client or relay, not for a server",
  ]);
  assert.deepEqual(problems("relay", "[limits]\nconnectivity_tests_per_second = 5\n"), [
    "FILE:2:1: limits.connectivity_tests_per_second: unknown key: it is for a client, not for a relay",
  ]);
});

Deno.test("a value where a table belongs is refused once", () => {
  assert.deepEqual(problems("relay", "interface = 3\n"), ["FILE:1:13: interface: 3 is a number, allowed: a table"]);
  assert.deepEqual(problems("relay", "[[interface]]\nmtu = 1280\n"), [
    "FILE:1:1: interface: [{...}] is a list, allowed: a table",
  ]);
  assert.deepEqual(problems("server", '[server]\naddress = "192.0.2.1"\nsecrets = "x"\n'), [
    'FILE:3:11: server.secrets: "x" is a string, allowed: a table of identifier = "secret"',
  ]);
});

Deno.test("secrets go by any identifier that TOML can write, except those no object can hold", () => {
  const text = '[server]\naddress = "192.0.2.1"\n[server.secrets]\n';
  const config = loadWith(`${text}"a.b c" = "x"\nécole = "y"\n`.replace("école", '"école"'));
  assert.deepEqual({ ...config }, { "a.b c": "x", "école": "y" });
  assert.deepEqual(problems("server", `${text}__proto__ = "x"\n"" = "y"\n`), [
    'FILE:4:1: server.secrets: "__proto__" cannot be used, allowed: identifiers of 1 to 255 octets',
    'FILE:5:1: server.secrets: "" is empty, allowed: identifiers of 1 to 255 octets',
  ]);
});

function loadWith(text: string): Readonly<Record<string, string>> {
  const config = load("server", text);
  assert.ok(config.role === "server");
  return config.server.secrets;
}

Deno.test("all problems are told at once, in the order of the text", () => {
  const text = [
    "stray = 1",
    "[client]",
    'sevrers = ["a.example"]',
    'servers = ["10.0.0.1", 5]',
    "local_discovery = 1",
    "[interface]",
    "mtu = 1000",
    "[bind]",
    "port = 70000",
    "[lgo]",
  ].join("\n");
  assert.deepEqual(problems("client", text), [
    "FILE:1:1: stray: unknown key, allowed here: client, nat, interface, bind, security, hooks, limits, log, status, state, metrics",
    'FILE:3:1: client.sevrers: unknown key, did you mean "servers"?',
    'FILE:4:12: client.servers: "10.0.0.1" is a private address (10.0.0.0/8), allowed: a host name or a global unicast IPv4 address',
    "FILE:4:24: client.servers: 5 is a number, allowed: a host name or a global unicast IPv4 address",
    "FILE:5:19: client.local_discovery: 1 is a number, allowed: true or false",
    "FILE:7:7: interface.mtu: 1000 is too small, allowed: 1280 to 65507 octets",
    "FILE:9:8: bind.port: 70000 is too large, allowed: 0 to 65535",
    'FILE:10:2: lgo: unknown table, did you mean "log"?',
  ]);
});
