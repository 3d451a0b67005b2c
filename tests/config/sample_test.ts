/** The sample files, and the values in effect as TOML. */

import assert from "node:assert/strict";
import {
  effectiveConfig,
  loadConfig,
  loadWithSources,
  type Role,
  roleOfFile,
  ROLES,
  sampleConfig,
} from "../../config/mod.ts";
import { linesOf, load, problems, withFile } from "./helpers.ts";

/** The committed sample of a role. */
function sampleFile(role: Role): string {
  return new URL(`../../config/${role}.toml`, import.meta.url).pathname;
}

/** The least that a role must be given. */
const LEAST: Readonly<Record<Role, string>> = {
  client: '[client]\nservers = ["teredo.example.net"]\n',
  relay: "",
  server: '[server]\naddress = "192.0.2.1"\n',
};

for (const role of ROLES) {
  Deno.test(`the sample of a ${role} is the one the schema makes`, () => {
    assert.equal(
      Deno.readTextFileSync(sampleFile(role)),
      sampleConfig(role),
      "write it again with miredo config example",
    );
  });

  Deno.test(`the sample of a ${role} loads and changes no default`, () => {
    const { file: _s, ...fromSample } = loadConfig(role, { file: sampleFile(role) });
    const { file: _l, ...fromLeast } = load(role, LEAST[role]);
    assert.deepEqual(fromSample, fromLeast);
  });

  Deno.test(`every line of the sample of a ${role} that is commented out may be put in`, () => {
    const all = sampleConfig(role).replaceAll(/^#(?=\S)/gm, "");
    assert.deepEqual(problems(role, all), []);
    // A key that is not commented out again must be one that has a default or an example.
    assert.equal(all.match(/^#\S/gm), null);
  });

  Deno.test(`the values in effect of a ${role} are TOML that means the same`, () => {
    withFile(LEAST[role], (file) => {
      const loading = loadWithSources(role, { file, set: ["log.level=debug", "security.user=daemon"] });
      const { file: _f, ...again } = load(role, effectiveConfig(loading));
      const { file: _g, ...config } = loading.config;
      assert.deepEqual(again, config);
    });
  });
}

Deno.test("the values in effect tell where they come from, and no secrets", () => {
  withFile('[server]\naddress = "192.0.2.1"\n[server.secrets]\n"a b" = "hunter2"\n', (file) => {
    const text = effectiveConfig(loadWithSources("server", {
      file,
      set: ["log.level=debug"],
      overrides: [{ key: "server.secondary_address", value: "none", from: "ADDRESS2" }],
    })).replaceAll(file, "FILE");
    assert.equal(
      text,
      `# miredo server: what is in effect, and where it comes from

[server]
address = "192.0.2.1"       # FILE:2:11
secondary_address = "none"  # ADDRESS2
advertised_mtu = 1280       # default
native_forwarding = true    # default
forward_foreign = false     # default
max_icmpv6_payload = 88     # default
rate_per_source = 200       # default
rate_total = 50000          # default

[server.secrets]
"a b" = "(hidden)"  # FILE:4:9

[teredo]
prefix = "2001::/32"  # default

[security]
user = "nobody"  # default
chroot = ""      # default

[log]
level = "debug"             # --set:1:11
format = "auto"             # default
syslog_facility = ""        # default
syslog_socket = "/dev/log"  # default

[status]
socket = "/run/miredo/server.sock"  # default

[metrics]
listen = ""  # default
`,
    );
  });
});

Deno.test("the role of a file is told by its name, else by its tables", () => {
  const directory = Deno.makeTempDirSync();
  const role = (name: string, text: string): Role | readonly string[] => {
    const file = `${directory}/${name}`;
    Deno.writeTextFileSync(file, text);
    let found: Role | undefined;
    const lines = linesOf(() => found = roleOfFile(file));
    return found ?? lines.map((line) => line.replace(file, name));
  };
  try {
    assert.equal(role("client.toml", ""), "client");
    assert.equal(role("my-relay-2.toml", "[server]\n"), "relay");
    assert.equal(role("miredo.toml", "[server]\n"), "server");
    assert.deepEqual(role("miredo.toml", "[log]\n"), [
      "miredo.toml: the role cannot be told from its name nor its tables (--role client, relay or server says it)",
    ]);
    assert.deepEqual(role("servers.toml", "[client]\n[relay]\n"), [
      "servers.toml: holds tables of several roles: client, relay (--role says which is meant)",
    ]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
