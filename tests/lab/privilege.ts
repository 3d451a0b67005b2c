/** What the lab needs of the system, and how an ordinary user gets it. */

import { readTextFile } from "../../ffi/io.ts";

/** Bits of the capability sets in /proc/self/status (linux/capability.h). */
const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;
const CAP_SYS_ADMIN = 21n;
const NEEDED = [CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN];
/** Set for the program in the user namespace, so that it does not try again. */
const MARK = "MIREDO_LAB_NAMESPACE";
/** A user namespace in which the caller keeps its user number and has every capability, and a network namespace to come back to. */
const USER_NAMESPACE = ["--user", "--map-current-user", "--keep-caps", "--net", "--"];

/** What to tell those who cannot have a lab. */
export const NEEDS =
  "needs root, or user namespaces for everybody (unshare --user), and /dev/net/tun for reading and writing";

/** True when this process may make namespaces and interfaces. */
export function mayRunLab(): boolean {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readTextFile("/proc/self/status"))?.[1] ?? "0"}`);
  if (!NEEDED.every((capability) => (effective >> capability & 1n) === 1n)) return false;
  try {
    Deno.openSync("/dev/net/tun", { read: true, write: true }).close();
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs this program again in a user namespace.
 * @param program a module, and its arguments
 * @returns its exit code, or undefined where this system does not allow that
 */
export async function inUserNamespace(program: readonly string[]): Promise<number | undefined> {
  if (Deno.env.has(MARK)) return undefined;
  const probe = new Deno.Command("unshare", { args: [...USER_NAMESPACE, "true"], stdout: "null", stderr: "null" });
  const allowed = await probe.output().then(({ success }) => success, () => false);
  if (!allowed) return undefined;
  const { code } = await new Deno.Command("unshare", {
    args: [...USER_NAMESPACE, Deno.execPath(), "run", "-A", "--no-prompt", ...program],
    env: { [MARK]: "1" },
  }).spawn().status;
  return code;
}
