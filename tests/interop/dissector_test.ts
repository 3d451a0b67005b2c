/** An independent reading of what we send: tshark's Teredo dissector over all datagrams of a whole demonstration. */

import assert from "node:assert/strict";
import { labTest } from "../lab/world.ts";

const TSHARK = "/usr/bin/tshark";
const ROOT = new URL("../../", import.meta.url).pathname;

function hasTshark(): boolean {
  try {
    return Deno.statSync(TSHARK).isFile;
  } catch {
    return false;
  }
}

/** Runs a program and gives what it printed; fails with its words where it fails. */
async function output(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, `${program}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** What the dissector makes of one frame. */
interface Frame {
  /** Layers from the outside in, such as `raw:ip:udp:teredo:ipv6:tcp`. */
  readonly layers: string;
  readonly faults: string;
  readonly payloadLength: string;
  readonly icmpv6: string;
}

/** Severity of an expert information that is an error, as tshark numbers it. */
const ERROR = "8388608";

/** All frames of `file`, with every UDP port read as Teredo. One pass: the file is large. */
async function dissect(file: string): Promise<readonly Frame[]> {
  const fields = ["frame.protocols", "_ws.malformed", "_ws.expert.severity", "ipv6.plen", "icmpv6.type"];
  const selection = fields.flatMap((field) => ["-e", field]);
  const lines = await output(TSHARK, ["-r", file, "-d", "udp.port==1-65535,teredo", "-T", "fields", ...selection]);
  return lines.split("\n").filter((line) => line !== "").map((line) => {
    const [layers, malformed, severities, payloadLength, icmpv6] = line.split("\t");
    const error = severities.split(",").includes(ERROR) ? "error" : "";
    return { layers, faults: malformed + error, payloadLength, icmpv6 };
  });
}

const name = "a dissector of others finds every datagram of a demonstration to be Teredo, and nothing malformed";
if (hasTshark()) {
  labTest(name, async () => {
    const directory = await Deno.makeTempDir({ prefix: "miredo-dissector-" });
    try {
      const file = `${directory}/demo.pcap`;
      await output(Deno.execPath(), ["run", "-A", "--no-prompt", `${ROOT}scripts/demo.ts`, "--pcap", file]);
      const frames = await dissect(file);
      assert.deepEqual(frames.filter(({ faults }) => faults !== ""), []);
      assert.deepEqual(frames.filter(({ layers }) => layers.includes("udp") && !layers.includes("teredo:ipv6")), []);
      // Bubbles, router advertisements and data were among them.
      assert.ok(frames.some(({ payloadLength }) => payloadLength === "0"));
      assert.ok(frames.some(({ icmpv6 }) => icmpv6 === "134"));
      assert.ok(frames.some(({ layers }) => layers.includes("tcp")));
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
} else {
  Deno.test({ name: `${name} (skipped: tshark is not installed)`, ignore: true, fn: () => {} });
}
