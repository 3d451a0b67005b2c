import assert from "node:assert/strict";
import { ResolutionError, resolveIpv4 } from "../../ffi/resolve.ts";

Deno.test("the hosts file is read: localhost is 127.0.0.1, once", async () => {
  assert.deepEqual(await resolveIpv4("localhost"), [0x7f000001]);
});

Deno.test("a dotted quad is its own address", async () => {
  assert.deepEqual(await resolveIpv4("192.0.2.7"), [0xc0000207]);
  assert.deepEqual(await resolveIpv4("203.0.113.255"), [0xcb0071ff]);
});

Deno.test("questions asked at once get their own answers", async () => {
  const hosts = Array.from({ length: 20 }, (_, i) => i);
  const answers = await Promise.all(hosts.map((host) => resolveIpv4(`198.51.100.${host}`)));
  assert.deepEqual(answers.flat(), hosts.map((host) => 0xc6336400 + host));
});

Deno.test("the event loop goes on while a name is resolved", async () => {
  let turned = false;
  const answer = resolveIpv4("localhost");
  await Promise.race([answer, Promise.resolve().then(() => turned = true)]);
  assert.equal(turned, true);
  await answer;
});

Deno.test("what is no name is refused with its code", async () => {
  for (const name of ["", "a\0b", "x".repeat(600), "2001:db8::1"]) {
    await assert.rejects(resolveIpv4(name), (error: unknown) => {
      assert.ok(error instanceof ResolutionError);
      assert.match(error.message, /^Cannot resolve ".*": EAI_\w+ \(.+\)$/);
      assert.equal(error.host, name);
      assert.equal(error.temporary, false);
      return true;
    });
  }
});

Deno.test("only errors that may pass are temporary", () => {
  assert.equal(new ResolutionError("host.example", -3, "Temporary failure in name resolution").temporary, true);
  const unknown = new ResolutionError("host.example", -2, "Name or service not known");
  assert.equal(unknown.temporary, false);
  assert.equal(unknown.message, 'Cannot resolve "host.example": EAI_NONAME (Name or service not known)');
});
