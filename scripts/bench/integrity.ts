/** Whether what arrives is what was sent: several streams at once, compared at both ends. */

import { run, until } from "./command.ts";
import type { Host } from "./network.ts";
import { Program } from "./process.ts";

const STREAMS_PROGRAM = new URL("streams.ts", import.meta.url).pathname;
const STREAMS = 4;
const PORT = 5300;
const LIMIT = 120_000;

/**
 * Sends four streams at once.
 * @param octets of each stream
 * @returns how many arrived otherwise than they were sent
 */
export async function damagedStreams(from: Host, to: Host, address: string, octets: number): Promise<number> {
  const program = [Deno.execPath(), "run", "-A", "--no-prompt", STREAMS_PROGRAM];
  let output = "";
  const receiver = new Program(
    to.inside([...program, "receive", String(PORT), String(STREAMS)]),
    (text) => output += text,
  );
  try {
    const lines = (count: number): Promise<boolean> =>
      until(() => receiver.ended || output.split("\n").length > count, LIMIT);
    await lines(1);
    const argv = [...program, "send", address, String(PORT), String(STREAMS), String(octets)];
    const sent: unknown = JSON.parse(await run(from.inside(argv), { limit: LIMIT }));
    await lines(2);
    const received: unknown = JSON.parse(output.split("\n")[1] ?? "");
    if (!Array.isArray(sent) || !Array.isArray(received)) {
      throw new Error("Cannot compare streams: an end says nothing");
    }
    return sent.filter((digest, number) => digest !== received[number]).length;
  } finally {
    await receiver.stop();
  }
}
