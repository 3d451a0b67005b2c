/**
 * A capture file that tcpdump, tshark and Wireshark read: raw IP packets, without a link layer (draft-ietf-opsawg-pcap).
 *
 * ```
 *   file    magic (4) │ version 2.4 (4) │ 0 (8) │ snapshot length (4) │ link type 101 (4)
 *   packet  seconds (4) │ microseconds (4) │ octets here (4) │ octets on the line (4) │ octets ...
 * ```
 */

import type { Millis } from "../../lib/core/machine.ts";

/** Little-endian, microseconds. */
const MAGIC = 0xa1b2c3d4;
const LINKTYPE_RAW = 101;
const SNAPSHOT_LENGTH = 65536;
const FILE_HEADER_LENGTH = 24;
const PACKET_HEADER_LENGTH = 16;
/** Octets collected before they are written. */
const BUFFER_LENGTH = 1 << 20;

/** Writes packets to a file. */
export class PcapWriter implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #buffer = new Uint8Array(BUFFER_LENGTH);
  readonly #view = new DataView(this.#buffer.buffer);
  /** Unix time, milliseconds, when the monotonic clock of {@link add} was 0. */
  readonly #origin: Millis;
  #used = 0;

  /**
   * Creates the file, or empties it.
   * @param origin Unix time, milliseconds, of moment 0 of {@link add}
   */
  constructor(path: string, origin: Millis) {
    this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
    this.#origin = origin;
    const header = [MAGIC, 0x0004_0002, 0, 0, SNAPSHOT_LENGTH, LINKTYPE_RAW];
    header.forEach((word, i) => this.#view.setUint32(i * 4, word, true));
    this.#used = FILE_HEADER_LENGTH;
  }

  /** Adds one packet. */
  add(packet: Uint8Array, now: Millis): void {
    if (this.#used + PACKET_HEADER_LENGTH + packet.length > BUFFER_LENGTH) this.flush();
    const time = this.#origin + now;
    const seconds = Math.floor(time / 1000);
    const header = [seconds, Math.floor((time - seconds * 1000) * 1000), packet.length, packet.length];
    for (const word of header) {
      this.#view.setUint32(this.#used, word, true);
      this.#used += 4;
    }
    this.#buffer.set(packet, this.#used);
    this.#used += packet.length;
  }

  /** Writes what was collected. */
  flush(): void {
    for (let at = 0; at < this.#used;) at += this.#file.writeSync(this.#buffer.subarray(at, this.#used));
    this.#used = 0;
  }

  [Symbol.dispose](): void {
    this.flush();
    this.#file.close();
  }
}
