/** Where configuration comes from: files good and bad, `--set`, the command line, and which of them wins. */

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { ConfigError, loadConfig, loadWithSources, ROLES, sampleConfig } from "../../config/mod.ts";
import { linesOf, load, problems, withFile } from "./helpers.ts";

const CLIENT = '[client]\nservers = ["teredo.example.net"]\n';

/** A directory that holds no configuration. */
const NOWHERE = "/nonexistent";

Deno.test("a file that is named must exist, the usual one need not", () => {
  assert.deepEqual(linesOf(() => loadConfig("relay", { file: "/nonexistent/relay.toml" })), [
    "/nonexistent/relay.toml: cannot be read: ENOENT (no such file)",
  ]);
  assert.equal(loadConfig("relay", { directory: NOWHERE }).file, undefined);
});

Deno.test("the usual file of a role is read when it exists", () => {
  const directory = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${directory}/relay.toml`, "[interface]\nmtu = 1400\n");
    const config = loadConfig("relay", { directory });
    assert.equal(config.interface.mtu, 1400);
    assert.equal(config.file, `${directory}/relay.toml`);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("a directory is no configuration", () => {
  assert.deepEqual(linesOf(() => loadConfig("relay", { file: "/" })), ["/: is a directory, allowed: a TOML file"]);
});

Deno.test("a path through a file says so", () => {
  withFile("", (file) => {
    assert.deepEqual(linesOf(() => loadConfig("relay", { file: `${file}/relay.toml` })), [
      `${file}/relay.toml: cannot be read: ENOTDIR (part of its path is no directory)`,
    ]);
  });
});

Deno.test({
  name: "a file without read permission says so",
  // root reads everything
  ignore: Deno.uid() === 0,
  fn: () => {
    withFile(CLIENT, (file) => {
      Deno.chmodSync(file, 0o000);
      assert.deepEqual(linesOf(() => loadConfig("client", { file })), [
        `${file}: cannot be read: EACCES (permission denied)`,
      ]);
    });
  },
});

Deno.test("binary files are refused at their first line that is no text", () => {
  const elf = new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0xff, 0xfe]);
  assert.deepEqual(problems("relay", elf), ["FILE:1:1: is not UTF-8 text, allowed: a TOML file"]);
  const latin1 = new Uint8Array([...new TextEncoder().encode("[log]\n# caf"), 0xe9, 0x0a]);
  assert.deepEqual(problems("relay", latin1), ["FILE:2:1: is not UTF-8 text, allowed: a TOML file"]);
  assert.deepEqual(problems("relay", "\0\0\0"), [
    "FILE:1:1: an unexpected character, allowed: key = value, [table] or # comment",
  ]);
});

Deno.test("a byte order mark and Windows line ends do no harm", () => {
  assert.deepEqual(problems("client", `\ufeff${CLIENT.replaceAll("\n", "\r\n")}`), []);
});

Deno.test("a last line without line end counts", () => {
  const config = load("client", CLIENT.trimEnd());
  assert.ok(config.role === "client");
  assert.deepEqual(config.client.servers, ["teredo.example.net"]);
});

Deno.test("files up to 1 MiB are read, larger ones are refused before they are parsed", () => {
  const line = "# twelve ok\n";
  const limit = line.repeat(1_048_576 / 4 / line.length | 0);
  const full = limit + "#".repeat(1_048_576 - limit.length);
  assert.deepEqual(problems("relay", full), []);
  const message = "FILE: is larger than 1 MiB, allowed: a TOML file of at most 1048576 octets";
  assert.deepEqual(problems("relay", `${full}#`), [message]);
  assert.deepEqual(problems("relay", new Uint8Array(10 << 20)), [message]);
  assert.deepEqual(
    linesOf(() => loadConfig("relay", { file: "/dev/zero" })).map((words) => words.replace("/dev/zero", "FILE")),
    [
      message,
    ],
  );
});

