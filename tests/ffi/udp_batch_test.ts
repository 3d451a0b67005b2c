import assert from "node:assert/strict";
import { EAGAIN, EBADF, EINVAL, EMSGSIZE } from "../../ffi/abi/errno.ts";
import { close } from "../../ffi/io.ts";
import { nativeBuffer } from "../../ffi/memory.ts";
import { localEndpoint, openUdp } from "../../ffi/udp.ts";
import {
  DatagramReceiver,
  DatagramSender,
  enableUdpGro,
  hasUdpSegment,
  receiverLength,
  senderLength,
} from "../../ffi/udp_batch.ts";
import { readable } from "./support.ts";

const LOOPBACK = 0x7f000001;

/** Where things lie in the memory of these tests. */
const SENDER_AT = 0;
const RECEIVER_AT = 0x1000;
const OUT_AT = 0x4000;
const SLOTS = { at: 0x20000, stride: 0x10040, length: 0x10000 };
const MESSAGES = 4;
const PIECES = 16;

const memory = nativeBuffer(new ArrayBuffer(0x80000));
assert.ok(senderLength(MESSAGES, PIECES) <= RECEIVER_AT && receiverLength(MESSAGES) <= OUT_AT - RECEIVER_AT);

interface Pair {
  readonly sender: DatagramSender;
  readonly receiver: DatagramReceiver;
  readonly out: number;
  readonly into: number;
  readonly port: number;
}

function withPair(gro: boolean, work: (pair: Pair) => void): void {
  const sender = new DatagramSender(memory, SENDER_AT, MESSAGES, PIECES);
  const receiver = new DatagramReceiver(memory, RECEIVER_AT, MESSAGES, SLOTS);
  const out = openUdp({ address: LOOPBACK, port: 0 }), into = openUdp({ address: LOOPBACK, port: 0 });
  try {
    if (gro) assert.equal(enableUdpGro(into), true);
    work({ sender, receiver, out, into, port: localEndpoint(into).port });
  } finally {
    close(out);
    close(into);
  }
}

const slot = (i: number, length: number): number[] => [
  ...memory.bytes.subarray(SLOTS.at + i * SLOTS.stride, SLOTS.at + i * SLOTS.stride + length),
];

Deno.test("messages of several pieces leave with one call and arrive with one call", () => {
  withPair(false, ({ sender, receiver, out, into, port }) => {
    memory.bytes.set([1, 2, 3, 4, 5, 6], OUT_AT);
    sender.setPiece(0, OUT_AT, 2);
    sender.setPiece(1, OUT_AT + 4, 2);
    sender.setPiece(2, OUT_AT + 3, 1);
    sender.setMessage(0, 0, 2, 0);
    sender.setMessage(1, 2, 1, 0);
    for (const i of [0, 1]) sender.setTarget(i, LOOPBACK, port);
    assert.equal(receiver.receive(into), -EAGAIN);
    assert.equal(sender.send(out, 0, 2), 2);
    assert.ok(readable(into));
    assert.equal(receiver.receive(into), 2);
    assert.deepEqual([slot(0, receiver.length(0)), slot(1, receiver.length(1))], [[1, 2, 5, 6], [4]]);
    for (const i of [0, 1]) {
      assert.equal(receiver.sourceAddress(i), LOOPBACK);
      assert.equal(receiver.sourcePort(i), localEndpoint(out).port);
      assert.equal(receiver.destination(i), LOOPBACK);
      assert.equal(receiver.segmentLength(i), 0);
      assert.equal(receiver.truncated(i), false);
    }
  });
});

Deno.test("the kernel cuts one message into datagrams, and joins them again for a socket that asked for it", () => {
  for (const gro of [false, true]) {
    withPair(gro, ({ sender, receiver, out, into, port }) => {
      assert.equal(hasUdpSegment(out), true);
      memory.bytes.set(Uint8Array.from({ length: 250 }, (_, i) => i), OUT_AT);
      sender.setPiece(0, OUT_AT, 130);
      sender.setPiece(1, OUT_AT + 130, 120);
      sender.setMessage(0, 0, 2, 100);
      sender.setTarget(0, LOOPBACK, port);
      assert.equal(sender.send(out, 0, 1), 1);
      assert.ok(readable(into));
      const count = receiver.receive(into);
      const lengths = Array.from({ length: count }, (_, i) => receiver.length(i));
      assert.deepEqual(lengths, gro ? [250] : [100, 100, 50]);
      assert.equal(receiver.segmentLength(0), gro ? 100 : 0);
      assert.deepEqual(lengths.flatMap((length, i) => slot(i, length)), Array.from({ length: 250 }, (_, i) => i));
      assert.equal(receiver.destination(0), LOOPBACK);
    });
  }
});

Deno.test("a batch is sent up to the message that fails, and that one's error comes with the next call", () => {
  withPair(false, ({ sender, receiver, out, into, port }) => {
    sender.setPiece(0, OUT_AT, 10);
    sender.setPiece(1, OUT_AT, 0xffff);
    for (const i of [0, 1, 2]) {
      sender.setMessage(i, i === 1 ? 1 : 0, 1, 0);
      sender.setTarget(i, LOOPBACK, port);
    }
    assert.equal(sender.send(out, 0, 3), 1);
    assert.equal(sender.send(out, 1, 2), -EMSGSIZE);
    sender.copyTarget(3, 0);
    sender.setMessage(3, 0, 1, 0);
    assert.equal(sender.send(out, 2, 2), 2);
    assert.equal(receiver.receive(into), 3);
    sender.setMessage(0, 0, 1, 0x8000);
    sender.setTarget(0, LOOPBACK, 0);
    assert.equal(sender.send(out, 0, 1), -EINVAL);
    assert.equal(sender.send(-1, 0, 1), -EBADF);
    assert.equal(receiver.receive(-1), -EBADF);
  });
});

Deno.test("a message longer than its place is told so, and the next calls start afresh", () => {
  withPair(false, ({ sender, out, into, port }) => {
    const receiver = new DatagramReceiver(memory, RECEIVER_AT, 2, { at: SLOTS.at, stride: 64, length: 16 });
    sender.setPiece(0, OUT_AT, 17);
    sender.setPiece(1, OUT_AT, 16);
    for (const i of [0, 1, 2]) {
      sender.setMessage(i, i === 0 ? 0 : 1, 1, 0);
      sender.setTarget(i, LOOPBACK, port);
    }
    assert.equal(sender.send(out, 0, 3), 3);
    assert.ok(readable(into));
    assert.equal(receiver.receive(into), 2);
    assert.deepEqual([receiver.truncated(0), receiver.truncated(1)], [true, false]);
    assert.equal(receiver.receive(into), 1);
    assert.equal(receiver.truncated(0), false);
    assert.equal(receiver.sourcePort(0), localEndpoint(out).port);
    assert.equal(receiver.destination(0), LOOPBACK);
    assert.equal(receiver.receive(into), -EAGAIN);
  });
});
