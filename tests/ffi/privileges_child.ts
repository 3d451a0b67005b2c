/**
 * Run by privileges_test.ts, as root, because there is no way back: gives up privileges step by step and prints, as JSON, what is left of
 * them. Its argument is the JSON of the user, the group, and whether one thread keeps CAP_NET_ADMIN.
 */

import { libc } from "../../ffi/libc.ts";
import { inNetworkNamespace, newNetworkNamespace } from "../../ffi/namespaces.ts";
import {
  becomeUser,
  dropCapabilities,
  forbidGain,
  keepCapabilities,
  limitThread,
  ThreadDirectory,
  threadId,
  threadPrivileges,
} from "../../ffi/privileges.ts";
import { openRawIpv6 } from "../../ffi/raw_ipv6.ts";
import { resolveIpv4 } from "../../ffi/resolve.ts";
import { openTun } from "../../ffi/tun.ts";

/** What `work` throws, or "done". */
function outcome(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const { uid, gid, keep } = JSON.parse(Deno.args[0]);
const worker = new Worker(new URL("./privileges_worker.ts", import.meta.url), { type: "module" });
await new Promise((resolve) => worker.onmessage = resolve);
await resolveIpv4("localhost"); // makes a thread for calls aside

inNetworkNamespace(newNetworkNamespace(), () => {
  const drop = outcome(() => {
    using threads = new ThreadDirectory();
    if (keep) keepCapabilities();
    forbidGain(true, threads);
    becomeUser(uid, gid);
    limitThread(keep ? ["NET_ADMIN"] : []);
    dropCapabilities(threads, new Set(keep ? [threadId()] : []));
  });
  const text = (_key: string, value: unknown): unknown => typeof value === "bigint" ? value.toString(16) : value;
  console.log(JSON.stringify(
    {
      drop,
      threads: threadPrivileges(),
      becomeRoot: libc().setresuid(0, 0, 0),
      tun: outcome(() => openTun("teredo")),
      raw: outcome(() => openRawIpv6()),
    },
    text,
  ));
  // Without privileges the thread cannot come back.
  Deno.exit(0);
});
