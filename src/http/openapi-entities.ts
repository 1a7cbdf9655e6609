// An application's entities in the OpenAPI document: the routes of any entity become those of each one, with its fields.
// Policies stay out of it: who may do what is not for every reader.

import type { Json, JsonObject } from "../core/json.ts";
import type { EntityModel } from "../data/model.ts";
import { idTarget, type PlainFieldType } from "../manifest/field-type.ts";
import type { FieldDef } from "../manifest/manifest.ts";
import type { Route } from "../plugin/route.ts";
import type { Components } from "./openapi-components.ts";
import type { Endpoint, OperationMethod } from "./openapi-operation.ts";
import { toLiteral, toOperationId } from "./openapi-path.ts";
import { BOOLEAN, doneOf, objectOf, pageOf, refTo, TEXT } from "./openapi-schema.ts";

export type DescribedEntity = Pick<EntityModel, "def" | "readOnly">;

/** The names of an entity's schemas. */
export interface EntitySchemas {
  readonly entity: DescribedEntity;
  readonly row: string;
  readonly input: string;
  readonly patch: string;
}

const ANY_ENTITY = "/api/entities/:entity";
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;
const MAX_ID_CHARS = 128;
const ID: JsonObject = { type: "string", minLength: 1, maxLength: MAX_ID_CHARS };

const FIELD_SCHEMAS: Readonly<Record<PlainFieldType, JsonObject>> = {
  string: TEXT,
  richtext: TEXT,
  int: { type: "integer", minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
  float: { type: "number" },
  bool: BOOLEAN,
  datetime: { type: "string", format: "date-time" },
  json: { type: ["object", "array", "string", "number", "boolean"] },
};

function valueSchema({ type, unique }: FieldDef): JsonObject {
  const target = idTarget(type);
  const notes = [...(target === undefined ? [] : [`The id of a row of ${target}`]), ...(unique ? ["Unique"] : [])];
  const schema = target === undefined ? FIELD_SCHEMAS[type as PlainFieldType] : ID;
  return notes.length === 0 ? schema : { ...schema, description: notes.join(". ") };
}

function fieldSchema(field: FieldDef): JsonObject {
  const schema = valueSchema(field);
  if (!field.optional) return schema;
  const types = Array.isArray(schema["type"]) ? (schema["type"] as readonly Json[]) : [schema["type"] as Json];
  return { ...schema, type: [...types, "null"] };
}

/** Adds the schemas of every entity. Plain names go first, so that no entity loses its own to another's input. */
export function addEntitySchemas(entities: readonly DescribedEntity[], components: Components): EntitySchemas[] {
  const named = entities.map((entity) => ({ entity, row: components.claim(entity.def.name) }));
  return named.map(({ entity, row }) => {
    const { name, fields } = entity.def;
    const input = components.claim(`${name}Input`);
    const patch = components.claim(`${name}Patch`);
    const properties = Object.fromEntries(fields.map((field) => [field.name, fieldSchema(field)]));
    const optional = fields.filter((field) => field.optional).map((field) => field.name);
    components.set(row, objectOf({ id: { ...ID, readOnly: true }, ...properties }));
    if (!entity.readOnly) {
      components.set(input, { ...objectOf(properties, optional), additionalProperties: false });
      components.set(patch, { type: "object", properties, additionalProperties: false });
    }
    return { entity, row, input, patch };
  });
}

function queryParameter(name: string, schema: JsonObject, description: string): JsonObject {
  return { name, in: "query", required: false, schema, description };
}

function listParameters({ fields }: DescribedEntity["def"]): JsonObject[] {
  const comparable = fields.filter((field) => field.type !== "json");
  const orders = ["id", ...comparable.map((field) => field.name)].flatMap((name) => [name, `-${name}`]);
  const own = [
    queryParameter(
      "limit",
      { type: "integer", minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT },
      "Rows per page",
    ),
    queryParameter("cursor", TEXT, "The next_cursor of the page before"),
    queryParameter("order", { type: "string", enum: orders, default: "id" }, "The field to order by; - turns it round"),
  ];
  const taken = new Set(own.map(({ name }) => name));
  const filters = comparable
    .filter((field) => !taken.has(field.name))
    .map((field) => queryParameter(field.name, valueSchema(field), "Only rows that have this value"));
  return [...own, queryParameter("id", ID, "Only the row of this id"), ...filters];
}

type Shape = (schemas: EntitySchemas) => Partial<Endpoint>;

/** What is particular about each route of an entity. */
const SHAPES: Readonly<Record<string, Shape>> = {
  "POST ": ({ entity, row, input }) => ({
    operationId: `create${entity.def.name}`,
    summary: `Create a row of ${entity.def.name}`,
    body: { schema: refTo(input), required: true },
    answer: refTo(row),
    errors: [403, 409],
  }),
  "GET ": ({ entity, row }) => ({
    operationId: `list${entity.def.name}`,
    summary: `List rows of ${entity.def.name} by page`,
    query: listParameters(entity.def),
    answer: pageOf(refTo(row), { has_more: BOOLEAN }),
    errors: [403],
  }),
  "GET /:id": ({ entity, row }) => ({
    operationId: `get${entity.def.name}`,
    summary: `Read a row of ${entity.def.name}`,
    answer: refTo(row),
    errors: [403],
  }),
  "PATCH /:id": ({ entity, row, patch }) => ({
    operationId: `update${entity.def.name}`,
    summary: `Change fields of a row of ${entity.def.name}`,
    body: { schema: refTo(patch), required: true },
    answer: { allOf: [doneOf("updated"), refTo(row)] },
    errors: [403, 409],
  }),
  "DELETE /:id": ({ entity }) => ({
    operationId: `delete${entity.def.name}`,
    summary: `Delete a row of ${entity.def.name}`,
    answer: doneOf("deleted"),
    errors: [403],
  }),
};

/** Whether `route` serves any entity by its name. */
export function isEntityRoute({ path }: Route): boolean {
  return path === ANY_ENTITY || path.startsWith(`${ANY_ENTITY}/`);
}

/** The route for each entity that it serves: one that Pylon alone writes can only be read. */
export function expandEntityRoute(
  route: Route,
  methods: readonly OperationMethod[],
  schemas: readonly EntitySchemas[],
): Endpoint[] {
  const rest = route.path.slice(ANY_ENTITY.length);
  const shape = SHAPES[`${route.method} ${rest}`];
  return schemas.flatMap((names) => {
    const path = `/api/entities/${toLiteral(names.entity.def.name)}${rest}`;
    const served = names.entity.readOnly ? methods.filter((method) => method === "get") : methods;
    return served.map((method) => ({
      route,
      method,
      path,
      operationId: toOperationId(method, path),
      ...shape?.(names),
    }));
  });
}
