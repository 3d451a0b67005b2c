import assert from "node:assert/strict";
import { verifyAuthentication, writeSecureAuthentication } from "../../../lib/core/qualification/secure.ts";
import { Datagram } from "../../../lib/wire/encapsulation.ts";
import { hex, toHex } from "../harness.ts";

/** protocol examples "RS-secure" and "RA-secure": identifier "alice", secret "teredo-secret". */
const SECRET = new TextEncoder().encode("teredo-secret");
const RS_SECURE = hex(`
  00 01 05 14 61 6c 69 63 65
  09 2f 41 72 ae a4 33 fb 2c 70 06 f1 04 82 3e 42 a6 7f d8 28
  01 23 45 67 89 ab cd ef 00
  60 00 00 00 00 08 3a ff
  fe 80 00 00 00 00 00 00 00 00 ff ff ff ff ff fe
  ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 02
  85 00 7d 38 00 00 00 00`);
const RA_SECURE = hex(`
  00 01 05 14 61 6c 69 63 65
  73 b6 72 66 c6 ac a5 84 a8 34 16 f5 31 3f c6 47 4f ab ce 97
  01 23 45 67 89 ab cd ef 00
  00 00 ef ff 3f ff fd fe
  60 00 00 00 00 38 3a ff
  fe 80 00 00 00 00 00 00 80 00 f2 27 34 ff 8e 87
  fe 80 00 00 00 00 00 00 00 00 ff ff ff ff ff fe
  86 00 95 4d 00 00 00 00 00 00 00 00 00 00 07 d0
  03 04 40 40 ff ff ff ff ff ff ff ff 00 00 00 00
  20 01 00 00 cb 00 71 78 00 00 00 00 00 00 00 00
  05 01 00 00 00 00 05 00`);

function verifies(datagram: Uint8Array, secret: Uint8Array = SECRET): boolean {
  const decoded = new Datagram();
  return decoded.decode(datagram, 0, datagram.length) && verifyAuthentication(secret, decoded, datagram);
}

Deno.test("[SEC-03] the authentication value is HMAC-SHA1 over nonce, confirmation, origin and IPv6 packet", () => {
  for (const [example, covered] of [[RS_SECURE, 48], [RA_SECURE, 104]] as const) {
    assert.ok(verifies(example));
    const made = example.slice();
    made.fill(0, 0, made.length - covered);
    const nonce = hex("0123456789abcdef"), identifier = new TextEncoder().encode("alice");
    assert.equal(writeSecureAuthentication(identifier, SECRET, nonce, 0, made, 0, covered), 38);
    assert.equal(toHex(made), toHex(example));
  }
});

Deno.test("[SEC-02] any change to a covered octet or the value makes the authentication wrong; identifier and trailers are not covered", () => {
  for (let i = 9; i < RA_SECURE.length; i++) {
    const changed = RA_SECURE.slice();
    changed[i] ^= 0x01;
    assert.equal(verifies(changed), false, `octet ${i}`);
  }
  const renamed = RA_SECURE.slice();
  renamed[4] ^= 0x01;
  assert.equal(verifies(renamed), true);
  assert.equal(verifies(new Uint8Array([...RA_SECURE, 1, 4, 0, 0, 0, 1])), true);
  assert.equal(verifies(RA_SECURE, new TextEncoder().encode("teredo-secreT")), false);
  assert.equal(verifies(RS_SECURE.subarray(38)), false, "no element at all");
  assert.equal(verifies(new Uint8Array([0, 1, 0, 0, ...RS_SECURE.subarray(29)])), false, "no value");
});
