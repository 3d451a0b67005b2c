/**
 * Assembles lib/host/data/checksum.wat to lib/host/data/checksum_module.ts, which is committed: who runs or compiles the program needs no assembler.
 *
 * ```
 *   deno task assemble            write the module
 *   deno task assemble --check    fail when the committed module is not what the source gives
 * ```
 */

import wabt from "wabt";

const SOURCE = new URL("../lib/host/data/checksum.wat", import.meta.url);
const TARGET = new URL("../lib/host/data/checksum_module.ts", import.meta.url);

/** Octets in a line of the module: 120 columns hold them. */
const OCTETS_PER_LINE = 19;

/** The WebAssembly module of a source text. Same text, same octets. @throws what the assembler finds wrong */
export async function assemble(name: string, text: string): Promise<Uint8Array> {
  const { parseWat } = await wabt();
  const parsed = parseWat(name, text, { simd: true });
  try {
    parsed.resolveNames();
    parsed.validate();
    return parsed.toBinary({ write_debug_names: false }).buffer;
  } finally {
    parsed.destroy();
  }
}

/** The TypeScript module that carries the octets. */
export function moduleText(octets: Uint8Array): string {
  const words = [...octets].map((octet) => `0x${octet.toString(16).padStart(2, "0")},`);
  const lines: string[] = [];
  for (let i = 0; i < words.length; i += OCTETS_PER_LINE) {
    lines.push(`  ${words.slice(i, i + OCTETS_PER_LINE).join(" ")}`);
  }
  return [
    "/** The octets of checksum.wat, assembled by scripts/assemble.ts: change that file, then run `deno task assemble`. */",
    "// deno-fmt-ignore",
    "export const CHECKSUM_MODULE: Uint8Array<ArrayBuffer> = new Uint8Array([",
    ...lines,
    "]);",
    "",
  ].join("\n");
}

/** What the committed module should be. */
export async function expected(): Promise<string> {
  return moduleText(await assemble("checksum.wat", await Deno.readTextFile(SOURCE)));
}

/** The committed module. */
export async function committed(): Promise<string> {
  return await Deno.readTextFile(TARGET);
}

if (import.meta.main) {
  const text = await expected();
  if (!Deno.args.includes("--check")) await Deno.writeTextFile(TARGET, text);
  else if (await committed() !== text) {
    console.error(
      "lib/host/data/checksum_module.ts is not what lib/host/data/checksum.wat gives: run deno task assemble",
    );
    Deno.exit(1);
  }
}
