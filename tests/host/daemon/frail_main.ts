/** A client whose data isolate dies when it is told to: `frail_main.ts SERVER ORDER`, where ORDER is the file that {@link frail_worker.ts} reads. */

import { loadConfig } from "../../../config/mod.ts";
import { Syslog } from "../../../lib/host/system/syslog.ts";
import { setUpLogging } from "../../../lib/control/logging.ts";
import { runDaemon } from "../../../lib/host/roles/daemon.ts";

const [server, order] = Deno.args;
const config = loadConfig("client", {
  directory: "/nonexistent",
  overrides: [
    { key: "client.servers", value: [server], from: "SERVER" },
    { key: "status.socket", value: "", from: "test" },
  ],
});
setUpLogging(config.log, new Syslog());
const worker = new URL(`./frail_worker.ts?order=${encodeURIComponent(order)}`, import.meta.url);
Deno.exit(await runDaemon({ config, reload: () => config, worker }));
