/**
 * Teredo at work, on one machine, with real kernels: a server, a relay, an IPv6-only host, and two clients behind NATs that let nobody
 * in. Everything is told as it happens, with measured figures. Nothing but Deno and util-linux is needed, and nothing is left behind.
 *
 * ```
 *   deno task demo
 *   deno task demo --pcap demo.pcap     also writes what crossed the IPv4 internet, for Wireshark
 * ```
 */

import { parseArgs } from "node:util";
import { type Endpoint, formatIpv4 } from "../lib/wire/ipv4.ts";
import type { Sighting } from "../tests/lab/carrier_messages.ts";
import { inUserNamespace, mayRunLab, NEEDS } from "../tests/lab/privilege.ts";
import {
  download,
  ping,
  type Pings,
  prepare,
  type RunningClient,
  serve,
  startClient,
  startRelay,
  startServer,
} from "../tests/lab/programs.ts";
import { LabWorld, RELAY, SERVER, SERVER_SECONDARY, WEB } from "../tests/lab/world.ts";

/** Delay of every line to the internet, one way, milliseconds. */
const LINE_DELAY = 2;
/** What is downloaded, octets. */
const CONTENT = 32_000_000;
const PINGS = 10;
/** How long stragglers of a step are waited for before it is told, milliseconds. */
const SETTLE = 30;

const PICTURE = `
   alice ─── NAT ───┐                      ┌─── server 192.0.2.1
   192.168.1.2      │                      │
                    ├─── IPv4 internet ────┤
   192.168.2.2      │                      │
   bob ───── NAT ───┘                      └─── relay 192.0.2.9 ─── IPv6 internet ─── web 2001:db8:3::1
`;

/** Who is behind the addresses of the IPv4 internet. */
const NAMES: Readonly<Record<string, string>> = {
  [SERVER]: "server",
  [SERVER_SECONDARY]: "server",
  [RELAY]: "relay",
  "198.51.100.1": "alice",
  "198.51.100.2": "bob",
};

const colours = Deno.stdout.isTerminal() && !Deno.env.has("NO_COLOR");
const bold = (text: string): string => colours ? `\u001b[1m${text}\u001b[22m` : text;
const dim = (text: string): string => colours ? `\u001b[2m${text}\u001b[22m` : text;
const ms = (time: number): string => `${time < 10 ? time.toFixed(1) : Math.round(time)} ms`;

function nameOf({ address }: Endpoint): string {
  const text = formatIpv4(address);
  return NAMES[text] ?? text;
}

/** What a Teredo datagram is, in few words. */
function explain({ text, source, destination }: Sighting): string {
  const origin = /origin (\S+)/.exec(text)?.[1];
  const second = formatIpv4(destination.address) === SERVER_SECONDARY;
  if (text.startsWith("RS")) return `router solicitation: where am I?${second ? " (to its second address)" : ""}`;
  if (text.startsWith("RA")) return `advertisement: your NAT shows you as ${origin}`;
  if (text.startsWith("echo request")) {
    return nameOf(destination) === "server" ? "connectivity test, into the IPv6 internet" : "echo request";
  }
  if (text.startsWith("echo reply")) return "echo reply";
  if (!text.startsWith("bubble")) return text;
  if (nameOf(source) === "server") return `bubble passed on, from ${origin}`;
  return nameOf(destination) === "server" ? "bubble by way of the server" : "bubble, straight";
}

/** Tells the steps, and the datagrams that belong to each. */
class Story {
  readonly summary: (readonly [string, string])[] = [];
  readonly #sightings: Sighting[] = [];
  #step = 0;

  see(sighting: Sighting): void {
    this.#sightings.push(sighting);
  }

  step(title: string): void {
    this.#step++;
    this.#sightings.length = 0;
    console.log(`\n${bold(`${this.#step}. ${title}`)}`);
  }

  say(text: string): void {
    console.log(`   ${text}`);
  }

  /** Shows the first datagrams since the step began, up to `most`, until one matches `until`. */
  async datagrams(most: number, until: RegExp): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, SETTLE));
    const start = this.#sightings[0]?.at ?? 0;
    for (const sighting of this.#sightings.slice(0, most)) {
      const route = `${nameOf(sighting.source)} → ${nameOf(sighting.destination)}`;
      const after = `+${(sighting.at - start).toFixed(1)} ms`;
      console.log(dim(`     ${after.padStart(9)}  ${route.padEnd(16)}  ${explain(sighting)}`));
      if (until.test(sighting.text)) break;
    }
  }

  /** A figure for the summary. */
  result(what: string, figure: string): void {
    this.summary.push([what, figure]);
  }
}

function tellPings(story: Story, what: string, { lines, sent, received }: Pings): void {
  if (received !== sent) throw new Error(`Cannot show ${what}: ${sent - received} of ${sent} pings lost`);
  const [first, ...others] = lines.map(({ ms: time }) => time ?? 0);
  const average = others.reduce((sum, time) => sum + time, 0) / others.length;
  story.say(
    `First answer after ${bold(ms(first))}, the path included; then ${
      bold(ms(average))
    } round trip (${sent} pings, none lost)`,
  );
  story.result(what, `first ${ms(first)}, then ${ms(average)}`);
}

