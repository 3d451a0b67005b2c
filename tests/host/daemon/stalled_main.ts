/**
 * A client whose main thread stands still for a while when it is told to: `stalled_main.ts SERVER ORDER SECONDS`, where ORDER is a file that
 * says something else from then on.
 */

import { loadConfig } from "../../../config/mod.ts";
import { setUpLogging } from "../../../lib/control/logging.ts";
import { Syslog } from "../../../lib/host/system/syslog.ts";
import { runDaemon } from "../../../lib/host/roles/daemon.ts";

const [server, order, seconds] = Deno.args;
const config = loadConfig("client", {
  directory: "/nonexistent",
  overrides: [
    { key: "client.servers", value: [server], from: "SERVER" },
    { key: "status.socket", value: "", from: "test" },
    { key: "state.file", value: "", from: "test" },
  ],
});
setUpLogging(config.log, new Syslog());

const atStart = Deno.readTextFileSync(order);
const file = Deno.openSync(order);
const content = new Uint8Array(64);
// The daemon gives up the permission to open files, not what is open.
const look = setInterval(() => {
  file.seekSync(0, Deno.SeekMode.Start);
  const length = file.readSync(content) ?? 0;
  if (new TextDecoder().decode(content.subarray(0, length)) === atStart) return;
  clearInterval(look);
  console.log("standing still");
  const end = performance.now() + Number(seconds) * 1000;
  while (performance.now() < end);
  console.log("going on");
}, 20);

Deno.exit(await runDaemon({ config, reload: () => config }));
