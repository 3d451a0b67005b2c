/**
 * The .deb through its whole life, in a root directory of its own:
 *
 * ```
 *   install ─▶ configure ─▶ run the three roles as their units do, ping through ─▶ upgrade ─▶ remove ─▶ purge ─▶ nothing left
 * ```
 */

import assert from "node:assert/strict";
import { runProgram } from "../../scripts/package/program.ts";
import { NotifyReceiver } from "../ffi/notify_receiver.ts";
import { type Child, until } from "../lab/child.ts";
import type { LabHost } from "../lab/lab.ts";
import { mayRunLab } from "../lab/privilege.ts";
import { ping } from "../lab/programs.ts";
import { LabWorld, SERVER, WEB } from "../lab/world.ts";
import { BOOT_PROGRAMS, BootedSystem } from "./booted_system.ts";
import { filesBelow, hasProgram, makePackages, packageTest, ROOT, temporaryDirectory, unitValues } from "./support.ts";

const PROGRAMS = ["dpkg", "dpkg-deb", "systemd-sysusers", "setpriv", "lintian"];

/** An executable made before, instead of one compiled for this test. */
const EXECUTABLE = "MIREDO";

/** dpkg's own records, and what programs of the system keep beside the user database. */
const NOT_OURS = /^var\/lib\/dpkg|^etc\/(?:passwd|group|shadow|gshadow|subuid|subgid)-?$|^etc\/\.pwd\.lock$/;

/** A root directory with nothing but what dpkg and the user database need. */
class Root {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    for (const directory of ["info", "updates", "triggers", "parts"]) {
      Deno.mkdirSync(`${path}/var/lib/dpkg/${directory}`, { recursive: true });
    }
    for (const directory of ["etc", "run", "usr/sbin"]) Deno.mkdirSync(`${path}/${directory}`, { recursive: true });
    this.write("usr/sbin/init", ""); // somebody else's, so that dpkg keeps the directory
    this.write("var/lib/dpkg/status", "");
    this.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    this.write("etc/group", "root:x:0:\n");
    this.write("etc/shadow", "root:*:20000:0:99999:7:::\n");
    this.write("etc/gshadow", "root:*::\n");
  }

  write(name: string, content: string): void {
    Deno.writeTextFileSync(`${this.path}/${name}`, content);
  }

  read(name: string): string {
    return Deno.readTextFileSync(`${this.path}/${name}`);
  }

  /** Everything that packages can leave. */
  files(): string[] {
    return filesBelow(this.path, NOT_OURS);
  }

  async dpkg(...args: readonly string[]): Promise<void> {
    // Maintainer scripts run outside of the root, which has no shell, and see it in DPKG_ROOT. Libraries are those of the host.
    const how = ["--root", this.path, "--force-script-chrootless", "--force-depends", "--log=/dev/null"];
    await runProgram(["dpkg", ...how, ...args]);
  }

  /** User and group number of a user. */
  ids(user: string): { readonly uid: string; readonly gid: string } {
    const [, , uid, gid] =
      this.read("etc/passwd").split("\n").find((line) => line.startsWith(`${user}:`))?.split(":") ?? [];
    assert.ok(uid !== undefined && gid !== undefined && uid !== "0", `no user ${user}`);
    return { uid, gid };
  }
}

/** A role started as systemd would from its unit: same user, same capabilities, same words at the end of the start. */
class Service implements Disposable {
  readonly child: Child;
  readonly #receiver: NotifyReceiver;

  constructor(root: Root, host: LabHost, role: string, runtime: string) {
    const unit = root.read(`usr/lib/systemd/system/miredo-${role}.service`);
    const [capability] = unitValues(unit, "AmbientCapabilities").map((name) => name.toLowerCase().replace("cap_", ""));
    const { uid, gid } = root.ids(unitValues(unit, "User")[0]);
    const [command] = unitValues(unit, "ExecStart");
    const directory = `${runtime}/${unitValues(unit, "RuntimeDirectory")[0]}`;
    Deno.mkdirSync(directory, { recursive: true });
    Deno.chownSync(directory, Number(uid), Number(gid));
    const address = `${runtime}/notify-${role}`;
    this.#receiver = new NotifyReceiver(address);
    Deno.chmodSync(address, 0o777);
    this.child = host.start([
      "env",
      `NOTIFY_SOCKET=${address}`,
      "WATCHDOG_USEC=30000000",
      "setpriv",
      `--reuid=${uid}`,
      `--regid=${gid}`,
      "--clear-groups",
      `--bounding-set=-all,+${capability}`,
      `--inh-caps=-all,+${capability}`,
      `--ambient-caps=-all,+${capability}`,
      "--no-new-privs",
      ...command.split(" ").map((word) => word.startsWith("/") ? `${root.path}${word}` : word),
      ...["--set", `status.socket=${directory}/${role}.sock`],
    ]);
  }