Deno.test("syntax errors have a place and words", () => {
  const words = (text: string): readonly string[] => problems("relay", text);
  assert.deepEqual(words("[bind]\naddress = 192.0.2.1\n"), [
    "FILE:2:16: something follows on the same line, allowed: one key = value a line, text in quotes",
  ]);
  assert.deepEqual(words("[bind]\nport =\n"), ["FILE:2:7: the value is missing, allowed: key = value"]);
  assert.deepEqual(words("[bind\nport = 1\n"), ["FILE:1:6: the line is not whole, allowed: [table] or key = value"]);
  assert.deepEqual(words('[interface]\nname = "teredo\n'), ["FILE:2:15: a text is not closed by its quote"]);
  assert.deepEqual(words("[bind]\nport 1\n"), ['FILE:2:6: "=" is missing, allowed: key = value']);
});

Deno.test("a key given twice is refused at the second place", () => {
  assert.deepEqual(problems("relay", "[bind]\nport = 1\nport = 2\n"), [
    "FILE:3:1: port: is given more than once, allowed: once",
  ]);
  assert.deepEqual(problems("relay", "[bind]\nport = 1\n[bind]\naddress = '0.0.0.0'\n"), [
    "FILE:3:2: bind: is given more than once, allowed: once",
  ]);
});

Deno.test("absurd nesting is refused, not overflowed", () => {
  assert.deepEqual(problems("relay", `a = ${"[".repeat(100_000)}${"]".repeat(100_000)}\n`), [
    "FILE: is nested too deeply",
  ]);
  assert.match(
    problems("relay", `interface.mtu${".a".repeat(50_000)} = 1\n`)[0],
    /interface\.mtu: \{\.\.\.\} is a table/,
  );
});

Deno.test("--set takes TOML values, and bare words as strings", () => {
  const config = loadConfig("client", {
    directory: NOWHERE,
    set: [
      'client.servers=["a.example", "203.0.113.1"]',
      "client.secondary = none",
      "interface.mtu=1400",
      "client.local_discovery=false",
      "bind.address=192.0.2.1",
      'security.user="nobody"',
    ],
  });
  assert.deepEqual(config.client.servers, ["a.example", "203.0.113.1"]);
  assert.equal(config.client.secondary, "none");
  assert.equal(config.interface.mtu, 1400);
  assert.equal(config.client.local_discovery, false);
  assert.equal(config.bind.address, "192.0.2.1");
  const server = loadConfig("server", {
    directory: NOWHERE,
    set: ["server.address=192.0.2.1", "server.secrets.'a b'=s3cret", "server.secrets.eve=x:y!"],
  });
  assert.deepEqual({ ...server.server.secrets }, { "a b": "s3cret", eve: "x:y!" });
});

Deno.test("problems of --set have a column in what was typed", () => {
  const words = (...set: string[]): readonly string[] =>
    linesOf(() => loadConfig("relay", { directory: NOWHERE, set }));
  assert.deepEqual(words("interface.mtu=99"), [
    "--set:1:15: interface.mtu: 99 is too small, allowed: 1280 to 65507 octets",
  ]);
  assert.deepEqual(words("interface.mtu =  big"), [
    '--set:1:18: interface.mtu: "big" is a string, allowed: 1280 to 65507 octets',
  ]);
  assert.deepEqual(words("interface.mtuu=1"), ['--set:1:11: interface.mtuu: unknown key, did you mean "mtu"?']);
  assert.deepEqual(words("interface.mtu"), ['--set:1:1: "interface.mtu" is not understood, allowed: table.key=value']);
  assert.deepEqual(words("mtu=1280"), ['--set:1:1: "mtu=1280" is not understood, allowed: table.key=value']);
  assert.deepEqual(words("interface.mtu="), ["--set:1:15: the value is missing, allowed: key = value"]);
  assert.deepEqual(words("bind.port=1\nlog.level='x'"), [
    `--set:1:1: "bind.port=1\\nlog.level='x'" has more than one line, allowed: table.key=value`,
  ]);
  assert.deepEqual(words('interface.name="x'), ["--set:1:18: a text is not closed by its quote"]);
  assert.deepEqual(words("bind.port=-1", "nonsense", "log.level=loud"), [
    '--set:1:1: "nonsense" is not understood, allowed: table.key=value',
    "--set:1:11: bind.port: -1 is too small, allowed: 0 to 65535",
    '--set:1:11: log.level: "loud" is none of the choices, allowed: "error", "warning", "info", "debug"',
  ]);
});

