/** The control socket and metrics over HTTP: what clients of all manners get, and what they cannot do. */

import assert from "node:assert/strict";
import { openControlPath, removeControlPath } from "../../../lib/host/control/control_path.ts";
import { ControlClient, NotRunning } from "../../../lib/host/control/control_client.ts";
import { ControlSession, type Outcome } from "../../../lib/host/control/control_session.ts";
import { HttpSession } from "../../../lib/host/control/http_session.ts";
import { StreamServer } from "../../../lib/host/control/stream_server.ts";
import type { Request } from "../../../lib/control/protocol.ts";
import { close } from "../../../ffi/io.ts";
import { POLLIN, waitAside } from "../../../ffi/poll.ts";
import { connectUnix, listenUnix, receiveStream, sendStream } from "../../../ffi/stream.ts";

const PIECE = "x".repeat(100_000);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Echoes its parameters; `pieces` sends so many long items first; `never` has no answer. */
async function* answer({ method, params }: Request): AsyncGenerator<Outcome> {
  if (method === "never") await new Promise(() => {});
  for (let i = 0; i < Number(params.pieces ?? 0); i++) yield { item: PIECE };
  yield { result: { method, params } };
}

/** A server on a fresh path, for as long as `work` takes. */
async function serving(
  work: (path: string, requests: () => number) => Promise<void>,
  { http = false, patience = 30_000 } = {},
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "miredo-control-" });
  const path = `${directory}/s`;
  let requests = 0;
  const counted = (request: Request): AsyncGenerator<Outcome> => {
    requests++;
    return answer(request);
  };
  const fd = openControlPath({ path, user: undefined, group: undefined });
  const server = new StreamServer([{
    fd,
    open: (connection) =>
      http
        ? new HttpSession(connection, () => Promise.resolve("miredo_up 1\n"))
        : new ControlSession(connection, counted),
  }], patience);
  try {
    await work(path, () => requests);
  } finally {
    server[Symbol.dispose]();
    await server.finished;
    removeControlPath(path);
    await Deno.remove(directory, { recursive: true });
  }
}

