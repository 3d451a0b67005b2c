/** Entry of the data isolate: takes messages from the main isolate and lets {@link DataPath} run between them. */

import { dropThreadCapabilities } from "../../../ffi/privileges.ts";
import { DataPath } from "../data/data_path.ts";
import type { FromData, ToData } from "../data/messages.ts";

const inbox: ToData[] = [];
let received = 0;
let running = false;

const post = (message: FromData): void => self.postMessage(message);

/** One turn of the event loop: lets posted messages arrive. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

async function run(): Promise<void> {
  dropThreadCapabilities(); // it works with open descriptors only
  let path: DataPath | undefined;
  for (;;) {
    for (let message = inbox.shift(); message !== undefined; message = inbox.shift()) {
      switch (message.type) {
        case "setup":
          path?.abandon();
          path = new DataPath(
            message,
            (event) => post({ type: "event", event }),
            (id, step) => post({ type: "probe", id, step }),
          );
          post({ type: "ready", offloads: path.offloads });
          break;
        case "start":
          path?.start(message.server);
          break;
        case "mapping":
          path?.portMapping(message.mapping);
          break;
        case "probe":
          path?.probe(message.probe);
          break;
        case "probe-end":
          path?.endProbe(message.id);
          break;
        case "stop":
          path?.stop();
          post({ type: "stopped" });
          self.close();
          return;
      }
    }
    if (path === undefined) return;
    path.runUntilWoken();
    const view = path.look();
    if (view !== undefined) post({ type: "view", view });
    // The eventfd is signalled after the message was posted, yet the message may need a few turns to arrive.
    while (received < path.messagesSent) await turn();
  }
}

self.onmessage = (message: MessageEvent<ToData>): void => {
  received++;
  inbox.push(message.data);
  if (running) return;
  running = true;
  run().catch((cause) => {
    // Not thrown any further: Deno would write it to standard error in several lines.
    post({ type: "failed", reason: cause instanceof Error ? cause.message : String(cause) });
    self.close();
  });
};

post({ type: "loaded" });
