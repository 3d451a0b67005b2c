import assert from "node:assert/strict";
import { lookupUser } from "../../ffi/users.ts";

Deno.test("root is user 0 of group 0", () => {
  assert.deepEqual(lookupUser("root"), { name: "root", uid: 0, gid: 0 });
});

Deno.test("every line of the user database is found with its numbers", () => {
  const lines = Deno.readTextFileSync("/etc/passwd").split("\n").filter((line) => /^[a-z]/.test(line));
  assert.ok(lines.length > 1);
  for (const line of lines) {
    const [name, , uid, gid] = line.split(":");
    assert.deepEqual(lookupUser(name), { name, uid: Number(uid), gid: Number(gid) });
  }
});

Deno.test("a name that nobody has gives nothing", () => {
  for (const name of ["no-such-user", "", "root\0", "r".repeat(5000)]) assert.equal(lookupUser(name), undefined);
});