Deno.test("the command line wins over --set, --set over the file, the file over defaults", () => {
  const text = "[interface]\nname = 'file'\nmtu = 1300\nmetric = 5\n";
  const config = load("relay", text, {
    set: ["interface.name=set", "interface.mtu=1290", "interface.mtu=1310"],
    overrides: [{ key: "interface.name", value: "option", from: "--interface" }],
  });
  assert.ok(config.role === "relay");
  assert.deepEqual({ ...config.interface }, { name: "option", mtu: 1310, metric: 5, policy_table: 0 });
});

Deno.test("problems of options and arguments name them", () => {
  const words = linesOf(() =>
    loadConfig("client", {
      directory: NOWHERE,
      overrides: [
        { key: "client.servers", value: ["teredo.example.net", "10.0.0.1"], from: "SERVER" },
        { key: "interface.name", value: "a/b", from: "--interface" },
      ],
    })
  );
  assert.deepEqual(words, [
    'SERVER: client.servers: "10.0.0.1" is a private address (10.0.0.0/8), allowed: a host name or a global unicast IPv4 address',
    '--interface: interface.name: "a/b" holds a character that names cannot have, ' +
    'allowed: 1 to 15 printable characters without "/", ":", "%" or white space',
  ]);
});

Deno.test("a file with a syntax error does not hide the problems of the command line", () => {
  assert.deepEqual(problems("client", "[client\n", { set: ["bind.port=70000"] }), [
    "FILE:1:8: the name of a table is not closed, allowed: [table]",
    "--set:1:11: bind.port: 70000 is too large, allowed: 0 to 65535",
  ]);
});

Deno.test("the place of each value is known", () => {
  withFile(`${CLIENT}[interface]\nmtu = 1300\n`, (file) => {
    const { placeOf } = loadWithSources("client", { file, set: ["bind.port=5"] });
    assert.deepEqual(placeOf(["interface", "mtu"]), { file, line: 4, column: 7 });
    assert.deepEqual(placeOf(["bind", "port"]), { file: "--set", line: 1, column: 11 });
    assert.equal(placeOf(["interface", "name"]), undefined);
  });
});

Deno.test("a file with secrets that every user may read is worth a warning", () => {
  const warnings = (text: string, mode: number): readonly string[] =>
    withFile(text, (file) => {
      Deno.chmodSync(file, mode);
      return loadWithSources("client", { file }).warnings.map((words) => words.replaceAll(file, "FILE"));
    });
  const secret = `${CLIENT}identifier = "a"\nsecret = "s"\n`;
  assert.deepEqual(warnings(secret, 0o644), ['"FILE" holds secrets and every user may read it (chmod o-r FILE)']);
  assert.deepEqual(warnings(secret, 0o640), []);
  assert.deepEqual(warnings(CLIENT, 0o644), []);
});

Deno.test("whatever a file holds, it loads or its problems are listed", () => {
  const samples = ROLES.map((role) => sampleConfig(role).replaceAll(/^#(?=\S)/gm, ""));
  const mutated = fc.tuple(fc.constantFrom(...samples), fc.nat(), fc.nat(30), fc.string({ maxLength: 10 }))
    .map(([text, at, cut, put]) => text.slice(0, at % text.length) + put + text.slice(at % text.length + cut));
  const content = fc.oneof(mutated, fc.string(), fc.uint8Array({ maxLength: 200 }));
  fc.assert(
    fc.property(fc.constantFrom(...ROLES), content, (role, bytes) => {
      try {
        assert.equal(load(role, bytes).role, role);
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
        assert.ok(error.issues.length > 0);
        for (const { message, line, column } of error.issues) {
          assert.doesNotMatch(message, /\n/);
          assert.equal(line === 0, column === 0);
        }
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("whatever --set holds, it is taken or its problems are listed", () => {
  const setting = fc.oneof(
    fc.string(),
    fc.tuple(fc.constantFrom("interface.name", "bind.port", "log.level", "a.b"), fc.string()).map((parts) =>
      parts.join("=")
    ),
  );
  fc.assert(
    fc.property(setting, (set) => {
      try {
        loadConfig("relay", { directory: NOWHERE, set: [set] });
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});
