/** The capture files of the lab, octet by octet. */

import assert from "node:assert/strict";
import { PcapWriter } from "./pcap.ts";

Deno.test("a capture file has the header of raw IP and every packet with its time", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcap" });
  {
    using pcap = new PcapWriter(path, 1_700_000_000_000);
    pcap.add(Uint8Array.of(0x45, 1, 2), 1234.5678);
    pcap.add(Uint8Array.of(0x45), 2000);
  }
  const octets = await Deno.readFile(path);
  await Deno.remove(path);
  const view = new DataView(octets.buffer);
  const words = (at: number, count: number) =>
    Array.from({ length: count }, (_, i) => view.getUint32(at + 4 * i, true));
  assert.deepEqual(words(0, 6), [0xa1b2c3d4, 0x00040002, 0, 0, 65536, 101]);
  assert.deepEqual(words(24, 4), [1_700_000_001, 234_567, 3, 3]);
  assert.deepEqual([...octets.subarray(40, 43)], [0x45, 1, 2]);
  assert.deepEqual(words(43, 1), [1_700_000_002]);
  assert.equal(octets.length, 60);
});

Deno.test("a capture larger than its buffer is written whole", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcap" });
  const packet = new Uint8Array(1400).fill(0x45);
  {
    using pcap = new PcapWriter(path, 0);
    for (let i = 0; i < 2000; i++) pcap.add(packet, i);
  }
  const { size } = await Deno.stat(path);
  await Deno.remove(path);
  assert.equal(size, 24 + 2000 * (16 + 1400));
});
