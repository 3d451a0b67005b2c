/**
 * UPnP Internet Gateway Device, versions 1 and 2: the texts. All of it is read as text with bounds, never as a document: what is wanted of
 * it are three or four names.
 *
 * ```
 *   M-SEARCH ─▶ 239.255.255.250:1900 and the gateway ─▶ LOCATION: http://gateway:port/description.xml
 *   GET description ─▶ a service WANIPConnection or WANPPPConnection, and its control URL
 *   POST control URL: GetExternalIPAddress, AddPortMapping, DeletePortMapping (UPnP WANIPConnection:1 and :2)
 * ```
 */

import { type Endpoint, formatIpv4, type Ipv4, isUnicast, parseIpv4 } from "../../wire/ipv4.ts";

/** Where devices listen (UPnP Device Architecture 1.1, 1.2.1). */
export const SSDP_GROUP: Ipv4 = 0xeffffffa;
export const SSDP_PORT = 1900;

/** What is looked for: the devices that hold the services below. */
export const SEARCH_TARGETS: readonly string[] = [
  "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
  "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
];

/** Services that map ports, the newest first. */
const SERVICES: readonly string[] = [
  "urn:schemas-upnp-org:service:WANIPConnection:2",
  "urn:schemas-upnp-org:service:WANIPConnection:1",
  "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

/** Errors of AddPortMapping (WANIPConnection:2 2.5.16). */
export const CONFLICT_IN_MAPPING = 718;
export const ONLY_PERMANENT_LEASES = 725;

/** What a mapping is called in the gateway's own list. */
const DESCRIPTION = "TEREDO";

/** The octets of a search. @param wait seconds within which devices answer */
export function searchText(target: string, to: string, wait: number): string {
  return `M-SEARCH * HTTP/1.1\r\nHOST: ${to}\r\nMAN: "ssdp:discover"\r\nMX: ${wait}\r\nST: ${target}\r\n\r\n`;
}

/** A place at a gateway. */
export interface GatewayUrl {
  readonly port: number;
  readonly target: string;
}

/**
 * Reads an `http` URL whose host is `gateway`, as an address: nobody else is asked on a gateway's word.
 * @param base the document it stands in, where it may be relative
 */
export function gatewayUrl(text: string, gateway: Ipv4, base?: GatewayUrl): GatewayUrl | undefined {
  const against = base === undefined ? undefined : `http://${formatIpv4(gateway)}:${base.port}${base.target}`;
  const url = URL.parse(text.trim(), against);
  if (url === null || url.protocol !== "http:" || url.username !== "" || url.password !== "") return undefined;
  if (parseIpv4(url.hostname) !== gateway) return undefined;
  return { port: url.port === "" ? 80 : Number(url.port), target: url.pathname + url.search };
}

/** Where the description is, by the answer to a search; undefined when it is not one of an Internet gateway. */
export function parseSearchAnswer(text: string, gateway: Ipv4): GatewayUrl | undefined {
  if (!/^HTTP\/1\.[01] 200(?: |\r|$)/.test(text)) return undefined;
  const header = (name: string) => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*\\r?$`, "im").exec(text)?.[1];
  const target = header("ST"), location = header("LOCATION");
  if (target === undefined || location === undefined || !SEARCH_TARGETS.includes(target)) return undefined;
  return gatewayUrl(location, gateway);
}

/** The content of the first element `name`, entities resolved; undefined when there is none. */
function element(xml: string, name: string): string | undefined {
  const found = new RegExp(`<(?:[\\w.-]+:)?${name}(?:\\s[^<>]*)?>([^<]*)<`).exec(xml);
  return found === null ? undefined : unescape(found[1].trim());
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replaceAll(/&(amp|lt|gt|quot|apos);/g, (_, name) => ENTITIES[name]);
}

/** A service that maps ports. */
export interface MappingService {
  readonly type: string;
  readonly control: GatewayUrl;
}

/** The services of a description that map ports, the newest kind first. */
export function parseDescription(xml: string, gateway: Ipv4, at: GatewayUrl): readonly MappingService[] {
  const written = element(xml, "URLBase");
  const base = written === undefined || written === "" ? at : gatewayUrl(written, gateway) ?? at;
  const found = xml.split(/<service>/).slice(1).flatMap((part): MappingService[] => {
    const service = part.split("</service>", 1)[0];
    const type = element(service, "serviceType"), url = element(service, "controlURL");
    if (type === undefined || url === undefined || !SERVICES.includes(type)) return [];
    const control = gatewayUrl(url, gateway, base);
    return control === undefined ? [] : [{ type, control }];
  });
  return found.toSorted((a, b) => SERVICES.indexOf(a.type) - SERVICES.indexOf(b.type));
}

/** An action of a service: the headers and the body of its request. */
export function actionText(
  service: string,
  action: string,
  values: Readonly<Record<string, string | number>>,
): { readonly headers: Readonly<Record<string, string>>; readonly body: string } {
  // None of the values has a character that would have to be escaped.
  const inside = Object.entries(values).map(([name, value]) => `<${name}>${value}</${name}>`).join("");
  const body = '<?xml version="1.0"?>\r\n' +
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">' +
    `<s:Body><u:${action} xmlns:u="${service}">${inside}</u:${action}></s:Body></s:Envelope>\r\n`;
  return { headers: { "Content-Type": 'text/xml; charset="utf-8"', SOAPAction: `"${service}#${action}"` }, body };
}

/** Arguments of AddPortMapping, in the order of WANIPConnection:1 2.4.16. @param lifetime seconds; 0: until removed */
export function mappingValues(
  internal: Endpoint,
  externalPort: number,
  lifetime: number,
): Readonly<Record<string, string | number>> {
  return {
    NewRemoteHost: "",
    NewExternalPort: externalPort,
    NewProtocol: "UDP",
    NewInternalPort: internal.port,
    NewInternalClient: formatIpv4(internal.address),
    NewEnabled: 1,
    NewPortMappingDescription: DESCRIPTION,
    NewLeaseDuration: lifetime,
  };
}

/** Arguments of DeletePortMapping and GetSpecificPortMappingEntry. */
export function removalValues(externalPort: number): Readonly<Record<string, string | number>> {
  return { NewRemoteHost: "", NewExternalPort: externalPort, NewProtocol: "UDP" };
}

/** The address in an answer to GetExternalIPAddress; undefined when the gateway has none. */
export function parseExternalAddress(xml: string): Ipv4 | undefined {
  const address = parseIpv4(element(xml, "NewExternalIPAddress") ?? "");
  return address !== undefined && isUnicast(address) ? address : undefined;
}

/** Whether the answer to GetSpecificPortMappingEntry is a mapping that this program made for the same port of this host. */
export function isOwnMapping(xml: string, internal: Endpoint): boolean {
  return element(xml, "NewPortMappingDescription") === DESCRIPTION &&
    parseIpv4(element(xml, "NewInternalClient") ?? "") === internal.address &&
    element(xml, "NewInternalPort") === String(internal.port);
}

/** The number of a UPnP error in an answer; 0 when there is none. */
export function parseUpnpError(xml: string): number {
  return Number(/^\d{3}$/.exec(element(xml, "errorCode") ?? "")?.[0] ?? 0);
}
