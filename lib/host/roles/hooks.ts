/**
 * Programs of the operator's that run when the client's address comes, changes or goes: `[hooks]`.
 *
 * The daemon itself cannot start programs once it is confined. So a shell is started before, as the service user without any privilege; it
 * knows the two programs and runs them when it is told to, one after another:
 *
 * ```
 *   daemon ── "up STATE=up IFACE=teredo ADDRESS=2001:..." ──▶ shell ── env -i ... timeout 30 ──▶ program
 *   daemon ◀─────────────── "up 0" ────────────────────────── shell      its output: our standard error
 * ```
 *
 * When the daemon ends in whatever way, the shell reads the end of its input, runs `down` if the last word was `up`, and ends.
 * The environment is the original's: STATE IFACE IFINDEX ADDRESS LLADDRESS MTU, and OLD_STATE OLD_ADDRESS OLD_LLADDRESS OLD_MTU for what was
 * before.
 */

import { getLogger } from "@logtape/logtape";
import { EAGAIN } from "../../../ffi/abi/errno.ts";
import type { ClientConfig } from "../../../config/mod.ts";
import { close, read, write } from "../../../ffi/io.ts";
import { nativeBuffer } from "../../../ffi/memory.ts";
import { waitReadable } from "../../../ffi/poll.ts";
import { type SpawnedProgram, spawnProgram } from "../../../ffi/spawn.ts";
import { reasonOf } from "../system/advice.ts";

const log = getLogger(["miredo", "hooks"]);

const SHELL = "/bin/sh";
const SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Exit status of timeout(1) for a program that it ended. */
const TIMED_OUT = 124;

/** Octets of one line or more of results. */
const ROOM = 4096;

/** Arguments: program for up, program for down, seconds. Values hold no white space; -f keeps the shell from expanding them. */
const SCRIPT = `set -f
run() {
  case $1 in up) hook=$up ;; *) hook=$down ;; esac
  [ -n "$hook" ] || return 0
  env -i "${SEARCH_PATH}" $2 timeout -k 5 "$limit" "$hook" </dev/null >&2
}
up=$1 down=$2 limit=$3 last=
cd /
while read -r state values; do
  run "$state" "$values"
  echo "$state $?" 2>/dev/null
  if [ "$state" = up ]; then last=$values; else last=; fi
done
[ -z "$last" ] || run down "$last STATE=down OLD_STATE=up"
`;

/** What the interface has. */
export interface InterfaceView {
  readonly state: "up" | "down";
  /** As text. */
  readonly address: string;
  readonly linkLocal: string;
  /** Octets. */
  readonly mtu: number;
}

/** The hooks of one interface. Dispose of it to run what is still due and end the shell. */
export class Hooks implements Disposable {
  readonly #config: ClientConfig["hooks"];
  readonly #interface: { readonly name: string; readonly index: number };
  #shell: SpawnedProgram | undefined;
  /** The last state that the shell was told. */
  #told: InterfaceView | undefined;
  /** The state it is to be told when it has done what it does; those between are left out. */
  #due: InterfaceView | undefined;
  #busy = false;

  constructor(config: ClientConfig["hooks"], tunnel: { readonly name: string; readonly index: number }) {
    this.#config = config;
    this.#interface = tunnel;
  }

  /** Starts the shell, if there is a hook at all. @throws SystemError */
  start(): void {
    const { up, down, timeout } = this.#config;
    if (up === "" && down === "") return;
    this.#shell = spawnProgram(SHELL, ["-c", SCRIPT, "miredo-hooks", up, down, String(timeout)], [SEARCH_PATH]);
    void this.#listen(this.#shell.output);
  }

  /** The interface has this now. Unchanged, it is no news. */
  changed(view: InterfaceView): void {
    if (this.#shell === undefined) return;
    const before = this.#due ?? this.#told;
    if (before === undefined ? view.state === "down" : same(before, view)) return;
    this.#due = view;
    if (!this.#busy) this.#tell();
  }

  [Symbol.dispose](): void {
    if (this.#shell === undefined) return;
    if (this.#due !== undefined) this.#tell();
    close(this.#shell.input);
    this.#shell = undefined;
  }

  #tell(): void {
    const view = this.#due;
    if (view === undefined || this.#shell === undefined) return;
    const { name, index } = this.#interface;
    const values = [
      `STATE=${view.state}`,
      `IFACE=${name}`,
      `IFINDEX=${index}`,
      ...variables("", view),
      ...(this.#told === undefined ? [] : [`OLD_STATE=${this.#told.state}`, ...variables("OLD_", this.#told)]),
    ];
    const line = new TextEncoder().encode(`${view.state} ${values.join(" ")}\n`);
    this.#told = view;
    this.#due = undefined;
    this.#busy = true;
    if (write(this.#shell.input, nativeBuffer(line.buffer).pointer(0), line.length) < 0) this.#lost();
  }

  /** Reads results until the shell ends. */
  async #listen(fd: number): Promise<void> {
    const memory = nativeBuffer(new ArrayBuffer(ROOM));
    let rest = "";
    try {
      for (;;) {
        await waitReadable([fd]);
        const length = read(fd, memory.pointer(0), ROOM);
        if (length === -EAGAIN) continue;
        if (length <= 0) break;
        const lines = (rest + new TextDecoder().decode(memory.bytes.slice(0, length))).split("\n");
        rest = lines.pop() ?? "";
        lines.forEach((line) => this.#done(line));
      }
      if (this.#shell !== undefined) this.#lost();
    } catch (cause) {
      log.error("Cannot follow hooks", { reason: reasonOf(cause) });
    } finally {
      close(fd);
    }
  }

  #done(line: string): void {
    const [state, text] = line.split(" ");
    const status = Number(text);
    const hook = state === "up" ? this.#config.up : this.#config.down;
    if (hook === "") log.debug("No hook for this", { state });
    else if (status === 0) log.info("Hook done", { state, hook });
    else if (status === TIMED_OUT) log.warn("Hook took too long", { state, hook, seconds: this.#config.timeout });
    else log.warn("Hook failed", { state, hook, status });
    this.#busy = false;
    this.#tell();
  }

  #lost(): void {
    log.error("Hooks run no more: their shell has ended");
    if (this.#shell !== undefined) close(this.#shell.input);
    this.#shell = undefined;
  }
}

function variables(prefix: string, { address, linkLocal, mtu }: InterfaceView): readonly string[] {
  return [`${prefix}ADDRESS=${address}`, `${prefix}LLADDRESS=${linkLocal}`, `${prefix}MTU=${mtu}`];
}

function same(a: InterfaceView, b: InterfaceView): boolean {
  return a.state === b.state && (a.state === "down" || (a.address === b.address && a.mtu === b.mtu));
}
