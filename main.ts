/** miredo: Teredo (IPv6 through NATs) client, relay and server. */

import { start } from "./lib/cli/start.ts";

if (import.meta.main) Deno.exit(await start(Deno.args));