/** All that comes from a descriptor until its end. */
async function readAll(fd: number): Promise<string> {
  const buffer = new Uint8Array(new ArrayBuffer(65_536));
  let text = "";
  for (;;) {
    await waitAside([{ fd, events: POLLIN }]);
    const length = receiveStream(fd, buffer);
    if (length <= 0) return text;
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
}

Deno.test("a client asks several times on one connection and gets items and results in order", async () => {
  await serving(async (path) => {
    using client = ControlClient.connect(path);
    assert.deepEqual(await client.result("a", { b: 1 }), { method: "a", params: { b: 1 } });
    const kinds: string[] = [];
    for await (const { kind } of client.ask("c", { pieces: 30 })) kinds.push(kind);
    assert.deepEqual(kinds, [...Array.from({ length: 30 }, () => "item"), "result"]);
    assert.deepEqual(await client.result("d"), { method: "d", params: {} });
  });
});

Deno.test("garbage gets an error and the connection goes on; a request without end gets one and is cut off", async () => {
  await serving(async (path) => {
    const fd = connectUnix(path);
    sendStream(fd, encoder.encode('rubbish\n{"version":1,"id":5,"method":"m"}\n'));
    sendStream(fd, encoder.encode("y".repeat(40_000)));
    sendStream(fd, encoder.encode("y".repeat(40_000)));
    const lines = (await readAll(fd)).trimEnd().split("\n").map((line) => JSON.parse(line));
    close(fd);
    assert.equal(lines[0].error.code, "bad-request");
    assert.deepEqual(lines[1], { version: 1, id: 5, result: { method: "m", params: {} } });
    assert.equal(lines[2].error.code, "bad-request");
    assert.equal(lines.length, 3);
  });
});

Deno.test("a client that reads nothing holds up neither the others nor memory", async () => {
  await serving(async (path, requests) => {
    const fd = connectUnix(path);
    // 100 MB of answers if they were all made.
    for (let id = 0; id < 50; id++) {
      sendStream(fd, encoder.encode(`{"version":1,"id":${id},"method":"m","params":{"pieces":20}}\n`));
    }
    using client = ControlClient.connect(path);
    assert.deepEqual(await client.result("other"), { method: "other", params: {} });
    assert.equal(requests(), 2, "the first answer waits for its reader, the others are not begun");
    close(fd);
    assert.deepEqual(await client.result("again"), { method: "again", params: {} });
  });
});

Deno.test("who asks nothing, or reads nothing, is cut off after a while; who waits for an answer is not", async () => {
  await serving(async (path) => {
    const [silent, halfway, deaf, waiting] = Array.from({ length: 4 }, () => connectUnix(path));
    sendStream(halfway, encoder.encode('{"version":1,'));
    sendStream(deaf, encoder.encode('{"version":1,"method":"m","params":{"pieces":20}}\n'));
    sendStream(waiting, encoder.encode('{"version":1,"method":"never"}\n'));
    assert.equal(await readAll(silent), "");
    assert.equal(await readAll(halfway), "");
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok((await readAll(deaf)).length < 20 * PIECE.length, "the rest of its answer was thrown away");
    const [ready] = await waitAside([{ fd: waiting, events: POLLIN }], 0);
    assert.equal(ready, 0);
    [silent, halfway, deaf, waiting].forEach(close);
  }, { patience: 50 });
});

Deno.test("a request without an answer holds up no other connection", async () => {
  await serving(async (path) => {
    const fd = connectUnix(path);
    sendStream(fd, encoder.encode('{"version":1,"method":"never"}\n'));
    using client = ControlClient.connect(path);
    assert.deepEqual(await client.result("other"), { method: "other", params: {} });
    close(fd);
  });
});

Deno.test("a socket that a dead daemon left is replaced; a live one, and what is no socket, are left alone", async () => {
  const directory = await Deno.makeTempDir({ prefix: "miredo-control-" });
  try {
    const path = `${directory}/s`;
    const how = { path, user: undefined, group: undefined };
    close(listenUnix(path, 0o600)); // nobody listens any more
    const fd = openControlPath(how);
    assert.equal((await Deno.lstat(path)).mode, 0o140660);
    assert.throws(() => openControlPath(how), /another miredo does \(end it, or set status\.socket/);
    close(fd);
    await Deno.remove(path);
    await Deno.writeTextFile(path, "precious");
    assert.throws(() => openControlPath(how), /another miredo does/);
    assert.equal(await Deno.readTextFile(path), "precious");
    assert.throws(() => openControlPath({ ...how, group: "nosuchgroup" }), /no such group \(set status\.group\)$/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("without a daemon a client is told so", async () => {
  const directory = await Deno.makeTempDir({ prefix: "miredo-control-" });
  try {
    assert.throws(() => ControlClient.connect(`${directory}/none`), NotRunning);
    close(listenUnix(`${directory}/left`, 0o600));
    assert.throws(() => ControlClient.connect(`${directory}/left`), NotRunning);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("metrics are served over HTTP, and nothing else", async () => {
  await serving(async (path) => {
    const ask = async (request: string): Promise<string> => {
      const fd = connectUnix(path);
      sendStream(fd, encoder.encode(request));
      const response = await readAll(fd);
      close(fd);
      return response;
    };
    assert.equal(
      await ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"),
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 12\r\nConnection: close\r\n\r\nmiredo_up 1\n",
    );
    assert.match(await ask("HEAD /metrics?x=1 HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)+\r\n$/);
    assert.match(await ask("GET / HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 404 /);
    assert.match(await ask("POST /metrics HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 405 .*\r\n(?:.+\r\n)*Allow: GET, HEAD\r\n/);
    assert.match(await ask("rubbish\r\n\r\n"), /^HTTP\/1\.1 400 /);
    assert.match(await ask("x".repeat(17_000)), /^HTTP\/1\.1 431 /);
  }, { http: true });
});