/** Tells everything. @throws Error when something does not work */
async function tell(pcap: string | undefined): Promise<void> {
  const story = new Story();
  const capture = pcap === undefined ? {} : { pcap };
  await using world = await LabWorld.open({
    ...capture,
    link: { delay: LINE_DELAY },
    onSighting: (sighting) => story.see(sighting),
  });
  const homes = { alice: await world.home("alice"), bob: await world.home("bob") };
  console.log(
    bold("Teredo: IPv6 for hosts behind NATs. Five hosts, each with a network stack of its own, on this machine."),
  );
  console.log(PICTURE);
  console.log(`   Both NATs are port-restricted: they drop what comes from where nobody inside has written to.`);
  console.log(
    `   alice and bob have no IPv6, web has nothing else. Every line to the internet takes ${LINE_DELAY} ms.`,
  );

  story.step("Server and relay start");
  const [server, relay] = await Promise.all([startServer(world.server, [SERVER]), startRelay(world.relay)]);
  story.say(`miredo server ${SERVER}`.padEnd(28) + `serves after ${ms(server.startup)}`);
  story.say("miredo relay".padEnd(28) + `announces 2001::/32 after ${ms(relay.startup)}`);

  const clients: Record<"alice" | "bob", RunningClient | undefined> = { alice: undefined, bob: undefined };
  for (const name of ["alice", "bob"] as const) {
    story.step(`${name} asks the server for an address`);
    story.say(`miredo client ${SERVER}`);
    const client = await startClient(homes[name].host, [SERVER]);
    clients[name] = client;
    await story.datagrams(4, /^never/);
    const { text } = await client.child.line(/Qualified/);
    const elapsed = /elapsedMs=(\d+)/.exec(text)?.[1] ?? "?";
    story.say(`Qualified in ${bold(`${elapsed} ms`)}: ${bold(client.address)}`);
    story.result(`${name} qualified`, `${elapsed} ms (program start included: ${ms(client.startup)})`);
  }
  const { alice, bob } = clients;
  if (alice === undefined || bob === undefined) throw new Error("Cannot go on without clients");

  story.step("alice pings bob: a hole through two NATs");
  const before = (await world.lab.stats()).drops["bob-nat"]?.filtered ?? 0;
  const toBob = await ping(alice.host, bob.address, { count: PINGS, interval: 50 });
  await story.datagrams(8, /^echo reply/);
  const dropped = ((await world.lab.stats()).drops["bob-nat"]?.filtered ?? 0) - before;
  story.say(
    `bob's NAT dropped ${
      dropped === 1 ? "the straight bubble" : `${dropped} datagrams`
    }, yet it opened alice's NAT for bob; his answer opened his own`,
  );
  tellPings(story, "ping alice → bob", toBob);

  story.step("alice pings web: into the IPv6 internet, through the nearest relay");
  const toWeb = await ping(alice.host, WEB, { count: PINGS, interval: 50 });
  await story.datagrams(12, /^echo reply 1 /);
  tellPings(story, "ping alice → web", toWeb);

  story.step("web pings bob: nobody inside has asked for it");
  const fromWeb = await ping(world.web, bob.address, { count: PINGS, interval: 50 });
  await story.datagrams(12, /^echo reply 1 /);
  tellPings(story, "ping web → bob", fromWeb);

  story.step(`alice downloads ${CONTENT / 1e6} MB over HTTP`);
  for (const [name, host, address] of [["web", world.web, WEB], ["bob", bob.host, bob.address]] as const) {
    const source = await serve(host, CONTENT);
    const { sha256, octets, mbits } = await download(alice.host, address);
    if (octets !== CONTENT || sha256 !== source.sha256) {
      throw new Error(`Cannot trust the tunnel: the content from ${name} came damaged`);
    }
    story.say(
      `from ${name} `.padEnd(12) + `http://[${address}]/`.padEnd(48) +
        `${bold(`${Math.round(mbits)} Mbit/s`)}, SHA-256 equal`,
    );
    story.result(`HTTP ${name} → alice`, `${Math.round(mbits)} Mbit/s`);
    await source.child.end();
  }

  console.log(`\n${bold("Summary")}`);
  for (const [what, figure] of story.summary) console.log(`   ${what.padEnd(20)} ${figure}`);
  if (pcap !== undefined) console.log(`   ${"capture".padEnd(20)} ${pcap}`);
}

/** @returns exit code */
async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: args.filter((argument) => argument !== "--"),
    options: { pcap: { type: "string" }, help: { type: "boolean", default: false } },
  });
  if (values.help) {
    console.log("deno task demo [--pcap FILE]");
    return 0;
  }
  if (!mayRunLab()) {
    await prepare();
    const code = await inUserNamespace([new URL(import.meta.url).pathname, ...args]);
    if (code === undefined) console.error(`Cannot run the demonstration: it ${NEEDS}`);
    return code ?? 1;
  }
  const start = performance.now();
  await tell(values.pcap);
  console.log(
    `   ${"all of it took".padEnd(20)} ${
      ((performance.now() - start) / 1000).toFixed(1)
    } s, and nothing is left behind\n`,
  );
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    Deno.exit(1);
  }
}
