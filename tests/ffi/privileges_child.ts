/**
 * Run by privileges_test.ts, as root, because there is no way back: gives up privileges and prints, as JSON, what is left of them.
 * Its argument is the JSON of what {@link dropPrivileges} takes.
 */

import { dropPrivileges, threadPrivileges } from "../../ffi/privileges.ts";
import { resolveIpv4 } from "../../ffi/resolve.ts";
import { libc } from "../../ffi/libc.ts";
import { openTun } from "../../ffi/tun.ts";
import { openRawIpv6 } from "../../ffi/raw_ipv6.ts";
import { inNetworkNamespace, newNetworkNamespace } from "../../ffi/namespaces.ts";

/** What `work` throws, or "done". */
function outcome(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const worker = new Worker(new URL("./privileges_worker.ts", import.meta.url), { type: "module" });
await new Promise((resolve) => worker.onmessage = resolve);
await resolveIpv4("localhost"); // makes a thread for calls aside

inNetworkNamespace(newNetworkNamespace(), () => {
  const drop = outcome(() => dropPrivileges(JSON.parse(Deno.args[0])));
  console.log(JSON.stringify({
    drop,
    threads: threadPrivileges().map((thread) => ({
      ...thread,
      effective: Number(thread.effective),
      permitted: Number(thread.permitted),
      inheritable: Number(thread.inheritable),
      ambient: Number(thread.ambient),
    })),
    becomeRoot: libc().setresuid(0, 0, 0),
    tun: outcome(() => openTun("teredo")),
    raw: outcome(() => openRawIpv6()),
  }));
  // Without privileges the thread cannot come back.
  Deno.exit(0);
});
