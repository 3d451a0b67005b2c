/** miredo: Teredo (IPv6 through NATs) client, relay and server. */

import { runCommandLine } from "./lib/cli/command_line.ts";

if (import.meta.main) Deno.exit(await runCommandLine(Deno.args));
