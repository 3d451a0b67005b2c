/** Commands that ask a running daemon, where none runs or none can be talked to. */

import assert from "node:assert/strict";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** Runs a command line with the permissions of the executable. */
async function miredo(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", "--allow-read", "--allow-ffi=/lib,/lib64,/usr/lib", MAIN, ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
}

Deno.test("without a daemon every question ends with 3 and one line", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/client.sock`;
    const stderr = `miredo: No miredo listens on "${path}"\n`;
    for (const command of [["status"], ["status", "--watch"], ["metrics"], ["ping", "2001:db8::1"]]) {
      assert.deepEqual(await miredo([...command, "--socket", path]), { code: 3, stdout: "", stderr });
    }
    await Deno.writeTextFile(`${directory}/relay.toml`, `[status]\nsocket = "${path}"\n`);
    assert.deepEqual(await miredo(["status", "-c", `${directory}/relay.toml`]), { code: 3, stdout: "", stderr });
    assert.deepEqual(await miredo(["wait", "--timeout", "1ms", "--socket", path]), {
      code: 3,
      stdout: "",
      stderr: "miredo: Cannot wait any longer than 0.001 s: no miredo runs here (miredo status tells more)\n",
    });
    await Deno.writeTextFile(`${directory}/relay.toml`, '[status]\nsocket = ""\n');
    assert.deepEqual(await miredo(["status", "-c", `${directory}/relay.toml`]), {
      code: 1,
      stdout: "",
      stderr: `miredo: Cannot find a daemon: "${directory}/relay.toml" has status.socket = ""\n`,
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a bad duration or address is a matter of usage", async () => {
  assert.deepEqual(await miredo(["wait", "--timeout", "soon"]), {
    code: 2,
    stdout: "",
    stderr: 'miredo: `--timeout`: "soon" is no duration, allowed: 500ms, 30s, 2m, 1h\n',
  });
  assert.deepEqual(await miredo(["ping"]), {
    code: 2,
    stdout: "",
    stderr: "miredo: An address is missing, allowed: miredo ping ADDRESS\n",
  });
});
