/** How many router solicitations a server answers, and what one costs it. */

import { run } from "./command.ts";
import type { Maker } from "./daemons.ts";
import { family, usage } from "./process.ts";
import { SERVER, SERVER2, SOURCES } from "./topology.ts";
import { type Round, worldOf } from "./stands.ts";

const SOLICITOR = new URL("solicitor.ts", import.meta.url).pathname;

/** Of the run that compiles the server's code, not measured. */
const WARM_UP_SECONDS = 0.4;

/** A server under load: its settings, and which of its addresses are asked. */
interface Case {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly settings: readonly string[];
}

/** What to ask of one maker's server. Debian's has a thread for each of its two addresses. */
async function cases({ daemons, results }: Round, maker: Maker): Promise<Case[]> {
  const both = [SERVER, SERVER2];
  if (maker === "debian") {
    return [{ name: "server.one", addresses: [SERVER], settings: [] }, {
      name: "server.two",
      addresses: both,
      settings: [],
    }];
  }
  const unlimited = ["server.rate_per_source=0", "server.rate_total=0"];
  if (!await daemons.supports("server", "server", "workers")) {
    results.skip("two workers of our server", "it has no server.workers");
    return [{ name: "server.one", addresses: [SERVER], settings: unlimited }];
  }
  return [
    { name: "server.one", addresses: [SERVER], settings: [...unlimited, "server.workers=1"] },
    { name: "server.two", addresses: both, settings: [...unlimited, "server.workers=2"] },
  ];
}

function numberIn(report: unknown, key: string): number {
  const value = typeof report === "object" && report !== null ? Reflect.get(report, key) : undefined;
  return typeof value === "number" ? value : NaN;
}

/** Loads one maker's server, at one address and at both. */
export async function serverLoad(round: Round, maker: Maker): Promise<void> {
  const { daemons, results, progress } = round;
  const world = worldOf(round, maker);
  for (const { name, addresses, settings } of await cases(round, maker)) {
    progress.show(`${maker}: ${name}`);
    const server = await daemons.server(maker, world.server, settings);
    try {
      const solicit = async (seconds: number): Promise<unknown> => {
        const argv = [Deno.execPath(), "run", "-A", "--no-prompt", SOLICITOR, String(seconds), addresses.join(",")];
        return JSON.parse(await run(world.middle.inside([...argv, SOURCES.join(",")])));
      };
      await solicit(WARM_UP_SECONDS);
      const pids = family(server.pid);
      const before = usage(pids).cpu;
      const report = await solicit(round.seconds);
      const cpu = usage(pids).cpu - before;
      const answered = numberIn(report, "answered"), all = answered + numberIn(report, "late");
      results.add(name, maker, answered / numberIn(report, "seconds") / 1e3);
      results.add(`${name}.cpu`, maker, cpu * 1e3 / all);
      results.add(`${name}.lost`, maker, 100 * (1 - all / numberIn(report, "sent")));
    } finally {
      await server.stop();
    }
  }
}
