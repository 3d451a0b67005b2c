/**
 * What a client remembers from one run to the next: its UDP port, its mapping and the random bits of its address (RFC 5991 3.1). With the
 * same port many NATs give the same mapping, and with the same mapping the same bits make the same address.
 *
 * ```
 *   {"version":1,"port":40192,"mapped":"198.51.100.1:40192","flags":5121}
 * ```
 *
 * Nothing depends on it: a file that is missing, or makes no sense, or cannot be written costs one line in the log.
 */

import { getLogger } from "@logtape/logtape";
import { SystemError } from "../../../ffi/errno.ts";
import { replaceFile } from "../../../ffi/file.ts";
import { type Endpoint, formatEndpoint, parseIpv4 } from "../../wire/ipv4.ts";
import { reasonOf } from "../system/advice.ts";
import { readByLibc } from "../confinement/permissions.ts";

const log = getLogger(["miredo", "client"]);

const VERSION = 1;
/** A file of ours is far shorter, octets. */
const LONGEST = 4_096;
/** The owner alone: nobody else has to know the next address. */
const MODE = 0o600;

const HINTS = {
  EACCES: "let the service user write to its directory, or set state.file",
  EROFS: 'set state.file to a path that can be written, or to ""',
};

/** What is remembered. */
export interface ClientMemory {
  /** Local UDP port, 1 to 65535. */
  readonly port: number;
  readonly mapped: Endpoint;
  /** Flags field of the address, 16 bits. */
  readonly flags: number;
}

/** The file of one client. */
export class StateFile {
  readonly #path: string;
  readonly #root: string;
  /** One line in the log has said it. */
  #told = false;
  #written: string | undefined;

  /**
   * @param path absolute; empty: none
   * @param root directory that this process is going to be shut up in, where the path begins; empty: none
   */
  constructor(path: string, root: string) {
    this.#path = path;
    this.#root = root;
  }

  /** What the last run left; undefined when there is nothing of use. To be called before the root directory changes. */
  read(): ClientMemory | undefined {
    if (this.#path === "") return undefined;
    try {
      const { bytes } = readByLibc(`${this.#root}${this.#path}`, LONGEST);
      const text = new TextDecoder().decode(bytes);
      const memory = parseMemory(text);
      if (memory === undefined) this.#tell("Cannot read it: this is no state of a client");
      else this.#written = text;
      return memory;
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) this.#tell(reasonOf(cause));
      return undefined;
    }
  }

  /** Keeps `memory` for the next run. To be called after the root directory has changed. */
  write(memory: ClientMemory): void {
    const text = formatMemory(memory);
    if (this.#path === "" || text === this.#written) return;
    try {
      replaceFile(this.#path, new TextEncoder().encode(text), MODE, HINTS);
      this.#written = text;
    } catch (cause) {
      if (!(cause instanceof SystemError)) throw cause;
      if (cause.code !== "ENOENT") this.#tell(reasonOf(cause));
      else log.debug("No directory for the state file", { file: this.#path });
    }
  }

  #tell(reason: string): void {
    if (this.#told) return;
    this.#told = true;
    log.warn("Cannot use the state file: the address may be another after a restart", { file: this.#path, reason });
  }
}

/** The content of the file. */
export function formatMemory({ port, mapped, flags }: ClientMemory): string {
  return `${JSON.stringify({ version: VERSION, port, mapped: formatEndpoint(mapped), flags })}\n`;
}

/** Reads the content of the file; undefined when it makes no sense. */
export function parseMemory(text: string): ClientMemory | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const field = (name: string): unknown => Reflect.get(value, name);
  const port = field("port"), mapped = field("mapped"), flags = field("flags");
  if (field("version") !== VERSION || !isPort(port) || typeof mapped !== "string" || !isWord(flags)) return undefined;
  const [host, external, ...rest] = mapped.split(":");
  const address = parseIpv4(host), externalPort = Number(external);
  if (address === undefined || !isPort(externalPort) || rest.length > 0) return undefined;
  return { port, mapped: { address, port: externalPort }, flags };
}

function isWord(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff;
}

function isPort(value: unknown): value is number {
  return isWord(value) && value > 0;
}
