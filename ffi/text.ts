/** Strings as the kernel has them (octets up to a NUL) and addresses as people read them in an error. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * `text` in UTF-8 with a NUL octet behind it.
 * @throws TypeError when the text itself holds a NUL: the kernel would see less than was written
 */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError(`Cannot pass ${JSON.stringify(text)} to the kernel: it holds a NUL`);
  return encoder.encode(text + "\0");
}

/** The text from `at` up to a NUL octet or the end of `bytes`. */
export function readCString(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  return decoder.decode(bytes.slice(at, end < 0 ? bytes.length : end));
}

/** `192.0.2.1` for 0xc0000201. */
export function formatIpv4Number(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** An address of 4 or 16 octets as text (RFC 5952 4). */
export function formatAddress(address: Uint8Array): string {
  if (address.length === 4) return address.join(".");
  const words = Array.from({ length: 8 }, (_, i) => ((address[2 * i] << 8) | address[2 * i + 1]).toString(16));
  let best = { at: 0, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (words[at + length] === "0") length++;
    if (length > best.length) best = { at, length };
  }
  if (best.length < 2) return words.join(":");
  return `${words.slice(0, best.at).join(":")}::${words.slice(best.at + best.length).join(":")}`;
}