  /** Waits for READY=1, and returns what else was said until a message matches. */
  async says(pattern: RegExp): Promise<void> {
    const heard: string[] = [];
    await this.child.whileRunning(`${pattern} from the service`, () => {
      heard.push(...this.#receiver.all());
      return heard.some((message) => pattern.test(message)) ? true : undefined;
    });
  }

  [Symbol.dispose](): void {
    this.#receiver[Symbol.dispose]();
  }
}

/** An executable: one that was made before, or made now. */
async function executable(directory: string): Promise<string> {
  const made = Deno.env.get(EXECUTABLE);
  if (made !== undefined && made !== "") return await Deno.realPath(made);
  const path = `${directory}/miredo`;
  await runProgram([Deno.execPath(), "run", "-A", "--no-prompt", `${ROOT}scripts/compile.ts`, "--output", path]);
  return path;
}

/** A package of Debian's name and version for the C Miredo, with one file. */
async function oldPackage(directory: string, name: string, file: string): Promise<string> {
  const tree = `${directory}/old-${name}`;
  await Deno.mkdir(`${tree}/DEBIAN`, { recursive: true });
  await Deno.mkdir(`${tree}/${file.slice(0, file.lastIndexOf("/"))}`, { recursive: true });
  await Deno.writeTextFile(`${tree}/${file}`, "");
  await Deno.writeTextFile(
    `${tree}/DEBIAN/control`,
    `Package: ${name}\nVersion: 1.2.6-7.1\nArchitecture: all\nMaintainer: A <a@example.net>\nDescription: old\n`,
  );
  await runProgram(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, `${tree}.deb`]);
  return `${tree}.deb`;
}

async function assertReaches(from: LabHost, to: string): Promise<void> {
  const { received, lines } = await ping(from, to, { count: 3, interval: 50 });
  assert.equal(received, 3, `${from.name} to ${to}: ${JSON.stringify(lines)}`);
}

/** What an administrator does on a system that runs systemd, with the C Miredo on it or not. */
const ADMINISTRATION = `
show() { for role in client relay server; do echo "$role: $(systemctl show --value -p "$1" miredo-$role)"; done; }
journal() { journalctl --no-pager -u 'miredo-*'; systemctl poweroff --no-block; }
trap '[ $? -eq 0 ] || journal' EXIT
dpkg --install --force-confnew --force-depends /test/miredo.deb
echo "enabled: $(ls /etc/systemd/system/*.wants | grep -c miredo || true)"
ip link set lo up
for address in 192.0.2.1 192.0.2.2 192.0.2.8 192.0.2.9; do ip address add $address/32 dev lo; done
printf '[server]\naddress = "192.0.2.1"\n' >/etc/miredo/server.toml
printf '[relay]\n[interface]\nname = "teredo-relay"\n[bind]\naddress = "192.0.2.8"\n' >/etc/miredo/relay.toml
printf '[client]\nservers = ["192.0.2.1"]\n[bind]\naddress = "192.0.2.9"\n' >/etc/miredo/client.toml
systemctl start miredo-server miredo-relay miredo-client
for _ in $(seq 100); do
    if systemctl show --value -p StatusText miredo-client | grep -q '^Qualified'; then break; fi
    sleep 0.1
done
show StatusText
show User
for role in client relay server; do
    pid=$(systemctl show --value -p MainPID miredo-$role)
    echo "$role threads with root: $(grep -hEc '^Uid:.*[[:space:]]0([[:space:]]|$)' /proc/$pid/task/*/status | grep -vc '^0$' || true)"
done
echo "accept_ra: $(cat /proc/sys/net/ipv6/conf/teredo/accept_ra)"
systemctl reload miredo-client miredo-relay miredo-server
show ActiveState
ls /run/miredo
miredo status --json >/dev/null && echo "status: asked"
systemctl stop miredo-client miredo-relay miredo-server
show Result
echo "interfaces left: $(ip -brief link | grep -c teredo || true)"
dpkg --purge miredo miredo-server
ls -d /etc/miredo /run/miredo /var/lib/miredo /usr/bin/miredo 2>/dev/null || echo "nothing left"
getent passwd miredo || echo "no user left"
`;

