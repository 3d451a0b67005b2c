/** The published JSON Schema of a status, for tests: stricter than for readers, who must bear keys that are added later. */

import { Ajv2020 } from "ajv/dist/2020.js";
import { parseIpv4 } from "../../lib/wire/ipv4.ts";
import { parseIpv6 } from "../../lib/wire/ipv6_address.ts";

const SCHEMA: unknown = JSON.parse(
  Deno.readTextFileSync(new URL("../../docs/status.schema.json", import.meta.url)),
);

/** A schema that takes no key which it does not describe. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => [key, closed(value)]);
  return Object.fromEntries("required" in schema ? [...entries, ["additionalProperties", false]] : entries);
}

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
ajv.addFormat("ipv4", (text: string) => parseIpv4(text) !== undefined);
ajv.addFormat("ipv6", (text: string) => parseIpv6(text) !== undefined);
ajv.addFormat("date-time", (text: string) => !Number.isNaN(Date.parse(text)));
const validate = ajv.compile(Object(closed(SCHEMA)));

/** What is wrong with a status, one line each. */
export function statusProblems(status: unknown): readonly string[] {
  if (validate(status)) return [];
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}
