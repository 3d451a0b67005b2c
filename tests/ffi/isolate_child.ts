/** Run by isolate_test.ts: the hot calls in a main isolate or, with the argument "worker", in a Worker; prints what they give. */

import { close, drainEventFd, makeEventFd, signalEventFd } from "../../ffi/io.ts";
import { nativeBuffer } from "../../ffi/memory.ts";
import { Poller, POLLIN } from "../../ffi/poll.ts";
import { CONTROL_LENGTH, DatagramSocketIo, localEndpoint, openUdp } from "../../ffi/udp.ts";

function work(): string {
  const memory = nativeBuffer(new SharedArrayBuffer(8192));
  const io = new DatagramSocketIo(memory, 0);
  const poller = new Poller(memory, 512, 2);
  const fd = openUdp({ address: 0x7f000001, port: 0 });
  const event = makeEventFd();
  poller.set(0, fd, POLLIN);
  poller.set(1, event, POLLIN);
  const nothing = io.receive(fd, 4096, 100);
  memory.bytes.set([1, 2, 3], 4096);
  io.send(fd, 4096, 3, 0x7f000001, localEndpoint(fd).port);
  signalEventFd(event);
  const ready = poller.wait(-1);
  const length = io.receive(fd, 6000, 100);
  const drained = drainEventFd(event);
  const bad = close(-1);
  close(fd);
  close(event);
  return JSON.stringify({ nothing, ready, length, drained, bad, room: CONTROL_LENGTH <= 512 });
}

if (typeof WorkerGlobalScope === "undefined" && Deno.args[0] === "worker") {
  const worker = new Worker(import.meta.url, { type: "module" });
  console.log(await new Promise((resolve) => worker.onmessage = (event) => resolve(event.data)));
  worker.terminate();
} else if (typeof WorkerGlobalScope === "undefined") {
  console.log(work());
} else {
  self.postMessage(work());
}
