/** The documentation says what the program does: pages are those that are made, command lines are understood, configurations load. */

import assert from "node:assert/strict";
import { parse } from "@optique/core/parser";
import { ConfigError, loadConfig, type Role, ROLES } from "../../config/mod.ts";
import { commands } from "../../lib/cli/command_line.ts";
import { HEALTH_CODES } from "../../lib/control/health.ts";
import { shellWords } from "../../config/legacy_text.ts";
import { commandNames, manPages } from "../../scripts/docs.ts";
import { EXAMPLES } from "../../scripts/docs_text.ts";

const ROOT = new URL("../../", import.meta.url);
const MAN = new URL("docs/man/", ROOT);

/** Messages of mandoc about the pages that are installed here, not about ours. */
const ABOUT_THIS_HOST = /outdated mandoc\.db|referenced manual not found/;

function installed(program: string): boolean {
  return ["/usr/bin/", "/bin/", "/usr/local/bin/"].some((directory) => {
    try {
      return Deno.statSync(directory + program).isFile;
    } catch {
      return false;
    }
  });
}

const withMandoc = installed("mandoc");

Deno.test("the committed man pages are those that the command line and the schema make (deno task docs)", () => {
  const committed = [...Deno.readDirSync(MAN)].map(({ name }) => name).toSorted();
  const made = manPages();
  assert.deepEqual(committed, [...made.keys()].toSorted());
  for (const [name, page] of made) assert.equal(Deno.readTextFileSync(new URL(name, MAN)), page, name);
});

Deno.test("there is a page for every command, and one for the configuration", () => {
  const pages = [...manPages().keys()].map((name) => name.replace(/\.\d$/, ""));
  assert.deepEqual(
    pages.toSorted(),
    ["miredo", "miredo.toml", ...commandNames().map((name) => `miredo-${name}`)].toSorted(),
  );
});

Deno.test({
  name: withMandoc ? "mandoc has nothing to say against the pages" : "mandoc and the pages (skipped: needs mandoc)",
  ignore: !withMandoc,
  fn: async () => {
    for (const name of manPages().keys()) {
      const { stdout, stderr } = await new Deno.Command("mandoc", { args: ["-Tlint", name], cwd: MAN }).output();
      const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      const ours = said.split("\n").filter((line) => line !== "" && !ABOUT_THIS_HOST.test(line));
      assert.deepEqual(ours, [], name);
    }
  },
});

/** Fails unless a command line is understood. */
function assertUnderstood(line: string, where: string): void {
  const [program, ...args] = shellWords(line);
  assert.equal(program, "miredo", `${where}: ${line}`);
  if (args[0] === "completion" || args[0] === "--version") return; // the parser's own
  const result = parse(commands, args);
  assert.ok(result.success, `${where}: ${line}: ${result.success ? "" : JSON.stringify(result.error)}`);
}

Deno.test("every example of the man pages is a command line that is understood", () => {
  for (const [name, list] of Object.entries(EXAMPLES)) {
    assert.ok(["miredo", "miredo.toml", ...commandNames()].includes(name), name);
    for (const { line } of list) assertUnderstood(line, name);
  }
});

/** The fenced blocks of a Markdown text. */
function blocks(text: string): readonly { readonly language: string; readonly lines: readonly string[] }[] {
  return [...text.matchAll(/^ *```(\w*)\n(.*?)^ *```$/gms)].map(([, language, body]) => ({
    language,
    lines: body.split("\n").map((line) => line.trim()).filter((line) => line !== ""),
  }));
}

/** The command line of ours in a line of shell, if there is one. */
function ourCommand(line: string): string | undefined {
  const found = /(?:^|&& |\$\()(?:sudo )?(miredo [^|>&#)]*)/.exec(line)?.[1].trim();
  return found === undefined || /^miredo (?:-|--)?\w+ \.\.\.$/.test(found) ? undefined : found;
}

const guides = [...Deno.readDirSync(new URL("docs/", ROOT))].map(({ name }) => name).filter((name) =>
  name.endsWith(".md")
);

Deno.test("every command line of miredo in the guides is understood", () => {
  let count = 0;
  for (const guide of guides) {
    for (const { language, lines } of blocks(Deno.readTextFileSync(new URL(`docs/${guide}`, ROOT)))) {
      if (language !== "sh") continue;
      for (const line of lines) {
        const command = ourCommand(line);
        if (command === undefined) continue;
        assertUnderstood(command, guide);
        count++;
      }
    }
  }
  assert.ok(count > 10, `only ${count} command lines found`);
});

Deno.test("every configuration in the guides loads", () => {
  let count = 0;
  for (const guide of guides) {
    for (const { language, lines } of blocks(Deno.readTextFileSync(new URL(`docs/${guide}`, ROOT)))) {
      if (language !== "toml") continue;
      const role = ROLES.find((each) => lines[0].startsWith("#") && lines[0].includes(`/${each}.toml`));
      const problems = (role === undefined ? ROLES : [role]).map((each) => problem(each, lines, role === undefined));
      assert.ok(problems.includes(undefined), `${guide}: ${lines.join(" ")}: ${problems.join("; ")}`);
      count++;
    }
  }
  assert.ok(count >= 3, `only ${count} configurations found`);
});

/**
 * What keeps a configuration from loading; undefined when nothing does.
 * @param fragment it may lack what a role cannot do without
 */
function problem(role: Role, lines: readonly string[], fragment: boolean): string | undefined {
  const needed = { client: "client.servers=['192.0.2.1']", relay: "bind.port=0", server: "server.address=192.0.2.1" };
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(file, lines.join("\n"));
    loadConfig(role, { file, set: fragment ? [needed[role]] : [] });
    return undefined;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message;
  } finally {
    Deno.removeSync(file);
  }
}

Deno.test("the guide explains every health code, and no other", () => {
  const guide = Deno.readTextFileSync(new URL("docs/guide.md", ROOT));
  const explained = [...guide.matchAll(/^\| `([A-Z0-9-]+)`/gm)].map(([, code]) => code);
  assert.deepEqual(explained.toSorted(), Object.keys(HEALTH_CODES).toSorted());
});
