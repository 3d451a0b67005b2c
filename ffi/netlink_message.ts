/**
 * Netlink messages: building requests, walking answers.
 *
 * ```
 *    0       4      6       8     12    16
 *   ┌───────┬──────┬───────┬─────┬─────┬──────────────┬──────────────────────┬────
 *   │ length│ type │ flags │ seq │ pid │ family header│ len type value  pad │ ...
 *   └───────┴──────┴───────┴─────┴─────┴──────────────┴──────────────────────┴────
 * ```
 *
 * Numbers are in the machine's byte order, little-endian here; addresses within values in network byte order. Everything is padded to
 * 4 octets.
 */

import { nlmsghdr, rtattr } from "./abi/netlink.ts";

/** Largest request built here, octets. */
const REQUEST_LENGTH = 1024;

/** Attribute types are 14 bits wide; the two above say "nested" and "network byte order". */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

const align = (length: number): number => (length + 3) & ~3;

/** A request under construction. */
export class NetlinkRequest {
  readonly #type: number;
  readonly #flags: number;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #headerAt = nlmsghdr.size;
  #length: number;

  /**
   * @param type `RTM_*`
   * @param flags `NLM_F_*` besides those of every request
   * @param headerLength size of the family header, octets
   */
  constructor(type: number, flags: number, headerLength: number) {
    this.#type = type;
    this.#flags = flags;
    this.#bytes = new Uint8Array(new ArrayBuffer(REQUEST_LENGTH));
    this.#view = new DataView(this.#bytes.buffer);
    this.#length = align(nlmsghdr.size + headerLength);
  }

  /** Sets a field of one octet in the family header. */
  header8(offset: number, value: number): this {
    this.#view.setUint8(this.#headerAt + offset, value);
    return this;
  }

  /** Sets a field of four octets in the family header. */
  header32(offset: number, value: number): this {
    this.#view.setUint32(this.#headerAt + offset, value, true);
    return this;
  }

  /** Adds an attribute. */
  attribute(type: number, value: Uint8Array): this {
    const at = this.#open(type);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this.#close(at);
  }

  /** Adds an attribute of one octet. */
  attribute8(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value));
  }

  /** Adds an attribute of four octets. */
  attribute32(type: number, value: number): this {
    const octets = new Uint8Array(4);
    new DataView(octets.buffer).setUint32(0, value, true);
    return this.attribute(type, octets);
  }

  /** Adds an attribute that holds the attributes `fill` adds. */
  nested(type: number, fill: (request: this) => void): this {
    const at = this.#open(type);
    fill(this);
    return this.#close(at);
  }

  #open(type: number): number {
    const at = this.#length;
    this.#view.setUint16(at + rtattr.rta_type, type, true);
    this.#length += rtattr.size;
    return at;
  }

  #close(at: number): this {
    this.#view.setUint16(at + rtattr.rta_len, this.#length - at, true);
    this.#length = align(this.#length);
    return this;
  }

  /** The finished message, with `flags` added to its own. */
  finish(sequence: number, flags: number): Uint8Array<ArrayBuffer> {
    this.#view.setUint32(nlmsghdr.nlmsg_len, this.#length, true);
    this.#view.setUint16(nlmsghdr.nlmsg_type, this.#type, true);
    this.#view.setUint16(nlmsghdr.nlmsg_flags, this.#flags | flags, true);
    this.#view.setUint32(nlmsghdr.nlmsg_seq, sequence, true);
    return this.#bytes.subarray(0, this.#length);
  }
}

/** A message received. */
export class NetlinkMessage {
  /** The whole message with its header. */
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get type(): number {
    return this.#view.getUint16(nlmsghdr.nlmsg_type, true);
  }

  get flags(): number {
    return this.#view.getUint16(nlmsghdr.nlmsg_flags, true);
  }

  get sequence(): number {
    return this.#view.getUint32(nlmsghdr.nlmsg_seq, true);
  }

  /** The same message in memory of its own. */
  copy(): NetlinkMessage {
    return new NetlinkMessage(this.bytes.slice());
  }

  /** A field of one octet in the family header; 0 when the message ends before it. */
  header8(offset: number): number {
    const at = nlmsghdr.size + offset;
    return at < this.bytes.length ? this.#view.getUint8(at) : 0;
  }

  /** A field of four octets in the family header, signed; 0 when the message ends before it. */
  header32(offset: number): number {
    const at = nlmsghdr.size + offset;
    return at + 4 <= this.bytes.length ? this.#view.getInt32(at, true) : 0;
  }

  /** The attributes behind a family header of `headerLength` octets, copied. */
  attributes(headerLength: number): Attributes {
    return new Attributes(this.bytes.subarray(Math.min(this.bytes.length, align(nlmsghdr.size + headerLength))));
  }
}

/** Attributes of a message, the last of each type. */
export class Attributes {
  readonly #values = new Map<number, Uint8Array>();

  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (at + rtattr.size <= bytes.length) {
      const length = view.getUint16(at + rtattr.rta_len, true);
      if (length < rtattr.size || at + length > bytes.length) break;
      const type = view.getUint16(at + rtattr.rta_type, true) & ATTRIBUTE_TYPE_MASK;
      this.#values.set(type, bytes.slice(at + rtattr.size, at + length));
      at += align(length);
    }
  }

  /** The value of an attribute as octets. */
  bytes(type: number): Uint8Array | undefined {
    return this.#values.get(type);
  }

  /** The value of an attribute of four octets, unsigned. */
  u32(type: number): number | undefined {
    const value = this.#values.get(type);
    if (value === undefined || value.length < 4) return undefined;
    return new DataView(value.buffer, value.byteOffset).getUint32(0, true);
  }

  /** The value of an attribute of one octet. */
  u8(type: number): number | undefined {
    return this.#values.get(type)?.[0];
  }

  /** The attributes within an attribute. */
  nested(type: number): Attributes | undefined {
    const value = this.#values.get(type);
    return value === undefined ? undefined : new Attributes(value);
  }
}

/** The messages of one datagram; stops at the first that is not whole. */
export function splitMessages(bytes: Uint8Array): NetlinkMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: NetlinkMessage[] = [];
  let at = 0;
  while (at + nlmsghdr.size <= bytes.length) {
    const length = view.getUint32(at + nlmsghdr.nlmsg_len, true);
    if (length < nlmsghdr.size || at + length > bytes.length) break;
    messages.push(new NetlinkMessage(bytes.subarray(at, at + length)));
    at += align(length);
  }
  return messages;
}
