/**
 * Entry of the thread that tends a client's interface: the one thread of the process that keeps CAP_NET_ADMIN. It sleeps in a futex, does
 * what {@link InterfaceCall} can say about the one interface it opened, and starts no threads, which would have the capability too.
 */

import {
  keepCapabilities,
  limitThread,
  maskOf,
  nameThread,
  ThreadDirectory,
  threadId,
} from "../../../ffi/privileges.ts";
import { reasonOf } from "../system/advice.ts";
import { type InterfaceAnswer, type InterfaceCall, InterfaceMailbox } from "./interface_calls.ts";
import { TunnelInterface } from "../interface/tunnel_interface.ts";

let tunnel: TunnelInterface | undefined;
/** Opened before a chroot, closed when it was needed. */
let threads: ThreadDirectory | undefined;

function opened(): TunnelInterface {
  if (tunnel === undefined) throw new Error("Cannot tend an interface before it is open");
  return tunnel;
}

/** Keeps CAP_NET_ADMIN where this thread has it. */
function limit(): void {
  const self = threads?.read().find(({ tid }) => tid === threadId());
  const holds = self !== undefined && (self.permitted & maskOf(["NET_ADMIN"])) !== 0n;
  limitThread(holds ? ["NET_ADMIN"] : []);
  threads?.[Symbol.dispose]();
  threads = undefined;
}

function perform(call: InterfaceCall): InterfaceAnswer {
  switch (call.type) {
    case "open": {
      keepCapabilities(); // over the change of user that comes
      tunnel = new TunnelInterface(call.options);
      threads = new ThreadDirectory();
      const { fd, name, index, adopted } = tunnel;
      return { opened: { fd, name, index, adopted, thread: threadId() } };
    }
    case "limit":
      limit();
      return {};
    case "change": {
      const state = opened().change();
      return state === undefined ? {} : { state };
    }
    case "set-address":
      opened().setAddress(Uint8Array.from(call.address), call.prefixLength, call.mtu);
      return {};
    case "clear-address":
      opened().clearAddress();
      return {};
    case "restore":
      opened().restore();
      return {};
    case "close":
      tunnel?.[Symbol.dispose]();
      tunnel = undefined;
      return {};
  }
}

self.onmessage = (message: MessageEvent<SharedArrayBuffer>): void => {
  const mailbox = new InterfaceMailbox(message.data);
  nameThread("interface");
  for (;;) {
    const call = mailbox.receive();
    let answer: InterfaceAnswer;
    try {
      answer = perform(call);
    } catch (cause) {
      answer = { error: reasonOf(cause) };
    }
    mailbox.answer(answer);
    if (call.type === "close") return self.close();
  }
};
