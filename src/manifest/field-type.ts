// The types that a field can have, what column each is stored in, and which entity an `id(…)` points to.

import type { ColumnType } from "../store/store.ts";

export type PlainFieldType = "string" | "int" | "float" | "bool" | "datetime" | "richtext" | "json";
export type FieldType = PlainFieldType | `id(${string})`;

const COLUMN_OF: Readonly<Record<PlainFieldType, ColumnType>> = {
  string: "text",
  int: "int",
  float: "real",
  bool: "bool",
  datetime: "text",
  richtext: "text",
  json: "json",
};

const ID_PATTERN = /^id\(([A-Za-z_][A-Za-z0-9_]{0,62})\)$/;

/** For messages. */
export const FIELD_TYPE_NAMES = `${Object.keys(COLUMN_OF).join(", ")} or id(Entity)`;

function isPlain(type: string): type is PlainFieldType {
  return Object.hasOwn(COLUMN_OF, type);
}

/** The entity that `id(Entity)` points to; undefined for every other type. */
export function idTarget(type: string): string | undefined {
  return ID_PATTERN.exec(type)?.[1];
}

export function isFieldType(value: unknown): value is FieldType {
  return typeof value === "string" && (isPlain(value) || idTarget(value) !== undefined);
}

/** The column that holds a field of this type. */
export function columnTypeOf(type: FieldType): ColumnType {
  return isPlain(type) ? COLUMN_OF[type] : "text";
}
