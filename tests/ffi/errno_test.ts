import assert from "node:assert/strict";
import { EBADF, EINVAL } from "../../ffi/abi/errno.ts";
import { check, errno, errnoName, SystemError } from "../../ffi/errno.ts";
import { close, openFile, readTextFile } from "../../ffi/io.ts";
import { libc, openFirst } from "../../ffi/libc.ts";

Deno.test("errno is that of the last failing call, with allocations in between", () => {
  const kept: unknown[] = [];
  for (let i = 0; i < 20_000; i++) {
    libc().close(-1);
    kept[i % 100] = new Array(20).fill(i);
    assert.equal(errno(), EBADF);
    libc().eventfd(0, -1);
    assert.equal(errno(), EINVAL);
  }
});

Deno.test("a failing call becomes one line: action, object, code, next step", () => {
  const error = new SystemError("open", 'open "/dev/net/tun"', 2, { ENOENT: "load the tun module" });
  assert.equal(error.message, 'Cannot open "/dev/net/tun": ENOENT (load the tun module)');
  assert.equal(error.name, "SystemError");
  assert.deepEqual([error.call, error.code, error.errno], ["open", "ENOENT", 2]);
  assert.equal(new SystemError("open", "open it", 13, { ENOENT: "no" }).message, "Cannot open it: EACCES");
});

Deno.test("a number without a name is shown as a number", () => {
  assert.equal(errnoName(13), "EACCES");
  assert.equal(errnoName(4711), "errno 4711");
});

Deno.test("a result that is no failure passes through", () => {
  assert.equal(check(0, "read", "read it"), 0);
  assert.equal(check(7, "read", "read it"), 7);
  libc().close(-1);
  assert.throws(() => check(-1, "close", "close it"), { message: "Cannot close it: EBADF" });
});

Deno.test("a file that is not there is named", () => {
  assert.throws(() => openFile("/nonexistent/file", 0), {
    name: "SystemError",
    message: 'Cannot open "/nonexistent/file": ENOENT',
  });
});

Deno.test("a text file is read whole, also when its size is not known before", () => {
  assert.match(readTextFile("/proc/self/status"), /^Name:[^]*\nCapEff:\s+[0-9a-f]{16}\n/);
});

Deno.test("closing what is not open says so without throwing", () => {
  assert.equal(close(-1), -EBADF);
});

Deno.test("a C library that is not there is reported with all that was tried", () => {
  assert.throws(
    () => openFirst(["/nonexistent/libc.so.6", "/nonexistent/too/libc.so.6"]),
    {
      message: "Cannot open the C library: no such file: GNU libc is needed " +
        '(tried "/nonexistent/libc.so.6", "/nonexistent/too/libc.so.6")',
    },
  );
});

Deno.test("a file that is no C library is reported with the loader's reason", () => {
  assert.throws(() => openFirst([new URL(import.meta.url).pathname]), /^Error: Cannot open the C library: .*invalid/);
});
