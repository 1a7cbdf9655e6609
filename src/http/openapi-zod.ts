// The inputs of routes as JSON Schema, read from the zod schemas that check them. What zod can check and JSON Schema cannot
// say becomes `{}`; what a schema names or repeats becomes a component, because a document has one root.

import { z, type ZodType } from "zod";
import { isObject, type Json, type JsonObject } from "../core/json.ts";
import type { Components } from "./openapi-components.ts";
import { toPascal } from "./openapi-path.ts";
import { refTo, schemaPointer } from "./openapi-schema.ts";

const DEFINITION = /^#\/\$defs\/(.+)$/;
const ROOT = "#";

type NameOf = (ref: string) => string | undefined;

/** Points references at components. A property that is called `$ref` holds a schema, not a text, and is left alone. */
function redirect(value: Json, nameOf: NameOf): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => redirect(item, nameOf));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([key, item]): [string, Json] => {
    const name = key === "$ref" && typeof item === "string" ? nameOf(item) : undefined;
    return name === undefined ? [key, redirect(item, nameOf)] : [key, schemaPointer(name)];
  });
  return Object.fromEntries(entries);
}

function refersToRoot(value: Json): boolean {
  if (Array.isArray(value)) return (value as readonly Json[]).some(refersToRoot);
  if (!isObject(value)) return false;
  return Object.entries(value).some(([key, item]) => (key === "$ref" && item === ROOT) || refersToRoot(item));
}

/** The schema of what `schema` takes in. Its definitions are added to `components` under names that start with `name`. */
export function toJsonSchema(schema: ZodType, name: string, components: Components): JsonObject {
  const options = { io: "input", target: "draft-2020-12", unrepresentable: "any" } as const;
  const { $schema: _, $defs = {}, ...root } = z.toJSONSchema(schema, options) as unknown as JsonObject;
  const definitions = Object.entries($defs as JsonObject);
  const names = new Map(definitions.map(([key]) => [key, components.claim(`${name}${toPascal(key)}`)]));
  const rootName = refersToRoot({ ...root, $defs }) ? components.claim(name) : undefined;
  const nameOf: NameOf = (ref) => (ref === ROOT ? rootName : names.get(DEFINITION.exec(ref)?.[1] ?? ""));
  for (const [key, definition] of definitions) {
    components.set(names.get(key) ?? key, redirect(definition, nameOf) as JsonObject);
  }
  const redirected = redirect(root, nameOf) as JsonObject;
  if (rootName === undefined) return redirected;
  components.set(rootName, redirected);
  return refTo(rootName);
}

/** Every parameter of a query by itself, or one that stands for all where the names are not known. */
export function toQueryParameters(schema: JsonObject): JsonObject[] {
  const { properties } = schema;
  if (!isObject(properties)) {
    return [{ name: "parameters", in: "query", required: false, style: "form", explode: true, schema }];
  }
  const required = new Set(Array.isArray(schema["required"]) ? (schema["required"] as readonly Json[]) : []);
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: "query",
    required: required.has(name),
    schema: property,
  }));
}
