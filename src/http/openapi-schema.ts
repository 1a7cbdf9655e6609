// The vocabulary for JSON Schemas that are written by hand: what a route answers, as the OpenAPI document shows it.

import type { Json, JsonObject } from "../core/json.ts";

export const TEXT: JsonObject = { type: "string" };
export const TEXT_OR_NULL: JsonObject = { type: ["string", "null"] };
export const BOOLEAN: JsonObject = { type: "boolean" };
/** ISO 8601 UTC. */
export const TIME: JsonObject = { type: "string", format: "date-time" };
export const TIME_OR_NULL: JsonObject = { type: ["string", "null"], format: "date-time" };
export const TEXTS: JsonObject = { type: "array", items: TEXT };

/** An object that has every property but the `optional` ones. */
export function objectOf(properties: JsonObject, optional: readonly string[] = []): JsonObject {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, ...(required.length === 0 ? {} : { required }) };
}

/** `{[name]: true}`, the answer of what has nothing more to say. */
export function doneOf(name: string): JsonObject {
  return objectOf({ [name]: { const: true } });
}

/** One page of a list; `next_cursor` is null on the last one. */
export function pageOf(items: Json, more: JsonObject = {}): JsonObject {
  return objectOf({ data: { type: "array", items }, next_cursor: TEXT_OR_NULL, ...more });
}

/** Where the document holds a schema. */
export function schemaPointer(name: string): string {
  return `#/components/schemas/${name}`;
}

/** A reference to one of the document's schemas. */
export function refTo(name: string): JsonObject {
  return { $ref: schemaPointer(name) };
}
