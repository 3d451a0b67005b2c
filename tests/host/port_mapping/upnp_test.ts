/** UPnP texts, and the HTTP that carries them. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { parseHttpAnswer } from "../../../lib/host/port_mapping/http.ts";
import {
  actionText,
  gatewayUrl,
  mappingValues,
  parseDescription,
  parseExternalAddress,
  parseSearchAnswer,
  parseUpnpError,
} from "../../../lib/host/port_mapping/upnp.ts";

const GATEWAY = 0xc0a84d01;
const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

const found = (location: string, target = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"): string =>
  `HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nst: ${target}\r\nLocation: ${location}\r\n\r\n`;

const service = (type: string, url: string): string =>
  `<service><serviceType>urn:schemas-upnp-org:service:${type}</serviceType><controlURL>${url}</controlURL></service>`;
const description = (inside: string, base = ""): string =>
  `<?xml version="1.0"?><root>${base}<device>${inside}</device></root>`;

Deno.test("a gateway's answer to a search says where its description is", () => {
  assert.deepEqual(parseSearchAnswer(found("http://192.168.77.1:5000/root.xml?a=b"), GATEWAY), {
    port: 5000,
    target: "/root.xml?a=b",
  });
});

Deno.test("a gateway cannot send us to another host, another protocol or a password", () => {
  for (
    const location of [
      "http://192.168.77.9:5000/root.xml",
      "http://gateway.example/root.xml",
      "https://192.168.77.1/root.xml",
      "file:///etc/passwd",
      "http://user:pass@192.168.77.1/",
      "root.xml",
      "",
    ]
  ) assert.equal(parseSearchAnswer(found(location), GATEWAY), undefined, location);
  assert.equal(parseSearchAnswer(found("http://192.168.77.1/", "upnp:rootdevice"), GATEWAY), undefined);
  assert.equal(parseSearchAnswer("HTTP/1.1 404 Not Found\r\n\r\n", GATEWAY), undefined);
});

Deno.test("the services of a description that map ports are found, the newest first, on the gateway alone", () => {
  const at = { port: 5000, target: "/dir/root.xml" };
  const xml = description(
    service("WANPPPConnection:1", "/ppp") + service("Layer3Forwarding:1", "/l3") +
      service("WANIPConnection:1", "ip1") + service("WANIPConnection:2", "http://192.168.77.1:6000/ip2?x=1&amp;y=2") +
      service("WANIPConnection:2", "http://192.0.2.1/elsewhere"),
  );
  assert.deepEqual(
    parseDescription(xml, GATEWAY, at).map(({ type, control }) => [type.split(":service:")[1], control]),
    [
      ["WANIPConnection:2", { port: 6000, target: "/ip2?x=1&y=2" }],
      ["WANIPConnection:1", { port: 5000, target: "/dir/ip1" }],
      ["WANPPPConnection:1", { port: 5000, target: "/ppp" }],
    ],
  );
  const based = description(service("WANIPConnection:1", "c"), "<URLBase>http://192.168.77.1:7000/b/</URLBase>");
  assert.deepEqual(parseDescription(based, GATEWAY, at)[0].control, { port: 7000, target: "/b/c" });
  assert.deepEqual(gatewayUrl("http://192.168.77.1/", GATEWAY), { port: 80, target: "/" });
});

Deno.test("[UPN-03] AddPortMapping names port, client and lease in the order of WANIPConnection:1 2.4.16", () => {
  const type = "urn:schemas-upnp-org:service:WANIPConnection:1";
  const { headers, body } = actionText(
    type,
    "AddPortMapping",
    mappingValues({ address: 0xc0a84d02, port: 40123 }, 40124, 60),
  );
  assert.equal(headers.SOAPAction, `"${type}#AddPortMapping"`);
  assert.equal(
    /<u:AddPortMapping [^>]*>(.*)<\/u:AddPortMapping>/.exec(body)?.[1],
    "<NewRemoteHost></NewRemoteHost><NewExternalPort>40124</NewExternalPort><NewProtocol>UDP</NewProtocol>" +
      "<NewInternalPort>40123</NewInternalPort><NewInternalClient>192.168.77.2</NewInternalClient>" +
      "<NewEnabled>1</NewEnabled><NewPortMappingDescription>TEREDO</NewPortMappingDescription>" +
      "<NewLeaseDuration>60</NewLeaseDuration>",
  );
});

Deno.test("addresses and errors are read from answers, whatever the names' prefix", () => {
  assert.equal(
    parseExternalAddress("<m:r><NewExternalIPAddress>198.51.100.1</NewExternalIPAddress></m:r>"),
    0xc6336401,
  );
  assert.equal(parseExternalAddress("<NewExternalIPAddress></NewExternalIPAddress>"), undefined);
  assert.equal(parseExternalAddress("<NewExternalIPAddress>0.0.0.0</NewExternalIPAddress>"), undefined);
  assert.equal(parseUpnpError("<UPnPError><u:errorCode> 725 </u:errorCode></UPnPError>"), 725);
  assert.equal(parseUpnpError("<errorCode>many</errorCode>"), 0);
});

Deno.test("an HTTP answer is whole by its length, by its chunks or by the end", () => {
  const head = "HTTP/1.1 200 OK\r\n";
  const whole = (text: string, ended = false) => parseHttpAnswer(octets(text), ended);
  assert.deepEqual(whole(`${head}Content-Length: 3\r\n\r\nabcd`), { status: 200, body: "abc" });
  assert.equal(whole(`${head}Content-Length: 5\r\n\r\nabc`), undefined);
  assert.equal(whole(`${head}Content-Length: 5\r\n\r\nabc`, true), "bad");
  assert.deepEqual(whole(`${head}\r\nabc`, true), { status: 200, body: "abc" });
  assert.equal(whole(`${head}\r\nabc`), undefined);
  assert.deepEqual(whole(`${head}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n`), {
    status: 200,
    body: "abc",
  });
  assert.deepEqual(whole("HTTP/1.0 500 Internal Server Error\r\nContent-Length: 2\r\n\r\né"), {
    status: 500,
    body: "é",
  });
  assert.equal(whole("SSH-2.0-x\r\n\r\n", true), "bad");
});

Deno.test("no text makes the readers fail", () => {
  fc.assert(fc.property(fc.string({ maxLength: 400 }), fc.boolean(), (text, ended) => {
    parseHttpAnswer(octets(text), ended);
    parseHttpAnswer(octets(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text}`), ended);
    parseSearchAnswer(text, GATEWAY);
    parseSearchAnswer(found(text), GATEWAY);
    parseDescription(description(service("WANIPConnection:1", text)), GATEWAY, { port: 1, target: "/" });
    parseDescription(text, GATEWAY, { port: 1, target: "/" });
    parseExternalAddress(text);
    parseUpnpError(text);
  }));
});
