import assert from "node:assert/strict";
import { EBADF, EINVAL } from "../../ffi/abi/errno.ts";
import { GATHER_LENGTH, GatherWriter } from "../../ffi/gather.ts";
import { close, drainEventFd, makeEventFd } from "../../ffi/io.ts";
import { nativeBuffer } from "../../ffi/memory.ts";

Deno.test("octets from any offset are written, and errors come as a negative errno", () => {
  const memory = nativeBuffer(new ArrayBuffer(4096));
  const writer = new GatherWriter(memory, 8);
  const fd = makeEventFd();
  try {
    memory.bytes[1001] = 1;
    assert.equal(writer.write(fd, 1001, 8), 8);
    assert.equal(drainEventFd(fd), true);
    assert.equal(writer.write(fd, 1001, 4), -EINVAL);
    assert.equal(writer.write(-1, 1001, 8), -EBADF);
    assert.ok(memory.bytes.subarray(8 + GATHER_LENGTH, 1001).every((octet) => octet === 0));
  } finally {
    close(fd);
  }
});
