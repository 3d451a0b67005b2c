/** Files of the C Miredo become TOML that loads, and what is peculiar, ignored or wrong about them is told with its line. */

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { ConfigError, formatRemark, importLegacy, loadConfig, type Role } from "../../config/mod.ts";
import { DIRECTIVES } from "../../config/legacy_keys.ts";
import { parseConf, parseDefaults, parseInteger, shellWords } from "../../config/legacy_text.ts";

/** Imports files by name and content; places are by name alone. */
function imported(files: Readonly<Record<string, string>>) {
  const directory = Deno.makeTempDirSync();
  try {
    const paths = Object.keys(files).map((name) => `${directory}/${name}`);
    for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(`${directory}/${name}`, text);
    return importLegacy(paths).map(({ role, toml, remarks }) => ({
      role,
      toml: toml.replaceAll(`${directory}/`, ""),
      remarks: remarks.map((remark) => `${remark.severity}: ${formatRemark(remark).replaceAll(`${directory}/`, "")}`),
    }));
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function loaded<R extends Role>(role: R, toml: string) {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(file, toml);
    return loadConfig(role, { file });
  } finally {
    Deno.removeSync(file);
  }
}

/** The values of a TOML text, without its comments. */
function values(toml: string): readonly string[] {
  return toml.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

Deno.test("a client's file and its /etc/default file become one configuration that loads", () => {
  const conf = `# sample
RelayType client
ServerAddress teredo.example.net
ServerAddress2 192.0.2.2
BindAddress 192.168.1.2
BindPort 0xdd9
InterfaceName miredo
LocalDiscovery disabled
`;
  const defaults = 'START_MIREDO=true\nDAEMON_ARGS="-u _miredo -f -p /run/miredo.pid"\n';
  const [{ role, toml, remarks }] = imported({ "miredo.conf": conf, "default-miredo": defaults });
  assert.equal(role, "client");
  assert.deepEqual(values(toml), [
    "[client]",
    'servers = ["teredo.example.net"]',
    'secondary = "192.0.2.2"',
    "local_discovery = false",
    "[interface]",
    'name = "miredo"',
    "[bind]",
    'address = "192.168.1.2"',
    "port = 3545",
    "[security]",
    'user = "_miredo"',
  ]);
  const config = loaded("client", toml);
  assert.equal(config.role === "client" && config.bind.port, 3545);
  assert.deepEqual(remarks, [
    "note: miredo.conf:2: RelayType client: the role is client",
    "note: default-miredo:1: START_MIREDO true: systemctl enable miredo-client",
    "note: default-miredo:2: -f: roles always run in the foreground",
    "note: default-miredo:2: -p /run/miredo.pid: there is no pid file: systemd knows the process, miredo status finds it",
  ]);
  for (
    const line of ["miredo.conf:3: ServerAddress teredo.example.net", "miredo.conf:6: BindPort 0xdd9: 0xdd9 is 3545"]
  ) {
    assert.ok(toml.includes(`# ${line}\n`), line);
  }
});

Deno.test("relay types become relays with and without direct bubbles", () => {
  for (
    const [type, direct] of [["relay", false], ["cone", false], ["restricted", true], ["Restricted", true]] as const
  ) {
    const [{ role, toml }] = imported({ "miredo.conf": `RelayType ${type}\nPrefix 2001:0::\nInterfaceMTU 1400\n` });
    assert.equal(role, "relay");
    const config = loaded("relay", toml);
    assert.equal(config.role === "relay" && config.relay.direct_bubbles, direct);
    assert.equal(config.role === "relay" && config.interface.mtu, 1400);
  }
});

Deno.test("a server's file becomes a server", () => {
  const conf = "ServerBindAddress 192.0.2.1\nServerBindAddress2 192.0.2.9\nPrefix 2001::\nInterfaceMTU 01300\n";
  const [{ role, toml }] = imported({ "miredo-server.conf": conf });
  assert.equal(role, "server");
  assert.deepEqual(values(toml), [
    "[server]",
    'address = "192.0.2.1"',
    'secondary_address = "192.0.2.9"',
    "[teredo]",
    'prefix = "2001::/32"',
  ], "01300 is octal: 704, which is no MTU");
});

Deno.test("files of several roles are imported each for its own", () => {
  const both = imported({
    "miredo.conf": "ServerAddress a.example\n",
    "miredo-server.conf": "ServerBindAddress 192.0.2.1\n",
  });
  assert.deepEqual(both.map(({ role }) => role), ["client", "server"]);
});

Deno.test("what Miredo ignored without a word, or lost, is told with its line", () => {
  const long = "x".repeat(40);
  const conf = `ServerAddress a.example and more
serveraddress b.example
Fubar 1
BindPort
ServerAdress c.example
${long}
InterfaceName teredo`;
  const [{ toml, remarks }] = imported({ "miredo.conf": conf });
  assert.deepEqual(values(toml), ["[client]", 'servers = ["a.example"]', "[interface]", 'name = "teredo"']);
  assert.deepEqual(remarks, [
    'warning: miredo.conf:1: ServerAddress a.example: "and more" behind the value is ignored',
    "warning: miredo.conf:2: serveraddress b.example: given before, and the first one counts",
    "warning: miredo.conf:3: Fubar 1: no directive of Miredo",
    "warning: miredo.conf:4: BindPort: has no value, Miredo ignores it",
    "warning: miredo.conf:5: ServerAdress c.example: no directive of Miredo, serveraddress is one",
    `warning: miredo.conf:6: ${"x".repeat(31)} ${
      "x".repeat(9)
    }: its name has more than 31 characters: the rest is taken as the value`,
    `warning: miredo.conf:6: ${"x".repeat(31)} ${"x".repeat(9)}: no directive of Miredo`,
    "warning: miredo.conf:7: InterfaceName teredo: Miredo skips a last line without newline: here it counts",
  ]);
});

Deno.test("values that Miredo took only to fail later are errors, and stay out of the result", () => {
  const cases: readonly (readonly [conf: string, words: RegExp])[] = [
    ["RelayType broken", /is no type/],
    ["BindPort 99999", /is not a number, allowed: 0 to 65535/],
    ["BindPort 12x", /is not a number/],
    ["ServerAddress 10.0.0.1", /private address/],
    ["ServerAddress2 second.example", /is a host name/],
    ["InterfaceName waytoolonginterface", /has 19 characters/],
    ["SyslogFacility local9", /is no facility/],
    ["LocalDiscovery maybe", /is none of enabled/],
  ];
  for (const [conf, words] of cases) {
    const [{ toml, remarks }] = imported({ "miredo.conf": `${conf}\n` });
    assert.ok(!values(toml).some((line) => line.includes(conf.split(" ")[1])), toml);
    assert.ok(
      remarks.some((remark) => remark.startsWith("error: miredo.conf:1: ") && words.test(remark)),
      remarks.join("\n"),
    );
  }
  const [relay] = imported({ "miredo.conf": "RelayType relay\nInterfaceMTU 1000\nPrefix ff02::\n" });
  assert.equal(
    relay.remarks.filter((remark) => remark.startsWith("error: miredo.conf:")).length,
    2,
    relay.remarks.join("\n"),
  );
});

Deno.test("a client without server is told so", () => {
  const [{ remarks }] = imported({ "miredo.conf": "InterfaceName teredo\n" });
  assert.ok(
    remarks.some((remark) => /^error: miredo\.conf: client\.servers: no server is given/.test(remark)),
    remarks.join("\n"),
  );
});

Deno.test("SERVER_NAME wins over the directive, for a server over both", () => {
  const [client] = imported({ "miredo.conf": "ServerAddress a.example\n", miredo: "DAEMON_ARGS='b.example'\n" });
  assert.deepEqual(values(client.toml), ["[client]", 'servers = ["b.example"]']);
  assert.deepEqual(client.remarks, ["note: miredo.conf:1: ServerAddress a.example: b.example of miredo:1 wins"]);
  const [server] = imported({
    "miredo-server.conf": "ServerBindAddress 192.0.2.1\nServerBindAddress2 192.0.2.5\n",
    "miredo-server": "START_MIREDO_SERVER=true\nDAEMON_ARGS=198.51.100.1\n",
  });
  assert.deepEqual(values(server.toml), ["[server]", 'address = "198.51.100.1"', 'secondary_address = "auto"']);
});

Deno.test("a changed client-hook gives its metric and table", () => {
  const hook = "#!/bin/sh\nIP=/sbin/ip\nMETRIC=700\nTABLE=100\nPRIO=32765\n";
  const [{ toml }] = imported({ "client-hook": hook, "miredo.conf": "ServerAddress a.example\n" });
  const config = loaded("client", toml);
  assert.equal(config.role === "client" && config.interface.metric, 700);
  assert.equal(config.role === "client" && config.interface.policy_table, 100);
});

Deno.test("numbers are read as strtoul reads them with base 0", () => {
  for (const [text, number] of [["0", 0], ["10", 10], ["010", 8], ["0x600", 1536], ["0X1f", 31], ["+7", 7]] as const) {
    assert.equal(parseInteger(text), number, text);
  }
  for (const text of ["", "x", "0x", "08", "1 2", "-1", "1.5"]) assert.equal(parseInteger(text), undefined, text);
});

Deno.test("arguments are split as a shell splits them", () => {
  assert.deepEqual(shellWords(`-u miredo  -c "/etc/my conf" 'a b' c\\ d # -f`), [
    "-u",
    "miredo",
    "-c",
    "/etc/my conf",
    "a b",
    "c d",
  ]);
  assert.deepEqual(parseDefaults('A="-u x"\nexport B=y # z\n#C=1\n', "d").map(({ name, value }) => [name, value]), [
    ["A", "-u x"],
    ["B", "y"],
  ]);
});

Deno.test("any text is imported to TOML that can be read again, and every line with a value has a note", () => {
  const name = fc.constantFrom(...DIRECTIVES.keys());
  const value = fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 12 });
  const line = fc.oneof(fc.tuple(name, value).map((parts) => parts.join(" ")), fc.string({ maxLength: 60 }));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      const text = `${lines.join("\n")}\n`;
      const [{ role, toml, remarks }] = imported({ "miredo.conf": text });
      for (const { line, name } of parseConf(text, "miredo.conf")) {
        assert.ok(toml.includes(`miredo.conf:${line}: `), `${name}: ${toml}`);
      }
      // Nothing but what is missing may keep it from loading.
      try {
        loaded(role, toml);
      } catch (error) {
        assert.ok(error instanceof ConfigError && remarks.length > 0);
        assert.ok(error.issues.every(({ key }) => key === "client.servers" || key === "server.address"), error.message);
      }
    }),
    { seed: 1, numRuns: 150 },
  );
});
