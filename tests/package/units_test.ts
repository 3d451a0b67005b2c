/** The systemd units: what a role may do, as systemd itself judges it, and what the three have in common. */

import assert from "node:assert/strict";
import { runProgram } from "../../scripts/package/program.ts";
import { fakeExecutable, packageTest, ROOT, temporaryDirectory, UNITS, unitValues } from "./support.ts";

const ROLES = ["client", "relay", "server"] as const;

/** The largest exposure that a unit may have; 10 is a service without any restriction. */
const EXPOSURE_LIMIT = 2.5;

const unitPath = (role: string): string => `${UNITS}/miredo-${role}.service`;
const unit = (role: string): string => Deno.readTextFileSync(unitPath(role));

for (const role of ROLES) {
  packageTest(`systemd finds the ${role} exposed by no more than ${EXPOSURE_LIMIT}`, {
    programs: ["systemd-analyze"],
  }, async () => {
    const report = await runProgram(["systemd-analyze", "security", "--offline=true", "--no-pager", unitPath(role)]);
    const exposure = Number(/Overall exposure level for \S+: ([0-9.]+)/.exec(report)?.[1]);
    assert.ok(exposure <= EXPOSURE_LIMIT, report);
  });
}

packageTest("systemd understands every line of the units", { programs: ["systemd-analyze"] }, async () => {
  await using directory = await temporaryDirectory();
  const executable = await fakeExecutable(`${directory.path}/miredo`);
  const files: string[] = [];
  for (const role of ROLES) {
    const file = `${directory.path}/miredo-${role}.service`;
    // The program and its manual pages are not installed here.
    const text = unit(role).replaceAll("/usr/bin/miredo", executable).replace(/^Documentation=.*\n/m, "");
    await Deno.writeTextFile(file, text);
    files.push(file);
  }
  await runProgram(["systemd-analyze", "verify", "--man=false", ...files]);
  const { stderr } = await new Deno.Command("systemd-analyze", { args: ["verify", "--man=false", ...files] }).output();
  const about = new TextDecoder().decode(stderr).split("\n").filter((line) => line.includes("miredo"));
  assert.deepEqual(about, []);
});

Deno.test("the units differ in nothing but role, privilege and devices", () => {
  const common = (role: string): string[] =>
    unit(role).replaceAll(new RegExp(`\\b${role}\\b`, "gi"), "ROLE").split("\n").filter((line) =>
      !/^(?:#|Description=|AmbientCapabilities=|CapabilityBoundingSet=|DeviceAllow=|PrivateDevices=|ReadWritePaths=)/
        .test(line)
    );
  assert.deepEqual(common("relay"), common("client"));
  assert.deepEqual(common("server"), common("client"));
});

Deno.test("no role is ever root, and each has the one capability that it needs", () => {
  const needed = { client: "CAP_NET_ADMIN", relay: "CAP_NET_ADMIN", server: "CAP_NET_RAW" } as const;
  for (const role of ROLES) {
    const text = unit(role);
    assert.deepEqual(unitValues(text, "User"), ["miredo"]);
    assert.deepEqual(unitValues(text, "AmbientCapabilities"), [needed[role]]);
    assert.deepEqual(unitValues(text, "CapabilityBoundingSet"), [needed[role]]);
    assert.deepEqual(unitValues(text, "NoNewPrivileges"), ["yes"]);
  }
});

Deno.test("systemd waits for word of the daemon, looks after it, and does not kill V8", () => {
  for (const role of ROLES) {
    const text = unit(role);
    assert.deepEqual(unitValues(text, "Type"), ["notify"]);
    assert.equal(unitValues(text, "WatchdogSec").length, 1);
    // With it V8 cannot write machine code, and the process ends by SIGTRAP at its start.
    assert.deepEqual(unitValues(text, "MemoryDenyWriteExecute"), []);
  }
});

Deno.test("the user of the units is the one that sysusers.d makes and tmpfiles.d serves", () => {
  const read = (path: string): string => Deno.readTextFileSync(`${ROOT}scripts/package/${path}/miredo.conf`);
  assert.match(read("sysusers.d"), /^u miredo - ".*" \/run\/miredo \/usr\/sbin\/nologin$/m);
  assert.match(read("tmpfiles.d"), /^d \/run\/miredo 0755 miredo miredo -$/m);
});
