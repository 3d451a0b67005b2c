import assert from "node:assert/strict";
import { parse } from "@optique/core/parser";
import fc from "fast-check";
import { commands } from "../../lib/cli/command_line.ts";
import { roleArguments } from "../../lib/cli/role_arguments.ts";

/** Only what is given, as the grammar leaves out nothing and names old options too. */
function given(value: object): unknown {
  return Object.fromEntries(
    Object.entries(value).filter(([, each]) => each !== undefined && each !== false).toSorted(),
  );
}

Deno.test("what is understood of a role's command line without the grammar is what the grammar understands", () => {
  const word = fc.constantFrom("192.0.2.1", "teredo.example", "none", "a=b", "x y", "-f", "--", "-", "", "--help");
  const option = fc.constantFrom(
    ...[
      "-c",
      "--config",
      "-u",
      "--user",
      "-i",
      "--interface",
      "--log-level",
      "--log-format",
      "--set",
      "-f",
      "--chroot",
      "--x",
    ],
  );
  const value = fc.constantFrom(
    "info",
    "debug",
    "json",
    "auto",
    "server.address=192.0.2.1",
    "/etc/miredo/x.toml",
    "-v",
    "",
    "nobody",
  );
  const part = fc.oneof(
    { weight: 2, arbitrary: word.map((each) => [each]) },
    { weight: 3, arbitrary: fc.tuple(option, value) },
    { weight: 1, arbitrary: fc.tuple(option, value).map(([name, each]) => [`${name}=${each}`]) },
  );
  let understood = 0;
  fc.assert(
    fc.property(
      fc.constantFrom("client", "relay", "server", "status"),
      fc.array(part, { maxLength: 4 }),
      (role, parts) => {
        const args = [role, ...parts.flat()];
        const quick = roleArguments(args);
        if (quick === undefined) return;
        understood++;
        const whole = parse(commands, args);
        assert.ok(whole.success, `the grammar refuses ${JSON.stringify(args)}`);
        assert.deepEqual(given(whole.value), given(quick));
      },
    ),
    { numRuns: 1000 },
  );
  assert.ok(understood > 50, `${understood}`);
});

Deno.test("help, old options, unknown options and words too many are left to the grammar", () => {
  for (
    const line of [
      "client --help",
      "client -h",
      "client -f",
      "relay x",
      "server a b c",
      "server -i x",
      "client --log-level x",
      "status",
      "",
    ]
  ) assert.equal(roleArguments(line.split(" ")), undefined, line);
});
