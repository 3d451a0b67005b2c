/** The language of the control socket. */

import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  formatRequest,
  formatResponse,
  LineReader,
  parseRequest,
  parseResponse,
  RequestError,
} from "../../lib/control/protocol.ts";

Deno.test("a request survives its line", () => {
  const request = { id: 7, method: "status", params: { peers: true } };
  const line = formatRequest(request);
  assert.equal(line, '{"version":1,"id":7,"method":"status","params":{"peers":true}}\n');
  assert.deepEqual(parseRequest(line), request);
});

Deno.test("a request that is none is refused with a code, never with another error", () => {
  const codeOf = (line: string): string => {
    try {
      parseRequest(line);
      return "accepted";
    } catch (error) {
      assert.ok(error instanceof RequestError, String(error));
      return error.code;
    }
  };
  assert.equal(codeOf("rubbish"), "bad-request");
  assert.equal(codeOf("[1]"), "bad-request");
  assert.equal(codeOf('{"version":2,"method":"status"}'), "unsupported-version");
  assert.equal(codeOf('{"method":"status"}'), "unsupported-version");
  assert.equal(codeOf('{"version":1}'), "bad-request");
  assert.equal(codeOf('{"version":1,"method":"status","params":[]}'), "bad-params");
  assert.equal(codeOf('{"version":1,"method":"status"}'), "accepted");
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => void codeOf(line)));
});

Deno.test("an answer survives its line, whichever kind it is", () => {
  assert.deepEqual(parseResponse(formatResponse(1, { item: [1] })), { kind: "item", value: [1] });
  assert.deepEqual(parseResponse(formatResponse(1, { result: null })), { kind: "result", value: null });
  const error = new RequestError("not-possible", "Cannot ping");
  assert.deepEqual(parseResponse(formatResponse(1, { error })), { kind: "error", message: "Cannot ping" });
  assert.equal(parseResponse('{"version":2,"result":1}'), undefined);
});

Deno.test("lines are the same however the octets of a stream are cut, characters of several octets too", () => {
  const text = '{"a":"ö€𝄞"}\n\nlast\nrest';
  const octets = new TextEncoder().encode(text);
  fc.assert(fc.property(fc.array(fc.nat(octets.length)), (cuts) => {
    const places = [0, ...cuts.toSorted((a, b) => a - b), octets.length];
    const reader = new LineReader(100);
    const lines = places.slice(1).flatMap((end, i) => reader.push(octets.subarray(places[i], end)) ?? ["too long"]);
    assert.deepEqual(lines, ['{"a":"ö€𝄞"}', "", "last"]);
    assert.ok(reader.partial);
  }));
});

Deno.test("a line longer than allowed is noticed before its end comes", () => {
  const reader = new LineReader(10);
  assert.deepEqual(reader.push(new TextEncoder().encode("12345")), []);
  assert.equal(reader.push(new TextEncoder().encode("678901")), undefined);
});
