/** A real Prometheus scrapes a client's metrics, and its own checker has nothing against them. Skipped by name where it is not installed. */

import assert from "node:assert/strict";
import { until } from "../lab/child.ts";
import { mayRunLab, NEEDS } from "../lab/privilege.ts";
import { miredoCommand, startClient, startRelay, startServer } from "../lab/programs.ts";
import { LabWorld, SERVER, WEB } from "../lab/world.ts";

const METRICS = "127.0.0.1:9464";
const PROMETHEUS = "127.0.0.1:9090";

/** What Prometheus answers to a query. */
interface PrometheusAnswer {
  readonly status: string;
  readonly error?: string;
  readonly data?: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value: readonly [number, string];
    }[];
  };
}

/** All that the dashboard asks. */
function dashboardExpressions(): readonly string[] {
  const file = new URL("../../docs/grafana-dashboard.json", import.meta.url);
  const { panels }: { readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[] } = JSON
    .parse(Deno.readTextFileSync(file));
  return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
}

/** The reason why the test cannot run, or undefined. */
async function missing(): Promise<string | undefined> {
  if (!mayRunLab()) return NEEDS;
  for (const program of ["prometheus", "promtool"]) {
    const found = await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).output()
      .then(({ success }) => success, () => false);
    if (!found) return `needs ${program}: apt-get install prometheus`;
  }
  return undefined;
}

const reason = await missing();
const NAME =
  "Prometheus scrapes a client, finds all that the status counts, and promtool has nothing against the metrics";

Deno.test({
  name: reason === undefined ? NAME : `${NAME} (skipped: ${reason})`,
  ignore: reason !== undefined,
  fn: async () => {
    const directory = await Deno.makeTempDir({ prefix: "miredo-prometheus-" });
    await Deno.chmod(directory, 0o777);
    try {
      await using world = await LabWorld.open();
      await startServer(world.server, [SERVER], { args: ["--set", `status.socket=${directory}/server.sock`] });
      await startRelay(world.relay, { args: ["--set", `status.socket=${directory}/relay.sock`] });
      const { host } = await world.home("alice");
      const socket = `${directory}/alice.sock`;
      await startClient(host, [SERVER], {
        args: ["--set", `status.socket=${socket}`, "--set", `metrics.listen=${METRICS}`],
      });

      const text = await host.start(miredoCommand("metrics", "--socket", socket)).result();
      await Deno.writeTextFile(`${directory}/metrics`, `${text}\n`);
      const check = await new Deno.Command("sh", {
        args: ["-c", 'promtool check metrics < "$1"', "sh", `${directory}/metrics`],
      }).output();
      const words = new TextDecoder().decode(check.stdout) + new TextDecoder().decode(check.stderr);
      assert.deepEqual({ success: check.success, words }, { success: true, words: "" });

      await Deno.writeTextFile(
        `${directory}/prometheus.yml`,
        `global: { scrape_interval: 1s }\nscrape_configs:\n  - job_name: miredo\n    static_configs: [{ targets: ["${METRICS}"] }]\n`,
      );
      const prometheus = host.start([
        "prometheus",
        `--config.file=${directory}/prometheus.yml`,
        `--storage.tsdb.path=${directory}/data`,
        `--web.listen-address=${PROMETHEUS}`,
      ]);
      /** The answer to an expression: what Prometheus says of it, undefined while it is not ready. */
      const raw = async (expression: string): Promise<PrometheusAnswer | undefined> => {
        const url = `http://${PROMETHEUS}/api/v1/query?query=${encodeURIComponent(expression)}`;
        const child = host.start([
          Deno.execPath(),
          "eval",
          "--no-config",
          `console.log(await (await fetch(${JSON.stringify(url)})).text())`,
        ], { env: { NO_PROXY: "*", no_proxy: "*" } });
        const { code } = await child.ended();
        if (code !== 0) return undefined;
        const output = child.lines.filter(({ stream }) => stream === "stdout").map(({ text }) => text).join("");
        // Until it is ready it says so in plain words.
        if (!output.startsWith("{")) return undefined;
        return JSON.parse(output);
      };
      const query = async (expression: string): Promise<string | undefined> =>
        (await raw(expression))?.data?.result[0]?.value[1];
      const ask = (expression: string): Promise<string> => until(`an answer to ${expression}`, () => query(expression));
      assert.equal(await ask('up{job="miredo"}'), "1");
      assert.equal(await ask('miredo_state{state="qualified"}'), "1");
      assert.equal(await ask("miredo_qualifications_total"), "1");
      assert.equal(await ask("miredo_qualification_seconds_count"), "1");

      await host.start(miredoCommand("ping", WEB, "-n", "1", "--socket", socket)).result();
      for (const name of ["qualification_seconds", "first_packet_seconds"]) {
        const quantile = `histogram_quantile(0.95, miredo_${name}_bucket) > 0`;
        assert.ok(Number.isFinite(Number(await ask(quantile))), quantile);
      }
      const status = JSON.parse(await host.start(miredoCommand("status", "--json", "--socket", socket)).result());
      const scraped = new Set((await raw('{job="miredo"}'))?.data?.result.map(({ metric }) => metric.__name__));
      for (const name of Object.keys(status.counters)) assert.ok(scraped.has(`miredo_${name}_total`), name);
      const reasons = (await raw("miredo_dropped_total"))?.data?.result.map(({ metric }) => metric.reason);
      assert.deepEqual(reasons?.toSorted(), Object.keys(status.drops).toSorted());
      for (const expression of dashboardExpressions()) {
        const answer = await raw(expression.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "10s"));
        assert.equal(answer?.status, "success", `${expression}: ${answer?.error}`);
      }
      await prometheus.end();
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
