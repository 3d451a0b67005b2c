/** NAT-PMP and PCP on the wire. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  NAT_PMP_ADDRESS_REQUEST,
  parseNatPmpAddress,
  parseNatPmpMapping,
  writeNatPmpMapping,
} from "../../../lib/host/port_mapping/nat_pmp.ts";
import { parsePcpAnswer, type PcpRequest, writePcpRequest } from "../../../lib/host/port_mapping/pcp.ts";

const NONCE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
const REQUEST: PcpRequest = {
  client: 0xc0a84d02,
  nonce: NONCE,
  internalPort: 40123,
  external: { address: 0, port: 40123 },
  lifetime: 3600,
};
const hex = (bytes: Uint8Array): string => bytes.toHex();
/** The octets of RFC 6887 7.2 and 11.1, field by field. */
const answer = (code = 0, version = "02", nonce = NONCE): Uint8Array<ArrayBuffer> =>
  Uint8Array.fromHex(
    `${version}8100${code.toString(16).padStart(2, "0")}` + "00000e10" + "00001234" + "00".repeat(12) +
      hex(nonce) + "11000000" + "9cbb9cbc" + "00000000000000000000ffffc6336401",
  );

Deno.test("a PCP request has the octets of RFC 6887 7.1 and 11.1", () => {
  assert.equal(
    hex(writePcpRequest(REQUEST)),
    "02010000" + "00000e10" + "00000000000000000000ffffc0a84d02" + hex(NONCE) + "11000000" + "9cbb9cbb" +
      "00000000000000000000ffff00000000",
  );
});

Deno.test("a PCP answer tells the external endpoint and the lifetime", () => {
  assert.deepEqual(parsePcpAnswer(answer(), REQUEST), {
    granted: true,
    external: { address: 0xc6336401, port: 40124 },
    lifetime: 3600,
  });
});

Deno.test("a PCP answer with another nonce or for another port is none; a refusal and another version are refusals", () => {
  assert.equal(parsePcpAnswer(answer(0, "02", NONCE.map((octet) => octet + 1)), REQUEST), undefined);
  assert.equal(parsePcpAnswer(answer(), { ...REQUEST, internalPort: 1 }), undefined);
  assert.equal(parsePcpAnswer(writePcpRequest(REQUEST), REQUEST), undefined);
  assert.deepEqual(parsePcpAnswer(answer(2), REQUEST), { granted: false, code: 2 });
  // RFC 6886 3.5: a NAT-PMP gateway says "unsupported version" to version 2.
  assert.deepEqual(parsePcpAnswer(Uint8Array.fromHex("0081000100000000"), REQUEST), { granted: false, code: 1 });
});

Deno.test("NAT-PMP has the octets of RFC 6886 3.2 and 3.3", () => {
  assert.equal(hex(NAT_PMP_ADDRESS_REQUEST), "0000");
  assert.equal(hex(writeNatPmpMapping(40123, 40124, 3600)), "000100009cbb9cbc00000e10");
  assert.equal(parseNatPmpAddress(Uint8Array.fromHex("0080000000001234c6336401")), 0xc6336401);
  // Network failure: the gateway has no address.
  assert.equal(parseNatPmpAddress(Uint8Array.fromHex("008000030000123400000000")), 0);
  const granted = Uint8Array.fromHex("00810000000012349cbb9cbc00000e10");
  assert.deepEqual(parseNatPmpMapping(granted, 40123), { granted: true, port: 40124, lifetime: 3600 });
  assert.equal(parseNatPmpMapping(granted, 40122), undefined);
  assert.deepEqual(parseNatPmpMapping(Uint8Array.fromHex("00810002"), 40123), { granted: false, code: 2 });
});

Deno.test("no octets make the readers of answers fail, and none too short is taken for granted", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    const pcp = parsePcpAnswer(bytes, REQUEST), pmp = parseNatPmpMapping(bytes, 40123);
    assert.ok(pcp?.granted !== true || bytes.length >= 60);
    assert.ok(pmp?.granted !== true || bytes.length >= 16);
    assert.ok((parseNatPmpAddress(bytes) ?? 0) === 0 || bytes.length >= 12);
  }));
  const whole = answer();
  for (let length = 0; length < whole.length; length++) {
    assert.notEqual(parsePcpAnswer(whole.subarray(0, length), REQUEST)?.granted, true);
  }
});