packageTest("the .deb replaces the C Miredo, runs all roles without root, and leaves nothing behind", {
  programs: PROGRAMS,
  root: true,
}, async (t) => {
  await using directory = await temporaryDirectory();
  const { path } = directory;
  const { deb } = await makePackages(await executable(path), `${path}/out`);
  const root = new Root(`${path}/root`);
  const before = root.files();
  const users = root.read("etc/passwd") + root.read("etc/group");

  await t.step("lintian finds no error", async () => {
    const report = await runProgram(["lintian", "--allow-root", "--fail-on", "error", "--tag-display-limit", "0", deb]);
    assert.doesNotMatch(report, /^E:/m);
  });

  await t.step("the C Miredo goes as it comes", async () => {
    await root.dpkg("--install", await oldPackage(path, "miredo", "usr/sbin/miredo"));
    await root.dpkg("--install", await oldPackage(path, "miredo-server", "usr/sbin/miredo-server"));
    await root.dpkg("--install", deb);
    const files = root.files();
    assert.ok(files.includes("usr/bin/miredo"));
    assert.ok(!files.includes("usr/sbin/miredo") && !files.includes("usr/sbin/miredo-server"));
    assert.match(root.read("etc/passwd"), /^miredo:x:[1-9][0-9]*:/m);
    assert.deepEqual(files.filter((name) => name.includes(".wants/")), []);
  });

  await t.step({
    name: "client, relay and server run as their units say, and packets get through",
    ignore: !mayRunLab(),
    fn: async () => {
      for (const [role, line] of [["client", `servers = ["${SERVER}"]`], ["server", `address = "${SERVER}"`]]) {
        const key = line.split(" ", 1)[0];
        const sample = root.read(`etc/miredo/${role}.toml`);
        assert.match(sample, new RegExp(`^${key} = `, "m"));
        root.write(`etc/miredo/${role}.toml`, sample.replace(new RegExp(`^${key} = .*$`, "m"), line));
      }
      await using world = await LabWorld.open();
      const [alice, bob] = [(await world.home("alice")).host, (await world.home("bob")).host];
      const runtime = (name: string): string => {
        Deno.mkdirSync(`${path}/${name}`);
        return `${path}/${name}`;
      };
      using server = new Service(root, world.server, "server", runtime("server"));
      using relay = new Service(root, world.relay, "relay", runtime("relay"));
      await Promise.all([
        server.says(/^READY=1\nSTATUS=Serving /),
        relay.says(/^READY=1\nSTATUS=Relaying 2001::\/32$/),
      ]);
      using first = new Service(root, alice, "client", runtime("alice"));
      using second = new Service(root, bob, "client", runtime("bob"));
      await Promise.all([first, second].map((client) => client.says(/STATUS=Qualified as 2001:0:/)));
      const address = await until("bob's address", () => bob.globalIpv6("teredo"));
      await assertReaches(alice, address);
      await assertReaches(alice, WEB);
      await assertReaches(world.web, address);
      for (const service of [first, second, relay, server]) {
        const pid = await service.child.pid();
        for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
          const status = Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`);
          assert.match(status, new RegExp(`^Uid:(?:\\t${root.ids("miredo").uid}){4}$`, "m"));
          assert.match(status, /^NoNewPrivs:\t1$/m);
        }
        await service.child.signal("SIGTERM");
        assert.equal((await service.child.ended()).code, 0, service.child.output);
      }
    },
  });

  const bootable = BOOT_PROGRAMS.every(hasProgram) && mayRunLab();
  await using system = bootable ? await BootedSystem.open() : undefined;
  await t.step({
    name: system === undefined
      ? "systemd itself starts, reloads and stops the roles (skipped: needs systemd-nspawn and overlayfs)"
      : "systemd itself starts, reloads and stops the roles",
    ignore: system === undefined,
    fn: async () => {
      assert.ok(system !== undefined);
      await system.write("test/miredo.deb", await Deno.readFile(deb));
      const { output, complete } = await system.run(ADMINISTRATION);
      assert.ok(complete, output);
      assert.match(output, /^enabled: 0$/m);
      assert.match(output, /^client: Qualified as 2001:0:c000:201:\S+ by 192\.0\.2\.1$/m, output);
      assert.match(output, /^relay: Relaying 2001::\/32$/m);
      assert.match(output, /^server: Serving on 192\.0\.2\.1:3544 and 192\.0\.2\.2:3544$/m);
      assert.match(output, /^accept_ra: 0$/m);
      for (const role of ["client", "relay", "server"]) {
        assert.match(output, new RegExp(`^${role}: miredo$`, "m"));
        assert.match(output, new RegExp(`^${role} threads with root: 0$`, "m"));
        assert.match(output, new RegExp(`^${role}: active$`, "m"), output);
        assert.match(output, new RegExp(`^${role}: success$`, "m"), output);
        assert.match(output, new RegExp(`^${role}\\.sock$`, "m"));
      }
      assert.match(output, /^interfaces left: 0$/m);
      assert.match(output, /^status: asked$/m);
      assert.match(output, /^nothing left$/m);
      assert.match(output, /^no user left$/m);
    },
  });

  await t.step("an upgrade keeps the configuration that somebody wrote", async () => {
    root.write("etc/miredo/relay.toml", "[relay]\n# mine\n");
    await root.dpkg("--install", "--force-confold", deb);
    assert.equal(root.read("etc/miredo/relay.toml"), "[relay]\n# mine\n");
  });

  await t.step("removed, the configuration is left; purged, nothing", async () => {
    await root.dpkg("--remove", "miredo");
    const left = root.files().filter((name) => !name.endsWith("/") && !before.includes(name));
    assert.deepEqual(left, ["etc/miredo/client.toml", "etc/miredo/relay.toml", "etc/miredo/server.toml"]);
    Deno.mkdirSync(`${root.path}/run/miredo`, { recursive: true });
    Deno.mkdirSync(`${root.path}/var/lib/miredo`, { recursive: true });
    await root.dpkg("--purge", "miredo");
    assert.deepEqual(root.files(), before);
    assert.equal(root.read("etc/passwd") + root.read("etc/group"), users);
    await root.dpkg("--purge", "miredo-server");
    assert.deepEqual(root.files(), before);
  });
});
