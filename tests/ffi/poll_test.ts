import assert from "node:assert/strict";
import { EAGAIN, EBADF } from "../../ffi/abi/errno.ts";
import { close, drainEventFd, makeEventFd, read, signalEventFd, write } from "../../ffi/io.ts";
import { nativeBuffer } from "../../ffi/memory.ts";
import { Poller, pollerLength, POLLIN, POLLNVAL, POLLOUT, waitReadable } from "../../ffi/poll.ts";

const AT = 64;

function makePoller(capacity: number): Poller {
  return new Poller(nativeBuffer(new ArrayBuffer(AT + pollerLength(capacity))), AT, capacity);
}

Deno.test("an eventfd is readable from the first signal until it is drained", () => {
  const fd = makeEventFd();
  try {
    assert.equal(drainEventFd(fd), false);
    signalEventFd(fd);
    signalEventFd(fd);
    assert.equal(drainEventFd(fd), true);
    assert.equal(drainEventFd(fd), false);
  } finally {
    close(fd);
  }
});

Deno.test("an eventfd that is full takes another signal without an error", () => {
  const fd = makeEventFd();
  const memory = nativeBuffer(new ArrayBuffer(8));
  memory.view.setBigUint64(0, 0xffff_ffff_ffff_fffen, true);
  try {
    assert.equal(write(fd, memory.pointer(0), 8), 8);
    assert.equal(write(fd, memory.pointer(0), 8), -EAGAIN);
    signalEventFd(fd);
    assert.equal(drainEventFd(fd), true);
  } finally {
    close(fd);
  }
});

Deno.test("signalling what is not open throws", () => {
  assert.throws(() => signalEventFd(-1), { name: "SystemError", code: "EBADF" });
});

Deno.test("hot calls give a negative errno", () => {
  const memory = nativeBuffer(new ArrayBuffer(8));
  const fd = makeEventFd();
  assert.equal(read(fd, memory.pointer(0), 8), -EAGAIN);
  close(fd);
  assert.equal(read(-1, memory.pointer(0), 8), -EBADF);
  assert.equal(write(-1, memory.pointer(0), 8), -EBADF);
});

Deno.test("a poller says which descriptors are ready for what", () => {
  const [a, b] = [makeEventFd(), makeEventFd()];
  try {
    const poller = makePoller(3);
    poller.set(0, a, POLLIN);
    poller.set(2, b, POLLIN | POLLOUT);
    signalEventFd(a);
    assert.equal(poller.wait(-1), 2);
    assert.deepEqual([0, 1, 2].map((i) => poller.revents(i)), [POLLIN, 0, POLLOUT]);
    poller.set(0, -1, 0);
    signalEventFd(b);
    assert.equal(poller.wait(Infinity), 1);
    assert.deepEqual([0, 1, 2].map((i) => poller.revents(i)), [0, 0, POLLIN | POLLOUT]);
  } finally {
    close(a);
    close(b);
  }
});

Deno.test("a descriptor that is not open is reported and does not block", () => {
  const poller = makePoller(1);
  const fd = makeEventFd();
  close(fd);
  poller.set(0, fd, POLLIN);
  assert.equal(poller.wait(-1), 1);
  assert.equal(poller.revents(0), POLLNVAL);
});

Deno.test("a wait ends without any descriptor, never early, whatever the fraction", () => {
  const poller = makePoller(2);
  for (const wait of [0, 0.0001, 0.75, 1.9999999, 3]) {
    const start = performance.now();
    assert.equal(poller.wait(wait), 0);
    assert.ok(performance.now() - start >= wait);
  }
});

Deno.test("a wait longer than the kernel's clock can say is no error", () => {
  const poller = makePoller(1);
  const fd = makeEventFd();
  try {
    poller.set(0, fd, POLLIN);
    signalEventFd(fd);
    for (const wait of [999.9999999, 2 ** 31 - 0.5, 2 ** 52, Number.MAX_VALUE]) assert.equal(poller.wait(wait), 1);
  } finally {
    close(fd);
  }
});

Deno.test("the event loop goes on while another thread waits", async () => {
  const [a, b] = [makeEventFd(), makeEventFd()];
  try {
    const waiting = waitReadable([a, b]);
    await new Promise((resolve) => setTimeout(resolve, 1));
    signalEventFd(b);
    assert.deepEqual(await waiting, [b]);
    assert.deepEqual(await waitReadable([a], 0), []);
  } finally {
    close(a);
    close(b);
  }
});
