/**
 * A data isolate without machine, for tests of what stands around it: it tells what it was told, and does what a server address means.
 *
 * It speaks by events, since nothing else comes through to the owner of a data isolate: a peer whose "address" is JSON.
 */

import { makeEventFd } from "../../../../ffi/io.ts";
import { type FromData, SharedState, type ToData } from "../../../../lib/host/data/messages.ts";
import { HANG, KEEP, SAY_FAILED, THROW } from "./words.ts";

const post = (message: FromData): void => self.postMessage(message);
const say = (value: unknown): void => {
  const peer = new TextEncoder().encode(JSON.stringify(value));
  post({ type: "event", event: { type: "peer-unreachable", peer } });
};

let shared: SharedState | undefined;

self.onmessage = ({ data: message }: MessageEvent<ToData>): void => {
  switch (message.type) {
    case "setup": {
      shared = new SharedState(message.shared);
      shared.counters[0]++;
      const server = message.machine.role === "client" ? message.machine.server?.primary : undefined;
      say({ setup: { descriptors: message.descriptors, server }, starts: shared.counters[0] });
      break;
    }
    case "start":
      obey(message.server.primary);
      break;
    case "stop":
      post({ type: "stopped" });
      self.close();
      break;
  }
};

function obey(order: number): void {
  switch (order) {
    case THROW:
      throw new Error("Cannot go on: thrown");
    case SAY_FAILED:
      post({ type: "failed", reason: "Cannot go on: said" });
      self.close();
      break;
    case HANG:
      say({ hanging: true });
      for (;;);
    case KEEP: {
      const descriptor = makeEventFd();
      shared?.keep(descriptor);
      say({ kept: descriptor });
      break;
    }
    default:
      say({ start: order });
  }
}

post({ type: "loaded" });
