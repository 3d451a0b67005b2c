import assert from "node:assert/strict";
import fc from "fast-check";
import { AdvertisementTemplate } from "../../lib/wire/advertisement_template.ts";
import { teredoAdvertisement, writeRouterAdvertisement } from "../../lib/wire/router_advertisement.ts";
import { serverLinkLocal } from "../../lib/wire/teredo_address.ts";

Deno.test("an advertisement from the template is the one that is written anew, octet for octet", () => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.constantFrom(new Uint8Array(16), new Uint8Array(16).fill(0xff)),
  );
  const word = fc.nat(0xffff_ffff), mtu = fc.option(fc.integer({ min: 1280, max: 65_507 }), { nil: undefined });
  fc.assert(fc.property(address, word, word, mtu, fc.nat(7), (destination, prefix, server, mtu, at) => {
    const source = serverLinkLocal(server);
    const expected = new Uint8Array(512), bytes = new Uint8Array(512);
    const advertisement = teredoAdvertisement(source, destination, prefix, server, mtu);
    const length = writeRouterAdvertisement(advertisement, expected, at);
    bytes.set(destination, 300);
    const template = new AdvertisementTemplate(source, prefix, server, mtu);
    assert.equal(template.write(bytes, 300, at), length);
    assert.deepEqual(bytes.subarray(0, 300), expected.subarray(0, 300));
  }));
});
