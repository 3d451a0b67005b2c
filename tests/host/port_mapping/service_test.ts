/** Leases at a UPnP service, which is a few lines of HTTP here (RFC 6081 5.3.3, 5.3.5; WANIPConnection:1 2.4). */

import assert from "node:assert/strict";
import { leaseByUpnp } from "../../../lib/host/port_mapping/methods.ts";
import type { Lease } from "../../../lib/host/port_mapping/lease.ts";

const SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1";
const GATEWAY = { address: 0x7f000001, local: 0xc0a84d02 };
const INTERNAL = { address: 0xc0a84d02, port: 40123 };

/** A gateway that knows the actions of RFC 6081 5.3, its mappings, and what it was asked. */
class Service implements AsyncDisposable {
  /** Body of the answer to GetExternalIPAddress; undefined: an error. */
  external: string | undefined = "<NewExternalIPAddress>198.51.100.1</NewExternalIPAddress>";
  /** Grants nothing. */
  refuses = false;
  readonly asked: string[] = [];
  /** What GetSpecificPortMappingEntry tells, by external port. */
  readonly mappings: Map<string, string> = new Map();
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => this.#do(request));

  lease(): Promise<Lease | undefined> {
    const { port } = this.#server.addr;
    return leaseByUpnp(GATEWAY, { type: SERVICE, control: { port, target: "/control" } }, INTERNAL, INTERNAL.port, 3);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #do(request: Request): Promise<Response> {
    const action = /#(\w+)"$/.exec(request.headers.get("SOAPAction") ?? "")?.[1] ?? "";
    const body = await request.text();
    const port = /<NewExternalPort>(\d+)</.exec(body)?.[1] ?? "";
    this.asked.push(`${action} ${port}`.trim());
    const answer = this.#act(action, port, body);
    return new Response(answer ?? "<errorCode>501</errorCode>", { status: answer === undefined ? 500 : 200 });
  }

  #act(action: string, port: string, body: string): string | undefined {
    switch (action) {
      case "GetSpecificPortMappingEntry":
        return this.mappings.get(port);
      case "AddPortMapping":
        if (this.refuses) return undefined;
        this.mappings.set(port, body);
        return "";
      case "GetExternalIPAddress":
        return this.external;
      case "DeletePortMapping":
        return this.mappings.delete(port) ? "" : undefined;
      default:
        return undefined;
    }
  }
}

const LOOK = "GetSpecificPortMappingEntry 40123", ADD = "AddPortMapping 40123", REMOVE = "DeletePortMapping 40123";
const ADDRESS = "GetExternalIPAddress";

Deno.test("[UPN-03 UPN-05 UPN-11] the own port is mapped, then the external address asked for, and the mapping deleted at the end", async () => {
  await using service = new Service();
  const lease = await service.lease();
  assert.deepEqual(lease?.external, { address: 0xc6336401, port: 40123 });
  assert.deepEqual(service.asked, [LOOK, ADD, ADDRESS]);
  const mapping = service.mappings.get("40123") ?? "";
  for (
    const [name, value] of [
      ["RemoteHost", ""],
      ["Protocol", "UDP"],
      ["InternalPort", "40123"],
      ["InternalClient", "192.168.77.2"],
      ["Enabled", "1"],
      ["PortMappingDescription", "TEREDO"],
      // Not for ever: a client that cannot delete it leaves nothing behind. RFC 6081 has 0 here.
      ["LeaseDuration", "3600"],
    ]
  ) assert.ok(mapping.includes(`<New${name}>${value}</New${name}>`), name);
  await lease?.renew();
  assert.deepEqual(service.asked.slice(3), [ADD, ADDRESS]);
  await lease?.release();
  assert.deepEqual([service.asked.at(-1), service.mappings.size], [REMOVE, 0]);
});

Deno.test("[UPN-02 UPN-12] the same port is wanted after a restart; what a run that could not end left there is removed first", async () => {
  await using service = new Service();
  await service.lease();
  service.asked.length = 0;
  const again = await service.lease();
  assert.deepEqual(service.asked, [LOOK, REMOVE, ADD, ADDRESS]);
  assert.equal(again?.external.port, 40123);
});

Deno.test("[UPN-02] a mapping that another host or another program made is not removed", async () => {
  for (
    const [ours, theirs] of [["192.168.77.2", "192.168.77.3"], ["TEREDO", "game"], [">40123</NewInt", ">1</NewInt"]]
  ) {
    await using service = new Service();
    await service.lease();
    service.mappings.set("40123", (service.mappings.get("40123") ?? "").replace(ours, theirs));
    service.asked.length = 0;
    await service.lease();
    assert.ok(!service.asked.includes(REMOVE), theirs);
  }
});

Deno.test("[UPN-04] a gateway that maps nothing is left at that", async () => {
  await using service = new Service();
  service.refuses = true;
  assert.equal(await service.lease(), undefined);
  assert.deepEqual(service.asked, [LOOK, ADD]);
});

Deno.test("[UPN-06] without an external address the mapping is removed again, and there is no lease", async () => {
  for (const external of [undefined, "<NewExternalIPAddress></NewExternalIPAddress>"]) {
    await using service = new Service();
    service.external = external;
    assert.equal(await service.lease(), undefined);
    assert.deepEqual(service.asked, [LOOK, ADD, ADDRESS, REMOVE]);
    assert.equal(service.mappings.size, 0);
  }
});
