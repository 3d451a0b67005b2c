/**
 * A booted copy of this system, for what only a service manager can show: systemd-nspawn(1) over an overlay, thrown away afterwards.
 *
 * ```
 *   tmpfs ─ overlay ┬ upper: what the script changes
 *                   └ lower: /, unchanged
 *   systemd-nspawn ─ network of its own, /dev/net/tun ─▶ systemd ─▶ basic.target ─▶ script ─▶ poweroff
 * ```
 */

import { runProgram } from "../../scripts/package/program.ts";

/** Programs that this needs. */
export const BOOT_PROGRAMS: readonly string[] = ["systemd-nspawn", "mount", "umount", "timeout"];

/** The longest life of a booted system, seconds: only one that hangs lives that long. */
const LIFE = 120;

const SERVICE = `[Unit]
Description=What the test does
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh /test/script
ExecStopPost=-/bin/systemctl poweroff --no-block
`;

const TARGET = `[Unit]
Requires=basic.target
Wants=miredo-test.service
After=basic.target
AllowIsolate=yes
`;

/** A copy of this system that is not yet booted. */
export class BootedSystem implements AsyncDisposable {
  readonly #base: string;
  /** Its root directory. */
  readonly root: string;

  private constructor(base: string) {
    this.#base = base;
    this.root = `${base}/root`;
  }

  /** @returns undefined where the kernel, or what this test itself runs in, does not allow it */
  static async open(): Promise<BootedSystem | undefined> {
    const base = await Deno.makeTempDir({ prefix: "miredo-boot-" });
    try {
      await runProgram(["mount", "-t", "tmpfs", "tmpfs", base]);
      const system = new BootedSystem(base);
      try {
        for (const name of ["upper", "work", "root"]) await Deno.mkdir(`${base}/${name}`);
        const layers = `lowerdir=/,upperdir=${base}/upper,workdir=${base}/work`;
        await runProgram(["mount", "-t", "overlay", "overlay", "-o", layers, system.root]);
        await system.#nspawn("/bin/true");
        return system;
      } catch {
        await system[Symbol.asyncDispose]();
        return undefined;
      }
    } catch {
      await Deno.remove(base, { recursive: true });
      return undefined;
    }
  }

  /** Writes a file of the system. */
  async write(name: string, content: string | Uint8Array): Promise<void> {
    const path = `${this.root}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
  }

  /** Boots, runs a shell script, and waits for the end. @returns what the script wrote, and whether it came to its end */
  async run(script: string): Promise<{ readonly output: string; readonly complete: boolean }> {
    const end = "the end of the script";
    await this.write("test/script", `exec >/test/output 2>&1\nset -e\n${script}\necho "${end}"\n`);
    await this.write("etc/systemd/system/miredo-test.service", SERVICE);
    await this.write("etc/systemd/system/miredo-test.target", TARGET);
    await this.#nspawn("--boot", "systemd.unit=miredo-test.target").catch(
      () => {/* the output says how far it came */},
    );
    const output = await Deno.readTextFile(`${this.root}/test/output`).catch(() => "it did not boot");
    return { output, complete: output.endsWith(`${end}\n`) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await runProgram(["umount", "--recursive", this.#base]);
    await Deno.remove(this.#base);
  }

  async #nspawn(...args: readonly string[]): Promise<void> {
    const how = ["--register=no", "--keep-unit", "--private-network", "--capability=CAP_NET_ADMIN", "--console=pipe"];
    const what = ["--quiet", "--bind=/dev/net/tun", "--link-journal=no", "--directory", this.root];
    await runProgram(["timeout", String(LIFE), "systemd-nspawn", ...how, ...what, ...args]);
  }
}
