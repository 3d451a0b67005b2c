/** The keeper of a port mapping, at gateways made of plain objects. */

import assert from "node:assert/strict";
import type { Gateway, Lease } from "../../../lib/host/port_mapping/lease.ts";
import { type MapperSurroundings, PortMapper } from "../../../lib/host/port_mapping/mapper.ts";
import { type Endpoint, formatEndpoint } from "../../../lib/wire/ipv4.ts";
import { until } from "../../lab/child.ts";

const LOCAL: Endpoint = { address: 0, port: 40123 };
const HOME: Gateway = { address: 0xc0a84d01, local: 0xc0a84d02 };
const OTHER: Gateway = { address: 0xc0a84e01, local: 0xc0a84e02 };

/** Gateways that grant what they are asked for, unless they are away, and what was asked of them. */
class Router {
  gateway: Gateway | undefined = HOME;
  /** Grants nothing and renews nothing. */
  away = false;
  external: Endpoint = { address: 0xc6336401, port: 40123 };
  readonly asked: string[] = [];
  readonly told: (string | undefined)[] = [];

  readonly surroundings: MapperSurroundings = {
    gateway: () => this.gateway,
    map: (gateway, port) => {
      this.asked.push(`map ${port} at ${gateway.address.toString(16)}`);
      return Promise.resolve(this.away ? undefined : this.#lease());
    },
    renewAtMost: 5,
    renewAtLeast: 5,
    retry: 5,
  };

  start(surroundings: Partial<MapperSurroundings> = {}, local: Endpoint = LOCAL): PortMapper {
    return new PortMapper({
      local,
      changed: (external) => this.told.push(external === undefined ? undefined : formatEndpoint(external)),
      surroundings: { ...this.surroundings, ...surroundings },
    });
  }

  /** Waits until something was asked `times` times. */
  async sees(what: string, times: number = 1): Promise<void> {
    await until(what, () => this.asked.filter((each) => each === what).length >= times ? true : undefined);
  }

  #lease(): Lease {
    return {
      protocol: "pcp",
      external: this.external,
      lifetime: 3600,
      renew: () => {
        this.asked.push("renew");
        return Promise.resolve(this.away ? undefined : this.#lease());
      },
      release: () => {
        this.asked.push("release");
        return Promise.resolve();
      },
    };
  }
}

const MAP_AT_HOME = "map 40123 at c0a84d01";
const LONG = 1_000_000;

Deno.test("[UPN-11] a mapping is told once, renewed again and again, and removed at the end", async () => {
  const router = new Router();
  const mapper = router.start();
  await router.sees("renew", 3);
  await mapper.end();
  assert.deepEqual(router.told, ["198.51.100.1:40123"]);
  assert.equal(router.asked.filter((each) => each === MAP_AT_HOME).length, 1);
  assert.equal(router.asked.at(-1), "release");
  assert.equal(mapper.lease, undefined);
});

Deno.test("another external address is told; a mapping that cannot be renewed is made anew or told as gone, and tried again", async () => {
  const router = new Router();
  const mapper = router.start();
  await router.sees("renew");
  router.external = { address: 0xc6336402, port: 40123 };
  await until("the new address", () => router.told.length === 2 ? true : undefined);
  router.away = true;
  await router.sees(MAP_AT_HOME, 4);
  assert.deepEqual(router.told, ["198.51.100.1:40123", "198.51.100.2:40123", undefined]);
  router.away = false;
  await until("the mapping", () => mapper.lease);
  assert.equal(router.told.at(-1), "198.51.100.2:40123");
  await mapper.end();
});

Deno.test("a change of the network matters where the gateway is another: that one is asked at once, the old mapping is gone", async () => {
  const router = new Router();
  const mapper = router.start({ renewAtLeast: LONG });
  await until("the mapping", () => mapper.lease);
  mapper.networkChanged();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(router.asked, [MAP_AT_HOME]);
  router.gateway = OTHER;
  mapper.networkChanged();
  await router.sees("map 40123 at c0a84e01");
  assert.equal(router.told[1], undefined);
  assert.ok(!router.asked.includes("renew"));
  await mapper.end();
});

Deno.test("[UPN-04] without a gateway, or with a socket bound to another address, nobody is asked", async () => {
  const router = new Router();
  const bound = router.start({ retry: LONG }, { address: 0x7f000001, port: 40123 });
  router.gateway = undefined;
  const lonely = router.start({ retry: LONG });
  await new Promise((resolve) => setTimeout(resolve, 5));
  await Promise.all([bound.end(), lonely.end()]);
  assert.deepEqual([router.asked, router.told], [[], []]);
});

Deno.test("an answer that comes after the end is given back and told to nobody", async () => {
  const router = new Router();
  const asked = Promise.withResolvers<void>(), answer = Promise.withResolvers<void>();
  const mapper = router.start({
    map: async (gateway, port) => {
      asked.resolve();
      await answer.promise;
      return await router.surroundings.map(gateway, port);
    },
  });
  await asked.promise;
  const end = mapper.end();
  answer.resolve();
  await end;
  assert.deepEqual([router.asked, router.told], [[MAP_AT_HOME, "release"], []]);
});
