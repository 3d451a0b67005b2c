/** The schema as a tree that can be walked: what tables there are, what keys they have, and the notes and default of each key. */

import * as v from "valibot";
import type { Notes } from "./keys.ts";
import { type Role, SCHEMAS } from "./schema.ts";

/** A table, or what may stand under a key. */
export type Shape = TableShape | RecordShape | ListShape | LeafShape;

export interface TableShape {
  readonly type: "table";
  readonly entries: ReadonlyMap<string, Shape>;
}

/** A table with keys of the user's choice. */
export interface RecordShape {
  readonly type: "record";
  readonly notes: Notes;
  readonly key: LeafShape;
  readonly value: LeafShape;
}

export interface ListShape {
  readonly type: "list";
  readonly notes: Notes;
  readonly item: LeafShape;
  readonly fallback: unknown;
}

export interface LeafShape {
  readonly type: "leaf";
  readonly notes: Notes;
  readonly schema: v.GenericSchema;
  /** The default; `undefined` when the key may be missing altogether. */
  readonly fallback: unknown;
}

const NO_NOTES: Notes = { description: "", allowed: "" };

function tableShape(schema: v.ObjectSchema<v.ObjectEntries, undefined>): TableShape {
  const entries = new Map<string, Shape>();
  for (const [key, entry] of Object.entries(schema.entries)) entries.set(key, shapeOf(entry));
  return { type: "table", entries };
}

function shapeOf(schema: v.GenericSchema, fallback?: unknown): Shape {
  if (isOptional(schema)) return shapeOf(schema.wrapped, schema.default);
  if (isObject(schema)) return tableShape(schema);
  const notes = { ...NO_NOTES, ...v.getMetadata(schema) };
  if (isRecord(schema)) return { type: "record", notes, key: leafOf(schema.key), value: leafOf(schema.value) };
  if (isArray(schema)) return { type: "list", notes, item: leafOf(schema.item), fallback };
  return { type: "leaf", notes, schema, fallback };
}

function leafOf(schema: v.GenericSchema): LeafShape {
  return { type: "leaf", notes: { ...NO_NOTES, ...v.getMetadata(schema) }, schema, fallback: undefined };
}

type Optional = v.GenericSchema & { readonly wrapped: v.GenericSchema; readonly default: unknown };
type Record = v.GenericSchema & { readonly key: v.GenericSchema; readonly value: v.GenericSchema };
type Array = v.GenericSchema & { readonly item: v.GenericSchema };

function isOptional(schema: v.GenericSchema): schema is Optional {
  return schema.type === "optional";
}

function isObject(schema: v.GenericSchema): schema is v.ObjectSchema<v.ObjectEntries, undefined> {
  return schema.type === "object";
}

function isRecord(schema: v.GenericSchema): schema is Record {
  return schema.type === "record";
}

function isArray(schema: v.GenericSchema): schema is Array {
  return schema.type === "array";
}

/** The shape of each role's configuration. */
export const SHAPES: { readonly [R in Role]: TableShape } = {
  client: tableShape(SCHEMAS.client),
  relay: tableShape(SCHEMAS.relay),
  server: tableShape(SCHEMAS.server),
};
